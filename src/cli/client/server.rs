//! A running server, asked over its REST API.

use crate::cli::client::Connection;
use crate::cli::{Trouble, arguments, paint};
use crate::error::Error;
use crate::model::Secret;
use http::{HeaderValue, Method, StatusCode, header};
use reqwest::{RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::Duration;
use url::Url;

/// The environment variables that say where the server is, and with which token it is asked.
const URL_VARIABLE: &str = "HOOKWHEEL_URL";
const TOKEN_VARIABLE: &str = "HOOKWHEEL_TOKEN";
const DEFAULT_URL: &str = "http://127.0.0.1:8071";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one answer. A test event waits for its endpoint meanwhile.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
/// For a stream of events, how long it may say nothing: the server says something every now and
/// then.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(90);
/// Things on one page of a list: the most that the API gives.
const PAGE_MAX: usize = 250;

/// A server that did not do what it was asked.
#[derive(Debug)]
pub struct Refusal {
    /// What it said, or that it could not be asked.
    text: String,
    /// The status of its answer; `None` when it gave none.
    status: Option<StatusCode>,
}

impl Refusal {
    /// Nobody answered, or not as a server does.
    pub fn unreachable(text: impl Into<String>) -> Self {
        Self { text: text.into(), status: None }
    }

    /// What is told to people.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The exit code for it.
    pub fn code(&self) -> u8 {
        match self.status {
            None | Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => 3,
            Some(StatusCode::NOT_FOUND) => 4,
            Some(StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS) => 1,
            Some(status) if status.is_client_error() => 2,
            Some(_) => 1,
        }
    }

    /// Whether asking again later may help.
    pub fn is_passing(&self) -> bool {
        self.status.is_none_or(|status| {
            status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
        })
    }
}

/// JSON as the server wrote it. It repeats the data of events, which may hold what no parser can,
/// such as numbers beyond any machine's; so only what is needed of it is ever read.
pub type Answer = Box<RawValue>;

/// The things of a list that were asked for.
pub struct Listed {
    /// As the server wrote them.
    pub items: Vec<Answer>,
    /// Whether there are more.
    pub has_more: bool,
}

/// The way to a server.
pub struct Server {
    client: reqwest::Client,
    base: Url,
    token: HeaderValue,
}

impl Server {
    /// The server and token that the arguments or the environment name. Nothing is sent yet.
    pub fn new(connection: &Connection) -> Result<Self, Trouble> {
        let base = base(connection.url.as_deref())?;
        let token = token(connection)?;
        let mut token = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| Error::invalid("the token has characters that no token has"))?;
        token.set_sensitive(true);
        // It fails where one is installed, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder()
            .user_agent(concat!("hookwheel/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // The API redirects nowhere, and the token is for nobody else.
            .redirect(reqwest::redirect::Policy::none());
        if base.scheme() == "http" {
            // A small image may have no authorities, and without TLS needs none.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| {
            Error::internal(format!("no client can be made: {}", cause(&error)))
        })?;
        Ok(Self { client, base, token })
    }

    /// Asks for something.
    pub async fn get(&self, path: &[&str], query: &Query) -> Result<Answer, Trouble> {
        self.ask(self.request(Method::GET, path)?.query(&query.0)).await
    }

    /// Asks to make or do something.
    pub async fn post(&self, path: &[&str], body: &impl Serialize) -> Result<Answer, Trouble> {
        self.ask(self.request(Method::POST, path)?.json(body)).await
    }

    /// As [`Server::post`], done once under the same key.
    pub async fn post_once(
        &self,
        path: &[&str],
        body: &impl Serialize,
        key: Option<&str>,
    ) -> Result<Answer, Trouble> {
        let mut request = self.request(Method::POST, path)?.json(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.ask(request).await
    }

    /// Asks to change something.
    pub async fn patch(&self, path: &[&str], body: &impl Serialize) -> Result<Answer, Trouble> {
        self.ask(self.request(Method::PATCH, path)?.json(body)).await
    }

    /// Asks to delete something.
    pub async fn delete(&self, path: &[&str]) -> Result<(), Trouble> {
        self.ask(self.request(Method::DELETE, path)?).await.map(drop)
    }

    /// Asks for a list, `limit` things of it at most, page by page.
    pub async fn list(
        &self,
        path: &[&str],
        query: &Query,
        limit: Option<usize>,
    ) -> Result<Listed, Trouble> {
        let mut items = Vec::new();
        let mut iterator = None;
        loop {
            let wanted = limit.map_or(PAGE_MAX, |limit| limit - items.len());
            let mut query = query.clone();
            query.add("limit", Some(wanted.min(PAGE_MAX)));
            query.add("iterator", iterator.as_ref());
            let page: Page = understood(&self.get(path, &query).await?)?;
            items.extend(page.data);
            let is_full = limit.is_some_and(|limit| items.len() >= limit);
            iterator = page.iterator;
            if page.done || is_full || iterator.is_none() {
                return Ok(Listed { items, has_more: !page.done });
            }
        }
    }

    /// Opens a stream of server-sent events.
    pub async fn stream(&self, path: &[&str]) -> Result<Response, Trouble> {
        let request = self.request(Method::GET, path)?.header(header::ACCEPT, "text/event-stream");
        // What is silent for too long is asked for again by who reads it.
        let answer = within(CONNECT_TIMEOUT, self.send(request)).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(refused(answer).await.into()) }
    }

    /// The next piece of a stream; `None` at its end.
    pub async fn next_piece(stream: &mut Response) -> Result<Option<bytes::Bytes>, Trouble> {
        let piece = async { stream.chunk().await.map_err(|error| lost(&error).into()) };
        within(SILENCE_TIMEOUT, piece).await
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Error> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::invalid("the server's url takes no path"))?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        Ok(self.client.request(method, url).header(header::AUTHORIZATION, self.token.clone()))
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Answer, Trouble> {
        let answered = async {
            let answer = self.send(request).await?;
            if !answer.status().is_success() {
                return Err(refused(answer).await.into());
            }
            let body = answer.bytes().await.map_err(|error| lost(&error))?;
            if body.is_empty() {
                return Ok(Answer::default());
            }
            serde_json::from_slice(&body).map_err(|error| not_understood(&error).into())
        };
        within(ANSWER_TIMEOUT, answered).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Trouble> {
        request.send().await.map_err(|error| {
            let (server, cause) = (self.base.origin().ascii_serialization(), cause(&error));
            Refusal::unreachable(format!("{server} cannot be reached: {cause}")).into()
        })
    }
}

/// What is asked for besides a path.
#[derive(Clone, Default)]
pub struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Adds a value, if there is one.
    pub fn add(&mut self, name: &'static str, value: Option<impl ToString>) {
        self.0.extend(value.map(|value| (name, value.to_string())));
    }
}

#[derive(serde::Deserialize)]
struct Page {
    data: Vec<Answer>,
    iterator: Option<String>,
    done: bool,
}

/// Reads what the server wrote.
pub fn understood<T: DeserializeOwned>(answer: &RawValue) -> Result<T, Trouble> {
    serde_json::from_str(answer.get()).map_err(|error| not_understood(&error).into())
}

/// Reads things of a list.
pub fn all_understood<T: DeserializeOwned>(items: &[Answer]) -> Result<Vec<T>, Trouble> {
    items.iter().map(|item| understood(item)).collect()
}

fn not_understood(error: &serde_json::Error) -> Refusal {
    Refusal::unreachable(format!(
        "the answer is not that of a hookwheel server of this version: {error}"
    ))
}

/// Bounds the wait for a server.
async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    crate::clock::within(limit, work).await.unwrap_or_else(|| {
        let limit = crate::model::human_duration(limit);
        Err(Refusal::unreachable(format!("the server has said nothing for {limit}")).into())
    })
}

