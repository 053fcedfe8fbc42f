//! `hookwheel serve` as a service manager sees it: ready, told to stop, ended.

use hmac::{Hmac, KeyInit, Mac};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{Config, DeliveryId, Engine, NewApplication, NewEndpoint, NewEvent};
use sha2::Sha256;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

/// A service, and the socket on which it tells its manager how it stands.
struct Service {
    child: Child,
    log: BufReader<ChildStderr>,
    socket: UnixDatagram,
    _folder: tempfile::TempDir,
}

impl Service {
    /// Starts one on the data in `data`, and waits until it is ready.
    fn start(data: &Path) -> Self {
        Self::start_with(data, &[], &[])
    }

    /// Starts one with these arguments and this environment too.
    fn start_with(data: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookwheel"));
        command.args(["serve", "--development", "--listen", "127.0.0.1:0"]);
        command.args(["--set", "log.format=json", "--data", data.to_str().unwrap()]);
        command.args(arguments);
        command.env_clear().env("NOTIFY_SOCKET", &path).current_dir(folder.path());
        command.envs(environment.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let service = Self { child, log, socket, _folder: folder };
        service.until_told("READY=1");
        service
    }

    /// Waits until the service manager was told `state`.
    fn until_told(&self, state: &str) {
        let mut told = [0; 64];
        let length = self.socket.recv(&mut told).unwrap();
        assert_eq!(std::str::from_utf8(&told[..length]).unwrap().trim(), state);
    }

    /// The next line of the log that says `message`.
    fn logged(&mut self, message: &str) -> serde_json::Value {
        let lines = self.log.by_ref().lines();
        let mut lines = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap());
        lines.find(|line: &serde_json::Value| line["message"] == message).unwrap()
    }

    /// What the fronts answer to a request with this head, which is to be completed, and body.
    #[allow(clippy::disallowed_methods, reason = "a client of our own listener, and no webhook")]
    fn ask_fronts(&mut self, head: &str, body: &str) -> String {
        let address = self.logged("listening")["address"].as_str().unwrap().to_owned();
        let mut connection = TcpStream::connect(address).unwrap();
        let length = body.len();
        write!(
            connection,
            "{head}Host: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        )
        .and_then(|()| connection.write_all(body.as_bytes()))
        .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Tells it to stop, and waits for its end.
    fn stop(self) -> Served {
        self.terminate();
        self.ended()
    }

    /// Waits for its end.
    fn ended(mut self) -> Served {
        let (mut out, mut log) = (String::new(), String::new());
        self.log.read_to_string(&mut log).unwrap();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        Served { code: self.child.wait().unwrap().code(), out, log }
    }
}

/// What came of a service.
struct Served {
    code: Option<i32>,
    out: String,
    log: String,
}

/// An engine on `folder` that closes without waiting for what is in flight.
async fn open(folder: &Path) -> Engine {
    let config = Config { close_grace_seconds: 0, ..Config::default() };
    let builder = Engine::builder().data_folder(folder).config(config);
    builder.development().open().await.unwrap()
}

/// A data folder with one delivery whose first attempt was broken off, and goes to `receiver` once
/// the folder is served.
async fn unfinished(folder: &Path, receiver: &Receiver) -> DeliveryId {
    let engine = open(folder).await;
    let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let endpoint = NewEndpoint::new(receiver.url()).provider("yoco");
    engine.create_endpoint(shop, endpoint).await.unwrap();
    receiver.answer_next([Answer::hang()]);
    let event = NewEvent::new(shop, "payment.succeeded", &serde_json::json!({})).unwrap();
    let delivery = engine.emit(event).await.unwrap().deliveries[0];
    receiver.wait_for(1).await.unwrap();
    engine.close().await.unwrap();
    // What still hangs would hold on to the folder.
    receiver.stop().await;
    receiver.resume().await.unwrap();
    delivery
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_signal_lets_what_is_in_flight_finish() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let delivery = unfinished(&data, &receiver).await;
    receiver.answer_next([Answer::status(200).after(Duration::from_millis(300))]);

    let service = Service::start(&data);
    receiver.wait_for(2).await.unwrap();
    let served = service.stop();
    assert_eq!(served.code, Some(0), "{}", served.log);
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    let log: Vec<serde_json::Value> = served.log.lines().map(line).collect();
    let said = |message: &str| log.iter().any(|line| line["message"] == message);
    assert!(said("stopping; what is in flight is finished first") && said("stopped"), "{log:?}");
    assert!(log.iter().all(|line| line["level"].is_string() && line["timestamp"].is_string()));

    let engine = open(&data).await;
    let history = engine.delivery(delivery).await.unwrap();
    assert_eq!((history.delivery.state.as_str(), history.attempts.len()), ("succeeded", 1));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    unfinished(&data, &receiver).await;
    receiver.answer_next([Answer::hang()]);

    let service = Service::start(&data);
    receiver.wait_for(2).await.unwrap();
    service.terminate();
    service.until_told("STOPPING=1");
    service.terminate();
    let served = service.ended();
    assert_eq!(served.code, Some(1), "{}", served.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_prints_a_token_that_opens_everything() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let served = Service::start(&data).stop();
    assert!(served.out.starts_with("listening on http://127.0.0.1:"), "{}", served.out);
    let token = shown(&served.out, "access token, shown only now").unwrap();
    assert!(!served.log.contains(token), "{}", served.log);

    let engine = open(&data).await;
    let held = engine.authenticate(token).unwrap();
    assert_eq!((held.application, held.read_only, held.expires_at), (None, false, None));
    engine.close().await.unwrap();
    drop(engine);

    let again = Service::start(&data).stop().out;
    assert_eq!(shown(&again, "access token, shown only now"), None, "{again}");
}

/// What is printed after these words.
fn shown<'a>(out: &'a str, words: &str) -> Option<&'a str> {
    out.lines().find_map(|line| line.strip_prefix(words)?.strip_prefix(": "))
}

#[test]
fn the_fronts_are_served_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start_with(&data, &["--fronts-listen", "127.0.0.1:0"], &[]);
    let answer = service.ask_fronts("GET /webhooks HTTP/1.1\r\n", "");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(service.stop().code, Some(0));
}

