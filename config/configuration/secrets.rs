use super::ConfigurationError;
use serde_json::{Map, Value};
use std::path::Path;

/// Words that name a secret, alone or as the end of a key.
const WORDS: [&str; 9] =
    ["password", "passwd", "pwd", "passphrase", "secret", "token", "api_key", "apikey", "secret_key"];

/// That no entry holds a secret: neither under a name that says so, nor in an address or a connection string.
pub(super) fn refuse(path: &Path, tree: &Map<String, Value>) -> Result<(), ConfigurationError> {
    look_at(path, "", tree)
}

fn look_at(path: &Path, above: &str, table: &Map<String, Value>) -> Result<(), ConfigurationError> {
    for (name, value) in table {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        let secret = |fix: &str| {
            Err(ConfigurationError::Secret { path: path.to_owned(), key: key.clone(), fix: fix.to_owned() })
        };
        match value {
            Value::Object(table) => look_at(path, &key, table)?,
            Value::String(text) if has_password(text) => {
                return secret(
                    "leave the password out, and keep it in PGPASSWORD, in a password file, or the whole address in \
                     MEMPALACE_POSTGRES_DSN",
                );
            }
            // An entry of palaces may be called what its owner likes.
            _ if above != "palaces" && names_a_secret(name) && !value.is_null() => {
                return secret("set it in the environment, as in MEMPALACE_POSTGRES_DSN or PGPASSWORD");
            }
            _ => {}
        }
    }
    Ok(())
}

fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    WORDS.iter().any(|word| name == *word || name.ends_with(&format!("_{word}")))
}

/// Whether it is an address or a connection string with a password in it.
fn has_password(text: &str) -> bool {
    let pairs = || {
        let mut words = text.split([' ', '?', '&']);
        words.any(|word| word.trim().strip_prefix("password").is_some_and(|rest| rest.trim_start().starts_with('=')))
    };
    let address = || {
        text.split_once("://").is_some_and(|(_, rest)| {
            let authority = rest.split(['/', '?']).next().unwrap_or_default();
            let user = authority.rsplit_once('@').map(|(user, _)| user);
            user.is_some_and(|user| user.split_once(':').is_some_and(|(_, password)| !password.is_empty()))
        })
    };
    address() || pairs()
}
