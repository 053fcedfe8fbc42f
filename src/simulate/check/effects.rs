//! What a consumer does besides answering, as far as a probe tells.
//!
//! A consumer may work later than it answers. So an effect is waited for, how long it takes is
//! learnt, and only after a multiple of that is it said that there was none.

use super::runner::Runner;
use super::trial::Trial;
use crate::clock::{self, Stopwatch};
use crate::error::{Error, Result};
use crate::model::{EventType, human_duration};
use std::time::Duration;

/// How long an effect of a genuine event is waited for, where nobody says how long that takes.
const EFFECT_MAX: Duration = Duration::from_secs(5);
/// How long nothing may change until it is said that nothing does: at least, at most, and before
/// anything is known of the consumer.
const QUIET_MIN: Duration = Duration::from_millis(300);
const QUIET_MAX: Duration = Duration::from_secs(5);
const QUIET_AT_FIRST: Duration = Duration::from_secs(1);
/// How many times as long as an effect took nothing may change.
const QUIET_TIMES: u32 = 4;
/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(50);
/// How long events of one type after the other are sent in search of one that has an effect.
const SEARCH_MAX: Duration = Duration::from_secs(30);

/// An event that has an effect.
#[derive(Clone)]
pub(super) struct Effect {
    pub event_type: EventType,
    /// By how much the number of effects grows for one event, where the probe tells a number.
    pub count: Option<i64>,
    /// How long it took until it showed.
    after: Duration,
}

/// Why it could not be judged what a consumer does.
pub(super) enum Stop {
    /// Nothing told of it.
    Untold(String),
    /// Hookwheel could not do its part.
    Failed(Error),
}

/// What could be told of a consumer's effects.
pub(super) type Told<T> = std::result::Result<T, Stop>;

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The trial as far as it could be judged.
pub(super) fn ended(mut trial: Trial, judged: Told<()>) -> Result<Trial> {
    match judged {
        Ok(()) => Ok(trial),
        Err(Stop::Untold(why)) => {
            trial.flaw(format!("could not be told: {why}"));
            Ok(trial)
        }
        Err(Stop::Failed(error)) => Err(error),
    }
}

impl Runner {
    /// Which event has an effect, and how soon; found out once.
    pub(super) async fn learn_effect(&mut self) -> Told<Effect> {
        if self.effect.is_none() {
            let found = self.find_effect().await?;
            self.effect = Some(found);
        }
        self.effect.clone().flatten().ok_or_else(|| Stop::Untold(self.without_any_effect()))
    }

    fn without_any_effect(&self) -> String {
        let own = match &self.provider.consumers().own {
            Some(path) if !self.overrides.iter().any(|(set, _)| set == path) => {
                format!("; if the consumer looks at `{path}`, give `--set {path}=…`")
            }
            _ => String::new(),
        };
        format!(
            "no genuine event had an effect within {}: name a type that it acts on with `--event`, \
             or say how long that takes with `--effects-within`, and look whether what is asked \
             tells of it{own}",
            human_duration(self.effect_max())
        )
    }