#[test]
fn a_master_key_that_others_may_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    Service::start(&data).stop();
    let key = folder.path().join("data.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let mut service = Service::start(&data);
    let told =
        service.logged("others may use the master key: leave it to its owner, with `chmod 600`");
    assert_eq!(told["level"], "WARN");
    assert_eq!((told["file"].as_str(), told["mode"].as_str()), (key.to_str(), Some("0640")));
    service.stop();
}

const RUN: &str = "POST /scenario_simulators/payment_submitted/actions/run HTTP/1.1\r\n\
                   Authorization: Bearer sandbox\r\nGoCardless-Version: 2015-07-06\r\n\
                   Content-Type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_gocardless_front_signs_with_the_secret_that_it_was_given_or_shows() {
    let folder = tempfile::tempdir().unwrap();
    let given = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    for environment in [&[][..], &[("HOOKWHEEL_FRONTS_GOCARDLESS_SECRET", given)]] {
        let receiver = Receiver::start(Consumer::GoCardless, "").await.unwrap();
        let url = receiver.url();
        let flags = ["--fronts-listen", "127.0.0.1:0", "--fronts-gocardless-url", &url];
        let mut service = Service::start_with(&folder.path().join("data"), &flags, environment);
        let answer = service.ask_fronts(RUN, r#"{"data": {"links": {"resource": "PM1"}}}"#);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let received = receiver.wait_for(1).await.unwrap().remove(0);

        let served = service.stop();
        let made = shown(&served.out, "GoCardless webhook secret, of this start only");
        assert_eq!(made.is_some(), environment.is_empty(), "{}", served.out);
        let secret = made.unwrap_or(given);
        assert!(!served.log.contains(secret), "{}", served.log);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(&received.body);
        let digest = mac.finalize().into_bytes();
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(received.header("Webhook-Signature"), Some(hex.as_str()));
    }
}

#[test]
fn what_cannot_be_served_is_said_with_the_exit_code_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data");
    std::fs::write(&file, "a file").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let (file, data) = (file.to_str().unwrap(), folder.path().join("fresh"));
    let data = data.to_str().unwrap();
    for (arguments, code, said) in [
        (&["--set", "in_flight_max=none"][..], 2, "`in_flight_max` is `none`"),
        (&["--data", file], 1, "cannot make data folder"),
        (&["--data", data, "--fronts-listen", &taken], 2, "cannot listen on 127.0.0.1:"),
        (&["--set", "fronts_gocardless_url=https://a.example/"], 2, "needs `fronts_listen`"),
    ] {
        let ran = crate::run(&[&["serve"], arguments].concat());
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains("error: ") && ran.err.contains(said), "{said}: {}", ran.err);
    }
}
