use super::*;
use crate::dispatch::gate::{Gate, MemoryBudget};
use crate::model::{Authentication, Endpoint};
use crate::provider::Providers;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

fn application(number: u128) -> ApplicationId {
    ApplicationId::from_uuid(Uuid::from_u128(number))
}

pub fn endpoint(number: u128) -> EndpointId {
    EndpointId::from_uuid(Uuid::from_u128(number))
}

pub fn recipient(owner: u128, number: u128) -> Arc<Recipient> {
    let time = Timestamp::EPOCH;
    // Its sealed fields can be made only by the vault, or by reading them.
    let endpoint: Endpoint = serde_json::from_value(json!({
        "id": endpoint(number), "application": application(owner), "name": "", "uid": null,
        "description": "", "url": "https://example.org/", "provider": "standard-webhooks",
        "event_filter": [], "channels": [], "metadata": {}, "settings": {}, "headers": [],
        "rate_limit_per_second": null, "concurrency": 16, "state": "Enabled",
        "authentication": "None", "client_identity": null, "secrets": [], "parked_in_a_row": 0,
        "created_at": time, "updated_at": time,
    }))
    .unwrap();
    Arc::new(Recipient {
        endpoint: Arc::new(endpoint),
        provider: Providers::embedded().unwrap().get("standard-webhooks").unwrap(),
        keys: Vec::new(),
        authentication: Authentication::None,
        identity: None,
        gate: Arc::new(Gate::new(MemoryBudget::new(0))),
        term: Arc::default(),
    })
}

pub fn webhook(number: u128) -> ReadyWebhook {
    ReadyWebhook {
        webhook: WebhookId::from_uuid(Uuid::from_u128(number)),
        events: Vec::new(),
        trigger: Trigger::Scheduled,
        attempts: 0,
        scheduled_attempts: 0,
        held: Held::Fresh,
        accepted_due: Timestamp::EPOCH,
        not_before: Timestamp::EPOCH,
        formed: false,
    }
}

/// Lanes 1 to 3 of application 1 and lane 4 of application 2, with ten webhooks in each.
fn lanes() -> Lanes {
    lanes_with(1000)
}

/// The same with that many requests at once.
fn lanes_with(in_flight_max: usize) -> Lanes {
    let mut lanes = Lanes::new(in_flight_max);
    for (owner, number) in [(1, 1), (1, 2), (1, 3), (2, 4)] {
        lanes.open(recipient(owner, number));
        for count in 0..10 {
            assert!(lanes.arrive(endpoint(number), webhook(number * 100 + count)).is_none());
        }
    }
    lanes
}

/// A time that many milliseconds after the start.
fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000).after(Duration::from_millis(millis))
}

/// The lanes of what goes at `now`.
fn departed(lanes: &mut Lanes, now: Timestamp) -> Vec<EndpointId> {
    std::iter::from_fn(|| match lanes.next(now)? {
        Departure::Send(recipient, _) | Departure::Form(recipient, _) => {
            Some(recipient.endpoint.id)
        }
    })
    .collect()
}

#[test]
fn lanes_of_an_application_share_its_limit_in_turn() {
    let mut lanes = lanes();
    lanes.limit(application(1), Some(10));
    let first = departed(&mut lanes, at(0));
    assert_eq!(first[0], endpoint(1));
    assert_eq!(first[1..], [endpoint(4); 10], "another application is not held back");
    for turn in 1..30 {
        assert_eq!(lanes.next_wake(), Some(at(turn * 100)));
        assert!(departed(&mut lanes, at(turn * 100 - 1)).is_empty());
        let next = endpoint(u128::from(turn % 3) + 1);
        assert_eq!(departed(&mut lanes, at(turn * 100)), [next], "turn {turn}");
    }
    assert_eq!(lanes.next_wake(), None, "all are on their way");
}

#[test]
fn a_lane_that_becomes_busy_does_not_overtake_the_line() {
    let mut lanes = lanes();
    lanes.limit(application(1), Some(10));
    departed(&mut lanes, at(0));
    lanes.open(recipient(1, 5));
    lanes.arrive(endpoint(5), webhook(500));
    let order = [100, 200, 300, 400].map(|millis| departed(&mut lanes, at(millis)));
    assert_eq!(order, [2, 3, 1, 5].map(|number| vec![endpoint(number)]));
}

#[test]
fn an_application_gets_no_more_turns_for_having_more_endpoints() {
    let mut lanes = lanes();
    let order = departed(&mut lanes, at(0));
    let last = order.iter().rposition(|lane| *lane == endpoint(4)).unwrap();
    assert_eq!(last, 19, "every other one until it has no more: {order:?}");
    let own = |number| order[..last].iter().filter(|lane| **lane == endpoint(number)).count();
    assert_eq!([1, 2, 3].map(own), [4, 3, 3], "and the three lanes in turn");
}

