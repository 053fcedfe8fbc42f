//! From arguments to what the API is asked for.

use super::Named;
use crate::cli::arguments::{header, read_json, read_secret, setting};
use crate::cli::client::number_or_none;
use crate::error::Result;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Create {
    /// The application's id or uid
    app: String,
    /// Where webhooks go
    #[arg(value_name = "URL")]
    target: String,
    /// The provider that it is served as, as `hookwheel providers` names it
    #[arg(long, default_value = "standard-webhooks")]
    provider: String,
    #[command(flatten)]
    fields: Fields,
    /// A header to send besides the provider's own; once for each
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Read the signing secret from this file; one is made by default
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Make a secret for this signing scheme, such as `v1a` of Standard Webhooks
    #[arg(long, value_name = "SCHEME", conflicts_with = "secret_file")]
    scheme: Option<String>,
    /// Make it, and do not serve it yet
    #[arg(long)]
    disabled: bool,
}

#[derive(clap::Args)]
pub struct Update {
    #[command(flatten)]
    pub(super) named: Named,
    /// Where webhooks go from now on
    #[arg(long = "to", value_name = "URL")]
    target: Option<String>,
    #[command(flatten)]
    fields: Fields,
}

/// What can be said when an endpoint is made, and later. Of what goes several times, all is set
/// anew.
#[derive(clap::Args)]
struct Fields {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// Your own name for it, which serves as its id within the application
    #[arg(long)]
    uid: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// An event type that it wants, like `order.created` or `order.*`; once for each. All by default
    #[arg(long = "event", value_name = "TYPE")]
    events: Vec<String>,
    /// A channel that it listens to; once for each. All by default
    #[arg(long = "channel", value_name = "CHANNEL")]
    channels: Vec<String>,
    /// Webhooks a second at most, or `none`
    #[arg(long, value_name = "N", value_parser = number_or_none)]
    rate: Option<Limit>,
    /// Requests in flight at once at most
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// A note of your own; once for each
    #[arg(long = "metadata", value_name = "NAME=VALUE", value_parser = setting)]
    metadata: Vec<(String, String)>,
    /// A setting that the provider has in a header, such as GoCardless' `origin`; once for each
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Read from this file, as JSON, how we authenticate towards it, such as
    /// `{"type": "basic", "username": "…", "password": "…"}`
    #[arg(long, value_name = "FILE")]
    authentication: Option<PathBuf>,
    /// Show it this certificate (base64 of PEM, in a file), where its provider does that
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_certificate: Option<PathBuf>,
    /// The certificate's private key, in a file
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    client_key: Option<PathBuf>,
    /// Disable it when every attempt has failed for that many days, or `none` for never
    #[arg(long, value_name = "DAYS", value_parser = number_or_none)]
    disable_after_failing_days: Option<Limit>,
}

/// A limit, or none.
type Limit = Option<u32>;

impl Create {
    pub(super) fn app(&self) -> &str {
        &self.app
    }

    pub(super) fn body(&self) -> Result<Value> {
        let mut body = self.fields.body()?;
        body.insert("url".to_owned(), json!(self.target));
        body.insert("provider".to_owned(), json!(self.provider));
        body.insert("disabled".to_owned(), json!(self.disabled));
        put_map(&mut body, "headers", &self.headers);
        put(&mut body, "scheme", self.scheme.as_ref());
        if let Some(file) = &self.secret_file {
            put(&mut body, "secret", Some(read_secret(file)?.expose()));
        }
        Ok(body.into())
    }
}

impl Update {
    pub(super) fn body(&self) -> Result<Value> {
        let mut body = self.fields.body()?;
        put(&mut body, "url", self.target.as_ref());
        Ok(body.into())
    }
}

impl Fields {
    fn body(&self) -> Result<Map<String, Value>> {
        let mut body = Map::new();
        put(&mut body, "name", self.name.as_ref());
        put(&mut body, "uid", self.uid.as_ref());
        put(&mut body, "description", self.description.as_ref());
        put(&mut body, "eventTypes", Some(&self.events).filter(|held| !held.is_empty()));
        put(&mut body, "channels", Some(&self.channels).filter(|held| !held.is_empty()));
        put(&mut body, "throttleRate", self.rate);
        put(&mut body, "concurrency", self.concurrency);
        put(&mut body, "disableAfterFailingDays", self.disable_after_failing_days);
        put_map(&mut body, "metadata", &self.metadata);
        put_map(&mut body, "settings", &self.settings);
        if let Some(file) = &self.authentication {
            body.insert("authentication".to_owned(), read_json(file)?);
        }
        if let (Some(certificate), Some(key)) = (&self.client_certificate, &self.client_key) {
            let (certificate, key) = (read_secret(certificate)?, read_secret(key)?);
            let pair = json!({ "certificate": certificate.expose(), "privateKey": key.expose() });
            body.insert("clientCertificate".to_owned(), pair);
        }
        Ok(body)
    }
}

fn put(body: &mut Map<String, Value>, name: &str, value: Option<impl serde::Serialize>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), json!(value));
    }
}

fn put_map(body: &mut Map<String, Value>, name: &str, pairs: &[(String, String)]) {
    if !pairs.is_empty() {
        let pairs: BTreeMap<&String, &String> =
            pairs.iter().map(|(name, value)| (name, value)).collect();
        body.insert(name.to_owned(), json!(pairs));
    }
}
