use super::*;
use crate::dispatch::lanes::SPILL_MAX;
use crate::dispatch::lanes::tests::{endpoint, recipient, webhook};
use crate::model::Timestamp;

/// Takes note of what is to be spilled.
struct Spills(mpsc::UnboundedSender<Vec<(EndpointId, ReadyWebhook)>>);

impl Crew for Spills {
    fn depart(&self, _: Departure) {}

    fn spill(&self, items: Vec<(EndpointId, ReadyWebhook)>) {
        self.0.send(items).unwrap();
    }

    fn refused(&self, _: EndpointId, _: QueueItem) {}
}

#[tokio::test]
async fn one_part_is_spilled_after_the_other() {
    let (sender, mut spills) = mpsc::unbounded_channel();
    let clock = Clock::manual(Timestamp::EPOCH);
    // Nothing departs: all of it waits.
    let dispatcher = Dispatcher::start(clock.clone(), 0, Arc::new(Spills(sender)));
    for number in 1..=4 {
        dispatcher.tell(Command::Open(recipient(1, number)));
        let own = (0..200).map(|count| (endpoint(number), webhook(number * 1000 + count)));
        dispatcher.tell(Command::Arrive(own.collect()));
    }
    dispatcher.barrier().await;
    clock.advance(Duration::from_secs(3));
    for left in (0..4).rev() {
        let part = spills.recv().await.unwrap();
        assert_eq!(part.len(), 200, "two of them are more than {SPILL_MAX}");
        assert!(part.iter().all(|(endpoint, _)| *endpoint == part[0].0));
        clock.advance(Duration::from_secs(3));
        dispatcher.barrier().await;
        assert!(spills.try_recv().is_err(), "the next one waits for it");
        assert_eq!(dispatcher.status().await.ready, left * 200, "in its lane");
        dispatcher.tell(Command::Spilled);
    }
    dispatcher.barrier().await;
    assert!(spills.try_recv().is_err(), "nothing is left");
}
