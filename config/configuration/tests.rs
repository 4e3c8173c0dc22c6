use super::*;
use crate::Place;
use std::ffi::OsString;

/// A folder with one file of that name and text, read as `--config` gives it, with `HOME=/home/ann`.
fn read(name: &str, text: &str) -> Result<Configuration, ConfigurationError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    Configuration::load(Some(&path), home)
}

fn home(name: &str) -> Option<OsString> {
    (name == "HOME").then(|| "/home/ann".into())
}

fn find(configuration: &Configuration, text: &str) -> Found {
    configuration.find(&text.parse().unwrap(), |_| None).unwrap()
}

#[track_caller]
fn assert_says(name: &str, text: &str, says: &[&str]) {
    let said = match read(name, text) {
        Err(error) => error.to_string(),
        Ok(configuration) => configuration.find(&"work".parse().unwrap(), |_| None).unwrap_err().to_string(),
    };
    for part in [&[name][..], says].concat() {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

#[test]
fn toml_and_the_rfcs_json_say_the_same() {
    let toml = read("config.toml", include_str!("../examples/config.toml")).unwrap();
    let json = read("config.json", include_str!("../examples/config.json")).unwrap();
    for configuration in [&toml, &json] {
        assert_eq!(configuration.warnings(), [""; 0]);
        assert_eq!(configuration.embedder().unwrap().model, "minilm");
        configuration.check_types(&["chroma", "lance", "postgres"]).unwrap();
        let personal = find(configuration, "personal");
        assert_eq!(personal.address.path(), Some(Path::new("/home/ann/.mempalace/palace")));
        assert_eq!((personal.address.backend, personal.configured.as_deref()), (None, Some("chroma")));
    }
    let work = find(&json, "work");
    assert_eq!(work.address.to_string(), "postgresql://ann@db.example.org/memory?palace=work&namespace=work");
    let work = find(&toml, "work").address.palace_ref();
    assert_eq!((work.id.as_str(), work.namespace.as_deref()), ("/home/ann/.mempalace/work", Some("work")));
    assert_eq!(work.local_path.as_deref(), Some(Path::new("/home/ann/.mempalace/work")));
    assert_eq!(find(&toml, "old").address.place, Place::Object("s3://palaces/old".into()));
}

#[test]
fn nothing_need_be_there() {
    for text in ["", "[palaces]"] {
        let configuration = read("config.toml", text).unwrap();
        assert!(configuration.palaces().is_empty() && configuration.embedder().is_none());
    }
    let nowhere = tempfile::tempdir().unwrap();
    let environment = |name: &str| (name == "XDG_CONFIG_HOME").then(|| nowhere.path().as_os_str().to_owned());
    assert_eq!(Configuration::load(None, environment).unwrap(), Configuration::default());
}

#[test]
fn the_nearest_word_on_where_the_file_is_wins() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, model: &str, json: bool| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = if json {
            format!(r#"{{"embedder": {{"model": "{model}"}}}}"#)
        } else {
            format!("embedder.model = \"{model}\"")
        };
        std::fs::write(&path, text).unwrap();
        path
    };
    let given = write("given.toml", "given", false);
    let named = write("named.json", "named", true);
    write("xdg/palanquin/config.json", "usual-json", true);
    let usual = write("xdg/palanquin/config.toml", "usual-toml", false);
    let environment = |with_named: bool| {
        let (named, base) = (named.clone(), folder.path().join("xdg"));
        move |name: &str| match name {
            "PALANQUIN_CONFIG" if with_named => Some(named.clone().into_os_string()),
            "XDG_CONFIG_HOME" => Some(base.clone().into_os_string()),
            _ => None,
        }
    };
    let model = |given: Option<&Path>, with_named| {
        Configuration::load(given, environment(with_named)).unwrap().embedder().unwrap().model.clone()
    };
    assert_eq!(model(Some(&given), true), "given");
    assert_eq!(model(None, true), "named");
    assert_eq!(model(None, false), "usual-toml");
    std::fs::remove_file(usual).unwrap();
    assert_eq!(model(None, false), "usual-json");
    let missing = folder.path().join("missing.toml");
    let said = Configuration::load(Some(&missing), home).unwrap_err().to_string();
    assert!(said.contains("missing.toml") && said.contains("--config"), "{said}");
}

#[test]
fn a_file_that_is_wrong_is_told_by_file_place_and_what_to_do() {
    assert_says("c.toml", "[palaces.work]\nbackend = chroma\n", &["line 2"]);
    assert_says("c.json", "{\n  \"palaces\": {,}\n}", &["line 2"]);
    assert_says("c.json", "[]", &["line 1", "no table"]);
    assert_says("c.toml", "palaces = 3", &["palaces", "no table"]);
    assert_says("c.toml", "[palaces]\nwork = \"/p\"", &["palaces.work", "local_path"]);
    assert_says("c.toml", "[palaces.work]\nbackend = 7", &["palaces.work.backend", "in quotes"]);
    assert_says("c.toml", "[backends.pg]\ndsn = \"postgresql://h/d\"", &["backends.pg", "no type"]);
    assert_says("c.toml", "[palaces.work]\nbackend = \"chroma\"", &["palaces.work", "add local_path"]);
    assert_says(
        "c.toml",
        "[palaces.work]\nbackend = \"lance\"\nlocal_path = \"p\"\nnamespace = \"n\"",
        &["palaces.work.namespace"],
    );
    assert_says("c.toml", "[palaces.\"a/b\"]\nlocal_path = \"p\"", &["palaces.a/b", "taken for a path"]);
    assert_says("c.toml", "[palaces.work]\naddress = \"lance:/a\"\nid = \"x\"", &["palaces.work.address", "leave out"]);
    assert_says(
        "c.toml",
        "[palaces.work]\naddress = \"lance:/a\"\nbackend = \"chroma\"",
        &["palaces.work.address", "lance"],
    );
    let dsn = "[backends.pg]\ntype = \"postgres\"\ndsn = \"host=h dbname=d\"\n[palaces.work]\nbackend = \"pg\"";
    assert_says("c.toml", dsn, &["backends.pg.dsn", "postgresql://"]);
    let unknown = read("c.toml", "[palaces.work]\nbackend = \"qdrant\"\nlocal_path = \"p\"").unwrap();
    let said = unknown.check_types(&["chroma", "lance"]).unwrap_err().to_string();
    assert!(said.contains("palaces.work.backend") && said.contains("chroma, lance"), "{said}");
}

#[test]
fn a_secret_in_a_file_is_refused_and_not_repeated() {
    let in_option = |option: &str| format!("[backends.pg]\ntype = \"postgres\"\n{option}");
    for (option, key) in [
        ("password = \"s3cret\"", "backends.pg.password"),
        ("options.db_password = \"s3cret\"", "backends.pg.options.db_password"),
        ("api-key = \"s3cret\"", "backends.pg.api-key"),
        ("dsn = \"postgresql://ann:s3cret@h/d\"", "backends.pg.dsn"),
        ("dsn = \"host=h password=s3cret\"", "backends.pg.dsn"),
        ("dsn = \"postgresql://h/d?password=s3cret\"", "backends.pg.dsn"),
    ] {
        let said = read("c.toml", &in_option(option)).unwrap_err().to_string();
        assert!(said.contains(key) && said.contains("PGPASSWORD") && !said.contains("s3cret"), "{option}: {said}");
    }
    // A palace may be called so, and a user's name is no secret.
    read(
        "c.toml",
        "[palaces.token]\nlocal_path = \"p\"\n[backends.pg]\ntype = \"postgres\"\ndsn = \"postgresql://ann@h/d\"",
    )
    .unwrap();
}

#[test]
fn what_is_not_known_is_passed_over_and_told() {
    let text = "[backends.pg]\ntype = \"postgres\"\npool_size = 10\n[palaces.work]\nlocal_path = \"p\"\ncolour = \"red\"\n[sync]\nx = 1";
    let configuration = read("c.toml", text).unwrap();
    let warnings = configuration.warnings();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for (warning, key) in warnings.iter().zip(["backends.pg.pool_size", "palaces.work.colour", "sync"]) {
        assert!(warning.contains(key) && warning.contains("c.toml"), "{warning}");
    }
}

#[test]
fn a_name_comes_before_a_path_of_the_same_spelling_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, "[palaces.src]\nlocal_path = \"elsewhere\"").unwrap();
    let configuration = Configuration::load(Some(&path), home).unwrap();
    // The tests run in the crate's folder; `examples` is a directory there.
    std::fs::write(&path, "[palaces.examples]\nlocal_path = \"elsewhere\"").unwrap();
    let named = find(&Configuration::load(Some(&path), home).unwrap(), "examples");
    assert!(named.address.path().unwrap().ends_with("elsewhere"));
    assert!(named.passed_over.unwrap().ends_with("examples"));
    let as_path = find(&configuration, "./src");
    assert_eq!((as_path.name, as_path.configured), (None, None));
    // Below the file's own folder, wherever the command is run.
    let here = folder.path().canonicalize().unwrap();
    assert_eq!(find(&configuration, "src").address.path(), Some(here.join("elsewhere").as_path()));
}

