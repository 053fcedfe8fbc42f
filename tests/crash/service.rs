//! `hookwheel serve` in conditions of the test's choice, and what is asked of it.

use hookwheel::clock;
use hookwheel::simulate::receiver::{Consumer, Receiver};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long something that is about to happen may take at most, in real time.
const SOON: Duration = Duration::from_secs(120);
/// Between two looks at whether it has happened.
const PAUSE: Duration = Duration::from_millis(50);

/// What a process is preloaded with, so that its clock and its disk do as they are told.
pub struct Weather {
    library: PathBuf,
    control: PathBuf,
    told: File,
}

impl Weather {
    /// Fair weather, in `folder`.
    pub fn fair(folder: &Path) -> Self {
        let (library, control) = (folder.join("weather.so"), folder.join("weather"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crash/weather.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
        assert!(compiler.status().unwrap().success(), "what links Rust programs compiles C");
        fs::write(&control, [0; 24]).unwrap();
        let told = OpenOptions::new().write(true).open(&control).unwrap();
        Self { library, control, told }
    }

    /// Sets the clock of the day so many seconds ahead of the machine's.
    pub fn set_clock(&self, seconds: i64) {
        self.tell(0, seconds);
    }

    /// Makes each sync of the disk take so much longer.
    pub fn slow_syncs(&self, by: Duration) {
        self.tell(8, i64::try_from(by.as_millis()).unwrap());
    }

    /// Makes each sync of the disk fail with an input/output error, or no more.
    pub fn fail_syncs(&self, fail: bool) {
        const INPUT_OUTPUT_ERROR: i64 = 5;
        self.tell(16, if fail { INPUT_OUTPUT_ERROR } else { 0 });
    }

    fn tell(&self, place: u64, value: i64) {
        self.told.write_all_at(&value.to_ne_bytes(), place).unwrap();
    }
}

/// A service process. Dropping it kills it.
pub struct Service {
    child: Child,
    url: String,
    client: Client,
    token: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A service, and an endpoint of it that is retried after 5 seconds.
pub struct Stage {
    pub folder: tempfile::TempDir,
    pub weather: Weather,
    pub service: Service,
    pub receiver: Receiver,
}

impl Stage {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let weather = Weather::fair(folder.path());
        let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
        let service = Service::start(&folder.path().join("data"), "", Some(&weather), None);
        service.shop(&receiver.url(), 1).await;
        Self { folder, weather, service, receiver }
    }

    /// Kills the service, and starts it again.
    pub fn restart(&mut self, meanwhile: impl FnOnce(&Weather)) {
        let token = self.service.token.clone();
        self.service.child.kill().unwrap();
        self.service.child.wait().unwrap();
        meanwhile(&self.weather);
        let data = self.folder.path().join("data");
        self.service = Service::start(&data, "", Some(&self.weather), Some(token));
    }
}

impl Service {
    /// Starts one on the data in `data`, after the shell has done `before`; with the token of an
    /// earlier start, if there was one.
    pub fn start(
        data: &Path,
        before: &str,
        weather: Option<&Weather>,
        token: Option<String>,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{before}\nexec \"$@\""), "sh"]);
        command.arg(env!("CARGO_BIN_EXE_hookwheel"));
        command.args(["serve", "--development", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        command.current_dir(data.parent().unwrap()).env("HOOKWHEEL_LOG", "warn");
        if let Some(weather) = weather {
            command.env("LD_PRELOAD", OsString::from(&weather.library));
            command.env("WEATHER", &weather.control);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut after = |words: &str| {
            let line = lines.next().expect("it says where it listens").unwrap();
            line.strip_prefix(words).unwrap_or_else(|| panic!("{line}")).to_owned()
        };
        let url = after("listening on ");
        let token = token.unwrap_or_else(|| after("access token, shown only now: "));
        Self { child, url, client: Client::new(), token }
    }

    /// Makes the application `shop` with so many endpoints at `url`.
    pub async fn shop(&self, url: &str, endpoints: usize) {
        let body = json!({ "name": "Shop", "uid": "shop" });
        assert_eq!(self.post("/app", body).await.0, StatusCode::CREATED);
        for number in 0..endpoints {
            let body = json!({ "url": url, "uid": format!("endpoint-{number}") });
            let made = self.post("/app/shop/endpoint", body).await;
            assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
        }
    }

    /// Sends a message with that id; the status of the answer, and what it says.
    pub async fn send(&self, id: &str, payload: &Value) -> (StatusCode, Value) {
        let body = json!({ "eventType": "order.created", "eventId": id, "payload": payload });
        self.post("/app/shop/msg", body).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// What is there.
    pub async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// The status of the answer.
    pub async fn status(&self, method: Method, path: &str, body: Option<Value>) -> StatusCode {
        self.send_request(method, path, body).await.status()
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let answer = self.send_request(method, path, body).await;
        (answer.status(), answer.json().await.unwrap())
    }

    async fn send_request(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let mut request = self.client.request(method, format!("{}/api/v1{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.bearer_auth(&self.token).send().await.unwrap()
    }

    /// A measured value.
    pub async fn measured(&self, name: &str) -> f64 {
        let metrics = self.client.get(format!("{}/metrics", self.url)).bearer_auth(&self.token);
        let text = metrics.send().await.unwrap().text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// How many deliveries there are in a state, and whether each had one attempt.
    pub async fn deliveries(&self, state: &str) -> (usize, bool) {
        let (mut count, mut are_first, mut iterator) = (0, true, String::new());
        loop {
            let path = format!("/app/shop/delivery?state={state}&limit=250{iterator}");
            let page = self.get(&path).await;
            for delivery in page["data"].as_array().unwrap() {
                count += 1;
                are_first &= delivery["attempts"] == 1;
            }
            if page["done"] == true {
                return (count, are_first);
            }
            iterator = format!("&iterator={}", page["iterator"].as_str().unwrap());
        }
    }

    /// Waits until so many deliveries have succeeded; whether each did at the first attempt.
    pub async fn until_succeeded(&self, wanted: usize) -> bool {
        let succeeded = async {
            loop {
                let (count, are_first) = self.deliveries("succeeded").await;
                if count >= wanted {
                    return are_first;
                }
                clock::pause(PAUSE).await;
            }
        };
        soon(succeeded).await
    }
}

/// The result of `future`, which is about to come unless something is broken.
pub async fn soon<F: Future>(future: F) -> F::Output {
    clock::within(SOON, future).await.expect("it should have happened by now")
}

/// Tries again until `attempt` says that it worked.
pub async fn until_it_works(mut attempt: impl AsyncFnMut() -> bool) {
    soon(async {
        while !attempt().await {
            clock::pause(PAUSE).await;
        }
    })
    .await;
}
