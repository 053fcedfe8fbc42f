//! What a receiver knows: its secret, the answers it was told to give, what arrived, and the ids of
//! events it has processed.

use super::answer::Answer;
use super::checks::Checked;
use super::connection::{Serve, Way};
use super::consumer::Consumer;
use super::received::Received;
use super::request::Request;
use crate::clock::Clock;
use crate::model::{Secret, Timestamp};
use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, watch};

/// How much of what arrived is kept, in bytes.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How many ids of processed events are remembered: "recent" ones, Citizen Ticket's page says.
const IDS_MAX: usize = 100_000;
/// How far a subscriber may fall behind.
const BACKLOG_MAX: usize = 1024;

/// What the connections of a receiver share.
pub(super) struct Shared {
    consumer: Consumer,
    clock: Clock,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    received: broadcast::Sender<Received>,
}

struct State {
    secret: Secret,
    next: VecDeque<Answer>,
    always: Option<Answer>,
    count: u64,
    requests: VecDeque<Received>,
    kept_bytes: usize,
    processed: Processed,
}

impl Shared {
    pub(super) fn new(consumer: Consumer, secret: String, clock: Clock) -> Self {
        Self {
            consumer,
            clock,
            state: Mutex::new(State {
                secret: Secret::new(secret),
                next: VecDeque::new(),
                always: None,
                count: 0,
                requests: VecDeque::new(),
                kept_bytes: 0,
                processed: Processed::default(),
            }),
            changed: watch::Sender::new(()),
            received: broadcast::Sender::new(BACKLOG_MAX),
        }
    }

    pub(super) fn set_secret(&self, secret: String) {
        self.state().secret = Secret::new(secret);
    }

    pub(super) fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state().next.extend(answers);
    }

    pub(super) fn answer_always(&self, answer: Option<Answer>) {
        self.state().always = answer;
    }

    /// Shows what arrived to `look`. Nothing arrives meanwhile.
    pub(super) fn look<T>(&self, look: impl FnOnce(&[Received]) -> T) -> T {
        look(self.state().requests.make_contiguous())
    }

    /// Tells of each arrival after the call.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn on_received(&self) -> broadcast::Receiver<Received> {
        self.received.subscribe()
    }

    /// Checks and lists a request, tells whoever waits, and decides on the answer.
    fn receive(&self, request: Request) -> Answer {
        let now = self.clock.wall();
        let secret = self.state().secret.clone();
        let checked = self.consumer.check(secret.expose(), &request, now);
        let (received, answer) = self.state().list(request, checked, now);
        // Both fail only when nobody listens.
        let _ = self.received.send(received);
        self.changed.send_replace(());
        answer
    }

    /// A panic of a caller's condition cannot leave the state half changed: conditions only read.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Serve for Shared {
    type Slip = ();

    async fn answer(&self, request: Request, _: Way) -> (Answer, ()) {
        (self.receive(request), ())
    }

    async fn answered(&self, (): (), _: bool) {}

    fn unreadable(&self, _: Way, _: Option<u16>, _: &'static str) {}
}

impl State {
    fn list(
        &mut self,
        request: Request,
        checked: Checked,
        received_at: Timestamp,
    ) -> (Received, Answer) {
        let told = if request.method == "POST" {
            self.next.pop_front().or_else(|| self.always.clone())
        } else {
            None
        };
        let answer = told.unwrap_or(checked.answer);
        let duplicate = self.processed.contains_all(&checked.event_ids);
        let succeeded = answer.code().is_some_and(|code| (200..300).contains(&code));
        if succeeded {
            self.processed.add(&checked.event_ids);
        }
        self.count += 1;
        let received = Received {
            number: self.count,
            method: request.method,
            target: request.target,
            headers: request.headers,
            head: request.head,
            body: request.body,
            verdict: checked.verdict,
            answered: answer.code(),
            event_ids: checked.event_ids,
            duplicate,
            received_at,
        };
        self.kept_bytes += received.size();
        self.requests.push_back(received.clone());
        while self.kept_bytes > KEPT_BYTES_MAX
            && self.requests.len() > 1
            && let Some(oldest) = self.requests.pop_front()
        {
            self.kept_bytes -= oldest.size();
        }
        (received, answer)
    }
}

/// The ids of the latest processed events.
#[derive(Default)]
struct Processed {
    ids: HashSet<String>,
    in_order: VecDeque<String>,
}

impl Processed {
    /// Whether there are `ids`, and all of them were processed.
    fn contains_all(&self, ids: &[String]) -> bool {
        !ids.is_empty() && ids.iter().all(|id| self.ids.contains(id))
    }

    fn add(&mut self, ids: &[String]) {
        for id in ids {
            if self.ids.insert(id.clone()) {
                self.in_order.push_back(id.clone());
            }
        }
        while self.in_order.len() > IDS_MAX
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_the_latest_is_kept() {
        let shared = Shared::new(Consumer::Unchecked, String::new(), Clock::system());
        for _ in 0..70 {
            shared.receive(Request { body: vec![0; 1024 * 1024], ..Request::default() });
        }
        shared.look(|requests| {
            assert_eq!(requests.last().unwrap().number, 70);
            assert_eq!(requests.len(), 63, "64 MiB with what goes beside the bodies");
        });
    }

    #[test]
    fn the_oldest_ids_are_forgotten() {
        let mut processed = Processed::default();
        for number in 0..=IDS_MAX {
            processed.add(&[number.to_string()]);
        }
        assert!(!processed.contains_all(&["0".to_owned()]));
        assert!(processed.contains_all(&["1".to_owned(), IDS_MAX.to_string()]));
        assert!(!processed.contains_all(&["1".to_owned(), "new".to_owned()]));
    }
}
