//! Many hostile answers at once, over real sockets: each attempt ends in time, is told apart in the
//! history, and leaves neither memory nor file descriptors behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stdout, reason = "the receivers report over their standard output")]

mod tls;
mod vices;

use hookwheel::{
    ApplicationId, Attempt, AttemptFilter, AttemptOutcome, Config, EndpointId, Engine,
    NewApplication, NewEndpoint, NewEvent, clock,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use vices::Vice;

/// Tells the process of the receivers how many requests to await.
const AWAITED: &str = "HOOKWHEEL_HOSTILE_AWAITED";

/// The process of the receivers. As a test of its own it does nothing.
#[test]
fn receiving_process() {
    let Ok(awaited) = std::env::var(AWAITED) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(vices::receive(awaited.parse().unwrap()));
}

/// The receivers; they end with this.
struct Receivers {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Receivers {
    /// Starts them; returns the port of each vice too.
    fn start(awaited: usize) -> (Self, Vec<u16>) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "receiving_process", "--nocapture", "--test-threads=1"])
            .env(AWAITED, awaited.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut receivers = Self { child, lines };
        let ports = receivers.line_after("ports ");
        (receivers, ports.split(' ').map(|port| port.parse().unwrap()).collect())
    }

    /// Reads on until a line begins with `start`, and returns the rest of that line.
    fn line_after(&mut self, start: &str) -> String {
        let mut lines = self.lines.by_ref().map(Result::unwrap);
        lines.find_map(|line| line.strip_prefix(start).map(str::to_owned)).expect("such a line")
    }

    /// Lets them answer.
    fn give_the_word(&mut self) {
        writeln!(self.child.stdin.as_mut().unwrap(), "go").unwrap();
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// How much at once, and for how long.
struct Trial {
    vices: &'static [Vice],
    endpoints_per_vice: usize,
    /// Each goes to every endpoint.
    events: u32,
    /// What the provider gives an endpoint.
    timeout: Duration,
}

impl Trial {
    fn connections(&self) -> usize {
        self.vices.len() * self.endpoints_per_vice * self.events as usize
    }

    /// An engine whose provider has that time and comes again after an hour.
    async fn engine(&self, folder: &Path) -> Engine {
        let provider = include_str!("../data/providers/impatient.toml")
            .replace("\"300ms\"", &format!("\"{}s\"", self.timeout.as_secs()))
            .replace("[\"1m\"]", "[\"1h\"]");
        fs::create_dir(folder.join("providers")).unwrap();
        fs::write(folder.join("providers/impatient.toml"), provider).unwrap();
        // One application has half of the places at most.
        let in_flight_max = 2 * self.connections();
        let mut config = Config { in_flight_max, ..Config::default() };
        config.egress.development = true;
        config.egress.idle_seconds = 1;
        config.egress.extra_authorities_pem = vec![tls::authority().pem()];
        let builder = Engine::builder().config(config).data_folder(folder.join("data"));
        builder.providers_folder(folder.join("providers")).open().await.unwrap()
    }

    /// The endpoints of an application, each with its vice.
    async fn endpoints(
        &self,
        engine: &Engine,
        application: ApplicationId,
        ports: &[u16],
    ) -> HashMap<EndpointId, Vice> {
        let mut vices = HashMap::new();
        let tried = Vice::ALL.into_iter().zip(ports).filter(|(vice, _)| self.vices.contains(vice));
        for (vice, port) in tried {
            for number in 0..self.endpoints_per_vice {
                let url = format!("{}://127.0.0.1:{port}/{number}", vice.scheme());
                let mut new = NewEndpoint::new(url).provider("impatient");
                new.concurrency = self.events;
                let created = engine.create_endpoint(application, new).await.unwrap();
                vices.insert(created.endpoint.id, vice);
            }
        }
        vices
    }

    /// Emits the events; returns how many webhooks are on their way.
    async fn emit(&self, engine: &Engine, application: ApplicationId) -> usize {
        let mut webhooks = 0;
        for number in 0..self.events {
            let event = NewEvent::new(application, "order.created", &json!({ "order": number }));
            webhooks += engine.emit(event.unwrap()).await.unwrap().deliveries.len();
        }
        webhooks
    }

    /// Everything at once; what was held at most beyond what was held before, in bytes.
    async fn run(&self) -> u64 {
        raise_file_limit();
        let folder = tempfile::tempdir().unwrap();
        let engine = self.engine(folder.path()).await;
        let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
        let (mut receivers, ports) = Receivers::start(self.connections());
        let vices = self.endpoints(&engine, shop, &ports).await;

        let (files, resident) = (open_files(), memory("VmRSS"));
        // From here on the most that is held is counted anew (proc(5)).
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let emitted = self.emit(&engine, shop).await;
        // Nothing is answered before all wait for an answer.
        let open = tokio::task::spawn_blocking(move || {
            receivers.line_after("all");
            let open = open_files();
            receivers.give_the_word();
            (receivers, open)
        });
        let (receivers, open_at_once) = open.await.unwrap();
        engine.settle().await;
        let held = memory("VmHWM").saturating_sub(resident);

        assert_eq!(emitted, self.connections());
        assert!(open_at_once >= files + self.connections(), "{open_at_once} files open at once");
        for (endpoint, vice) in vices {
            let page = engine.attempts(AttemptFilter::endpoint(endpoint)).await.unwrap();
            let attempts = || page.attempts.iter().map(|held| &held.attempt);
            let told: Vec<String> = attempts().map(told).collect();
            assert_eq!(told, vec![vice.told(); self.events as usize], "{vice:?}");
            let in_time = |attempt: &Attempt| attempt.duration < self.timeout * 2;
            assert!(attempts().all(in_time), "{vice:?}: {:?}", page.attempts);
        }
        until_closed(files).await;
        drop(receivers);
        engine.close().await.unwrap();
        held
    }
}

/// What came of an attempt: a kind of failure, or the status and how the answer was cut.
fn told(attempt: &Attempt) -> String {
    match &attempt.outcome {
        AttemptOutcome::Failed(failure) => failure.kind.as_str().to_owned(),
        AttemptOutcome::Accepted(response) | AttemptOutcome::Rejected(response) => {
            let cut = response.cut.map(|cut| format!(" {cut:?}"));
            format!("{}{}", response.status, cut.unwrap_or_default())
        }
    }
}

fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Bytes that the kernel tells of this process under a name.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// Files and sockets that this process has open.
fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Waits until no more are open than there were.
async fn until_closed(files: usize) {
    let closed = async {
        while open_files() > files {
            clock::pause(Duration::from_millis(50)).await;
        }
    };
    let is_closed = clock::within(Duration::from_secs(60), closed).await.is_some();
    assert!(is_closed, "{} files are open, {files} were", open_files());
}

const MIB: u64 = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_hostile_answers_at_once_end_in_time_and_leave_nothing() {
    let timeout = Duration::from_secs(20);
    let trial = Trial { vices: &Vice::ALL, endpoints_per_vice: 2, events: 6, timeout };
    let held = trial.run().await;
    println!("{} hostile answers at once: {} MiB", trial.connections(), held / MIB);
    assert!(held < 64 * MIB, "{} MiB", held / MIB);
}

/// The long form: `cargo test --test hostile -- --ignored --nocapture`. Needs 12,000 file descriptors.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes, and ten thousand sockets on either side"]
async fn ten_thousand_hostile_answers_at_once_stay_within_the_stated_memory() {
    let timeout = Duration::from_secs(60);
    let trial = Trial { vices: &Vice::ALL, endpoints_per_vice: 25, events: 16, timeout };
    let held = trial.run().await;
    println!("{} hostile answers at once: {} MiB", trial.connections(), held / MIB);
    assert!(held < 512 * MIB, "{} MiB", held / MIB);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute, and two thousand sockets on either side; needs a process of its own"]
async fn answers_that_fill_every_cap_and_do_not_end_hold_what_is_stated() {
    let timeout = Duration::from_secs(30);
    let vices = &[Vice::FullAnswer];
    let trial = Trial { vices, endpoints_per_vice: 40, events: 50, timeout };
    let held = trial.run().await / trial.connections() as u64;
    println!("{} full answers at once: {} KiB each", trial.connections(), held / 1024);
    assert!(held < 192 * 1024, "{held} bytes each");
}
