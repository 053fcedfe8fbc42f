//! Answers to a challenge: one proves something when it is the HMAC, to the letter, and else not; and
//! whatever bytes come back, they are an answer of which nothing disturbs, or a failure that is told.

use bytes::Bytes;
use hookwheel::config::EgressConfig;
use hookwheel::dispatch::{Egress, OutboundRequest, Upload};
use hookwheel::model::Response;
use hookwheel::provider::{Challenge, Provider, Providers, SigningKey};
use hookwheel::{ErrorKind, Secret};
use http::Method;
use std::cell::RefCell;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// The text of the challenge.
const TOKEN: &str = "abcDEF123";
/// Connections to one port: each keeps a pair of ports for a minute after its end.
const CONNECTIONS: usize = 10_000;

static OPENCARD: LazyLock<(Arc<Provider>, SigningKey)> = LazyLock::new(|| {
    let provider = Providers::embedded().and_then(|all| all.get("opencard")).expect("opencard");
    let secret = Secret::new("0f1e2d3c4b5a69788796a5b4c3d2e1f0");
    let key = provider.verifying_key(&secret).expect("a secret of its form");
    (provider, key)
});

thread_local! {
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

/// Checks an answer: two bytes of status, one that says whether the header's value is the rest itself,
/// or the right answer with bytes of it replaced, as pairs of place and byte, or whether the rest is the
/// whole answer as it comes over a connection; then that rest.
pub fn check(data: &[u8]) {
    let [high, low, manner, rest @ ..] = data else { return };
    let (provider, key) = &*OPENCARD;
    let challenge = provider.challenge().expect("opencard challenges");
    let (name, right) = challenge.answer(TOKEN, key).expect("a key that signs");
    let status = u16::from_be_bytes([*high, *low]);
    match manner % 3 {
        0 => check_value(challenge, key, status, &String::from_utf8_lossy(rest)),
        1 => {
            let mut bytes = right.clone().into_bytes();
            for pair in rest.as_chunks::<2>().0 {
                let at = usize::from(pair[0]) % bytes.len();
                bytes[at] = pair[1];
            }
            check_value(challenge, key, status, &String::from_utf8_lossy(&bytes));
        }
        _ => check_wire(challenge, key, rest),
    }
    // What reads a target finds a text only where one is.
    let target = String::from_utf8_lossy(rest);
    if let Some(token) = challenge.token_in(&target) {
        assert!(target.contains('?') && token.len() <= 3 * target.len(), "{name}: {target:?}");
    }
}

fn check_value(challenge: &Challenge, key: &SigningKey, status: u16, value: &str) {
    let (name, right) = challenge.answer(TOKEN, key).expect("a key that signs");
    let headers = vec![(name, value.to_owned())];
    let response = Response { status, headers, ..Response::default() };
    let request = challenge.request("https://shop.example/hook?a=1", TOKEN);
    let is_right = (200..300).contains(&status) && value.trim() == right;
    match challenge.check(&request, &response, key) {
        Ok(()) => assert!(is_right, "{status} {value:?} was taken for the answer"),
        Err(error) => {
            assert!(!is_right, "{status} {value:?} was refused: {error}");
            assert_eq!(error.kind(), ErrorKind::NotProven);
            assert!(!error.to_string().contains(&right), "the answer is not told: {error}");
        }
    }
}

fn check_wire(challenge: &Challenge, key: &SigningKey, answer: &[u8]) {
    let (_, right) = challenge.answer(TOKEN, key).expect("a key that signs");
    let request = challenge.request("https://shop.example/hook?a=1", TOKEN);
    let disturbs = |letter: char| letter.is_control() && letter != '\t';
    STAGE.with_borrow_mut(|stage| {
        if stage.as_ref().is_none_or(|stage| stage.connections == CONNECTIONS) {
            *stage = Some(Stage::new());
        }
        match stage.as_mut().expect("just made").exchange(answer) {
            Ok(response) => {
                assert!((100..1000).contains(&response.status), "{response:?}");
                assert!(response.body.len() <= EgressConfig::default().response_body_max_bytes);
                let is_harmless = |(_, value): &(_, String)| !value.contains(disturbs);
                assert!(response.headers.iter().all(is_harmless), "{response:?}");
                let proven = challenge.check(&request, &response, key).is_ok();
                let holds_it = answer.windows(right.len()).any(|part| part == right.as_bytes());
                assert!(!proven || holds_it, "{response:?} was taken for the answer");
            }
            Err(told) => assert!(!told.is_empty() && !told.contains(disturbs), "{told:?}"),
        }
    });
}

/// An endpoint of this machine, and the way there.
struct Stage {
    runtime: Runtime,
    egress: Egress,
    listener: Arc<TcpListener>,
    connections: usize,
}

impl Stage {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        // A connection that was kept would not be the one that the next answer is for.
        let config = EgressConfig { development: true, idle_seconds: 0, ..EgressConfig::default() };
        let egress = Egress::new(&config).expect("a config that can be used");
        Self { runtime, egress, listener: Arc::new(listener), connections: 0 }
    }

    /// What comes of a request that is answered with these bytes and the connection's end.
    fn exchange(&mut self, answer: &[u8]) -> Result<Response, String> {
        self.connections += 1;
        let (listener, answer) = (Arc::clone(&self.listener), answer.to_vec());
        let place = self.listener.local_addr().expect("it has one");
        let request = OutboundRequest {
            method: Method::GET,
            url: format!("http://{place}/hook"),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(10),
            https_only: false,
            identity: None,
            upload: Upload::Whole,
            application: None,
        };
        let exchange = self.runtime.block_on(async {
            let answering = tokio::spawn(async move {
                let (stream, _) = listener.accept().await.expect("a connection");
                // The other side may have seen enough of it before its end.
                let _ = answer_with(stream, &answer).await;
            });
            let exchange = self.egress.exchange(request).await;
            answering.abort();
            exchange
        });
        exchange.result.map_err(|failure| failure.detail)
    }
}

/// Reads a request, and answers it with `answer` and the connection's end.
async fn answer_with(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    stream.write_all(answer).await?;
    stream.shutdown().await
}
