//! The configuration file: TOML, every key with its line.

use super::origin::Origin;
use super::settings::Settings;
use crate::error::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use std::fs;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// Puts what the file at `path` says into `settings`.
pub(super) fn read(path: &Path, settings: &mut Settings) -> Result<()> {
    let text = fs::read_to_string(path).map_err(|error| {
        let message = format!("configuration file {} cannot be read: {error}", path.display());
        Error::invalid(message).with_source(error)
    })?;
    let origin = |at| Origin::File(path.to_owned(), line(&text, at));
    let table = DeTable::parse(&text).map_err(|error| {
        let message = error.message().replace('\n', ", ");
        Error::invalid(format!("{}: {message}", origin(error.span().map_or(0, |span| span.start))))
    })?;
    put_table(settings, "", table.into_inner(), &origin)
}

fn put_table(
    settings: &mut Settings,
    within: &str,
    table: DeTable<'_>,
    origin: &impl Fn(usize) -> Origin,
) -> Result<()> {
    for (key, value) in table {
        let origin_here = origin(key.span().start);
        let path = match within {
            "" => key.get_ref().to_string(),
            within => format!("{within}.{}", key.get_ref()),
        };
        match value.into_inner() {
            DeValue::Table(table) if settings.is_table(&path) => {
                put_table(settings, &path, table, origin)?;
            }
            _ if settings.is_table(&path) => {
                return Err(Error::invalid(format!(
                    "`{path}` is a table: write `[{path}]` and its settings below ({origin_here})"
                )));
            }
            value => {
                // A date, or a number that is none, has no place in any setting.
                let value = ValueDeserializer::from(Spanned::new(0..0, value));
                let value = Value::deserialize(value).unwrap_or_default();
                settings.put(&path, value, origin_here)?;
            }
        }
    }
    Ok(())
}

/// The line on which byte `at` stands, counted from 1.
fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
