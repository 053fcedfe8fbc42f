//! An engine in this process with endpoints at the sink, and the load on it.

use super::load::{all, body};
use super::sink::{SECRET, Sink};
use crate::clock::{self, Clock, Stopwatch};
use crate::dispatch::Resolve;
use crate::engine::{Engine, NewAccessToken, NewApplication, NewEndpoint, NewEvent};
use crate::error::{Error, Result};
use crate::model::{ApplicationId, EndpointId, EventType, Mode, Payload, Secret, Timestamp};
use async_trait::async_trait;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Tasks that emit at once.
const EMITTERS: u32 = 512;
/// How often it is looked at what is on record, before what is missing is given up,
const LOOKS_MAX: u32 = 100;
/// and the time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What every event is called.
const EVENT_TYPE: &str = "order.created";

/// Who the endpoints belong to, and how they are served.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// Applications.
    pub(super) tenants: u32,
    /// Endpoints of each, which all get its events.
    pub(super) endpoints: u32,
    /// Requests in flight at once, of each endpoint.
    pub(super) concurrency: u32,
    /// The provider.
    pub(super) provider: &'static str,
    /// Whether the endpoints have host names of their own, as customers do, and so do not share
    /// connections. Only the engine in this process can look them up.
    pub(super) named: bool,
}

impl Layout {
    /// One endpoint that may have as many connections as the floor's client.
    pub(super) const SINGLE: Self = Self {
        tenants: 1,
        endpoints: 1,
        concurrency: super::load::CONNECTIONS,
        provider: "ticketnation",
        named: false,
    };
}

/// An application with its endpoints.
#[derive(Clone)]
pub(super) struct Tenant {
    pub(super) application: ApplicationId,
    pub(super) endpoints: Vec<EndpointId>,
}

/// The tenants that events go to in turn, and what they got: what outlives an engine.
#[derive(Clone)]
pub(super) struct Cast {
    pub(super) tenants: Arc<[Tenant]>,
    /// The number of the next event: each before it is to be on record.
    pub(super) next: u32,
    /// When the first event was emitted, or before.
    pub(super) since: Timestamp,
}

impl Cast {
    /// The first tenant.
    pub(super) fn lead(&self) -> Result<&Tenant> {
        self.tenants.first().ok_or_else(|| Error::internal("the stage has no tenants"))
    }
}

/// An engine, and whom it serves.
pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) cast: Cast,
}

/// An event that was emitted.
pub(super) struct Emission {
    pub(super) number: u32,
    /// How long `emit` took: until the event was on stable storage.
    pub(super) took: Duration,
    /// When it returned, in microseconds of the machine's clock.
    pub(super) returned: i64,
}

/// Whatever its name, a host of ours is this machine.
struct AllHere;

#[async_trait]
impl Resolve for AllHere {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
    }
}

impl Stage {
    /// Opens an engine on a folder where none was, with endpoints at the sink.
    pub(super) async fn make(folder: &Path, layout: Layout, sink: &Sink) -> Result<Self> {
        let mut stage = Self::empty(folder).await?;
        stage.add(layout, 0, sink).await?;
        Ok(stage)
    }

    /// Opens an engine on a folder where none was, which has nobody to serve.
    pub(super) async fn empty(folder: &Path) -> Result<Self> {
        let since = Clock::system().wall();
        let nobody = Cast { tenants: Arc::new([]), next: 0, since };
        Self::resume(folder, nobody).await
    }

    /// Opens an engine on the folder of another that was closed, or killed.
    pub(super) async fn resume(folder: &Path, cast: Cast) -> Result<Self> {
        let builder = Engine::builder().development().resolver(AllHere);
        let engine = builder.data_folder(folder).open().await?;
        Ok(Self { engine, cast })
    }

    /// Makes tenants, to whom events go from now on. The sink knows their endpoints by numbers from
    /// `first` on.
    pub(super) async fn add(&mut self, layout: Layout, first: u32, sink: &Sink) -> Result<()> {
        let mut tenants = Vec::new();
        for tenant in 0..layout.tenants {
            let new = NewApplication::new(format!("Tenant {tenant}"));
            let application = self.engine.create_application(new).await?.id;
            let mut endpoints = Vec::new();
            for endpoint in 0..layout.endpoints {
                let number = first + tenant * layout.endpoints + endpoint;
                let port = sink.address().port();
                let host = match layout.named {
                    true => format!("endpoint-{number}.test"),
                    false => Ipv4Addr::LOCALHOST.to_string(),
                };
                let mut new = NewEndpoint::new(format!("http://{host}:{port}/hooks/{number}"))
                    .provider(layout.provider)
                    .secret(SECRET);
                new.concurrency = layout.concurrency;
                endpoints.push(self.engine.create_endpoint(application, new).await?.endpoint.id);
            }
            tenants.push(Tenant { application, endpoints });
        }
        self.cast.tenants = tenants.into();
        Ok(())
    }