#[test]
fn a_databases_address_comes_from_the_environment_where_the_file_has_none() {
    let configuration = read("c.toml", "[palaces.work]\nbackend = \"postgres\"").unwrap();
    let given: Given = "work".parse().unwrap();
    let with = |set: &'static str| {
        let environment = move |name: &str| (name == set).then(|| "postgresql://ann:s3cret@h/d".to_owned());
        configuration.find(&given, environment).unwrap().address
    };
    for set in ["MEMPALACE_POSTGRES_DSN", "MEMPALACE_PGVECTOR_DSN"] {
        let address = with(set);
        assert_eq!(address.to_string(), "postgresql://ann@h/d?palace=work");
        assert!(matches!(address.place, Place::Postgres(postgres) if postgres.dsn.contains("s3cret")));
    }
    assert_eq!(with("UNSET").to_string(), "postgresql:///?palace=work");
}

#[test]
fn a_palace_on_a_chroma_server_is_a_database_of_a_tenant() {
    let text = "[backends.team]\ntype = \"chroma\"\nurl = \"https://chroma.example.org/\"\ntenant = \"ann\"\n\
                [palaces.usual]\nbackend = \"team\"\n\
                [palaces.work]\nbackend = \"team\"\nid = \"work notes\"\nnamespace = \"bob\"\n";
    let configuration = read("config.toml", text).unwrap();
    let address = |name: &str| find(&configuration, name).address.to_string();
    assert_eq!(address("work"), "chroma+https://chroma.example.org?tenant=bob&database=work+notes");
    assert!(address("usual").starts_with("chroma+https://chroma.example.org?tenant=ann"), "{}", address("usual"));
    assert_says("config.toml", &text.replace("https", "ftp"), &["backends.team.url"]);
}
