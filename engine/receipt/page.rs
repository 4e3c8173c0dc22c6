use super::Receipt;
use crate::contract::MaintenanceState;
use crate::link::Account;
use crate::parity::{CollectionParity, Difference, ParityReport, SearchedCollection};
use crate::rows::shown;
use std::fmt::Write;

/// Ids named of each list; the document has more.
const NAMED: usize = 20;

/// The receipt as a page of Markdown. The stamp is that of the document, which is what can be checked.
pub fn page(receipt: &Receipt, stamp: &str) -> String {
    let mut page = Page(String::new());
    page.line(format!("# Palanquin {}: {}", receipt.command, receipt.outcome));
    page.heading("What was done");
    page.item("made", &receipt.made_at);
    page.item("palanquin", format!("{}, storage contract {}", receipt.palanquin, receipt.contract));
    if let Some(link) = &receipt.link {
        page.item("link", link);
    }
    page.item("source", format!("{} ({})", receipt.source.address, receipt.source.backend));
    page.item("target", format!("{} ({})", receipt.target.address, receipt.target.backend));
    page.item("outcome", format!("{} (exit code {})", receipt.outcome, receipt.exit_code));
    if let Some(reason) = &receipt.reason {
        page.item("reason", reason);
    }
    page.item("collections", listed(&receipt.collections, "all"));
    if let Some(filter) = &receipt.filter {
        page.item("filter", filter);
    }
    page.item("flags", listed(&receipt.flags, "none"));
    if receipt.link.is_some() {
        moved(receipt, &mut page);
    }
    if let Some(repaired) = receipt.repaired {
        page.heading("What was repaired in the target");
        page.item("rows copied", repaired.copied);
        page.item("rows removed", repaired.removed);
        page.item("rows only the target has, left there", repaired.left);
    }
    if let Some(parity) = &receipt.parity {
        checked(parity, &mut page);
    }
    page.heading("What was not checked");
    receipt.not_checked.iter().for_each(|sentence| page.point(sentence));
    account(&receipt.account, &mut page);
    if !receipt.findings.is_empty() {
        page.heading("To look at");
        for finding in &receipt.findings {
            page.item(&finding.name, format!("{}{}", finding.summary, ids(&finding.rows)));
        }
    }
    page.heading("Stamp");
    page.line(format!("`{stamp}`"));
    page.0
}

fn moved(receipt: &Receipt, page: &mut Page) {
    page.heading("What moved");
    page.item("rows durable in the target by the copy", receipt.rows);
    page.item("bytes", receipt.bytes);
    for carried in &receipt.carried {
        let model = carried.identity.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let to =
            if carried.name == carried.target_name { String::new() } else { format!(" as {}", carried.target_name) };
        let figures = format!(
            "{} rows, {} bytes, {} dimensions, metric {}, model {model}",
            carried.rows, carried.bytes, carried.dimension, carried.metric
        );
        page.item(&format!("{}{to}", carried.name), figures);
    }
}

fn checked(parity: &ParityReport, page: &mut Page) {
    page.heading("What was checked");
    page.item("conclusion", parity.conclusion());
    parity.compared.iter().for_each(|sentence| page.point(sentence));
    parity.collections.iter().for_each(|collection| of_collection(collection, page));
    for name in &parity.uncopied {
        page.item(name, "the target lacks this collection");
    }
    for name in &parity.only_in_target {
        page.item(name, "only the target has this collection");
    }
    if let Some(search) = &parity.search {
        page.heading("Searches on both ends");
        search.collections.iter().for_each(|searched| page.item(&searched.name, of_search(searched)));
        state("The source when it was searched", &search.source_state, page);
        state("The target when it was searched", &search.target_state, page);
    }
}