    /// Looks for an event that has an effect: first among the types that the user named, then among
    /// all others.
    async fn find_effect(&mut self) -> Told<Option<Effect>> {
        let named = self.named.clone();
        let scenarios = self.provider.scenarios().iter().flat_map(|held| &held.steps);
        let known = [&self.usual].into_iter().chain(scenarios.map(|step| &step.event_type));
        let mut others: Vec<EventType> = Vec::new();
        for event_type in known.chain(self.provider.event_types()) {
            if !named.contains(event_type) && !others.contains(event_type) {
                others.push(event_type.clone());
            }
        }
        for types in [named, others] {
            if let Some(found) = self.find_effect_among(types).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn find_effect_among(&mut self, types: Vec<EventType>) -> Told<Option<Effect>> {
        if types.is_empty() {
            return Ok(None);
        }
        let before = self.settled().await?;
        let watch = Stopwatch::start();
        let mut tried = Vec::new();
        let mut shown = false;
        for event_type in types {
            if shown || watch.elapsed() > SEARCH_MAX {
                break;
            }
            // A value that is set may not fit the samples of all types.
            if self.post_of(&event_type).await? {
                tried.push(event_type);
                shown = self.effects().await? != before;
            }
        }
        if !shown && self.changed_from(&before, self.effect_max()).await?.is_none() {
            return Ok(None);
        }
        // However many were sent before it showed: it took no longer than all of this.
        let patience = match self.effects_within {
            Some(within) => within,
            None => (watch.elapsed() * QUIET_TIMES).max(QUIET_AT_FIRST).min(EFFECT_MAX),
        };
        // It was the last one's, if the consumer works before it answers. Else it may have been of
        // any of them: half of those that are left are tried until one is.
        let mut left = tried;
        if let Some(last) = left.pop()
            && let Some(effect) = self.effect_of(&last, patience).await?
        {
            return Ok(Some(effect));
        }
        while left.len() > 1 {
            let half = left.split_off(left.len() / 2);
            let before = self.settled().await?;
            for event_type in &half {
                self.post_of(event_type).await?;
            }
            if self.changed_from(&before, patience).await?.is_some() {
                left = half;
            }
        }
        match left.pop() {
            Some(event_type) => self.effect_of(&event_type, self.effect_max()).await,
            None => Ok(None),
        }
    }

    /// The effect of an event of this type, if it has one.
    async fn effect_of(&mut self, event_type: &EventType, limit: Duration) -> Told<Option<Effect>> {
        let before = self.settled().await?;
        let watch = Stopwatch::start();
        self.post_of(event_type).await?;
        if self.changed_from(&before, limit).await?.is_none() {
            return Ok(None);
        }
        let after = watch.elapsed();
        let effect = Effect { event_type: event_type.clone(), count: None, after };
        self.effect = Some(Some(effect.clone()));
        let count = difference(&before, &self.settled().await?);
        Ok(Some(Effect { count, ..effect }))
    }

    /// Posts a new event of this type; `false` when there can be none.
    async fn post_of(&mut self, event_type: &EventType) -> Result<bool> {
        let Ok(event) = self.event(event_type, &[]) else { return Ok(false) };
        let rendered = self.rendered(&self.wire.draft(vec![event])?)?;
        self.post_genuine(rendered).await;
        Ok(true)
    }

    /// Judges that nothing changes from `before` on, for long enough, and tells what there is then.
    pub(super) async fn judge_silence(
        &self,
        trial: &mut Trial,
        before: String,
        after: &str,
    ) -> Told<String> {
        let Some(now) = self.changed_from(&before, self.quiet()).await? else {
            trial.good("no effect");
            return Ok(before);
        };
        let (was, is) = (shortened(&before), shortened(&now));
        trial.fault(format!("after {after}, effects went from `{was}` to `{is}`"));
        self.settled().await
    }

    /// How long an effect of a genuine event is waited for.
    pub(super) fn effect_max(&self) -> Duration {
        self.effects_within.unwrap_or(EFFECT_MAX)
    }

    /// How long nothing may change until it is said that nothing does.
    fn quiet(&self) -> Duration {
        match (self.effects_within, &self.effect) {
            (Some(within), _) => within,
            (None, Some(Some(effect))) => (effect.after * QUIET_TIMES).clamp(QUIET_MIN, QUIET_MAX),
            _ => QUIET_AT_FIRST,
        }
    }

    /// Waits until nothing has changed for a while, and tells what there is then.
    pub(super) async fn settled(&self) -> Told<String> {
        let watch = Stopwatch::start();
        let limit = self.effects_within.unwrap_or(QUIET_MAX) * 3;
        let mut held = self.effects().await?;
        while watch.elapsed() < limit {
            match self.changed_from(&held, self.quiet()).await? {
                None => return Ok(held),
                Some(changed) => held = changed,
            }
        }
        Err(Stop::Untold(format!(
            "what tells of effects changes without end: expected that it rests within {} after \
             the last webhook",
            human_duration(limit)
        )))
    }

    /// Waits until there is something else than `before`; `None` when that was not so in `limit`.
    pub(super) async fn changed_from(&self, before: &str, limit: Duration) -> Told<Option<String>> {
        let watch = Stopwatch::start();
        loop {
            let now = self.effects().await?;
            if now != before {
                return Ok(Some(now));
            }
            if watch.elapsed() >= limit {
                return Ok(None);
            }
            clock::pause(PAUSE).await;
        }
    }

    async fn effects(&self) -> Told<String> {
        let read = match &self.probe {
            Some(probe) => probe.read(&self.wire).await,
            None => Err(Error::internal("effects were asked for without a probe")),
        };
        // The consumer may be gone by now, and what tells of its effects with it.
        read.map_err(|error| Stop::Untold(error.to_string()))
    }
}

/// By how much a number has grown, where both are numbers.
pub(super) fn difference(before: &str, after: &str) -> Option<i64> {
    after.parse::<i64>().ok()?.checked_sub(before.parse().ok()?)
}

/// The beginning of what a probe told.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
