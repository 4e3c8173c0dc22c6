//! What the server is asked before work begins: each check says what stands in the way, and what to do about it.

use crate::database::Database;
use crate::palace::{backend, batch, drawers, numbered, palace, spec};
use palanquin_engine::contract::{
    Check, ErrorKind, MaintenanceStatus, OpenMode, PalaceRef, Progress, Purpose, Standing, WriteMode, kind,
};
use palanquin_postgres::{Dsn, PostgresOptions};

fn reference() -> PalaceRef {
    PalaceRef { id: "palace".into(), local_path: None, namespace: None }
}

async fn checks(options: PostgresOptions, purpose: Purpose) -> Vec<Check> {
    backend(options).preflight(&reference(), purpose).await
}

/// The check of that name.
#[track_caller]
fn named<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no check {name}: {checks:?}"))
}

#[track_caller]
fn assert_says(checks: &[Check], name: &str, standing: Standing, found: &str, fix: &str) {
    let check = named(checks, name);
    assert_eq!(check.standing, standing, "{check:?}");
    assert!(check.found.contains(found), "{check:?}");
    assert!(check.fix.as_deref().unwrap_or_default().contains(fix), "{check:?}");
}

/// A role that may log in, and nothing else; dropped with what it owns by [`Role::drop`].
struct Role {
    name: String,
    dsn: String,
}

impl Role {
    async fn new(database: &Database, name: &str) -> Self {
        let name = format!("{name}_{}", std::process::id());
        let make = format!("DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN");
        database.client().await.batch_execute(&make).await.unwrap();
        let dsn = database.dsn().replace("postgres@", &format!("{name}@"));
        Self { name, dsn }
    }

    fn options(&self) -> PostgresOptions {
        PostgresOptions { sessions: 2, ..PostgresOptions::of(Dsn::parse(&self.dsn).unwrap()) }
    }