fn of_collection(collection: &CollectionParity, page: &mut Page) {
    let counts = &collection.counts;
    page.line(format!("\n### {}\n", collection.name));
    if let Some(target) = &collection.target_name {
        page.item("in the target", target);
    }
    page.item("rows", format!("{} in the source, {} in the target", collection.source_rows, collection.target_rows));
    if let Some(sample) = collection.sample {
        page.item("sample", format!("{} rows, seed {}", sample.rows, sample.seed));
    }
    page.item("equal", format!("{}, {} of them within tolerance", collection.equal, collection.within_tolerance));
    page.item(
        "differing",
        format!(
            "{} missing, {} extra, {} different, {} duplicate",
            counts.missing, counts.extra, counts.different, counts.duplicate
        ),
    );
    page.item("without a vector in the source", collection.without_vector);
    let vectors = &collection.vectors;
    let ulps = vectors.max_ulps.map_or_else(|| "unknown".to_owned(), |ulps| ulps.to_string());
    page.item(
        "vectors",
        format!(
            "{} compared, {} bit for bit the same; furthest {ulps} units in the last place, cosine distance at most {:e}, {:e} on average",
            vectors.compared, vectors.exact, vectors.max_cosine_distance, vectors.mean_cosine_distance
        ),
    );
    if let (Some(source), Some(target)) = (&collection.source_digest, &collection.target_digest) {
        page.item("digest of the source's rows", format!("`{source}`"));
        page.item("digest of the target's rows", format!("`{target}`"));
    }
    for difference in collection.differences.iter().take(NAMED) {
        page.point(of_difference(difference));
    }
    let unnamed = collection.unlisted + collection.differences.len().saturating_sub(NAMED) as u64;
    if unnamed > 0 {
        page.point(format!("and {unnamed} more"));
    }
}

fn of_difference(difference: &Difference) -> String {
    match difference {
        Difference::Missing { id } => format!("missing: {}", code(id)),
        Difference::Extra { id } => format!("extra: {}", code(id)),
        Difference::Different { id, fields } => format!("different in {}: {}", fields.join(", "), code(id)),
        Difference::Duplicate { id, source, target } => {
            format!("{} in the source, {} in the target: {}", times(*source), times(*target), code(id))
        }
    }
}

fn of_search(searched: &SearchedCollection) -> String {
    let how = |approximate| match approximate {
        Some(true) => "approximate",
        Some(false) => "exact",
        None => "unknown whether exact",
    };
    format!(
        "{} searches for {} hits (seed {}): {:.1} % of the source's hits found in the target, {:.1} % at the least; {:.1} % of ranks agree; source {}, target {}",
        searched.probes,
        searched.hits,
        searched.seed,
        searched.overlap * 100.0,
        searched.least_overlap * 100.0,
        searched.same_rank * 100.0,
        how(searched.source_is_approximate),
        how(searched.target_is_approximate),
    )
}

fn account(account: &Account, page: &mut Page) {
    page.heading("What was changed on the way");
    for converted in &account.conversions {
        let what = format!("{} rows: {}{}", converted.count, converted.conversion, ids(&converted.ids));
        page.item(&converted.collection, what);
    }
    if account.conversions.is_empty() && account.salvaged.is_empty() {
        page.point("nothing: no conversion was made, no vector salvaged");
    }
    for salvaged in &account.salvaged {
        let doubt = if salvaged.is_current { "" } else { ", which may be older than the rows" };
        let found = format!("{} rows were given a vector found in {}{doubt}", salvaged.count, salvaged.origin);
        page.item(&salvaged.collection, format!("{found}{}", ids(&salvaged.ids)));
    }
    page.heading("Rows set aside");
    for letter in &account.dead_letters {
        page.item(&letter.collection, format!("{}: {}: {}", code(&letter.id), letter.reason, letter.detail));
    }
    if account.dead_letters.is_empty() {
        page.point("none");
    }
    if !account.phases.is_empty() {
        page.heading("Time");
        for phase in &account.phases {
            page.item(phase.phase.word(), format!("{}.{:03} s", phase.took_ms / 1000, phase.took_ms % 1000));
        }
    }
    for result in &account.maintenance {
        page.heading(&format!("Maintenance: {}", result.kind));
        page.item("status", result.status);
        figures(&result.stats, page);
    }
    state("The target before its maintenance", &account.maintenance_before, page);
    state("The target after its maintenance", &account.maintenance_after, page);
}

fn state(title: &str, state: &MaintenanceState, page: &mut Page) {
    if !state.is_empty() {
        page.heading(title);
        figures(state, page);
    }
}

fn figures(figures: &MaintenanceState, page: &mut Page) {
    figures.iter().for_each(|(name, value)| page.item(name, format!("`{value}`")));
}

fn listed(names: &[String], none: &str) -> String {
    if names.is_empty() { none.to_owned() } else { names.join(", ") }
}