#[test]
fn an_application_whose_requests_hang_leaves_places_to_others() {
    let mut lanes = lanes_with(8);
    lanes.close(endpoint(4));
    assert_eq!(departed(&mut lanes, at(0)).len(), 4, "half of them");
    lanes.open(recipient(2, 4));
    (400..410).for_each(|number| drop(lanes.arrive(endpoint(4), webhook(number))));
    assert_eq!(departed(&mut lanes, at(0)), [endpoint(4); 2]);
    for number in 400..408 {
        lanes.finished(endpoint(4), webhook(number).webhook, 1, &[]);
        assert_eq!(departed(&mut lanes, at(0)), [endpoint(4)], "its own place again");
    }
    assert_eq!(lanes.in_flight(), 6);
}

#[test]
fn a_turn_that_nobody_takes_goes_to_the_next_in_line() {
    let mut lanes = lanes();
    lanes.limit(application(1), Some(10));
    departed(&mut lanes, at(0));
    assert_eq!(lanes.close(endpoint(2)).len(), 10);
    assert_eq!(departed(&mut lanes, at(100)), [endpoint(3)]);
    assert_eq!(lanes.take_aged(at(200)).len(), 18, "the lanes that are next have nothing left");
    lanes.open(recipient(1, 2));
    lanes.arrive(endpoint(2), webhook(200));
    assert_eq!(departed(&mut lanes, at(200)), [endpoint(2)]);
}

#[test]
fn a_lane_that_is_full_of_requests_gives_its_turn_away() {
    let mut lanes = lanes_with(4);
    lanes.limit(application(1), Some(10));
    let first = departed(&mut lanes, at(0));
    assert_eq!(first, [1, 4, 4].map(endpoint), "as many places are left as application 1 holds");
    assert!(departed(&mut lanes, at(100)).is_empty(), "lane 2 is called, and has to wait");
    assert_eq!(lanes.next_wake(), None, "nothing to wake for until a request is over");
    lanes.close(endpoint(2));
    lanes.finished(endpoint(4), webhook(400).webhook, 1, &[]);
    assert_eq!(departed(&mut lanes, at(150)), [endpoint(3)]);
}

#[test]
fn a_new_limit_counts_at_once_and_the_same_one_changes_nothing() {
    let mut lanes = lanes();
    lanes.limit(application(1), Some(1));
    departed(&mut lanes, at(0));
    lanes.limit(application(1), Some(1));
    assert!(departed(&mut lanes, at(999)).is_empty());
    lanes.limit(application(1), Some(1000));
    assert_eq!(departed(&mut lanes, at(999)), [endpoint(2)]);
    assert_eq!(lanes.next_wake(), Some(at(1000)));
    lanes.limit(application(1), None);
    assert_eq!(departed(&mut lanes, at(999)).len(), 28);
}

#[test]
fn what_is_aged_goes_to_disk_in_parts_and_a_lane_at_once() {
    let mut lanes = Lanes::new(0);
    let lengths = [100, 100, 100, 4000, 1, 255, 256, 257];
    for (number, length) in (1..).zip(lengths) {
        lanes.open(recipient(1, number));
        for count in 0..length {
            lanes.arrive(endpoint(number), webhook(number * 10_000 + count));
        }
    }
    assert!(lanes.take_aged(Timestamp::EPOCH).is_empty(), "nothing is older than that");
    let mut lanes_met = BTreeSet::new();
    let mut total = 0;
    loop {
        let part = lanes.take_aged(at(0));
        let own: BTreeSet<_> = part.iter().map(|(endpoint, _)| *endpoint).collect();
        if own.is_empty() {
            break;
        }
        assert!(own.len() == 1 || part.len() <= SPILL_MAX, "{} of {own:?}", part.len());
        assert!(own.iter().all(|lane| lanes_met.insert(*lane)), "a lane is in two parts");
        for (endpoint, lane) in &lanes.lanes {
            let is_taken = lanes_met.contains(endpoint);
            assert_eq!(lane.recipient.gate.is_closed(), is_taken);
            assert_eq!(lane.ready.is_empty(), is_taken);
        }
        total += part.len();
    }
    assert_eq!(total, 5069);
}

#[test]
fn an_attempt_is_counted_once_whenever_the_next_one_was_loaded() {
    let to = endpoint(4);
    let mut lanes = Lanes::new(1000);
    lanes.open(recipient(2, 4));
    // One was read before the attempt was on record, and one after.
    for attempts in [1, 2] {
        let sent = ReadyWebhook { attempts: 1, ..webhook(7) };
        assert!(lanes.arrive(to, sent).is_none());
        assert!(lanes.next(Timestamp::EPOCH).is_some());
        let place = QueueItem { due: Timestamp::EPOCH, webhook: webhook(7).webhook, manual: true };
        let replay = ReadyWebhook { attempts, held: Held::Queued(place), ..webhook(7) };
        assert!(lanes.arrive(to, replay).is_none());
        lanes.finished(to, webhook(7).webhook, 2, &[]);
        let Some(Departure::Send(_, next)) = lanes.next(Timestamp::EPOCH) else {
            panic!("it goes")
        };
        assert_eq!(next.attempts, 2, "read with {attempts}");
        lanes.finished(to, webhook(7).webhook, 3, &[]);
    }
}
