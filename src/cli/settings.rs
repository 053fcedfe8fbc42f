//! The settings of the service, as `serve` and `config` take them.

use super::arguments::setting;
use crate::config::{FILE_VARIABLE, Settings};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Where the configuration file is looked for when none is named; the first that exists.
const FILES: [&str; 2] = ["/etc/hookwheel/hookwheel.toml", "hookwheel.toml"];

/// What counts more than the configuration file and the environment.
#[derive(clap::Args)]
pub struct SettingsSource {
    /// Read settings from this file [default: the one that HOOKWHEEL_CONFIG names,
    /// /etc/hookwheel/hookwheel.toml or ./hookwheel.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen on this address for the REST API
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Listen on this address for the providers' own registration APIs
    #[arg(long, value_name = "ADDRESS")]
    fronts_listen: Option<String>,
    /// Give every organisation of the GoCardless front an endpoint at this URL
    #[arg(long, value_name = "URL")]
    fronts_gocardless_url: Option<String>,
    /// Keep everything in this folder
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Read more providers from the TOML files of this folder
    #[arg(long, value_name = "DIR")]
    providers: Option<String>,
    /// Be reached under this URL
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Allow `http:` and local addresses for every endpoint: never in production
    #[arg(long)]
    development: bool,
    /// Set any setting by its path, such as `api.request_seconds=10`; lists with commas
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
}

impl SettingsSource {
    /// The settings: file, then environment, then flags.
    pub fn read(&self) -> Result<Settings> {
        let mut settings = Settings::default();
        if let Some(file) = self.file()? {
            settings.put_file(&file)?;
        }
        settings.put_environment(std::env::vars_os())?;
        for (path, value) in &self.set {
            settings.put_text(path, value, "--set")?;
        }
        let development = self.development.then(|| "true".to_owned());
        for (flag, path, value) in [
            ("--listen", "listen", &self.listen),
            ("--fronts-listen", "fronts_listen", &self.fronts_listen),
            ("--fronts-gocardless-url", "fronts_gocardless_url", &self.fronts_gocardless_url),
            ("--data", "data_folder", &self.data),
            ("--providers", "providers_folder", &self.providers),
            ("--public-url", "public_url", &self.public_url),
            ("--development", "egress.development", &development),
        ] {
            if let Some(value) = value {
                settings.put_text(path, value, flag)?;
            }
        }
        Ok(settings)
    }

    /// The configuration file: the one that was named, or the first of the usual ones.
    fn file(&self) -> Result<Option<PathBuf>> {
        let named = || std::env::var_os(FILE_VARIABLE).map(PathBuf::from);
        if let Some(named) = self.config.clone().or_else(named) {
            return Ok(Some(named));
        }
        usual_file(&FILES.map(Path::new))
    }
}

/// The first of `files` that is there. One that may not be looked at is not passed over: its limits
/// would silently not hold.
fn usual_file(files: &[&Path]) -> Result<Option<PathBuf>> {
    for file in files {
        let is_there = file.try_exists().map_err(|error| {
            let message = format!("configuration file {} cannot be read: {error}", file.display());
            Error::invalid(message).with_source(error)
        })?;
        if is_there {
            return Ok(Some(file.to_path_buf()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_looked_at_is_told_and_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hookwheel.toml");
        std::fs::write(&file, "").unwrap();
        let missing = folder.path().join("other.toml");
        assert_eq!(usual_file(&[&missing]).unwrap(), None);
        assert_eq!(usual_file(&[&missing, &file]).unwrap(), Some(file.clone()));
        // A name that the system refuses fails like a folder that is closed to us, for root too.
        let unreadable = folder.path().join("x".repeat(300));
        let error = usual_file(&[&unreadable, &file]).unwrap_err();
        assert!(error.to_string().starts_with("configuration file "), "{error}");
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }
}
