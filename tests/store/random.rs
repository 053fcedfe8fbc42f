//! The same random history told to both stores, the embedded one closed and opened in between:
//! every look-up gives the same.

mod comparing;

use crate::world::*;
use hookwheel::model::{
    DeliveryId, DeliveryState, EndpointId, EventId, QueueItem, SkipReason, Trigger, WebhookId,
};
use hookwheel::store::{
    Acceptance, Batch, Change, Expiry, Expunge, MemoryStore, Place, Record, SledStore, Store,
    ledger,
};
use proptest::prelude::*;
use tempfile::TempDir;

/// One thing that happens; numbers choose among what there is then.
#[derive(Clone, Debug)]
enum Step {
    Accept { places: Vec<[u8; 3]>, bytes: u16, keyed: bool },
    Attempt { of: u16, outcome: u8, twice: bool },
    Spill(u16),
    Form { endpoint: u16, most: u8 },
    Replay(u16),
    Recover(u16),
    Deliver { event: u16, endpoint: u16 },
    CancelReplay(u16),
    DeleteEndpoint(u16),
    Expunge(u16),
    ExpungeAttempt(u16),
    Expire { before: u16, keys_before: u16, step: u8 },
    Reopen,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let places = prop::collection::vec(any::<[u8; 3]>(), 1..6);
    prop_oneof![
        8 => (places, 2..3000_u16, any::<bool>())
            .prop_map(|(places, bytes, keyed)| Step::Accept { places, bytes, keyed }),
        12 => (any::<u16>(), any::<u8>(), prop::bool::weighted(0.1))
            .prop_map(|(of, outcome, twice)| Step::Attempt { of, outcome, twice }),
        3 => any::<u16>().prop_map(Step::Spill),
        3 => (any::<u16>(), 1..6_u8).prop_map(|(endpoint, most)| Step::Form { endpoint, most }),
        2 => any::<u16>().prop_map(Step::Replay),
        2 => any::<u16>().prop_map(Step::Recover),
        2 => any::<[u16; 2]>()
            .prop_map(|[event, endpoint]| Step::Deliver { event, endpoint }),
        1 => any::<u16>().prop_map(Step::CancelReplay),
        1 => any::<u16>().prop_map(Step::DeleteEndpoint),
        2 => any::<u16>().prop_map(Step::Expunge),
        1 => any::<u16>().prop_map(Step::ExpungeAttempt),
        2 => (any::<u16>(), any::<u16>(), 1..5_u8).prop_map(|(before, keys_before, step)| {
            Step::Expire { before, keys_before, step }
        }),
        2 => Just(Step::Reopen),
        1 => Just(Step::Close),
    ]
}

/// Both stores, and what was told to them.
struct Pair {
    memory: MemoryStore,
    sled: Option<SledStore>,
    folder: TempDir,
    /// The number of what happens next.
    now: u64,
    events: Vec<u64>,
    deliveries: Vec<(u64, EndpointId)>,
    webhooks: Vec<WebhookId>,
    /// Endpoints that are not deleted, and how many there ever were.
    endpoints: Vec<EndpointId>,
    endpoint_count: u64,
    /// Accepted, and committed with what happens next.
    pending: Batch,
    keys_before: u64,
}

/// The element that `number` chooses.
fn choose<T: Copy>(of: &[T], number: u16) -> Option<T> {
    of.get(usize::from(number).checked_rem(of.len())?).copied()
}

