use super::{Copy, consumer, followed_by, table_of};
use crate::database::Database;
use crate::own_server::OwnServer;
use crate::palace::{backend, batch, numbered, palace, spec};
use palanquin_engine::contract::{
    Check, Error, ErrorKind, OpenMode, OpenOptions, PalaceRef, Purpose, Standing, WriteMode,
};
use palanquin_postgres::{Dsn, PostgresOptions};

fn reference() -> PalaceRef {
    PalaceRef { id: "palace".into(), local_path: None, namespace: None }
}

async fn preflight(options: PostgresOptions) -> Vec<Check> {
    backend(options).preflight(&reference(), Purpose::Followed).await
}

/// How a mirror of the drawers is refused.
async fn refusal(options: PostgresOptions) -> Error {
    let options_of_open = OpenOptions { consumer: Some(consumer()), ..OpenMode::Read.into() };
    let palace = backend(options).open(&reference(), options_of_open).await.unwrap();
    let drawers = palace.collection("mempalace_drawers").await.unwrap();
    drawers.feed_head().await.expect_err("it cannot be followed")
}

/// That a preflight names it as the only thing in the way, with a fix, and a mirror is refused with the same words.
async fn assert_refused(options: PostgresOptions, name: &str, kind: ErrorKind, fix: &str) {
    let checks = preflight(options.clone()).await;
    let failing: Vec<_> = checks.iter().filter(|check| check.standing == Standing::Fails).collect();
    assert_eq!(failing.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(), [name], "{checks:?}");
    let said = failing[0].fix.clone().unwrap();
    assert!(said.contains(fix) && said.contains("--capture scan"), "{said}");
    let error = refusal(options).await;
    assert_eq!(error.kind(), kind, "{error}");
    for part in [failing[0].found.as_str(), said.as_str()] {
        assert!(error.what().contains(part), "{part}: {error}");
    }
}

async fn made(options: PostgresOptions) {
    let drawers = palace(options, "palace").await.create_collection(&spec("mempalace_drawers", 4)).await.unwrap();
    drawers.apply(batch(&numbered(0..5, 4)), WriteMode::Append).await.unwrap();
}

#[tokio::test]
async fn a_server_that_has_all_it_needs_passes() {
    for variable in ["PALANQUIN_TEST_POSTGRES", "PALANQUIN_TEST_POSTGRES_16"] {
        let database = Database::on(variable).await;
        made(database.options()).await;
        let checks = preflight(database.options()).await;
        assert!(checks.len() >= 6 && checks.iter().all(|check| check.standing == Standing::Passes), "{checks:?}");
        for purpose in [Purpose::Source, Purpose::Target] {
            let others = backend(database.options()).preflight(&reference(), purpose).await;
            assert!(others.iter().all(|check| check.name != "wal_level"), "only a mirror needs the log: {others:?}");
        }
        let left = "SELECT count(*) FROM pg_publication";
        assert_eq!(database.client().await.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0, "it only looks");
    }
}

