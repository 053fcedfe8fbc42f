//! What the provider fronts are told.

use crate::cli::Trouble;
use crate::config::{GOCARDLESS_SECRET_VARIABLE, ServeConfig};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::Secret;
use crate::simulate::fronts::{FrontsConfig, GoCardlessEndpoint};
use std::io::Write;

/// The fronts' settings, checked. A secret that nobody gave is made, and shown on `out` and nowhere
/// else, for what is logged is read by many.
pub(super) fn settings(
    engine: &Engine,
    config: &ServeConfig,
    out: &mut dyn Write,
) -> Result<FrontsConfig, Trouble> {
    let mut fronts = FrontsConfig::default();
    let Some(url) = &config.fronts_gocardless_url else { return Ok(fronts) };
    let given = given_secret()?;
    let secret = match &given {
        Some(secret) => secret.clone(),
        None => engine.provider("gocardless")?.generate_secret(None)?.secret,
    };
    let made = given.is_none().then(|| secret.clone());
    fronts.gocardless_endpoint = Some(GoCardlessEndpoint { url: url.clone(), secret });
    fronts.check(engine)?;
    if let Some(secret) = made {
        writeln!(out, "GoCardless webhook secret, of this start only: {}", secret.expose())?;
    }
    Ok(fronts)
}

fn given_secret() -> Result<Option<Secret>> {
    let given = std::env::var_os(GOCARDLESS_SECRET_VARIABLE);
    let text = given.map(std::ffi::OsString::into_string).transpose().map_err(|_| {
        Error::invalid(format!("environment variable `{GOCARDLESS_SECRET_VARIABLE}` is not UTF-8"))
    })?;
    Ok(text.filter(|text| !text.is_empty()).map(Secret::new))
}