impl Pair {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut pair = Self {
            memory: MemoryStore::new(),
            sled: Some(sled_in(folder.path())),
            folder,
            now: 10,
            events: Vec::new(),
            deliveries: Vec::new(),
            webhooks: Vec::new(),
            endpoints: Vec::new(),
            endpoint_count: 0,
            pending: Batch::default(),
            keys_before: 0,
        };
        (0..3).for_each(|_| pair.add_endpoint());
        pair
    }

    fn sled(&self) -> &SledStore {
        self.sled.as_ref().unwrap()
    }

    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn commit(&mut self, record: Vec<Record>, change: Vec<Change>) {
        let accept = std::mem::take(&mut self.pending.accept);
        let batch = Batch { accept, record, change };
        self.memory.commit(&batch).unwrap();
        self.sled().commit(&batch).unwrap();
    }

    fn add_endpoint(&mut self) {
        self.endpoint_count += 1;
        let id = endpoint(self.endpoint_count);
        self.endpoints.push(id);
        self.commit(vec![], vec![Change::Endpoint(Box::new(stored_endpoint(id, false)))]);
    }

    /// A delivery whose event is still there, with its event and where it stands.
    fn delivery(&self, number: u16) -> Option<(Acceptance, EndpointId, ledger::Ledger)> {
        let (n, endpoint) = choose(&self.deliveries, number)?;
        let acceptance = self.memory.acceptance(event(n)).unwrap()?;
        let entries = self.memory.entries(event(n).as_u128(), false).unwrap();
        let ledger = ledger::ledger_of(&self.memory, &acceptance, &entries, endpoint).unwrap()?;
        Some((acceptance, endpoint, ledger))
    }

    fn accept(&mut self, places: &[[u8; 3]], bytes: u16, keyed: bool) {
        let application = application(u64::from(bytes % 2));
        for chosen in places {
            let n = self.tick();
            let mut to = Vec::new();
            for (id, place) in self.endpoints.iter().zip(chosen) {
                to.push(match place % 7 {
                    0..3 => (*id, Place::Fresh),
                    3 => (*id, Place::Queued),
                    4 => (*id, Place::Once),
                    5 => (*id, Place::Skipped(SkipReason::EndpointDisabled)),
                    _ => continue,
                });
            }
            self.events.push(n);
            self.deliveries.extend(to.iter().map(|(id, _)| (n, *id)));
            self.pending.accept.push(accepted_with(n, &to, |event| {
                event.application = application;
                event.data = data_of(usize::from(bytes) * 20 + 10);
                event.uid = keyed.then(|| format!("uid-{n}"));
                event.idempotency_key = keyed.then(|| format!("key-{}", n % 7));
            }));
        }
    }

    fn attempt(&mut self, of: u16, outcome: u8, twice: bool) {
        let n = self.tick();
        let Some((acceptance, endpoint, ledger)) = self.delivery(of) else { return };
        let scheduled = !ledger.state.is_final();
        let later = n + u64::from(outcome);
        let (state, trigger) = match (scheduled, outcome % 4) {
            (true, 0) => (Some(succeeded(n)), Trigger::Scheduled),
            (true, 1) => (Some(exhausted(n)), Trigger::Scheduled),
            (true, _) => (Some(waiting_until(later)), Trigger::Scheduled),
            (false, 0) => (Some(succeeded(n)), Trigger::Manual),
            (false, _) => (None, Trigger::Manual),
        };
        // What is expunged is not sent; a replay that was on its way is recorded all the same.
        let loaded = ledger::load(&self.memory, ledger.webhook).unwrap();
        let mut made = attempt(n, ledger.webhook, ledger.attempts + 1, "");
        made.trigger = trigger;
        made.request.body = acceptance.event.data.bytes();
        let mut record = record(endpoint, &acceptance, made, state);
        if let Some(loaded) = loaded {
            record.events = loaded.events;
        }
        if state.is_some() {
            record.dequeue = self.memory.due(endpoint, 99_999);
            record.dequeue.retain(|item| item.webhook == ledger.webhook && !item.manual);
        }
        let times = if twice { 2 } else { 1 };
        self.commit(vec![record; times], vec![]);
    }

    fn spill(&mut self, number: u16) {
        let fresh = self.memory.fresh().unwrap();
        let Some(at) = usize::from(number).checked_rem(fresh.len()) else { return };
        let (endpoint, held) = &fresh[at];
        let webhook = WebhookId::from_uuid(held.event.id.uuid());
        let item = QueueItem { due: held.due, webhook, manual: false };
        self.commit(vec![], vec![Change::Spill(*endpoint, item)]);
    }

    /// Forms a webhook of what was never tried.
    fn form(&mut self, number: u16, most: u8) {
        let n = self.tick();
        let Some(endpoint) = choose(&self.endpoints, number) else { return };
        let fresh = self.memory.fresh().unwrap().into_iter();
        let mut events: Vec<(EventId, Option<QueueItem>)> = fresh
            .filter(|(held, _)| *held == endpoint)
            .map(|(_, held)| (held.event.id, None))
            .collect();
        for item in self.memory.due(endpoint, 99_999).into_iter().take(5) {
            let loaded = ledger::load(&self.memory, item.webhook).unwrap();
            let Some(loaded) = loaded.filter(|loaded| !loaded.is_formed) else { continue };
            let ledger = ledger::ledger(&self.memory, endpoint, item.webhook).unwrap().unwrap();
            if ledger.attempts == 0 && !item.manual && !ledger.state.is_final() {
                events.push((loaded.events[0].id, Some(item)));
            }
        }
        events.truncate(usize::from(most));
        let Some((_, _)) = events.first() else { return };
        let mut webhook = formed(n, endpoint, &[], n);
        webhook.events = events.iter().map(|(event, _)| *event).collect();
        self.webhooks.push(webhook.id);
        let dequeue = events.into_iter().filter_map(|(_, item)| item).collect();
        self.commit(vec![], vec![Change::Form { webhook, dequeue }]);
    }

    fn replay(&mut self, number: u16) {
        let n = self.tick();
        let Some((_, endpoint, ledger)) = self.delivery(number) else { return };
        let item = QueueItem { due: time(n), webhook: ledger.webhook, manual: true };
        self.commit(vec![], vec![Change::Enqueue(endpoint, item)]);
    }

    fn recover(&mut self, number: u16) {
        let n = self.tick();
        let Some((acceptance, endpoint, ledger)) = self.delivery(number) else { return };
        let single = ledger.webhook.uuid() == acceptance.event.id.uuid();
        if single && matches!(ledger.state, DeliveryState::Skipped { .. }) {
            let delivery = DeliveryId { event: acceptance.event.id, endpoint };
            let enqueue = QueueItem { due: time(n), webhook: ledger.webhook, manual: false };
            let state = waiting_until(n);
            self.commit(vec![], vec![Change::Move { delivery, state, enqueue, attempts: 0 }]);
        }
    }

    /// Sends an event to an endpoint that it did not go to.
    fn deliver(&mut self, number: u16, to: u16) {
        self.commit(vec![], vec![]);
        let n = self.tick();
        let (Some(of), Some(endpoint)) =
            (choose(&self.events, number), choose(&self.endpoints, to))
        else {
            return;
        };
        let Some(happened) = self.memory.happened(&[event(of)], usize::MAX).unwrap().pop() else {
            return;
        };
        if !happened.endpoints().contains(&endpoint) {
            self.deliveries.push((of, endpoint));
            let delivery = DeliveryId { event: event(of), endpoint };
            self.commit(vec![], vec![Change::Deliver { delivery, enqueue: place(of, n) }]);
        }
    }

    fn cancel_replay(&mut self, number: u16) {
        let Some((_, endpoint)) = choose(&self.deliveries, number) else { return };
        let queue = self.memory.due(endpoint, 99_999);
        if let Some(item) = queue.into_iter().find(|item| item.manual) {
            self.commit(vec![], vec![Change::Dequeue(endpoint, item)]);
        }
    }

    fn delete_endpoint(&mut self, number: u16) {
        let Some(id) = choose(&self.endpoints, number) else { return };
        // What is on its way to it is stored first.
        self.commit(vec![], vec![]);
        self.endpoints.retain(|held| *held != id);
        self.commit(vec![], vec![Change::Endpoint(Box::new(stored_endpoint(id, true)))]);
        self.add_endpoint();
    }

    /// Both must expunge, or refuse for the same reason.
    fn expunge(&mut self, expunge: Expunge) {
        self.commit(vec![], vec![]);
        let kind = |store: &dyn Store| store.expunge(expunge).map_err(|error| error.kind());
        assert_eq!(kind(&self.memory), kind(self.sled()));
    }

    fn expunge_event(&mut self, number: u16) {
        let Some(n) = choose(&self.events, number) else { return };
        self.expunge(Expunge::Event(event(n)));
    }

    /// The first attempt of a delivery's webhook, or one that nobody made.
    fn expunge_attempt(&mut self, number: u16) {
        let Some((acceptance, _, ledger)) = self.delivery(number) else { return };
        let made = self.memory.entries(ledger.webhook.as_u128(), true).unwrap();
        let made = made.into_iter().find_map(|entry| entry.attempt);
        let id = made.map_or(attempt_id(0), |attempt| attempt.id);
        self.expunge(Expunge::Attempt(acceptance.event.id, id));
    }

    fn expire(&mut self, before: u16, keys_before: u16, step: u8) {
        let before = u64::from(before) % (self.now + 1);
        self.keys_before = self.keys_before.max(u64::from(keys_before) % (self.now + 1));
        let cutoff = |id| if id == application(0) { time(before / 2) } else { time(before) };
        let rounds = |store: &dyn Store| {
            let mut events = 0;
            loop {
                let expired = store
                    .expire(&Expiry {
                        cutoff: &cutoff,
                        newest_cutoff: time(before),
                        idempotency_cutoff: time(self.keys_before),
                        step: usize::from(step),
                    })
                    .unwrap();
                events += expired.events;
                if expired.round_over {
                    return events;
                }
            }
        };
        assert_eq!(rounds(&self.memory), rounds(self.sled()));
    }

    fn carry_out(&mut self, step: &Step) {
        match step {
            Step::Accept { places, bytes, keyed } => self.accept(places, *bytes, *keyed),
            Step::Attempt { of, outcome, twice } => self.attempt(*of, *outcome, *twice),
            Step::Spill(number) => self.spill(*number),
            Step::Form { endpoint, most } => self.form(*endpoint, *most),
            Step::Replay(number) => self.replay(*number),
            Step::Recover(number) => self.recover(*number),
            Step::Deliver { event, endpoint } => self.deliver(*event, *endpoint),
            Step::CancelReplay(number) => self.cancel_replay(*number),
            Step::DeleteEndpoint(number) => self.delete_endpoint(*number),
            Step::Expunge(number) => self.expunge_event(*number),
            Step::ExpungeAttempt(number) => self.expunge_attempt(*number),
            Step::Expire { before, keys_before, step } => {
                self.expire(*before, *keys_before, *step);
            }
            Step::Reopen => {
                self.sled = None;
                self.sled = Some(sled_in(self.folder.path()));
            }
            Step::Close => self.sled().close().unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_tell_the_same_history(steps in prop::collection::vec(step(), 1..60)) {
        let mut pair = Pair::new();
        for (at, step) in steps.iter().enumerate() {
            pair.carry_out(step);
            if at % 8 == 7 {
                pair.compare();
            }
        }
        pair.compare();
        pair.carry_out(&Step::Reopen);
        pair.compare();
    }
}
