//! What a consumer does besides answering, as far as a probe tells.
//!
//! A consumer may work later than it answers. So an effect is waited for, how long it takes is
//! learnt, and only after a multiple of that is it said that there was none.

use super::genuine::BATCH;
use super::runner::Runner;
use super::trial::Trial;
use crate::clock::{self, Stopwatch};
use crate::error::{Error, Result};
use crate::model::{EventType, human_duration};
use crate::provider::Rendered;
use serde_json::Value;
use std::time::Duration;

/// How long an effect of a genuine event is waited for.
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
/// Event types that are tried until one has an effect.
const TYPES_MAX: usize = 8;

/// An event that has an effect.
#[derive(Clone)]
pub(super) struct Effect {
    pub event_type: EventType,
    /// How long it took until it showed.
    pub after: Duration,
}

impl Runner {
    pub(super) async fn duplicates_without_effect(&mut self) -> Result<Trial> {
        let Some(effect) = self.learn_effect().await? else {
            return Ok(self.without_any_effect());
        };
        let mut trial = Trial::default();
        let draft = self.wire.draft(vec![self.event(&effect.event_type, &[])?])?;
        let first = self.rendered(&draft)?;
        let before = self.settled().await?;
        self.try_genuine(&mut trial, "an event", first.clone()).await;
        if self.changed_from(&before, EFFECT_MAX).await?.is_none() {
            trial.fault("the event itself had no effect, although one like it had");
            return Ok(trial);
        }
        let once = self.settled().await?;
        let again = self.wire.rendered(&draft, &self.keys, 2, self.wire.now())?;
        for (what, rendered) in [
            ("the same event again, as a retry", again),
            ("the same request again, byte for byte", first),
        ] {
            let sent = self.post(rendered).await;
            trial.keep(what, sent);
        }
        self.judge_silence(&mut trial, &once, "the event came again").await?;
        Ok(trial)
    }

    pub(super) async fn forgeries_without_effect(&mut self) -> Result<Trial> {
        let Some(effect) = self.learn_effect().await? else {
            return Ok(self.without_any_effect());
        };
        let mut trial = Trial::default();
        let before = self.settled().await?;
        let event_type = &effect.event_type;
        for forgery in
            [self.unsigned(event_type)?, self.tampered(event_type)?, self.of_another(event_type)?]
        {
            let sent = self.post(forgery.rendered).await;
            trial.keep(forgery.what, sent);
        }
        self.judge_silence(&mut trial, &before, "forgeries came").await?;
        Ok(trial)
    }

    pub(super) async fn handles_own(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        if self.probe.is_none() {
            let rendered = self.rendered(&self.draft()?)?;
            self.try_genuine(&mut trial, "an event of its own", rendered).await;
            return Ok(trial);
        }
        let Some(effect) = self.learn_effect().await? else {
            return Ok(self.without_any_effect());
        };
        let draft = self.wire.draft(vec![self.event(&effect.event_type, &[])?])?;
        let before = self.settled().await?;
        let rendered = self.rendered(&draft)?;
        self.try_genuine(&mut trial, "an event of its own", rendered).await;
        if self.changed_from(&before, EFFECT_MAX).await?.is_none() {
            trial.fault("its own event had no effect");
        }
        Ok(trial)
    }

    pub(super) async fn ignores_foreign(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let path = self.provider.consumers().own.clone().unwrap_or_default();
        let foreign = (path, Value::from(format!("foreign_{}", self.fresh_digits()?)));
        let effect = match self.probe {
            Some(_) => match self.learn_effect().await? {
                Some(effect) => Some(effect),
                None => return Ok(self.without_any_effect()),
            },
            None => None,
        };
        let event_type = effect.as_ref().map_or(&self.usual, |held| &held.event_type).clone();
        let rendered = self.foreign(&event_type, foreign)?;
        let before = match effect {
            Some(_) => Some(self.settled().await?),
            None => None,
        };
        self.try_genuine(&mut trial, "an event of somebody else", rendered).await;
        if let Some(before) = before {
            self.judge_silence(&mut trial, &before, "another's event came").await?;
        }
        Ok(trial)
    }

    fn foreign(&self, event_type: &EventType, foreign: (String, Value)) -> Result<Rendered> {
        self.rendered(&self.wire.draft(vec![self.event(event_type, &[foreign])?])?)
    }

    fn without_any_effect(&self) -> Trial {
        let mut trial = Trial::default();
        let own = match &self.provider.consumers().own {
            Some(path) if !self.overrides.iter().any(|(set, _)| set == path) => {
                format!("; if the consumer looks at `{path}`, give `--set {path}=…`")
            }
            _ => String::new(),
        };
        trial.fault(format!("what tells of effects never changed on genuine events{own}"));
        trial
    }

