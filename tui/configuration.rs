//! The configuration of this run: read once, before a command begins, and the same for all of it, like the environment.

use crate::output;
use palanquin_config::{Configuration, ConfigurationError};
use palanquin_engine::contract::Result;
use std::path::Path;
use std::sync::OnceLock;

static CURRENT: OnceLock<Configuration> = OnceLock::new();

/// Reads the configuration and says what of it is passed over. `types` are the backends there are.
pub(crate) fn load(given: Option<&Path>, types: &[&str]) -> Result<()> {
    let configuration = read(given, types)?;
    for warning in configuration.warnings() {
        output::complain(warning);
    }
    // A second load would be a defect of ours, and the first one stays.
    let _ = CURRENT.set(configuration);
    Ok(())
}

fn read(given: Option<&Path>, types: &[&str]) -> Result<Configuration, ConfigurationError> {
    let configuration = Configuration::load(given, |name| std::env::var_os(name))?;
    configuration.check_types(types)?;
    Ok(configuration)
}

/// What was read; nothing where no command has asked for it.
pub(crate) fn current() -> &'static Configuration {
    CURRENT.get_or_init(Configuration::default)
}

/// A variable of the environment, as the configuration reads it.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
