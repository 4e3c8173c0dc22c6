use super::check::connect;
use super::{Desk, Done, News, Prepared, record};
use palanquin_engine::contract::{Error, ErrorKind, OpenMode, Result, token};
use palanquin_engine::parity::{Compared, Criterion, Manner, ParityReport, Verdict, compare};
use std::sync::Arc;

/// Compares every row of both ends.
///
/// # Errors
/// `Busy` if nothing could be concluded because an end was changed meanwhile; the report is told before that.
pub(super) async fn run(desk: &Desk, prepared: &Prepared) -> Result<Done> {
    let setup = &desk.setup;
    let pairs: Vec<_> = prepared.pairs.iter().map(compared).collect();
    let passes_through = setup.target.capabilities.has(token::EMBEDDINGS_PASSTHROUGH);
    let vectors = match passes_through {
        true => Criterion::between(setup.source.fidelity, setup.target.fidelity),
        false => Criterion::Unseen,
    };
    let manner = Manner { vectors, batch_rows: setup.options.batch_rows };
    let ends = (setup.source.address.as_str(), setup.target.address.as_str());
    let told = |end, rows| desk.tell(News::Compared { end, rows });
    let comparing = compare(ends, &pairs, manner, &told);
    let mut report = tokio::select! {
        () = desk.shift.stop.cancelled() => return Ok(Done::Stopped),
        report = comparing => report?,
    };
    what_is_left_out(desk, prepared, &mut report).await?;
    if report.verdict() == Verdict::Inconclusive {
        let reasons = report.inconclusive().join("; ");
        desk.tell(News::Inconclusive(Arc::new(report)));
        return Err(Error::new(ErrorKind::Busy, format!("the comparison is inconclusive: {reasons}")));
    }
    record::leave(desk, &mut report, &prepared.pairs).await?;
    Ok(Done::Verified(Arc::new(report)))
}

/// A collection on both ends.
fn compared(pair: &super::Pair) -> Compared {
    Compared {
        name: pair.name.clone(),
        target_name: pair.target_name.clone(),
        source: Arc::clone(&pair.as_copied),
        target: Arc::clone(&pair.target),
    }
}

/// Adds what was not compared.
async fn what_is_left_out(desk: &Desk, prepared: &Prepared, report: &mut ParityReport) -> Result<()> {
    let setup = &desk.setup;
    let source = connect(&setup.source.actor, OpenMode::Read, false).await?;
    for info in source.collections().await? {
        let wanted = setup.spec.collections.is_empty() || setup.spec.collections.contains(&info.name);
        if wanted && info.rows > 0 && !prepared.pairs.iter().any(|pair| pair.name == info.name) {
            report
                .not_compared
                .push(format!("collection {}: it came into being after the plan and is not copied", info.name));
            report.uncopied.push(info.name);
        }
    }
    let empty = |name: &&String| !report.uncopied.contains(name);
    for name in prepared.plan.without_dimension.iter().filter(empty) {
        report.not_compared.push(format!(
            "collection {name}: it is empty and has no vector width yet, so it was not made in the target"
        ));
    }
    let with_settings = prepared.plan.collections.iter().filter(|planned| !planned.spec.settings.is_empty());
    for planned in with_settings.filter(|_| !setup.target.keeps_settings) {
        let settings: Vec<&str> = planned.spec.settings.keys().map(String::as_str).collect();
        report.not_compared.push(format!(
            "settings of collection {}, for which {} has no place: {}",
            planned.source_name(),
            setup.target.backend,
            settings.join(", ")
        ));
    }
    if !setup.spec.collections.is_empty() {
        report.not_compared.push("collections other than those asked for".to_owned());
    }
    if setup.spec.filter.is_some() {
        report.not_compared.push("rows that do not pass the filter".to_owned());
    }
    Ok(())
}
