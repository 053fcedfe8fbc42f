//! What an attempt makes of its webhook: succeeded, waiting, exhausted, parked.
//!
//! A pure function; the engine commits what it says.

use crate::model::{
    AttemptOutcome, DeliveryState, Held, QueueItem, QueueProgress, ReadyWebhook, Timestamp, Trigger,
};
use crate::provider::Provider;
use crate::schedule::Next;

/// What follows from an attempt.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// The state of the webhook's deliveries from now on; `None` leaves it as it stood.
    pub state: Option<DeliveryState>,
    /// What leaves the queue.
    pub dequeue: Vec<QueueItem>,
    /// What enters it.
    pub enqueue: Option<QueueItem>,
    /// How far that has come.
    pub progress: QueueProgress,
    /// Keep it in its lane, if that is still served, first in line until it is due: its endpoint is
    /// served in order.
    pub stays_first: bool,
    /// What it means for the endpoint.
    pub effect: Effect,
    /// What the platform is to be told of.
    pub news: Option<News>,
}

impl Verdict {
    /// Whether no attempt of the schedule is left, and the webhook was not accepted.
    pub fn gives_up(&self) -> bool {
        matches!(self.state, Some(DeliveryState::Exhausted { .. }))
            || matches!(self.effect, Effect::Park(_))
    }
}

/// Failed attempts of the schedule from which on a webhook is failing: as many as Svix waits for.
const FAILING_ATTEMPTS: u32 = 4;

/// What a platform may want to know of a webhook, each of them said once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    /// The fourth attempt failed, and more are to come.
    Failing,
    /// The last attempt failed.
    Exhausted,
    /// It was failing or exhausted, and was accepted now.
    Recovered,
}

/// What an attempt means for the endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing.
    None,
    /// It accepted something.
    Accepted,
    /// It said that it is gone, in the provider's way: nothing more is sent.
    Disable(String),
    /// It has failed for as long as its own policy bears.
    GiveUp(String),
    /// The provider keeps the queue until it answers its challenge.
    Park(String),
}

/// What the verdict goes by.
pub struct Facts<'a> {
    /// The provider.
    pub provider: &'a Provider,
    /// What was sent.
    pub item: &'a ReadyWebhook,
    /// What came of it.
    pub outcome: &'a AttemptOutcome,
    /// The schedule's time, at the end of the attempt.
    pub now: Timestamp,
    /// The wall clock's time.
    pub wall: Timestamp,
    /// A random number in 0..1, for jitter.
    pub random: f64,
    /// Whether the endpoint is served in order.
    pub ordered: bool,
    /// For a manual attempt: the scheduled one that still waits, and how far it has come.
    pub scheduled: Option<(QueueItem, QueueProgress)>,
    /// For a manual attempt: whether the webhook was exhausted before.
    pub was_exhausted: bool,
}

impl Facts<'_> {
    /// Whether the webhook was failing or exhausted before this attempt.
    fn was_in_trouble(&self) -> bool {
        let made = match self.item.trigger {
            Trigger::Scheduled => self.item.scheduled_attempts,
            Trigger::Manual => self.scheduled.map_or(0, |(_, held)| held.scheduled_attempts),
            Trigger::Test => 0,
        };
        self.was_exhausted || made >= FAILING_ATTEMPTS
    }
}

/// Decides what follows from an attempt.
pub fn decide(facts: &Facts<'_>) -> Verdict {
    let own = match facts.item.held {
        Held::Queued(item) => Some(item),
        Held::Fresh => None,
    };
    let mut verdict = Verdict {
        state: None,
        dequeue: own.into_iter().collect(),
        enqueue: None,
        progress: QueueProgress {
            attempts: facts.item.attempts + 1,
            scheduled_attempts: facts.item.scheduled_attempts + 1,
            not_before: Timestamp::EPOCH,
        },
        stays_first: false,
        effect: Effect::None,
        news: None,
    };
    if facts.outcome.is_success() {
        verdict.state = Some(DeliveryState::Succeeded { at: facts.wall });
        verdict.effect = Effect::Accepted;
        verdict.news = facts.was_in_trouble().then_some(News::Recovered);
        verdict.dequeue.extend(facts.scheduled.map(|(place, _)| place));
        return verdict;
    }
    if facts.outcome.response().is_some_and(|answer| facts.provider.gone_disables(answer.status)) {
        verdict.effect =
            Effect::Disable(format!("the endpoint answered {}", answered(facts.outcome)));
    }
    match facts.item.trigger {
        // A failed replay leaves the schedule as it stands, but for the number of attempts.
        Trigger::Manual => {
            if let Some((place, progress)) = facts.scheduled {
                verdict.enqueue = Some(place);
                verdict.progress = QueueProgress { attempts: progress.attempts + 1, ..progress };
            }
        }
        Trigger::Test => verdict.state = Some(DeliveryState::Exhausted { at: facts.wall }),
        Trigger::Scheduled => after_failure(facts, own, &mut verdict),
    }
    verdict
}

fn after_failure(facts: &Facts<'_>, own: Option<QueueItem>, verdict: &mut Verdict) {
    let item = facts.item;
    let made = item.scheduled_attempts.saturating_add(1);
    let next =
        facts.provider.schedule().next(made, facts.outcome.response(), facts.wall, facts.random);
    verdict.news = (made == FAILING_ATTEMPTS).then_some(News::Failing);
    match next {
        Next::Retry(delay) => {
            let due = facts.now.after(delay);
            verdict.state = Some(DeliveryState::Waiting { due });
            if facts.ordered {
                let place = own.unwrap_or_else(|| in_line(item));
                verdict.dequeue.clear();
                verdict.enqueue = Some(place);
                verdict.stays_first = true;
                verdict.progress.not_before = due;
            } else {
                verdict.enqueue = Some(QueueItem { due, webhook: item.webhook, manual: false });
            }
        }
        Next::GiveUp if facts.provider.exhausted_parks() => {
            // It goes back to where it came in, so that the queue goes out in order one day.
            let place = in_line(item);
            verdict.dequeue.retain(|held| *held != place);
            verdict.state = Some(DeliveryState::Waiting { due: facts.now });
            verdict.enqueue = Some(place);
            // For the case that it is not parked, having another URL by now.
            verdict.stays_first = true;
            verdict.effect = Effect::Park(format!(
                "{made} attempts failed, the last with {}",
                answered(facts.outcome)
            ));
        }
        Next::GiveUp => {
            verdict.state = Some(DeliveryState::Exhausted { at: facts.wall });
            verdict.news = Some(News::Exhausted);
        }
    }
}

/// The item's place by the time at which its event was accepted.
fn in_line(item: &ReadyWebhook) -> QueueItem {
    QueueItem { due: item.accepted_due, webhook: item.webhook, manual: false }
}

/// The outcome in a few words.
pub fn answered(outcome: &AttemptOutcome) -> String {
    match outcome {
        AttemptOutcome::Accepted(answer) | AttemptOutcome::Rejected(answer) => {
            format!("status {}", answer.status)
        }
        AttemptOutcome::Failed(failure) => failure.kind.explain().to_owned(),
    }
}
