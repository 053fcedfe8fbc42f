//! Arguments that several commands take, and how their values are read.

use crate::clock::{Clock, SPEED_RANGE};
use crate::error::{Error, Result};
use crate::model::{RawJson, Secret, Timestamp, parse_duration};
use crate::provider::Providers;
use serde::de::DeserializeOwned;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// The environment variable that may hold the secret.
const SECRET_VARIABLE: &str = "HOOKWHEEL_SECRET";
/// Bytes of a body, or of a file with secrets, at most.
const INPUT_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Where more providers come from.
#[derive(clap::Args)]
pub struct ProviderFiles {
    /// Read more providers from the TOML files of this folder
    #[arg(long = "folder", value_name = "DIR", global = true)]
    pub folder: Option<PathBuf>,
}

impl ProviderFiles {
    /// The providers that come with hookwheel, and those of the folder.
    pub fn read(&self) -> Result<Providers> {
        let mut providers = Providers::embedded()?;
        if let Some(folder) = &self.folder {
            providers.load_folder(folder)?;
        }
        Ok(providers)
    }
}

/// Where the signing secret comes from.
#[derive(clap::Args)]
pub struct SecretSource {
    /// The signing secret; several times while an old one is still valid, the newest last. Other
    /// users of this machine can see arguments: prefer a file or the environment variable
    /// HOOKWHEEL_SECRET
    #[arg(long = "secret", value_name = "SECRET", value_parser = secret)]
    secrets: Vec<Secret>,
    /// Read the secret from this file: one on each line, the newest last
    #[arg(long, value_name = "FILE", conflicts_with = "secrets")]
    secret_file: Option<PathBuf>,
}

impl SecretSource {
    /// The secrets, the newest last; none when none was given.
    pub fn read(&self) -> Result<Vec<Secret>> {
        if !self.secrets.is_empty() {
            return Ok(self.secrets.clone());
        }
        let text = match &self.secret_file {
            Some(file) => Zeroizing::new(read_text(file)?),
            None => match std::env::var(SECRET_VARIABLE) {
                Ok(text) => Zeroizing::new(text),
                Err(std::env::VarError::NotPresent) => return Ok(Vec::new()),
                Err(std::env::VarError::NotUnicode(_)) => {
                    return Err(Error::invalid(format!("`{SECRET_VARIABLE}` is not UTF-8")));
                }
            },
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets: Vec<Secret> = lines.map(Secret::new).collect();
        match (&self.secret_file, secrets.is_empty()) {
            (Some(file), true) => {
                Err(Error::invalid(format!("secret file {} is empty", file.display())))
            }
            _ => Ok(secrets),
        }
    }

    /// Whether an argument gives one, or names a file with it.
    pub fn is_in_arguments(&self) -> bool {
        !self.secrets.is_empty() || self.secret_file.is_some()
    }

    /// The secrets, of which there must be one.
    pub fn demand(&self) -> Result<Vec<Secret>> {
        let secrets = self.read()?;
        if secrets.is_empty() {
            return Err(Error::invalid(format!(
                "no secret is given: set the environment variable `{SECRET_VARIABLE}`, or pass \
                 `--secret-file` or `--secret`"
            )));
        }
        Ok(secrets)
    }
}

/// Reads one secret from a file.
pub fn read_secret(file: &Path) -> Result<Secret> {
    let text = Zeroizing::new(read_text(file)?);
    match text.trim() {
        "" => Err(Error::invalid(format!("{} is empty", file.display()))),
        text => Ok(Secret::new(text)),
    }
}

/// Reads JSON from a file.
pub fn read_json<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text = Zeroizing::new(read_text(file)?);
    serde_json::from_str(&text)
        .map_err(|error| Error::invalid(format!("{} is no JSON: {error}", file.display())))
}

/// Values that are set by path: JSON where they are JSON, else text.
pub fn overrides(given: Vec<(String, String)>) -> Vec<(String, RawJson)> {
    let read = |text: String| RawJson::from_text(&text).unwrap_or_else(|_| text.into());
    given.into_iter().map(|(path, text)| (path, read(text))).collect()
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// Reads a time: RFC 3339, or seconds since 1970.
pub fn time(text: &str) -> Result<Timestamp> {
    match text.parse::<i64>() {
        Ok(seconds @ 0..=253_402_207_200) => Ok(Timestamp::from_millis(seconds * 1000)),
        Ok(_) => Err(Error::invalid("the seconds since 1970 lie outside the years 1970 to 9999")),
        Err(_) => Timestamp::parse(text),
    }
}

/// The time given, or now.
pub fn time_or_now(given: Option<Timestamp>) -> Timestamp {
    given.unwrap_or_else(|| Clock::system().wall())
}

/// Reads a duration like `5m`.
pub fn duration(text: &str) -> Result<Duration> {
    parse_duration(text).ok_or_else(|| {
        Error::invalid("expected a whole number and `ms`, `s`, `m`, `h` or `d`, like `5m`")
    })
}

/// Reads how many times faster than real a schedule runs.
pub fn speed(text: &str) -> Result<f64> {
    number_in(text, &SPEED_RANGE)
}

/// Reads a number in `range`.
pub fn number_in(text: &str, range: &RangeInclusive<f64>) -> Result<f64> {
    match text.parse::<f64>() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(Error::invalid(format!(
            "expected a number from {} to {}",
            range.start(),
            range.end()
        ))),
    }
}

/// Reads a header whose value is nobody else's to know: `Name: value`.
pub fn secret_header(text: &str) -> Result<(String, Secret)> {
    let (name, value) = header(text)?;
    Ok((name, Secret::new(value)))
}

/// Reads `name=value`.
pub fn setting(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Error::invalid("expected `name=value`")),
    }
}

/// Reads a header as it stands in a request: `Name: value`.
pub fn header(text: &str) -> Result<(String, String)> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(Error::invalid("expected `Name: value`")),
    }
}

/// Reads a whole body, byte for byte, from a file or, for none or `-`, from standard input.
pub fn read_body(file: Option<&Path>) -> Result<Vec<u8>> {
    match file.filter(|file| file.as_os_str() != "-") {
        Some(file) => read_bytes(file),
        None => read_all(std::io::stdin().lock(), "standard input"),
    }
}

fn read_bytes(file: &Path) -> Result<Vec<u8>> {
    let name = file.display().to_string();
    let opened = std::fs::File::open(file).map_err(|error| unreadable(&name, error))?;
    read_all(opened, &name)
}

fn read_text(file: &Path) -> Result<String> {
    String::from_utf8(read_bytes(file)?)
        .map_err(|_| Error::invalid(format!("{} is not UTF-8", file.display())))
}

fn read_all(from: impl Read, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut limited = from.take(INPUT_MAX_BYTES + 1);
    limited.read_to_end(&mut bytes).map_err(|error| unreadable(name, error))?;
    if bytes.len() as u64 > INPUT_MAX_BYTES {
        return Err(Error::invalid(format!("{name} has more than {INPUT_MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

fn unreadable(name: &str, error: std::io::Error) -> Error {
    Error::invalid(format!("{name} cannot be read: {error}")).with_source(error)
}
