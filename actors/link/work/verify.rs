use super::check::connect;
use super::{Desk, Done, News, Prepared, record};
use palanquin_engine::contract::{Fidelity, OpenMode, Result};
use palanquin_engine::parity::{Compared, compare};
use std::sync::Arc;

/// Compares every row of both ends.
pub(super) async fn run(desk: &Desk, prepared: &Prepared) -> Result<Done> {
    let setup = &desk.setup;
    let pairs = prepared.pairs.iter().map(|pair| Compared {
        name: pair.name.clone(),
        source: Arc::clone(&pair.as_copied),
        target: Arc::clone(&pair.target),
    });
    let fidelity = match (setup.source.fidelity, setup.target.fidelity) {
        (Fidelity::Exact, Fidelity::Exact) => Fidelity::Exact,
        _ => Fidelity::Ulp,
    };
    let pairs: Vec<_> = pairs.collect();
    let ends = (setup.source.address.as_str(), setup.target.address.as_str());
    let told = |end, rows| desk.tell(News::Compared { end, rows });
    let comparing = compare(ends, &pairs, fidelity, setup.options.batch_rows, &told);
    let mut report = tokio::select! {
        () = desk.shift.stop.cancelled() => return Ok(Done::Stopped),
        report = comparing => report?,
    };
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
    if !setup.spec.collections.is_empty() {
        report.not_compared.push("collections other than those asked for".to_owned());
    }
    if setup.spec.filter.is_some() {
        report.not_compared.push("rows that do not pass the filter".to_owned());
    }
    record::leave(desk, &mut report, &prepared.pairs).await?;
    Ok(Done::Verified(Arc::new(report)))
}