#[tokio::test]
async fn each_right_a_role_lacks_is_named_with_the_statement_that_grants_it() {
    let database = Database::new().await;
    made(database.options()).await;
    let role = format!("follower_{}", std::process::id());
    let admin = database.client().await;
    let name: String = admin.query_one("SELECT current_database()::text", &[]).await.unwrap().get(0);
    admin
        .batch_execute(&format!(
            "DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}; \
             GRANT CREATE ON DATABASE {name} TO {role}; GRANT USAGE ON SCHEMA public TO {role}"
        ))
        .await
        .unwrap();
    let dsn = database.dsn().replace("postgres@", &format!("{role}@"));
    let theirs = || PostgresOptions { sessions: 2, ..PostgresOptions::of(Dsn::parse(&dsn).unwrap()) };
    let table = table_of(&admin, "mempalace_drawers").await;
    admin.batch_execute(&format!("ALTER TABLE {table} OWNER TO {role}")).await.unwrap();
    let denied = ErrorKind::PermissionDenied;
    assert_refused(theirs(), "replication_privilege", denied, &format!("ALTER ROLE {role} REPLICATION")).await;
    admin
        .batch_execute(&format!("ALTER ROLE {role} REPLICATION; REVOKE CREATE ON DATABASE {name} FROM {role}"))
        .await
        .unwrap();
    assert_refused(theirs(), "publication", denied, &format!("GRANT CREATE ON DATABASE {name} TO {role}")).await;
    admin
        .batch_execute(&format!(
            "GRANT CREATE ON DATABASE {name} TO {role}; ALTER TABLE {table} OWNER TO postgres; \
             GRANT SELECT ON {table} TO {role}"
        ))
        .await
        .unwrap();
    assert_refused(theirs(), "ownership of mempalace_drawers", denied, "GRANT postgres TO").await;
    admin.batch_execute(&format!("ALTER TABLE {table} OWNER TO {role}")).await.unwrap();
    let palace = followed_by_role(theirs()).await;
    let drawers = palace.collection("mempalace_drawers").await.unwrap();
    let mut copy = Copy::of(drawers.as_ref()).await;
    admin.batch_execute(&format!("UPDATE {table} SET document = 'seen'")).await.unwrap();
    copy.catch_up(drawers.as_ref(), 10).await;
    drop((drawers, palace));
    let closed = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1";
    admin.query(closed, &[&role]).await.unwrap();
    admin.batch_execute(&format!("REASSIGN OWNED BY {role} TO postgres")).await.unwrap();
    admin.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}

async fn followed_by_role(options: PostgresOptions) -> std::sync::Arc<dyn palanquin_engine::contract::Palace> {
    let options_of_open = OpenOptions { consumer: Some(consumer()), ..OpenMode::Read.into() };
    backend(options).open(&reference(), options_of_open).await.unwrap()
}

#[tokio::test]
async fn a_table_that_would_refuse_writes_once_published_is_never_published() {
    let database = Database::new().await;
    made(database.options()).await;
    let client = database.client().await;
    let table = table_of(&client, "mempalace_drawers").await;
    let unsupported = ErrorKind::UnsupportedCapability;
    for (alter, name, fix) in [
        (format!("ALTER TABLE {table} REPLICA IDENTITY NOTHING"), "replica_identity", "REPLICA IDENTITY DEFAULT"),
        (
            format!("ALTER TABLE {table} REPLICA IDENTITY DEFAULT; ALTER TABLE {table} SET UNLOGGED"),
            "table",
            "SET LOGGED",
        ),
        (
            format!(
                "ALTER TABLE {table} SET LOGGED; ALTER TABLE {table} DROP CONSTRAINT {}",
                client
                    .query_one("SELECT quote_ident(conname) FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype = 'p'", &[&table])
                    .await
                    .unwrap()
                    .get::<_, String>(0)
            ),
            "primary_key",
            "ADD PRIMARY KEY (id)",
        ),
    ] {
        client.batch_execute(&alter).await.unwrap();
        assert_refused(database.options(), &format!("{name} of mempalace_drawers"), unsupported, fix).await;
        client.batch_execute(&format!("UPDATE {table} SET document = 'still'")).await.unwrap();
    }
    let left = "SELECT count(*) FROM pg_publication";
    assert_eq!(client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_lacks_is_named_with_what_to_set() {
    let options = |server: &OwnServer| PostgresOptions::of(Dsn::parse(&server.dsn()).unwrap());
    let unsupported = ErrorKind::UnsupportedCapability;
    let replica = OwnServer::with(&["wal_level=replica"]);
    made(options(&replica)).await;
    assert_refused(options(&replica), "wal_level", unsupported, "ALTER SYSTEM SET wal_level = logical").await;
    drop(replica);
    let narrow = OwnServer::with(&["max_replication_slots=1"]);
    made(options(&narrow)).await;
    let palace = followed_by(options(&narrow), &consumer()).await;
    let mut copy = Copy::of(palace.collection("mempalace_drawers").await.unwrap().as_ref()).await;
    assert_refused(options(&narrow), "free_slots", unsupported, "max_replication_slots").await;
    // The one that has its slot goes on.
    copy.step(palace.collection("mempalace_drawers").await.unwrap().as_ref(), 10).await.unwrap();
}
