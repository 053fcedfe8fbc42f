//! The conformance of a consumer: named checks of what a provider asks of those who receive its
//! webhooks, drawn from the provider's page and from Standard Webhooks' advice.
//!
//! Each check sends what the provider would send, or what a forger would, and judges what comes
//! back. What must not be told apart from outside is not applicable, and says why.

mod effects;
mod forged;
mod forms;
mod genuine;
mod html;
mod json;
mod junit;
mod list;
mod probe;
mod report;
mod rules;
mod runner;
#[cfg(test)]
mod tests;
mod timing;
mod trial;

pub use report::{CheckExchange, CheckResult, ConformanceReport, Pointer, Verdict};
pub use rules::PlannedCheck;
pub(super) use rules::{STANDARD, is_demanded};

use crate::error::{Error, Result};
use crate::model::Secret;
use crate::provider::Providers;
use list::Check;
use probe::Probe;
use runner::Runner;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Checks a consumer of a provider's webhooks.
///
/// ```
/// use hookwheel::simulate::Conformance;
/// # use hookwheel::simulate::receiver::{Consumer, Receiver};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let secret = "a-secret-of-the-test";
/// # let handler = Receiver::start(Consumer::TicketNation, secret).await.unwrap();
/// let report = Conformance::new("ticketnation", handler.url(), hookwheel::Secret::new(secret))
///     .run()
///     .await?;
/// assert!(report.is_success(), "{report}");
/// # Ok::<(), hookwheel::Error>(())
/// # }).unwrap();
/// ```
#[must_use]
pub struct Conformance {
    provider: String,
    url: String,
    secret: Secret,
    old_secret: Option<Secret>,
    providers_folder: Option<PathBuf>,
    overrides: Vec<(String, Value)>,
    settings: BTreeMap<String, String>,
    probe: Option<Probe>,
    only: Option<Vec<String>>,
    skip: Vec<String>,
}

impl Conformance {
    /// Checks the endpoint at `url` as a consumer of `provider`, whose webhooks are signed with
    /// `secret`. `http:` and local addresses are fine.
    pub fn new(provider: impl Into<String>, url: impl Into<String>, secret: Secret) -> Self {
        Self {
            provider: provider.into(),
            url: url.into(),
            secret,
            old_secret: None,
            providers_folder: None,
            overrides: Vec::new(),
            settings: BTreeMap::new(),
            probe: None,
            only: None,
            skip: Vec::new(),
        }
    }

    /// Reads more providers from the TOML files of `folder`.
    pub fn providers_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.providers_folder = Some(folder.into());
        self
    }

    /// A secret that the consumer still accepts while it is replaced.
    pub fn old_secret(mut self, secret: Secret) -> Self {
        self.old_secret = Some(secret);
        self
    }

    /// Sets a value in the data of every genuine event, by dotted path or JSON pointer.
    pub fn set(mut self, path: impl Into<String>, value: Value) -> Self {
        self.overrides.push((path.into(), value));
        self
    }

    /// A setting of the endpoint that the provider has in a header, such as GoCardless' `origin`.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Where to ask, by GET, how many effects there were: any text of up to 16 KiB. When it
    /// changes, there was an effect.
    pub fn effects_url(mut self, url: impl Into<String>) -> Self {
        self.probe = Some(Probe::Url(url.into()));
        self
    }

    /// The same, from the standard output of this command, run by `sh -c` for up to 10 s.
    pub fn effects_command(mut self, command: impl Into<String>) -> Self {
        self.probe = Some(Probe::Command(command.into()));
        self
    }

    /// Makes only the checks of these names.
    pub fn only(mut self, checks: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.only = Some(checks.into_iter().map(Into::into).collect());
        self
    }

    /// Leaves out the checks of these names.
    pub fn skip(mut self, checks: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.skip = checks.into_iter().map(Into::into).collect();
        self
    }

    /// What would be checked, without sending anything.
    ///
    /// # Errors
    /// Refuses an unknown provider or check.
    pub fn plan(&self) -> Result<Vec<PlannedCheck>> {
        let providers = self.providers()?;
        let provider = providers.get(&self.provider)?;
        let standard = providers.get(rules::STANDARD)?;
        let plan = |check| rules::planned(check, &provider, &standard, &self.options());
        Ok(self.checks()?.into_iter().map(plan).collect())
    }

    /// Makes the checks.
    ///
    /// # Errors
    /// Refuses an unknown provider or check, a URL or secret that is none, values that fit no
    /// sample, and effects that cannot be asked for. What the consumer does is no error.
    pub async fn run(self) -> Result<ConformanceReport> {
        self.run_telling(|_| Ok::<(), Error>(())).await
    }

    /// Makes the checks. `told` hears of each result as it comes; its error ends them.
    ///
    /// # Errors
    /// Those of [`Conformance::run`], and of `told`.
    pub async fn run_telling<E: From<Error>>(
        self,
        mut told: impl FnMut(&CheckResult) -> Result<(), E>,
    ) -> Result<ConformanceReport, E> {
        let checks = self.checks()?;
        let mut runner = Runner::prepare(self).await?;
        let mut report = runner.report();
        for check in checks {
            let result = runner.run(check).await?;
            told(&result)?;
            report.results.push(result);
        }
        Ok(report)
    }

    fn providers(&self) -> Result<Providers> {
        let mut providers = Providers::embedded()?;
        if let Some(folder) = &self.providers_folder {
            providers.load_folder(folder)?;
        }
        Ok(providers)
    }

    fn checks(&self) -> Result<Vec<Check>> {
        let named = |names: &[String]| -> Result<Vec<Check>> {
            names.iter().map(|name| Check::named(name)).collect()
        };
        let only = self.only.as_deref().map(named).transpose()?;
        let skip = named(&self.skip)?;
        let wanted = |check: &Check| only.as_ref().is_none_or(|only| only.contains(check));
        Ok(Check::all().filter(|check| wanted(check) && !skip.contains(check)).collect())
    }

    fn options(&self) -> rules::Options<'_> {
        rules::Options {
            has_probe: self.probe.is_some(),
            has_old_secret: self.old_secret.is_some(),
            overrides: &self.overrides,
        }
    }
}