/// An id as code; what would end that or its line is spelled out.
fn code(id: &str) -> String {
    format!("`{}`", shown(id).replace('`', "\\u{60}"))
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn ids(ids: &[String]) -> String {
    let named: Vec<String> = ids.iter().take(NAMED).map(|id| code(id)).collect();
    let more = if ids.len() > NAMED { ", …" } else { "" };
    if named.is_empty() { String::new() } else { format!(": {}{more}", named.join(", ")) }
}

/// Text that grows. What comes from a store stays on its line.
struct Page(String);

impl Page {
    fn line(&mut self, text: impl AsRef<str>) {
        self.0.push_str(text.as_ref());
        self.0.push('\n');
    }

    fn heading(&mut self, title: &str) {
        self.line(format!("\n## {title}\n"));
    }

    fn point(&mut self, text: impl AsRef<str>) {
        let text = text.as_ref().replace(char::is_control, " ");
        self.line(format!("- {text}"));
    }

    fn item(&mut self, name: &str, value: impl std::fmt::Display) {
        let mut text = String::new();
        let _ = write!(text, "{name}: {value}");
        self.point(text);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Place, SCHEMA};
    use super::*;
    use crate::contract::{EmbedderIdentity, Metric};
    use crate::link::{Carried, ConvertedRows, Phase, PhaseTime, SetAside};
    use crate::parity::{Criterion, Manner};

    pub(in super::super) fn receipt() -> Receipt {
        let manner = Manner { vectors: Criterion::Bits, batch_rows: 1 };
        let parity = ParityReport::begin(("chroma:/s", "lance:/t"), manner, false);
        let identity = Some(EmbedderIdentity { model_name: "minilm".into(), dimension: 384 });
        let carried = Carried {
            name: "drawers".into(),
            target_name: "drawers".into(),
            rows: 2452,
            bytes: 10_000,
            dimension: 384,
            metric: Metric::Cosine,
            identity,
        };
        let account = Account {
            phases: vec![PhaseTime { phase: Phase::Copying, began_at_ms: 0, took_ms: 1234 }],
            conversions: vec![ConvertedRows {
                collection: "drawers".into(),
                conversion: "NUL characters were replaced".into(),
                count: 2,
                ids: vec!["a".into(), "b\nc".into()],
            }],
            dead_letters: vec![SetAside {
                collection: "drawers".into(),
                id: "d".into(),
                reason: "RowRefused".into(),
                detail: "too wide".into(),
            }],
            ..Account::default()
        };
        Receipt {
            schema: SCHEMA,
            palanquin: "0.1.0".into(),
            contract: "1.0".into(),
            made_at: "2026-03-01T12:00:00Z".into(),
            command: "migrate".into(),
            link: Some("0123456789ab".into()),
            outcome: "copied and verified".into(),
            exit_code: 0,
            reason: None,
            source: Place { address: "chroma:/s".into(), backend: "chroma".into() },
            target: Place { address: "lance:/t".into(), backend: "lance".into() },
            collections: Vec::new(),
            filter: None,
            flags: Vec::new(),
            rows: 2452,
            bytes: 10_000,
            carried: vec![carried],
            account,
            not_checked: Receipt::left_unchecked(Some(&parity)),
            parity: Some(parity),
            repaired: None,
            findings: Vec::new(),
        }
    }

    #[test]
    fn the_page_says_what_moved_what_was_checked_and_what_was_not() {
        let page = page(&receipt(), "blake3:00");
        for expected in [
            "# Palanquin migrate: copied and verified\n",
            "- drawers: 2452 rows, 10000 bytes, 384 dimensions, metric cosine, model minilm (384)\n",
            "## What was checked\n",
            "- vectors bit by bit\n",
            "## What was not checked\n\n- whether both ends find the same rows: no search was compared\n",
            "- drawers: 2 rows: NUL characters were replaced: `a`, `b\\nc`\n",
            "- drawers: `d`: RowRefused: too wide\n",
            "- copying: 1.234 s\n",
            "`blake3:00`\n",
        ] {
            assert!(page.contains(expected), "{expected:?} is not in\n{page}");
        }
    }

    #[test]
    fn without_a_comparison_nothing_is_claimed_of_one() {
        let bare = Receipt { not_checked: Receipt::left_unchecked(None), parity: None, ..receipt() };
        let page = page(&bare, "blake3:00");
        assert!(!page.contains("## What was checked"), "{page}");
        assert!(page.contains("- whether both ends hold the same rows: they were not compared\n"), "{page}");
    }
}
