use super::state::{SERVER_KEY, SLOTS_KEY, state};
use super::{WIDEST_INDEXED, vector_index};
use crate::feed;
use crate::layout::sidecar;
use crate::palace::{PostgresPalace, Standing, standings};
use palanquin_engine::contract::{
    Condition, EmbedderIdentity, Finding, Health, IdentityState, MaintenanceState, Metric, Result, Severity, Slot,
};
use serde_json::Value;

/// From this version on a filtered search through the index goes on until it has enough rows.
pub(crate) const ITERATIVE: (u32, u32) = (0, 8);
/// Half of what the server can go before it stops to protect its rows, and three quarters of it.
const MANY_TRANSACTIONS: u64 = 1 << 30;
const TOO_MANY_TRANSACTIONS: u64 = 3 << 29;
/// Dead rows that are worth a compaction: so many, and a fifth of the live ones. More than the live ones are a warning.
const DEAD_ROWS: u64 = 10_000;

/// Looks at catalogs and statistics, at no row.
pub(crate) async fn health(palace: &PostgresPalace) -> Health {
    match findings(palace).await {
        Ok(findings) => Health::from_findings(findings),
        Err(error) => Health { condition: Condition::Unavailable, reason: Some(error.what()), findings: Vec::new() },
    }
}

async fn findings(palace: &PostgresPalace) -> Result<Vec<Finding>> {
    let mut findings = of_server(palace);
    let state = state(palace).await?;
    findings.extend(of_state(&state));
    let session = palace.server.session().await.map_err(|error| palace.place.name(error))?;
    for standing in standings(palace, &session).await? {
        let indexes = vector_index::of_table(&session, standing.relation.oid).await;
        let indexes = indexes.map_err(|error| palace.place.sql("could not look at the indexes", error))?;
        for index in indexes.into_iter().filter(|index| !index.is_valid && index.building.is_none()) {
            let summary = format!(
                "{} has an invalid index {}, which slows writes down and answers nothing; reindex removes it",
                standing.name, index.name
            );
            findings.push(finding(Severity::Warning, "invalid_index", summary));
        }
        findings.extend(of_collection(palace, &standing).await);
    }
    Ok(findings)
}

fn of_server(palace: &PostgresPalace) -> Vec<Finding> {
    let mut findings = Vec::new();
    if palace.schema.is_replica {
        let summary = "the server is a read replica: the palace can be read, not written".to_owned();
        findings.push(finding(Severity::Info, "read_replica", summary));
    }
    match &palace.schema.vector_version {
        None => {
            let summary = "the database has no extension pgvector: run CREATE EXTENSION vector".to_owned();
            findings.push(finding(Severity::Error, "extension_missing", summary));
        }
        Some(version) if version_of(version) < ITERATIVE => {
            let summary = format!("pgvector {version} is old: before 0.8 a filtered search by index can miss rows");
            findings.push(finding(Severity::Info, "old_pgvector", summary));
        }
        Some(_) => {}
    }
    findings
}

/// A version of pgvector, to be compared.
pub(crate) fn version_of(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn of_state(state: &MaintenanceState) -> Vec<Finding> {
    let mut findings = Vec::new();
    let number = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64).unwrap_or(0);
    for (name, table) in state {
        let name = if name == SERVER_KEY { "the database" } else { name };
        let age = number(table, "transactions_since_freeze");
        if age > MANY_TRANSACTIONS {
            let severity = if age > TOO_MANY_TRANSACTIONS { Severity::Error } else { Severity::Warning };
            let summary = format!(
                "{name} was frozen {age} transactions ago, and the server stops writing at 2 thousand million: let \
                 autovacuum run, or compact"
            );
            findings.push(finding(severity, "transaction_age", summary));
        }
        let (dead, live) = (number(table, "dead_rows"), number(table, "live_rows"));
        if dead > DEAD_ROWS && dead > live / 5 {
            let severity = if dead > live { Severity::Warning } else { Severity::Info };
            let summary = format!("{name} has {dead} dead rows beside {live} live ones; compact frees their space");
            findings.push(finding(severity, "dead_rows", summary));
        }
    }
    let slots = state.get(SERVER_KEY).and_then(|server| server.get(SLOTS_KEY)).cloned();
    let slots: Vec<Slot> = slots.and_then(|slots| serde_json::from_value(slots).ok()).unwrap_or_default();
    findings.extend(feed::findings(&slots));
    findings
}

async fn of_collection(palace: &PostgresPalace, standing: &Standing) -> Vec<Finding> {
    let name = &standing.name;
    let mut findings = Vec::new();
    if let Some(width) = standing.relation.dimension.filter(|width| *width > WIDEST_INDEXED) {
        let summary = format!("vectors of {width} components ({name}) cannot be indexed; searches read every row");
        findings.push(finding(Severity::Info, "too_wide_to_index", summary));
    }
    if standing.metric() != Metric::Cosine {
        let summary = format!("{name} was made for {}; MemPalace searches it by cosine", standing.metric());
        findings.push(finding(Severity::Info, "other_metric", summary));
    }
    match palace.recorded_in_file(name).await {
        Err(error) => {
            let summary = format!("{} cannot be read: {}", sidecar::FILE_NAME, error.what());
            findings.push(finding(Severity::Warning, "unreadable_sidecar", summary));
        }
        Ok(recorded) => {
            let state = EmbedderIdentity::compare(standing.identity(), recorded.as_ref());
            if let (IdentityState::KnownMismatch, Some(stored), Some(recorded)) = (state, standing.identity(), recorded)
            {
                let summary = format!("{name} is of {stored} by the database, of {recorded} by {}", sidecar::FILE_NAME);
                findings.push(finding(Severity::Error, "identity_mismatch", summary));
            }
        }
    }
    findings
}

fn finding(severity: Severity, name: &str, summary: String) -> Finding {
    Finding { severity, name: name.to_owned(), summary, rows: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn findings_have_limits() {
        let found = |server: Value, table: Value| {
            let state = MaintenanceState::from([(SERVER_KEY.to_owned(), server), ("drawers".to_owned(), table)]);
            of_state(&state).into_iter().map(|finding| (finding.name, finding.severity)).collect::<Vec<_>>()
        };
        let quiet = json!({"transactions_since_freeze": MANY_TRANSACTIONS, "dead_rows": DEAD_ROWS, "live_rows": 9});
        assert_eq!(found(json!({}), quiet), []);
        let many = json!({"dead_rows": 20_000, "live_rows": 50_000});
        assert_eq!(found(json!({}), many), [("dead_rows".to_owned(), Severity::Info)]);
        let more = json!({"dead_rows": 60_000, "live_rows": 50_000});
        assert_eq!(found(json!({}), more), [("dead_rows".to_owned(), Severity::Warning)]);
        let few = json!({"dead_rows": 20_000, "live_rows": 500_000});
        assert_eq!(found(json!({}), few), []);
        let old = json!({"transactions_since_freeze": MANY_TRANSACTIONS + 1});
        let oldest = json!({"transactions_since_freeze": TOO_MANY_TRANSACTIONS + 1});
        let both = [("transaction_age".to_owned(), Severity::Error), ("transaction_age".to_owned(), Severity::Warning)];
        let mut told = found(oldest, old);
        told.sort_by_key(|(_, severity)| std::cmp::Reverse(*severity));
        assert_eq!(told, both);
    }
}
