//! Whether what a consumer does is what it should: once for each genuine event that is its own.

use super::effects::{Effect, Stop, Told, difference, ended};
use super::genuine::{BATCH, renamed};
use super::runner::Runner;
use super::trial::Trial;
use crate::error::Result;
use crate::model::{EventType, RawJson, human_duration};
use crate::provider::Rendered;
use crate::simulate::wire::Draft;

/// What is said where effects show and cannot be counted.
const UNCOUNTED: &str = "what tells of effects is no number";

impl Runner {
    pub(super) async fn duplicates_without_effect(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let judged = self.judge_duplicates(&mut trial).await;
        ended(trial, judged)
    }

    async fn judge_duplicates(&mut self, trial: &mut Trial) -> Told<()> {
        let effect = self.learn_effect().await?;
        let draft = self.draft_of(&effect.event_type)?;
        let first = self.rendered(&draft)?;
        let before = self.settled().await?;
        let mut held = self.expect_effect(trial, &before, "an event", first.clone()).await?;
        let again = self.wire.rendered(&draft, &self.keys, 2, self.wire.now())?;
        let mut repeats = vec![
            ("the same event again, as a retry", again),
            ("the same request again, byte for byte", first),
        ];
        if self.provider.batch_max().is_some() {
            let other = self.wire.draft(draft.events().to_vec())?;
            repeats.push(("the same event again, in another webhook", self.rendered(&other)?));
        }
        for (what, rendered) in repeats {
            let sent = self.post(rendered).await;
            trial.keep(what, sent);
            held = self.judge_silence(trial, held, what).await?;
        }
        self.judge_moment(trial, &effect, held).await
    }

    /// Judges that an event that comes twice at the same moment has the effect of one.
    async fn judge_moment(
        &mut self,
        trial: &mut Trial,
        effect: &Effect,
        before: String,
    ) -> Told<()> {
        let rendered = self.rendered(&self.draft_of(&effect.event_type)?)?;
        for sent in self.post_together([rendered.clone(), rendered]).await {
            trial.keep("one event, twice at the same moment", sent);
        }
        self.changed_from(&before, self.effect_max()).await?;
        let after = self.settled().await?;
        match (effect.count, difference(&before, &after)) {
            (Some(one), Some(both)) if one == both => trial.good("no effect"),
            (Some(_), Some(0)) => return Err(self.no_effect("an event twice at the same moment")),
            (Some(one), Some(both)) => trial.fault(format!(
                "one event, twice at the same moment, had {both} effects: expected {one}"
            )),
            _ => trial.good(format!("not told of two at the same moment: {UNCOUNTED}")),
        }
        Ok(())
    }

    pub(super) async fn forgeries_without_effect(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let judged = self.judge_forgeries(&mut trial).await;
        ended(trial, judged)
    }

    async fn judge_forgeries(&mut self, trial: &mut Trial) -> Told<()> {
        let event_type = self.learn_effect().await?.event_type;
        let mut held = self.settled().await?;
        for forgery in [
            self.unsigned(&event_type)?,
            self.tampered(&event_type)?,
            self.of_another(&event_type)?,
        ] {
            let sent = self.post(forgery.rendered).await;
            trial.keep(forgery.what, sent);
            held = self.judge_silence(trial, held, forgery.what).await?;
        }
        match trial.is_faulty() {
            true => Ok(()),
            false => self.judge_genuine_after_forgery(trial, &event_type, held).await,
        }
    }

    /// Judges that a forgery does not take the place of the genuine event whose id it has.
    async fn judge_genuine_after_forgery(
        &mut self,
        trial: &mut Trial,
        event_type: &EventType,
        before: String,
    ) -> Told<()> {
        let draft = self.draft_of(event_type)?;
        let keys = [self.unknown_key()?];
        let forged = self.wire.rendered(&draft, &keys, 1, self.wire.now())?;
        let sent = self.post(forged).await;
        trial.keep("a forgery with the id of an event that is to come", sent);
        let what = "the genuine event of the same id, after it";
        let rendered = self.rendered(&draft)?;
        self.try_genuine(trial, what, rendered).await;
        if self.changed_from(&before, self.effect_max()).await?.is_some() {
            return Ok(());
        }
        // Only where another one has its effect still, it was the forgery that took this one's.
        let other = self.rendered(&self.draft_of(event_type)?)?;
        self.expect_effect(trial, &before, "another genuine event", other).await?;
        trial.fault("a forgery came first, and then the genuine event of its id had no effect");
        Ok(())
    }

