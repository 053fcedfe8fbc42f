//! `hookwheel config`: the settings that `serve` would go by, and where each comes from.

use super::settings::SettingsSource;
use super::{Ended, Ending};
use crate::config::{GOCARDLESS_SECRET_VARIABLE, MASTER_KEY_VARIABLE, Origin, Settings};
use crate::vault::key_file;
use serde_json::Value;
use std::io::{self, Write};

/// Print the settings that `serve` would go by, as TOML, each with where it comes from
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingsSource,
    /// Only say whether they are right
    #[arg(long)]
    check: bool,
}

/// Prints, or only checks.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Ended {
    let settings = arguments.settings.read()?;
    let config = settings.config()?;
    if arguments.check {
        writeln!(out, "the settings are right")?;
        return Ok(Ending::Good);
    }
    write_settings(&settings, out)?;
    let origin = match std::env::var_os(MASTER_KEY_VARIABLE) {
        Some(_) => format!("*** ({})", Origin::Environment(MASTER_KEY_VARIABLE.to_owned())),
        None => format!("file {}", key_file::beside(&config.data_folder)?.display()),
    };
    writeln!(out, "\n# master key: {origin}")?;
    if config.fronts_gocardless_url.is_some() {
        let origin = match std::env::var_os(GOCARDLESS_SECRET_VARIABLE) {
            Some(_) => format!("*** ({})", Origin::Environment(GOCARDLESS_SECRET_VARIABLE.into())),
            None => "made at the start, and printed there".to_owned(),
        };
        writeln!(out, "# secret of the GoCardless front's endpoint: {origin}")?;
    }
    Ok(Ending::Good)
}

fn write_settings(settings: &Settings, out: &mut dyn Write) -> io::Result<()> {
    let mut table = String::new();
    for (path, value, origin) in settings.entries() {
        let (within, key) = path.rsplit_once('.').unwrap_or(("", &path));
        if within != table {
            within.clone_into(&mut table);
            writeln!(out, "\n[{table}]")?;
        }
        // TOML has no word for nothing, so the line is a comment.
        match value {
            Value::Null => writeln!(out, "# {key} =  # {origin}")?,
            value => writeln!(out, "{key} = {}  # {origin}", toml_text(&value))?,
        }
    }
    Ok(())
}

/// The value as TOML on one line.
fn toml_text(value: &Value) -> String {
    // JSON's texts, numbers and lists of these are TOML's, but for one control character.
    value.to_string().replace('\u{7f}', "\\u007f")
}
