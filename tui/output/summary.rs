use super::{Face, json};
use crate::exit_code::Exit;
use crate::format::{count, counted};
use palanquin_actors::LinkEnd;
use palanquin_engine::contract::advice::operator_sentence;
use palanquin_engine::contract::{Error, Severity};
use palanquin_engine::link::{LinkSpec, Outcome, SetAside};
use palanquin_engine::parity::{CollectionParity, Difference, ParityReport};
use palanquin_engine::rows::shown;
use std::fmt::Write as _;
use std::io::Write as _;

/// Differences named in the summary; the rest is counted.
const NAMED: usize = 10;

/// What became of a link, printed on the normal screen once it has ended.
pub(crate) fn summary(face: Face, spec: &LinkSpec, end: &LinkEnd, exit: Exit) {
    match face {
        Face::Json => print(&json::result(end, exit, headline(end, exit))),
        Face::Plain | Face::Dashboard { .. } => print(text(spec, end, exit).trim_end()),
    }
}

/// A failure before there was a link, printed where errors go (as JSON: where the other lines go).
pub(crate) fn failure(face: Face, error: &Error, exit: Exit) {
    match face {
        Face::Json => print(&json::failure(error, exit)),
        Face::Plain | Face::Dashboard { .. } => complain(&error.to_string()),
    }
}

/// Something to add to the summary.
pub(crate) fn note(face: Face, text: &str) {
    match face {
        Face::Json => print(&json::note(text)),
        Face::Plain | Face::Dashboard { .. } => print(&format!("  {text}")),
    }
}

/// Prints a line; a reader that has gone is no reason to stop.
pub(crate) fn print(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Prints a line where complaints go, under the program's name.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "palanquin: {line}");
}

/// How a link ended, in a few words.
pub(crate) fn headline(end: &LinkEnd, exit: Exit) -> &'static str {
    match (&end.outcome, exit) {
        (Outcome::Verified, _) => "copied and verified",
        (Outcome::Different, _) => "differences found",
        (Outcome::Interrupted, _) => "interrupted",
        (Outcome::Halted(_), Exit::NotVerified) => "copied, not verified",
        (Outcome::Halted(_), Exit::BadInput | Exit::Refused) => "refused",
        (Outcome::Halted(_), _) => "halted",
    }
}

fn text(spec: &LinkSpec, end: &LinkEnd, exit: Exit) -> String {
    let mut out = String::new();
    let mut put = |line: String| {
        let _ = writeln!(out, "{line}");
    };
    put(format!("{}: {}", spec.kind, headline(end, exit)));
    put(format!("  from  {}", spec.source));
    put(format!("  to    {}", spec.target));
    if let Outcome::Halted(failure) = &end.outcome {
        put(format!("  why   {} ({})", failure.reason, failure.kind.name()));
        put(format!("  do    {}", operator_sentence(failure.kind)));
    }
    if end.rows > 0 {
        put(format!("  rows  {} durable in the target", count(end.rows)));
    }
    if end.outcome == Outcome::Interrupted {
        put("  next  the same command continues it; nothing that was copied is copied again".to_owned());
    }
    if let Some(report) = &end.report {
        parity(report, &end.account.dead_letters).into_iter().for_each(&mut put);
    }
    for run in &end.account.maintenance {
        put(format!("  maintenance   {}: {}", run.kind, run.status));
    }
    for finding in &end.findings {
        let mark = if finding.severity >= Severity::Warning { "look" } else { "note" };
        put(format!("  {mark}  {}: {}", finding.name, finding.summary));
        if !finding.rows.is_empty() {
            let named: Vec<_> = finding.rows.iter().take(NAMED).map(|id| shown(id)).collect();
            let more = if finding.rows.len() > NAMED { ", …" } else { "" };
            put(format!("        {}{more}", named.join(", ")));
        }
    }
    out
}

/// What a comparison found, and what it did not look at. Rows that were set aside are named as such.
pub(crate) fn parity(report: &ParityReport, letters: &[SetAside]) -> Vec<String> {
    let mut lines = Vec::new();
    for collection in &report.collections {
        lines.push(collection_line(collection));
        lines.extend(vectors_line(collection));
        for difference in collection.differences.iter().take(NAMED) {
            let letter =
                letters.iter().find(|letter| letter.collection == collection.name && letter.id == difference.id());
            let why = letter.map_or_else(String::new, |letter| format!(" (set aside: {})", letter.reason));
            lines.push(format!("          {}{why}", difference_line(difference)));
        }
        let unnamed = collection.unlisted + collection.differences.len().saturating_sub(NAMED) as u64;
        if unnamed > 0 {
            lines.push(format!("          and {} more", counted(unnamed, "difference")));
        }
        lines.extend(collection.inconclusive.iter().map(|reason| format!("          inconclusive: {reason}")));
    }
    lines.extend(report.uncopied.iter().map(|name| format!("  {name}: the target lacks this collection")));
    lines.extend(report.only_in_target.iter().map(|name| format!("  {name}: only the target has this collection")));
    lines.push(format!("  compared      {}", report.compared.join("; ")));
    if report.not_compared.is_empty() {
        lines.push("  not compared  nothing was left out".to_owned());
    }
    lines.extend(report.not_compared.iter().map(|left_out| format!("  not compared  {left_out}")));
    lines
}

fn collection_line(collection: &CollectionParity) -> String {
    let mut line = format!(
        "  {}: {} in the source, {} in the target, ",
        collection.name,
        counted(collection.source_rows, "row"),
        count(collection.target_rows),
    );
    if let Some(sample) = collection.sample {
        let _ = write!(line, "{} sampled (seed {}), ", count(sample.rows), sample.seed);
    }
    let _ = write!(line, "{} equal", count(collection.equal));
    if collection.within_tolerance > 0 {
        let _ = write!(line, " ({} of them but for the last bits of the vector)", count(collection.within_tolerance));
    }
    let counts = &collection.counts;
    let kinds = [
        (counts.missing, "missing"),
        (counts.extra, "extra"),
        (counts.different, "different"),
        (counts.duplicate, "duplicate"),
    ];
    for (rows, kind) in kinds.into_iter().filter(|(rows, _)| *rows > 0) {
        let _ = write!(line, ", {} {kind}", count(rows));
    }
    if collection.without_vector > 0 {
        let _ = write!(line, ", {} without a vector in the source", count(collection.without_vector));
    }
    line
}

/// How far the vectors are apart, if any are.
fn vectors_line(collection: &CollectionParity) -> Option<String> {
    let vectors = &collection.vectors;
    let apart = vectors.compared - vectors.exact;
    let ulps =
        vectors.max_ulps.map_or_else(|| "an unknown number of units".to_owned(), |ulps| counted(ulps.into(), "unit"));
    (apart > 0).then(|| {
        format!(
            "          {} of {} vectors differ in bits: by at most {ulps} in the last place, cosine distance at most {:.1e}, {:.1e} on average",
            count(apart),
            count(vectors.compared),
            vectors.max_cosine_distance,
            vectors.mean_cosine_distance
        )
    })
}

fn difference_line(difference: &Difference) -> String {
    match difference {
        Difference::Missing { id } => format!("missing in the target: {}", shown(id)),
        Difference::Extra { id } => format!("only in the target: {}", shown(id)),
        Difference::Different { id, fields } => format!("differs in {}: {}", fields.join(", "), shown(id)),
        Difference::Duplicate { id, source, target } => {
            format!(
                "{} in the source, {} in the target: {}",
                counted(*source, "time"),
                counted(*target, "time"),
                shown(id)
            )
        }
    }
}