    pub(super) async fn handles_own(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let judged = self.judge_own(&mut trial).await;
        ended(trial, judged)
    }

    async fn judge_own(&mut self, trial: &mut Trial) -> Told<()> {
        let what = "an event of its own";
        if self.probe.is_none() {
            let rendered = self.rendered(&self.draft()?)?;
            self.try_genuine(trial, what, rendered).await;
            return Ok(());
        }
        let effect = self.learn_effect().await?;
        let rendered = self.rendered(&self.draft_of(&effect.event_type)?)?;
        let before = self.settled().await?;
        self.expect_effect(trial, &before, what, rendered).await?;
        Ok(())
    }

    pub(super) async fn ignores_foreign(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let judged = self.judge_foreign(&mut trial).await;
        ended(trial, judged)
    }

    async fn judge_foreign(&mut self, trial: &mut Trial) -> Told<()> {
        let what = "an event of somebody else";
        if self.probe.is_none() {
            let rendered = self.foreign(&self.usual)?;
            self.try_genuine(trial, what, rendered).await;
            return Ok(());
        }
        let effect = self.learn_effect().await?;
        let rendered = self.foreign(&effect.event_type)?;
        let before = self.settled().await?;
        self.try_genuine(trial, what, rendered).await;
        self.judge_silence(trial, before, what).await?;
        Ok(())
    }

    /// An event of this type that is somebody else's, by an id of the form that the sample has.
    fn foreign(&self, event_type: &EventType) -> Result<Rendered> {
        let path = self.provider.consumers().own.clone().unwrap_or_default();
        let sample = self.sample_text(event_type, &path)?;
        let foreign = RawJson::from(renamed(&sample, &self.fresh_digits()?));
        self.rendered(&self.wire.draft(vec![self.event(event_type, &[(path, foreign)])?])?)
    }

    /// Judges that several events in one webhook have the effect of as many; only numbers tell.
    pub(super) async fn judge_effects_of_batch(&mut self, trial: &mut Trial) -> Told<()> {
        if self.probe.is_none() {
            trial.good("whether all of them had their effect was not asked for");
            return Ok(());
        }
        let effect = self.learn_effect().await?;
        let Some(one) = effect.count else {
            trial.good(format!("whether all of them had their effect is not told: {UNCOUNTED}"));
            return Ok(());
        };
        let size = self.batch_size();
        let events = (0..size).map(|_| self.event(&effect.event_type, &[]));
        let draft = self.wire.draft(events.collect::<Result<_>>()?)?;
        let what = format!("a webhook with `{}`, {size} times", effect.event_type);
        let before = self.settled().await?;
        let rendered = self.rendered(&draft)?;
        let after = self.expect_effect(trial, &before, &what, rendered).await?;
        let expected = one.saturating_mul(size.try_into().unwrap_or(i64::MAX));
        match difference(&before, &after) {
            Some(all) if all == expected => trial.good(format!("each of {size} had its effect")),
            Some(all) => trial.fault(format!(
                "{size} events in one webhook had {all} effects: expected {expected}"
            )),
            None => trial.good(format!("not all of them were counted: {UNCOUNTED}")),
        }
        Ok(())
    }

    /// Events in a webhook with several.
    pub(super) fn batch_size(&self) -> usize {
        BATCH.min(self.provider.batch_max().unwrap_or(1))
    }

    /// Posts what had an effect whenever it was tried, waits for it, and tells what there is then.
    async fn expect_effect(
        &mut self,
        trial: &mut Trial,
        before: &str,
        what: &str,
        rendered: Rendered,
    ) -> Told<String> {
        self.try_genuine(trial, what, rendered).await;
        match self.changed_from(before, self.effect_max()).await? {
            Some(_) => self.settled().await,
            None => Err(self.no_effect(what)),
        }
    }

    fn no_effect(&self, what: &str) -> Stop {
        Stop::Untold(format!(
            "{what} had no effect within {}, although one like it had: if it may take longer, say \
             so with `--effects-within`",
            human_duration(self.effect_max())
        ))
    }

    /// A webhook with a new event of this type.
    pub(super) fn draft_of(&self, event_type: &EventType) -> Result<Draft> {
        self.wire.draft(vec![self.event(event_type, &[])?])
    }
}