    async fn drop(self, database: &Database) {
        let name = self.name;
        database.client().await.batch_execute(&format!("DROP OWNED BY {name}; DROP ROLE {name}")).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_stands_in_the_way_of_a_sound_server_and_nothing_is_written_by_looking() {
    for variable in ["PALANQUIN_TEST_POSTGRES", "PALANQUIN_TEST_POSTGRES_16"] {
        let database = Database::on(variable).await;
        for purpose in [Purpose::Source, Purpose::Followed, Purpose::Target] {
            let mut checks = checks(database.options(), purpose).await;
            if purpose != Purpose::Target {
                // There is no palace yet, hence nothing that could be read.
                assert_says(&checks, "pgvector", Standing::Fails, "no extension pgvector", "CREATE EXTENSION vector");
                checks.retain(|check| check.name != "pgvector");
            }
            assert!(checks.iter().all(|check| check.standing == Standing::Passes), "{checks:?}");
            assert!(checks.iter().all(|check| !check.found.is_empty() && check.fix.is_none()), "{checks:?}");
            assert!(named(&checks, "server").found.contains("PostgreSQL 1"));
        }
        let made = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
        let client = database.client().await;
        assert_eq!(client.query_one(made, &[]).await.unwrap().get::<_, i64>(0), 0);
        let extensions = "SELECT count(*) FROM pg_extension WHERE extname = 'vector'";
        assert_eq!(client.query_one(extensions, &[]).await.unwrap().get::<_, i64>(0), 0);
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_the_one_thing_told() {
    let options = PostgresOptions::of(Dsn::parse("postgresql://ada:s3cret@127.0.0.1:1/memory").unwrap());
    let checks = checks(options, Purpose::Target).await;
    assert_eq!(checks.len(), 1, "{checks:?}");
    assert_says(
        &checks,
        "server",
        Standing::Fails,
        "could not connect to postgresql://ada@127.0.0.1:1/memory",
        "reached",
    );
    assert!(!format!("{checks:?}").contains("s3cret"));
}

#[tokio::test]
async fn each_right_that_lacks_is_named_with_the_statement_that_grants_it() {
    let database = Database::new().await;
    let role = Role::new(&database, "lacking").await;
    let admin = database.client().await;
    let before = checks(role.options(), Purpose::Target).await;
    assert_says(&before, "pgvector", Standing::Fails, "may not create it", "CREATE EXTENSION vector");
    let create = format!("GRANT CREATE ON SCHEMA public TO {}", role.name);
    assert_says(&before, "permissions", Standing::Fails, "CREATE on schema public", &create);

    admin.batch_execute("CREATE EXTENSION vector").await.unwrap();
    admin.batch_execute(&create).await.unwrap();
    let revoke =
        "DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$";
    admin.batch_execute(revoke).await.unwrap();
    let temporary = checks(role.options(), Purpose::Target).await;
    assert_says(&temporary, "pgvector", Standing::Passes, "is installed", "");
    assert_says(&temporary, "permissions", Standing::Fails, "TEMPORARY on database", "GRANT TEMPORARY ON DATABASE");
    let grant = named(&temporary, "permissions").fix.clone().unwrap();
    admin.batch_execute(grant.trim_start_matches("Have the owner run: ")).await.unwrap();
    assert_says(&checks(role.options(), Purpose::Target).await, "permissions", Standing::Passes, "may make tables", "");

    // Tables of another role: each right by itself, until what is said to be enough is.
    let theirs = drawers(database.options(), 4).await;
    theirs.apply(batch(&numbered(0..3, 4)), WriteMode::Append).await.unwrap();
    let reading = checks(role.options(), Purpose::Source).await;
    assert_says(
        &reading,
        "permissions",
        Standing::Fails,
        "SELECT on table palanquin_collections",
        "GRANT SELECT ON TABLE",
    );
    let mut granted = 0;
    for purpose in [Purpose::Source, Purpose::Target] {
        loop {
            let now = checks(role.options(), purpose).await;
            let Some(fix) = named(&now, "permissions").fix.clone() else { break };
            admin.batch_execute(fix.trim_start_matches("Have the owner run: ")).await.unwrap();
            granted += 1;
            assert!(granted < 10, "{now:?}");
        }
    }
    let palace = backend(role.options()).open(&reference(), OpenMode::Write.into()).await.unwrap();
    let drawers = palace.collection("mempalace_drawers").await.unwrap();
    drawers.apply(batch(&numbered(0..5, 4)), WriteMode::Upsert).await.unwrap();
    palace.create_collection(&spec("mempalace_closets", 4)).await.unwrap();
    assert_eq!(drawers.count().await.unwrap(), 5);
    // What only an owner may do is refused, also where the server would merely warn.
    for kind in [kind::ANALYZE, kind::COMPACT, kind::REINDEX] {
        let denied = palace.run_maintenance(kind, &Progress::unheard()).await.unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied, "{kind}: {denied}");
    }
    let staged = PalaceRef { id: "staged".into(), ..reference() };
    let own = backend(role.options());
    own.open(&staged, OpenMode::Create.into())
        .await
        .unwrap()
        .create_collection(&spec("mempalace_drawers", 4))
        .await
        .unwrap();
    let denied = own.replace(&reference(), &staged).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::PermissionDenied, "{denied}");
    drop((palace, drawers));
    role.drop(&database).await;
}

#[tokio::test]
async fn an_old_pgvector_is_told_with_the_way_to_a_new_one() {
    let database = Database::new().await;
    palace(database.options(), "palace").await;
    // The wheel has one version only: the catalog is told another one.
    let client = database.client().await;
    client.batch_execute("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'").await.unwrap();
    let checks = checks(database.options(), Purpose::Target).await;
    assert_says(&checks, "pgvector", Standing::Warns, "pgvector 0.7.4 is old", "ALTER EXTENSION vector UPDATE");
}

#[tokio::test]
async fn a_lock_is_told_with_its_holder_and_a_vector_index_with_what_it_costs() {
    let database = Database::new().await;
    let palace = palace(database.options(), "palace").await;
    let drawers = palace.create_collection(&spec("mempalace_drawers", 4)).await.unwrap();
    drawers.apply(batch(&numbered(0..50, 4)), WriteMode::Append).await.unwrap();
    let ran = palace.run_maintenance(kind::REINDEX, &Progress::unheard()).await.unwrap();
    assert_eq!(ran.status, MaintenanceStatus::Ran);
    let mut other = database.client().await;
    let find = "SELECT relname::text, pg_backend_pid() FROM pg_class WHERE relkind = 'r' AND relname LIKE '%drawers'";
    let row = other.query_one(find, &[]).await.unwrap();
    let (table, pid): (String, i32) = (row.get(0), row.get(1));
    let held = other.transaction().await.unwrap();
    held.batch_execute(&format!("SET LOCAL application_name = 'nightly'; LOCK TABLE \"{table}\" IN SHARE MODE"))
        .await
        .unwrap();
    let writing = checks(database.options(), Purpose::Target).await;
    let holder = format!("session {pid} of role postgres (nightly) holds ShareLock on {table}");
    assert_says(&writing, "locks", Standing::Warns, &holder, &format!("pg_terminate_backend({pid})"));
    let index = format!("{table}_hnsw_idx");
    assert_says(&writing, "vector_index", Standing::Warns, &index, "load into a new palace");
    let reading = checks(database.options(), Purpose::Source).await;
    assert_says(&reading, "locks", Standing::Passes, "nobody holds a lock", "");
    assert!(reading.iter().all(|check| check.name != "vector_index"), "it is nothing to a reader");
    held.rollback().await.unwrap();
    assert_says(&checks(database.options(), Purpose::Target).await, "locks", Standing::Passes, "nobody", "");
}

#[tokio::test]
async fn a_role_with_few_sessions_is_told_so() {
    let database = Database::new().await;
    let role = Role::new(&database, "few").await;
    let limit = format!("ALTER ROLE {} CONNECTION LIMIT 3", role.name);
    database.client().await.batch_execute(&limit).await.unwrap();
    let checks = checks(role.options(), Purpose::Source).await;
    assert_says(&checks, "sessions", Standing::Warns, "room for 3 sessions of this role; up to 4 are used", "raise");
    role.drop(&database).await;
}

#[tokio::test]
async fn a_collection_too_wide_for_the_index_is_made_and_said_to_be_and_one_too_wide_for_a_column_is_refused() {
    let database = Database::new().await;
    let backend = backend(database.options());
    assert_eq!(backend.remarks(&spec("a", 2_000)), []);
    let wide = backend.remarks(&spec("a", 2_001));
    assert_says(&wide, "width", Standing::Warns, "2001 components", "fewer components");
    assert_says(&backend.remarks(&spec("a", 16_001)), "width", Standing::Fails, "16000 at most", "another target");
    let palace = palace(database.options(), "palace").await;
    palace.create_collection(&spec("mempalace_drawers", 2_001)).await.unwrap();
    palace.create_collection(&spec("mempalace_closets", 16_001)).await.err().expect("it is refused");
    let reindexed = palace.run_maintenance(kind::REINDEX, &Progress::unheard()).await.unwrap();
    assert_eq!(reindexed.status, MaintenanceStatus::Noop);
    let reason = reindexed.stats["mempalace_drawers"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("at most 2000"), "{reason}");
    let findings = palace.health().await.findings;
    assert!(findings.iter().any(|finding| finding.name == "too_wide_to_index"), "{findings:?}");
}
