//! The conformance of a consumer: named checks of what a provider asks of those who receive its
//! webhooks, drawn from the provider's page and from Standard Webhooks' advice.
//!
//! Each check sends what the provider would send, or what a forger would, and judges what comes
//! back. What must not be told apart from outside is not applicable, and says why.

mod doings;
mod effects;
mod forged;
mod forms;
mod genuine;
mod html;
mod json;
mod junit;
mod list;
mod mask;
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
use crate::model::{RawJson, Secret};
use crate::provider::Providers;
use list::Check;
use probe::Probe;
use runner::Runner;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

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
    overrides: Vec<(String, RawJson)>,
    settings: BTreeMap<String, String>,
    headers: Vec<(String, Secret)>,
    probe: Option<Probe>,
    effects_within: Option<Duration>,
    events: Vec<String>,
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
            headers: Vec::new(),
            probe: None,
            effects_within: None,
            events: Vec::new(),
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
    pub fn set(mut self, path: impl Into<String>, value: impl Into<RawJson>) -> Self {
        self.overrides.push((path.into(), value.into()));
        self
    }

    /// A setting of the endpoint that the provider has in a header, such as GoCardless' `origin`.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// A header that is sent with every request to the endpoint, and to an effects URL of the same
    /// origin, such as the credentials of a gateway before it. No report shows its value.
    pub fn header(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.headers.push((name.into(), value));
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

    /// The same, from this function.
    pub fn effects_with(mut self, count: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.probe = Some(Probe::Function(Box::new(count)));
        self
    }

    /// How long it may take until an effect shows, as in a consumer that queues what it gets. By
    /// default an effect is waited for for up to 5 s, and how long one took decides when it is said
    /// that there is none; with this, that is said after this time and no sooner.
    pub fn effects_within(mut self, limit: Duration) -> Self {
        self.effects_within = Some(limit);
        self
    }

    /// A type of event that the consumer acts on, to be tried first where an event with an effect
    /// is looked for. May be given several times.
    pub fn event(mut self, event_type: impl Into<String>) -> Self {
        self.events.push(event_type.into());
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
    /// Refuses an unknown provider or check, a URL, secret or header that is none, values that fit no
    /// sample, and effects that cannot be asked for at the beginning. What the consumer does is no error.
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
        let mut runner = Runner::prepare(self)?;
        let mut results = Vec::with_capacity(checks.len());
        let is_chosen = checks.contains(&Check::AcceptsValid);
        // Whether anything is accepted at all decides what the other checks can tell. So that is
        // found out first, whatever was chosen, and told where it was chosen or is not so.
        let asks_only = runner.provider.challenge().is_some();
        if !(asks_only && checks.iter().all(|check| check.is_of_challenge())) {
            let result = runner.run(Check::AcceptsValid).await?;
            if is_chosen || result.verdict >= Verdict::Warn {
                told(&result)?;
                results.push(result);
            }
        }
        runner.try_probe().await?;
        for check in checks.into_iter().filter(|check| *check != Check::AcceptsValid) {
            let result = runner.run(check).await?;
            told(&result)?;
            results.push(result);
        }
        Ok(runner.report(results))
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
        let checks: Vec<Check> =
            Check::all().filter(|check| wanted(check) && !skip.contains(check)).collect();
        match checks.is_empty() {
            true => Err(Error::invalid("every check that was chosen is left out: none remains")),
            false => Ok(checks),
        }
    }

    fn options(&self) -> rules::Options<'_> {
        rules::Options {
            has_probe: self.probe.is_some(),
            has_old_secret: self.old_secret.is_some(),
            overrides: &self.overrides,
        }
    }
}
