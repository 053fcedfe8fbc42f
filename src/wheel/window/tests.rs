use super::*;
use crate::model::WebhookId;
use crate::store::MemoryStore;
use std::sync::Mutex;
use uuid::Uuid;

const ENDPOINTS: u128 = 64;

fn endpoint(number: u128) -> EndpointId {
    EndpointId::from_uuid(Uuid::from_u128(number))
}

/// Counts loads.
struct Counting {
    loads: Mutex<usize>,
    /// Told something during the next load.
    window: Mutex<Option<(Window, oneshot::Sender<usize>)>>,
}

impl Counting {
    fn loads(&self) -> usize {
        *self.loads.lock().unwrap()
    }
}

/// The crew, as the window has it.
struct Shared(Arc<Counting>);

impl Crew for Shared {
    fn loaded(&self, _: EndpointId, _: Vec<Loaded>) {}

    fn drained(&self, _: EndpointId) {
        *self.0.loads.lock().unwrap() += 1;
        let Some((window, reply)) = self.0.window.lock().unwrap().take() else { return };
        let webhook = WebhookId::from_uuid(Uuid::from_u128(1));
        let item = QueueItem { due: Timestamp::EPOCH, webhook, manual: false };
        let (held, mut is_held) = oneshot::channel();
        window.tell(Command::Held(endpoint(ENDPOINTS), item, held));
        let crew = Arc::clone(&self.0);
        window.tell(Command::Then(Box::new(move || {
            is_held.try_recv().unwrap();
            reply.send(crew.loads()).unwrap();
        })));
    }

    fn emptied(&self, _: EndpointId) {}

    fn clean(&self, _: Vec<Change>) {}
}

#[tokio::test]
async fn what_is_told_while_many_queues_are_due_waits_for_the_one_that_is_being_loaded() {
    let clock = Clock::manual(Timestamp::from_millis(1000));
    let (window, commands) = Window::door();
    let crew = Arc::new(Counting { loads: Mutex::default(), window: Mutex::default() });
    let store = Arc::new(MemoryStore::new());
    let shared = Arc::new(Shared(Arc::clone(&crew)));
    let application = ApplicationId::from_uuid(Uuid::from_u128(7));
    Window::start(commands, clock.clone(), store, shared, 1024);
    (0..ENDPOINTS).for_each(|number| window.tell(Command::Open(endpoint(number), application)));
    window.barrier().await;
    let due = clock.now().after(Duration::from_secs(1));
    (0..ENDPOINTS).for_each(|number| window.tell(Command::Waiting(endpoint(number), due)));
    assert_eq!((crew.loads(), window.timers().await), (64, 64));
    let (reply, answer) = oneshot::channel();
    *crew.window.lock().unwrap() = Some((window.clone(), reply));
    clock.advance(Duration::from_secs(1));
    assert_eq!(answer.await.unwrap(), 65, "not after all of them");
    window.barrier().await;
    assert_eq!((crew.loads(), window.timers().await), (128, 0));
}
