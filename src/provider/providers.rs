//! All providers that are known: those that come with hookwheel, and those of the user's folder.

use crate::error::{Error, Result};
use crate::provider::Provider;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The files that come with hookwheel.
const EMBEDDED: [(&str, &str); 6] = [
    ("citizen-ticket", include_str!("../../schedules/citizen-ticket.toml")),
    ("gocardless", include_str!("../../schedules/gocardless.toml")),
    ("opencard", include_str!("../../schedules/opencard.toml")),
    ("standard-webhooks", include_str!("../../schedules/standard-webhooks.toml")),
    ("ticketnation", include_str!("../../schedules/ticketnation.toml")),
    ("yoco", include_str!("../../schedules/yoco.toml")),
];

/// Bytes of a provider file at most.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// The known providers, by name.
#[derive(Clone, Debug)]
pub struct Providers(BTreeMap<String, Arc<Provider>>);

impl Providers {
    /// The providers that come with hookwheel.
    ///
    /// ```
    /// let providers = hookwheel::provider::Providers::embedded()?;
    /// let yoco = providers.get("yoco")?;
    /// assert_eq!(yoco.schedule().attempts(), 8);
    /// # Ok::<(), hookwheel::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails when a file that comes with hookwheel is wrong, which its tests rule out.
    pub fn embedded() -> Result<Self> {
        let mut providers = BTreeMap::new();
        for (name, text) in EMBEDDED {
            let provider = Provider::parse(&format!("schedules/{name}.toml"), text)?;
            providers.insert(name.to_owned(), Arc::new(provider));
        }
        Ok(Self(providers))
    }

    /// Adds every `*.toml` file of a folder. A file with the name of a known provider replaces it.
    /// When one is wrong, none is added.
    ///
    /// # Errors
    /// Names the file, the line and the field of the first thing wrong, and what would be right.
    pub fn load_folder(&mut self, folder: &Path) -> Result<()> {
        let mut loaded = BTreeMap::new();
        for path in toml_files(folder)? {
            let provider = load_file(&path)?;
            loaded.insert(provider.name().to_owned(), Arc::new(provider));
        }
        self.0.extend(loaded);
        Ok(())
    }

    /// The provider called `name`.
    ///
    /// # Errors
    /// Refuses an unknown name, giving the known ones.
    pub fn get(&self, name: &str) -> Result<Arc<Provider>> {
        self.0.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            let name = name.chars().take(64).collect::<String>();
            Error::not_found(format!(
                "provider `{}` is unknown: known are {}",
                name.escape_debug(),
                known.join(", ")
            ))
        })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.0.values()
    }
}

fn toml_files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let refused = |error: std::io::Error| {
        Error::invalid(format!("provider folder {} cannot be read: {error}", folder.display()))
            .with_source(error)
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    // Folders have no order of their own; the first error should not depend on the file system.
    paths.sort();
    Ok(paths)
}

fn load_file(path: &Path) -> Result<Provider> {
    let file = path.display().to_string();
    let refused = |error: std::io::Error| {
        Error::invalid(format!("{file}: cannot be read: {error}")).with_source(error)
    };
    if std::fs::metadata(path).map_err(refused)?.len() > FILE_MAX_BYTES {
        return Err(Error::invalid(format!(
            "{file}: too large for a provider file: {FILE_MAX_BYTES} bytes at most"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(refused)?;
    let provider = Provider::parse(&file, &text)?;
    if path.file_stem().is_some_and(|stem| stem == provider.name()) {
        return Ok(provider);
    }
    Err(Error::invalid(format!(
        "{file}: `name` is `{name}`: expected the file's own name, or call the file `{name}.toml`",
        name = provider.name()
    )))
}