    /// Judges that several events in one webhook have more effect than one has; only numbers tell.
    pub(super) async fn judge_effects_of_batch(&mut self, trial: &mut Trial) -> Result<()> {
        if self.probe.is_none() {
            return Ok(());
        }
        let Some(effect) = self.learn_effect().await? else { return Ok(()) };
        let mut counts = vec![self.settled().await?];
        let mut before = counts.concat();
        for events in [1, BATCH] {
            let what = format!("a webhook with `{}`, {events} times", effect.event_type);
            let events = (0..events).map(|_| self.event(&effect.event_type, &[]));
            let draft = self.wire.draft(events.collect::<Result<_>>()?)?;
            self.try_genuine(trial, &what, self.rendered(&draft)?).await;
            self.changed_from(&before, EFFECT_MAX).await?;
            before = self.settled().await?;
            counts.push(before.clone());
        }
        let numbers: Vec<i64> = counts.iter().filter_map(|count| count.parse().ok()).collect();
        if let [before, one, all] = numbers[..]
            && all - one <= one - before
        {
            trial.fault(format!("{BATCH} events in one webhook had the effect of one"));
        }
        Ok(())
    }

    /// Which event has an effect, and how soon; found out once.
    async fn learn_effect(&mut self) -> Result<Option<Effect>> {
        if let Some(known) = &self.effect {
            return Ok(known.clone());
        }
        let found = self.find_effect().await?;
        self.effect = Some(found.clone());
        Ok(found)
    }

    async fn find_effect(&mut self) -> Result<Option<Effect>> {
        let others = self.provider.event_types().filter(|held| **held != self.usual);
        let types = [&self.usual].into_iter().chain(others).take(TYPES_MAX).cloned();
        let types: Vec<EventType> = types.collect();
        let before = self.settled().await?;
        let mut tried = Vec::new();
        for event_type in types {
            // A value that is set may not fit the samples of all types.
            let Ok(event) = self.event(&event_type, &[]) else { continue };
            self.post_genuine(self.rendered(&self.wire.draft(vec![event])?)?).await;
            tried.push(event_type);
            if self.changed_from(&before, QUIET_AT_FIRST).await?.is_some() {
                break;
            }
        }
        if self.changed_from(&before, EFFECT_MAX).await?.is_none() {
            return Ok(None);
        }
        // It may have been the last one's effect, or a late one of those before.
        for event_type in tried.into_iter().rev() {
            let event = self.event(&event_type, &[])?;
            let before = self.settled().await?;
            let watch = Stopwatch::start();
            self.post_genuine(self.rendered(&self.wire.draft(vec![event])?)?).await;
            if self.changed_from(&before, EFFECT_MAX).await?.is_some() {
                return Ok(Some(Effect { event_type, after: watch.elapsed() }));
            }
        }
        Ok(None)
    }

    /// Judges that nothing changes from `before` on, for long enough.
    async fn judge_silence(&self, trial: &mut Trial, before: &str, after: &str) -> Result<()> {
        match self.changed_from(before, self.quiet()).await? {
            None => trial.good("no effect"),
            Some(now) => {
                let (before, now) = (shortened(before), shortened(&now));
                trial.fault(format!("after {after}, effects went from `{before}` to `{now}`"));
            }
        }
        Ok(())
    }

    /// How long nothing may change until it is said that nothing does.
    fn quiet(&self) -> Duration {
        match &self.effect {
            Some(Some(effect)) => (effect.after * QUIET_TIMES).clamp(QUIET_MIN, QUIET_MAX),
            _ => QUIET_AT_FIRST,
        }
    }

    /// Waits until nothing has changed for a while, and tells what there is then.
    async fn settled(&self) -> Result<String> {
        let watch = Stopwatch::start();
        let mut held = self.effects().await?;
        while watch.elapsed() < QUIET_MAX * 3 {
            match self.changed_from(&held, self.quiet()).await? {
                None => return Ok(held),
                Some(changed) => held = changed,
            }
        }
        Err(Error::invalid(format!(
            "what tells of effects changes without end: expected that it rests within {} after \
             the last webhook",
            human_duration(QUIET_MAX * 3)
        )))
    }

    /// Waits until there is something else than `before`; `None` when that was not so in `limit`.
    async fn changed_from(&self, before: &str, limit: Duration) -> Result<Option<String>> {
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

    async fn effects(&self) -> Result<String> {
        match &self.probe {
            Some(probe) => probe.read(&self.wire).await,
            None => Err(Error::internal("effects were asked for without a probe")),
        }
    }
}

/// The beginning of what a probe told.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