/// What went wrong at the bottom: the layers above only say that something did.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn lost(error: &reqwest::Error) -> Refusal {
    Refusal::unreachable(format!("the connection to the server broke: {}", cause(error)))
}

#[derive(serde::Deserialize)]
struct Told {
    detail: Detail,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Detail {
    Sentence(String),
    Faults(Vec<Fault>),
}

/// One fault of a request, as a 422 tells it.
#[derive(serde::Deserialize)]
struct Fault {
    loc: Vec<Value>,
    msg: String,
}

impl Fault {
    fn text(&self) -> String {
        let place = self.loc.iter().map(|step| match step {
            Value::String(step) => step.clone(),
            step => step.to_string(),
        });
        format!("`{}`: {}", place.collect::<Vec<_>>().join("."), self.msg)
    }
}

/// Why a request was refused, in the server's words where it has some.
async fn refused(answer: Response) -> Refusal {
    let status = answer.status();
    let wait = answer.headers().get(header::RETRY_AFTER).cloned();
    let told = answer.bytes().await.unwrap_or_default();
    let mut text = match serde_json::from_slice(&told) {
        Ok(Told { detail: Detail::Sentence(text) }) => text,
        Ok(Told { detail: Detail::Faults(faults) }) => {
            faults.iter().map(Fault::text).collect::<Vec<_>>().join("\n")
        }
        Err(_) => format!("the server answered {status}"),
    };
    if let Some(seconds) = wait.as_ref().and_then(|wait| wait.to_str().ok()) {
        text = format!("{text}; ask again in {seconds} s");
    }
    Refusal { text: paint::harmless(&text), status: Some(status) }
}

fn base(given: Option<&str>) -> Result<Url, Error> {
    let held = std::env::var(URL_VARIABLE).ok();
    let text = given.or(held.as_deref()).unwrap_or(DEFAULT_URL);
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.username().is_empty());
    url.ok_or_else(|| {
        Error::invalid(format!(
            "`{}` is no url of a server: expected one like `{DEFAULT_URL}`",
            text.escape_debug()
        ))
    })
}

fn token(connection: &Connection) -> Result<Secret, Trouble> {
    let text = match &connection.token_file {
        Some(file) => arguments::read_secret(file)?,
        None => match std::env::var(TOKEN_VARIABLE) {
            Ok(text) => Secret::new(text),
            Err(_) => Secret::new(""),
        },
    };
    let text = text.expose().trim();
    if text.is_empty() {
        return Err(Refusal::unreachable(format!(
            "no token is given: set the environment variable `{TOKEN_VARIABLE}`, or pass \
             `--token-file`"
        ))
        .into());
    }
    Ok(Secret::new(text))
}