    /// A token that opens the engine's API.
    pub(super) async fn token(&self) -> Result<Secret> {
        let new = NewAccessToken { name: "measure".to_owned(), ..NewAccessToken::default() };
        self.engine.create_access_token(new).await.map(|(_, text)| text)
    }

    /// The numbers of the next `count` events.
    pub(super) fn numbers(&mut self, count: u32) -> Range<u32> {
        let numbers = self.cast.next..self.cast.next + count;
        self.cast.next = numbers.end;
        numbers
    }

    /// Emits an event for each number, to the tenants in turn: as fast as it goes, or so many a
    /// second.
    pub(super) async fn emit(
        &self,
        numbers: Range<u32>,
        rate: Option<f64>,
    ) -> Result<Vec<Emission>> {
        let begin = Stopwatch::start();
        let mut emitting = JoinSet::new();
        for first in numbers.clone().take(EMITTERS as usize) {
            let (engine, tenants) = (self.engine.clone(), Arc::clone(&self.cast.tenants));
            let numbers = numbers.clone();
            emitting.spawn(async move {
                let mut emissions = Vec::new();
                for number in (first..numbers.end).step_by(EMITTERS as usize) {
                    if let Some(rate) = rate {
                        let due = Duration::from_secs_f64(f64::from(number - numbers.start) / rate);
                        clock::pause(due.saturating_sub(begin.elapsed())).await;
                    }
                    emissions.push(emit(&engine, &tenants, number).await?);
                }
                Ok(emissions)
            });
        }
        Ok(all(emitting).await?.into_iter().flatten().collect())
    }

    /// Emits `events` as fast as it goes until all deliveries arrived and are on record, and checks
    /// that they did; deliveries a second.
    pub(super) async fn throughput(&mut self, sink: &Sink, events: u32) -> Result<f64> {
        sink.clear()?;
        let numbers = self.numbers(events);
        let begin = Stopwatch::start();
        self.emit(numbers, None).await?;
        self.engine.settle().await;
        let elapsed = begin.elapsed();
        let deliveries = events as usize * self.cast.lead()?.endpoints.len();
        sink.check(0, deliveries)?;
        Ok(deliveries as f64 / elapsed.as_secs_f64())
    }

    /// Checks that the history holds a success for each of the events, at every endpoint that they
    /// went to, but for the one `left_out`; and closes the engine.
    pub(super) async fn finish(self, left_out: Option<EndpointId>) -> Result<Cast> {
        let cast = self.cast;
        for (at, tenant) in (0..).zip(cast.tenants.iter()) {
            let expected = (at..cast.next).step_by(cast.tenants.len()).count() as u64;
            for endpoint in tenant.endpoints.iter().filter(|held| left_out != Some(**held)) {
                check_recorded(&self.engine, *endpoint, cast.since, expected).await?;
            }
        }
        self.engine.close().await?;
        Ok(cast)
    }
}

/// Waits until so many deliveries to an endpoint are on record as succeeded. Where one hangs, the
/// engine does not come to rest, and the last of what arrived is just being recorded.
async fn check_recorded(
    engine: &Engine,
    endpoint: EndpointId,
    since: Timestamp,
    expected: u64,
) -> Result<()> {
    let mut seen = None;
    for _ in 0..LOOKS_MAX {
        let until = Clock::system().wall().after(Duration::from_secs(1));
        let counts = engine.statistics(endpoint, since, until).await?;
        if counts.succeeded == expected {
            return Ok(());
        }
        seen = Some(counts);
        clock::pause(LOOK_EVERY).await;
    }
    Err(Error::internal(format!(
        "of {expected} deliveries to endpoint `{endpoint}`, not all are on record as succeeded: \
         {seen:?}"
    )))
}

async fn emit(engine: &Engine, tenants: &[Tenant], number: u32) -> Result<Emission> {
    let tenant = tenants.get(number as usize % tenants.len().max(1));
    let tenant = tenant.ok_or_else(|| Error::internal("the stage has no tenants"))?;
    let event = NewEvent {
        application: tenant.application,
        event_type: EventType::new(EVENT_TYPE)?,
        data: Payload::from_text(body(number))?,
        time: None,
        mode: Mode::Live,
        channels: Vec::new(),
        uid: None,
        tags: Vec::new(),
        idempotency_key: None,
    };
    let watch = Stopwatch::start();
    engine.emit(event).await?;
    let took = watch.elapsed();
    Ok(Emission { number, took, returned: engine.clock().wall().as_micros() })
}
