//! A provider played towards somebody's endpoint: an engine in memory with one endpoint, which
//! gets events with everything that the provider does, and what goes wrong besides.

mod plan;
mod programme;
mod run;

pub use plan::Plan;
pub(crate) use plan::RATE_RANGE;

use super::check::{STANDARD, is_demanded};
use super::faults::{Fault, Forger, OldKeys};
use super::progress::Step;
use super::report::Report;
use super::wire::Wire;
use crate::chance::{Chance, fill_random};
use crate::clock::Clock;
use crate::dispatch::Upload;
use crate::engine::{Engine, Manner, NewApplication, NewEndpoint, check_extra_headers};
use crate::error::{Error, Result};
use crate::id_source::random_bits;
use crate::model::{ApplicationId, Mode, ReadyWebhook, Secret, Timestamp, human_duration};
use crate::provider::Provider;
use programme::Programme;
use run::Run;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long a slow upload takes at most; at most half of what the provider waits, too.
const SLOW_MAX: Duration = Duration::from_secs(2);

/// A simulation that is ready to run.
///
/// ```
/// use hookwheel::Error;
/// use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
/// use hookwheel::simulate::{Plan, Simulation, Step};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let receiver = Receiver::start(Consumer::TicketNation, "").await.unwrap();
/// receiver.answer_next([Answer::status(503)]);
///
/// let plan = Plan { speed: 1000.0, ..Plan::new("ticketnation", receiver.url()) };
/// let simulation = Simulation::prepare(plan).await?;
/// receiver.set_secret(simulation.secret().expose());
/// let report = simulation.run(std::future::pending(), |step| {
///     println!("{step:?}");
///     Ok::<(), Error>(())
/// });
/// let report = report.await?;
/// assert!(report.is_success());
/// assert_eq!((report.events, report.attempts), (4, 5));
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
pub struct Simulation {
    engine: Engine,
    clock: Clock,
    chance: Chance,
    seed: u64,
    speed: f64,
    provider: Arc<Provider>,
    application: ApplicationId,
    endpoint: NewEndpoint,
    shown: Secret,
    programme: Programme,
    events: usize,
    pace: Pace,
    rate_per_second: Option<f64>,
    mode: Mode,
    forger: Forger,
    /// Whether what is signed with an old secret is not signed with the new one, too.
    switches: bool,
    /// The faults that the provider only advises its consumers to bear.
    advised: BTreeSet<Fault>,
    notes: Vec<String>,
}

/// What waits for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pace {
    /// Events go side by side, as fast as the endpoint takes them.
    SideBySide,
    /// Each turn waits for the first attempts of the one before.
    InTurn,
    /// One request at a time, and the schedule's time passes while none runs.
    Stepped,
}

/// What the engine has to know to play faults that are in the sending, once it is known.
type Stagehand = Arc<OnceLock<Props>>;

struct Props {
    old_keys: Option<OldKeys>,
    slow: Duration,
    chance: Chance,
}

impl Simulation {
    /// Checks a plan and gets everything ready. Nothing is sent yet.
    ///
    /// # Errors
    /// Refuses an unknown provider, event type or scenario, values that fit no sample, and faults
    /// that the provider cannot have.
    pub async fn prepare(plan: Plan) -> Result<Self> {
        plan.check()?;
        let clock = plan.at.map_or_else(|| Clock::faster(plan.speed), Clock::standing);
        let seed = plan.seed.map_or_else(random_seed, Ok)?;
        let chance = Chance::seeded(seed);
        let props = Stagehand::default();
        let mut builder = Engine::builder().in_memory().development().clock(clock.clone());
        builder = builder.chance(chance.clone()).director({
            let props = Arc::clone(&props);
            Arc::new(move |webhook| {
                props.get().map_or_else(Manner::default, |held| held.manner(webhook))
            })
        });
        if let Some(folder) = &plan.providers_folder {
            builder = builder.providers_folder(folder);
        }
        let engine = builder.extra_headers(plan.headers.clone()).open().await?;
        let provider = engine.provider(&plan.provider)?;
        provider.check_settings(&plan.settings)?;
        check_extra_headers(&provider, &plan.headers)?;
        let programme = Programme::new(&provider, &plan, &chance)?;
        let secret = match &plan.secret {
            Some(secret) => secret.clone(),
            None => provider.draw_secret(plan.scheme.as_deref(), &chance)?.secret,
        };
        let old_keys = match programme.plays(Fault::OldSecret) {
            true => Some(OldKeys::new(&provider, plan.old_secret.as_ref(), &secret, &chance)?),
            false => None,
        };
        let switches = old_keys.as_ref().is_some_and(|held| held.is_switch);
        let slow = SLOW_MAX.min(provider.timeout() / 2);
        // Set here and nowhere else.
        let _ = props.set(Props { old_keys, slow, chance: chance.clone() });
        let wire = Wire::new(Arc::clone(&provider), &plan.url, plan.settings.clone())?;
        let wire =
            wire.drawing(clock.clone(), chance.clone()).with_headers(plan.headers.clone())?;
        let forger = Forger::new(Arc::clone(&provider), wire, &secret, chance.clone())?;
        let standard = engine.provider(STANDARD)?;
        let is_advised = |fault: &Fault| !is_demanded(fault.subject(), &provider, &standard);
        let advised = Fault::ALL.into_iter().filter(is_advised).collect();
        let mut notes = programme.notes(&plan);
        notes.extend(plan.at.and_then(|at| outdated(&provider, at)));
        let pace = match (plan.at, &plan.scenario) {
            (Some(_), _) => Pace::Stepped,
            (None, None) if programme.is_plain() => Pace::SideBySide,
            _ => Pace::InTurn,
        };
        let application = engine.create_application(NewApplication::new("simulation")).await?.id;
        let mut endpoint = NewEndpoint::new(plan.url).provider(provider.name());
        endpoint.settings = plan.settings;
        if pace == Pace::Stepped {
            endpoint.concurrency = 1;
        }
        let shown = provider.shown_form(&secret)?;
        endpoint.secret = Some(secret);
        Ok(Self {
            engine,
            clock,
            chance,
            seed,
            speed: plan.speed,
            application,
            endpoint,
            shown,
            events: programme.events()?,
            programme,
            pace,
            rate_per_second: plan.rate_per_second,
            mode: plan.mode,
            forger,
            provider,
            switches,
            advised,
            notes,
        })
    }

