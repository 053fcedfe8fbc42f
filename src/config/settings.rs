//! Settings put together from a file, the environment and flags, each value with its origin.

use super::expect;
use super::file;
use super::origin::Origin;
use super::serve::ServeConfig;
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

/// What environment variables of ours begin with.
const PREFIX: &str = "HOOKWHEEL_";
/// The variable that names the configuration file.
pub const FILE_VARIABLE: &str = "HOOKWHEEL_CONFIG";
/// The variable that holds the master key.
pub const MASTER_KEY_VARIABLE: &str = "HOOKWHEEL_MASTER_KEY";
/// The variable that holds the secret of the GoCardless front's endpoint.
pub const GOCARDLESS_SECRET_VARIABLE: &str = "HOOKWHEEL_FRONTS_GOCARDLESS_SECRET";
/// The variable that stands for `log.filter`, for every command.
pub const LOG_VARIABLE: &str = "HOOKWHEEL_LOG";
/// Variables that are no settings of the service: each is read where it is needed.
const OTHER_VARIABLES: [&str; 6] = [
    FILE_VARIABLE,
    MASTER_KEY_VARIABLE,
    GOCARDLESS_SECRET_VARIABLE,
    "HOOKWHEEL_SECRET",
    "HOOKWHEEL_URL",
    "HOOKWHEEL_TOKEN",
];

/// The settings of the service, and where each value comes from. What is put later counts more:
/// first the file, then the environment, then flags.
///
/// ```
/// use hookwheel::config::Settings;
///
/// let mut settings = Settings::default();
/// settings.put_text("api.request_seconds", "5", "--set")?;
/// assert_eq!(settings.config()?.api.request_seconds, 5);
///
/// let error = settings.put_text("api.request_second", "5", "--set").unwrap_err();
/// assert!(error.to_string().contains("did you mean `api.request_seconds`"));
/// # Ok::<(), hookwheel::Error>(())
/// ```
pub struct Settings {
    tree: Value,
    defaults: BTreeMap<String, Value>,
    origins: BTreeMap<String, Origin>,
}

impl Default for Settings {
    fn default() -> Self {
        // The tree holds strings, numbers and lists alone: nothing in it that JSON has not.
        let tree = serde_json::to_value(ServeConfig::default()).unwrap_or_default();
        let mut defaults = BTreeMap::new();
        leaves(&tree, "", &mut |path, value| {
            defaults.insert(path.to_owned(), value.clone());
        });
        Self { tree, defaults, origins: BTreeMap::new() }
    }
}

impl Settings {
    /// Takes what the TOML file at `path` says.
    ///
    /// # Errors
    /// Names the file, the line and the key that is unknown or has a wrong value.
    pub fn put_file(&mut self, path: &Path) -> Result<()> {
        file::read(path, self)
    }

    /// Takes what environment variables say: `HOOKWHEEL_` and the path in upper case, with two
    /// underscores for a dot. Variables of other programs are passed over.
    ///
    /// # Errors
    /// Names the variable that is unknown or has a wrong value.
    pub fn put_environment(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<()> {
        // In order, so that the outcome does not hang on that of the environment.
        let variables: BTreeMap<OsString, OsString> = variables.into_iter().collect();
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            let Some(path) = name.strip_prefix(PREFIX) else { continue };
            if OTHER_VARIABLES.contains(&name) {
                continue;
            }
            let path = match name {
                LOG_VARIABLE => "log.filter".to_owned(),
                _ => path.to_lowercase().replace("__", "."),
            };
            if !self.defaults.contains_key(&path) {
                let known = self.defaults.keys().map(|path| variable(path));
                let known = known.chain(OTHER_VARIABLES.map(str::to_owned));
                return Err(Error::invalid(format!(
                    "environment variable `{name}` is no setting{}",
                    suggestion(name, known)
                )));
            }
            let Some(value) = value.to_str() else {
                return Err(Error::invalid(format!("environment variable `{name}` is not UTF-8")));
            };
            let value = self.read_text(&path, value);
            self.put(&path, value, Origin::Environment(name.to_owned()))?;
        }
        Ok(())
    }

    /// Takes what a flag says, as text; lists are separated by commas.
    ///
    /// # Errors
    /// Names the setting that is unknown or the value that is wrong.
    pub fn put_text(&mut self, path: &str, value: &str, flag: &str) -> Result<()> {
        let value = self.read_text(path, value);
        self.put(path, value, Origin::Flag(flag.to_owned()))
    }

