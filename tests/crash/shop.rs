//! The shop whose webhooks are sent: one endpoint of each provider that differs in what a crash
//! could harm, each at an address of its own.

use hookwheel::model::WebhookId;
use hookwheel::simulate::receiver::{Consumer, Receiver, Setup};
use hookwheel::{
    ApplicationId, Clock, EndpointId, Engine, Event, NewApplication, NewEndpoint, Secret,
};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many endpoints there are.
pub const ENDPOINTS: usize = 4;
/// The one whose secret is rotated: its receiver takes everything; signatures are checked later.
pub const ROTATED: usize = 0;
/// TicketNation's body never changes, Citizen Ticket's is stamped anew, Standard Webhooks has its
/// id and time in headers, and GoCardless sends several events at once.
const CONSUMERS: [Consumer; ENDPOINTS] = [
    Consumer::TicketNation,
    Consumer::CitizenTicket,
    Consumer::StandardWebhooks,
    Consumer::GoCardless,
];

/// An endpoint of the shop.
pub struct Door {
    pub consumer: Consumer,
    pub endpoint: EndpointId,
    secret: Secret,
    address: SocketAddr,
}

/// The shop and where its engine keeps everything.
pub struct Shop {
    pub folder: PathBuf,
    pub application: ApplicationId,
    pub doors: Vec<Door>,
}

impl Shop {
    /// Founds it in a new data folder.
    pub async fn found(folder: &Path) -> Self {
        let engine = open(folder, Clock::system()).await;
        let application = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
        let mut doors = Vec::new();
        for (consumer, address) in CONSUMERS.into_iter().zip(addresses()) {
            let url = format!("http://{address}/webhooks");
            let new = NewEndpoint::new(url).provider(consumer.name());
            let created = engine.create_endpoint(application, new).await.unwrap();
            let (endpoint, secret) = (created.endpoint.id, created.secret);
            doors.push(Door { consumer, endpoint, secret, address });
        }
        engine.close().await.unwrap();
        Self { folder: folder.to_owned(), application, doors }
    }

    /// The endpoint whose secret is rotated.
    pub fn rotated_endpoint(engine: &Engine, application: ApplicationId) -> EndpointId {
        let name = CONSUMERS[ROTATED].name();
        let endpoints = engine.endpoints(application).unwrap();
        endpoints.iter().find(|endpoint| endpoint.provider == name).unwrap().id
    }

    /// The secret that the rotated endpoint began with.
    pub fn first_secret(&self) -> &str {
        self.doors[ROTATED].secret.expose()
    }

    /// The receivers of all endpoints, with nothing seen yet.
    pub async fn receivers(&self, clock: &Clock) -> Vec<Receiver> {
        let mut receivers = Vec::new();
        for (at, door) in self.doors.iter().enumerate() {
            let consumer = if at == ROTATED { Consumer::Unchecked } else { door.consumer };
            let setup = Setup { address: door.address, clock: clock.clone(), ..Setup::default() };
            let secret = door.secret.expose();
            receivers.push(Receiver::start_with(consumer, secret, setup).await.unwrap());
        }
        receivers
    }
}

/// Opens the engine, once the process that was killed has let the folder go.
pub async fn open(folder: &Path, clock: Clock) -> Engine {
    Engine::builder().data_folder(folder).development().clock(clock).open().await.unwrap()
}

/// Addresses that no outgoing connection takes meanwhile: below the ports that those are given, and
/// in a part of 127.0.0.0/8 that is this process's own.
fn addresses() -> impl Iterator<Item = SocketAddr> {
    let [.., high, low] = std::process::id().to_be_bytes();
    let own = IpAddr::from(Ipv4Addr::new(127, 77, high, low));
    (18_101..).map(move |port| SocketAddr::new(own, port))
}

impl Door {
    /// The id by which the receiver knows a webhook again, from its headers and body.
    pub fn wire_id(&self, header: impl Fn(&str) -> Option<String>, body: &[u8]) -> String {
        if self.consumer == Consumer::StandardWebhooks {
            return header("webhook-id").unwrap();
        }
        let body: Value = serde_json::from_slice(body).unwrap();
        let id = match self.consumer {
            Consumer::GoCardless => &body["meta"]["webhook_id"],
            _ => &body["id"],
        };
        id.as_str().unwrap().to_owned()
    }

    /// The id on the wire of the webhook that carries `event`.
    pub fn expected_wire_id(&self, engine: &Engine, event: &Event, webhook: WebhookId) -> String {
        let provider = engine.provider(self.consumer.name()).unwrap();
        match self.consumer {
            Consumer::GoCardless => provider.webhook_wire_id(webhook),
            _ => provider.event_wire_id(event),
        }
    }

    /// What of a body never changes between attempts.
    pub fn lasting(&self, body: &[u8]) -> Vec<u8> {
        if self.consumer != Consumer::CitizenTicket {
            return body.to_vec();
        }
        let mut value: Value = serde_json::from_slice(body).unwrap();
        let stamp = value.as_object_mut().unwrap().remove("timestamp");
        assert!(stamp.is_some_and(|stamp| stamp.is_string()), "the provider stamps its bodies");
        serde_json::to_vec(&value).unwrap()
    }

    /// How long after the failed attempt of this number, counting the schedule's own from 1, the
    /// next one is due: the least and the most.
    pub fn delay(&self, attempt: usize) -> (Duration, Duration) {
        let seconds: &[u64] = match self.consumer {
            Consumer::TicketNation => &[30, 300, 3000],
            Consumer::CitizenTicket => &[30, 300, 1800, 7200, 21_600],
            Consumer::StandardWebhooks => &[5, 300, 1800, 7200, 18_000],
            _ => &[60, 120, 600, 1800, 3600],
        };
        let delay = Duration::from_secs(seconds[attempt - 1]);
        match self.consumer {
            // Its schedule has a jitter of a tenth.
            Consumer::StandardWebhooks => (delay.mul_f64(0.9), delay.mul_f64(1.1)),
            _ => (delay, delay),
        }
    }
}