    /// The provider that is played.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// What the receiver verifies with.
    pub fn secret(&self) -> &Secret {
        &self.shown
    }

    /// What everything follows from that is drawn: the same seed makes the same run again.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many events will be sent, forgeries not counted.
    pub fn events(&self) -> usize {
        self.events
    }

    /// What whoever asked for it may not expect, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Registers the endpoint, sends the events, and waits until each was accepted or given up, or
    /// until `interrupted` is over. `told` hears of every step; its error ends the simulation.
    ///
    /// # Errors
    /// Those of `told`, and an endpoint URL or secret that is refused.
    pub async fn run<E: From<Error>>(
        self,
        interrupted: impl Future<Output = ()>,
        told: impl FnMut(Step) -> Result<(), E>,
    ) -> Result<Report, E> {
        Run::new(&self).play(interrupted, told).await
    }
}

impl Props {
    /// How the next attempt of a webhook goes out: as the tags of its events say.
    fn manner(&self, webhook: &ReadyWebhook) -> Manner {
        let met = |fault: Fault| {
            let mut tags = webhook.events.iter().flat_map(|event| &event.tags);
            tags.any(|tag| tag == fault.name())
        };
        let is_first = webhook.attempts == 0;
        let mut manner = Manner::default();
        if let Some(old) = self.old_keys.as_ref().filter(|old| is_first || !old.is_switch)
            && met(Fault::OldSecret)
        {
            manner.keys = Some(old.keys.clone());
        }
        if is_first && met(Fault::Cut) {
            manner.upload = Upload::CutAfter(self.cut(webhook));
        } else if is_first && met(Fault::Slow) {
            manner.upload = Upload::Slowly(self.slow);
        }
        manner
    }

    /// Where the body is cut: every body is longer than the data that it carries.
    fn cut(&self, webhook: &ReadyWebhook) -> usize {
        let Some(event) = webhook.events.first() else { return 1 };
        let number = random_bits(event.id.uuid());
        let fraction = self.chance.fraction_for("cut", number).unwrap_or_default();
        ((event.data.len() as f64 * fraction) as usize).max(1)
    }
}

/// What is to be said where consumers go by their own time, and would not take `at` for now.
fn outdated(provider: &Provider, at: Timestamp) -> Option<String> {
    let consumers = provider.consumers();
    let now = Clock::system().wall();
    let allowed = if at < now { consumers.stale_after } else { consumers.future_after };
    let apart = if at < now { now.since(at) } else { at.since(now) };
    allowed.filter(|allowed| apart > *allowed && provider.carries_sending_time()).map(|allowed| {
        format!(
            "consumers of {} refuse what is signed more than {} from their own time, and the time \
             on the wire stands at {}",
            provider.title(),
            human_duration(allowed),
            at.rfc3339(0)
        )
    })
}

/// A seed for a run whose user gave none: short enough to be typed.
fn random_seed() -> Result<u64> {
    let mut bytes = [0; 4];
    fill_random(&mut bytes)?;
    Ok(u64::from(u32::from_be_bytes(bytes)))
}