    /// Puts `value` at `path`.
    ///
    /// # Errors
    /// Refuses a path that is no setting and a value that does not fit it.
    pub(super) fn put(&mut self, path: &str, value: Value, origin: Origin) -> Result<()> {
        let Some(default) = self.defaults.get(path) else {
            let known = self.defaults.keys().cloned();
            let suggestion = suggestion(path, known);
            return Err(Error::invalid(format!("`{path}` is no setting{suggestion} ({origin})")));
        };
        let mut tree = self.tree.clone();
        if let Some(place) = tree.pointer_mut(&format!("/{}", path.replace('.', "/"))) {
            *place = value.clone();
        }
        // JSON has no word for a number that is none, and `null` would pass for nothing said.
        if value.is_null() || serde_json::from_value::<ServeConfig>(tree.clone()).is_err() {
            return Err(Error::invalid(format!(
                "`{path}` is {}: expected {} ({origin})",
                expect::shown(&value),
                expect::expected(path, default)
            )));
        }
        self.tree = tree;
        self.origins.insert(path.to_owned(), origin);
        Ok(())
    }

    /// Whether `path` is a table of settings.
    pub(super) fn is_table(&self, path: &str) -> bool {
        let begin = format!("{path}.");
        self.defaults.keys().any(|known| known.starts_with(&begin))
    }

    /// What was put together, if it is right as a whole.
    ///
    /// # Errors
    /// Names the setting that is wrong, and where its value comes from.
    pub fn config(&self) -> Result<ServeConfig> {
        let config: ServeConfig = serde_json::from_value(self.tree.clone())
            .map_err(|error| Error::internal("settings do not fit together").with_source(error))?;
        config.check().map_err(|error| self.with_origins(&error))?;
        Ok(config)
    }

    /// Adds to an error where the values of the settings come from that it names.
    fn with_origins(&self, error: &Error) -> Error {
        let mut message = error.to_string();
        for (path, origin) in &self.origins {
            let name = format!("`{path}`");
            if message.contains(&name) {
                message = message.replace(&name, &format!("{name} ({origin})"));
            }
        }
        Error::new(error.kind(), message)
    }

    /// Every setting in its place: its path, its value (`null` where there is none) and its origin.
    pub fn entries(&self) -> Vec<(String, Value, Origin)> {
        let mut entries = Vec::new();
        leaves(&self.tree, "", &mut |path, value| {
            let origin = self.origins.get(path).cloned().unwrap_or(Origin::Default);
            entries.push((path.to_owned(), value.clone(), origin));
        });
        entries
    }

    /// The value that `text` is for the setting at `path`: text says less than TOML, and what it
    /// stands for follows from what the setting is.
    fn read_text(&self, path: &str, text: &str) -> Value {
        let word = |text: &str| text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from);
        match self.defaults.get(path) {
            Some(Value::Number(_)) => word(text),
            Some(Value::Bool(_)) => text.parse::<bool>().map_or(Value::from(text), Value::from),
            Some(Value::Array(_)) if text.is_empty() => Value::Array(Vec::new()),
            Some(Value::Array(_)) => text.split(',').map(str::trim).map(word).collect(),
            _ => Value::from(text),
        }
    }
}

/// The environment variable for the setting at `path`.
fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_uppercase())
}

/// The known name that is most like `name`, as the end of a sentence.
fn suggestion(name: &str, known: impl Iterator<Item = String>) -> String {
    let near = known.map(|known| (strsim::jaro_winkler(name, &known), known));
    match near.max_by(|(one, _), (other, _)| one.total_cmp(other)) {
        Some((likeness, known)) if likeness > 0.7 => format!(": did you mean `{known}`?"),
        _ => ": `hookwheel config` lists all".to_owned(),
    }
}

/// Visits every value that is no table, with its path.
fn leaves(value: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    let Value::Object(table) = value else { return visit(path, value) };
    // Tables last, as TOML wants it.
    let (tables, values): (Vec<_>, Vec<_>) =
        Map::iter(table).partition(|(_, value)| value.is_object());
    for (key, value) in values.into_iter().chain(tables) {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        leaves(value, &path, visit);
    }
}
