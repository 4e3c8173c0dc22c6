//! A read replica: a source that is known as one, and no target. And a pooler, which is neither.

use crate::database::connect;
use crate::own_server::OwnServer;
use crate::palace::{backend, batch, drawers, numbered, rows_of};
use crate::pooler::Pooler;
use palanquin_engine::contract::{Backend, Check, ErrorKind, OpenMode, PalaceRef, Purpose, Standing, WriteMode};
use palanquin_postgres::{Dsn, PostgresOptions};
use std::sync::Arc;

fn reference() -> PalaceRef {
    PalaceRef { id: "palace".into(), local_path: None, namespace: None }
}

fn on(dsn: &str) -> PostgresOptions {
    PostgresOptions { sessions: 3, ..PostgresOptions::of(Dsn::parse(dsn).unwrap()) }
}

#[track_caller]
fn check<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no check {name}: {checks:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_read_as_a_source_and_refused_as_a_target() {
    let primary = OwnServer::start();
    let drawers = drawers(on(&primary.dsn()), 8).await;
    drawers.apply(batch(&numbered(0..3_000, 8)), WriteMode::Append).await.unwrap();
    let standby = primary.standby();
    drawers.apply(batch(&numbered(3_000..4_000, 8)), WriteMode::Append).await.unwrap();
    let (writer, reader) = (connect(&primary.dsn()).await, connect(&standby.dsn()).await);
    let written: String = writer.query_one("SELECT pg_current_wal_lsn()::text", &[]).await.unwrap().get(0);
    let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
    let mut asked = 0;
    while !reader.query_one(&replayed, &[]).await.unwrap().get::<_, bool>(0) {
        asked += 1;
        assert!(asked < 1_000_000, "the replica never comes so far");
        tokio::task::yield_now().await;
    }

    let replica: Arc<dyn Backend> = backend(on(&standby.dsn()));
    let palace = replica.open(&reference(), OpenMode::Read.into()).await.unwrap();
    let theirs = palace.collection("mempalace_drawers").await.unwrap();
    assert_eq!(rows_of(theirs.as_ref()).await, numbered(0..4_000, 8));
    assert_eq!(theirs.count().await.unwrap(), 4_000);
    let findings = palace.health().await.findings;
    assert!(findings.iter().any(|finding| finding.name == "read_replica"), "{findings:?}");
    assert_eq!(palace.maintenance_state().await.unwrap()["server"]["replica"], true);
    for mode in [OpenMode::Write, OpenMode::Create] {
        let error = replica.open(&reference(), mode.into()).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(error.what().contains("read replica"), "{error}");
    }

    let source = replica.preflight(&reference(), Purpose::Source).await;
    let told = check(&source, "replica");
    assert!(told.standing == Standing::Warns && told.found.contains("30 s"), "{told:?}");
    assert!(told.fix.as_deref().unwrap_or_default().contains("hot_standby_feedback"), "{told:?}");
    assert!(source.iter().all(|check| check.standing != Standing::Fails), "{source:?}");
    let target = replica.preflight(&reference(), Purpose::Target).await;
    let refused = check(&target, "replica");
    assert!(refused.standing == Standing::Fails, "{target:?}");
    assert!(refused.fix.as_deref().unwrap_or_default().contains("primary"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_shares_sessions_between_transactions_is_detected_and_explained() {
    let database = crate::database::Database::new().await;
    drawers(database.options(), 4).await;
    let pooler = Pooler::before(&database.dsn()).await;
    let backend = backend(on(pooler.dsn()));
    let checks = backend.preflight(&reference(), Purpose::Target).await;
    let told = check(&checks, "pooler");
    assert!(told.standing == Standing::Fails && told.found.contains("pool_mode=transaction"), "{told:?}");
    assert!(told.fix.as_deref().unwrap_or_default().contains("pool_mode = session"), "{told:?}");
    // Work that is begun all the same is refused before it has written anything.
    let opened = backend.open(&reference(), OpenMode::Write.into()).await;
    let failed = match opened {
        Err(error) => error,
        Ok(palace) => {
            let drawers = palace.collection("mempalace_drawers").await;
            let mut first = None;
            if let Ok(drawers) = drawers {
                for _ in 0..20 {
                    let (one, other) = tokio::join!(drawers.count(), drawers.estimated_count());
                    first = first.or(one.err()).or(other.err());
                }
            }
            first.expect("it is noticed within a few calls")
        }
    };
    assert!(failed.what().contains("pgbouncer"), "{failed}");
}
