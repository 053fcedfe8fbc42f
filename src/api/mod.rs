//! The REST API: one file per resource. It speaks Svix's API where hookwheel has a meaning for it,
//! so that its client libraries work unchanged; what is ours is an added member or path.
//!
//! A request passes, in this order: `access`, `limits`, `idempotency`, its handler. Handlers
//! read and answer; what they do is the engine's. `refusal` turns every error into HTTP.

mod access;
mod application;
mod attempt;
mod delivery;
mod destination;
mod endpoint;
mod event_type;
mod health;
mod idempotency;
mod input;
mod limits;
mod message;
mod notices;
mod openapi;
mod page;
mod places;
mod provider;
mod query;
mod refusal;
pub mod server;
mod stream;
mod task;
mod token;

use crate::clock::Stopwatch;
use crate::config::ApiConfig;
use crate::engine::Engine;
use crate::telemetry::{self, Prometheus};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Uri;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use places::Asker;
use refusal::Refusal;
use std::sync::Arc;
use tokio::sync::watch;
use tracing::Instrument;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What every request can reach.
pub(crate) struct Parts {
    engine: Engine,
    limits: limits::Limits,
    turns: idempotency::Turns,
    closing: watch::Receiver<bool>,
    /// What `/metrics` shows; there is none in a process whose recorder is another's.
    prometheus: Option<Prometheus>,
    /// Where the server is reached from outside, without a slash at the end.
    public_url: String,
}

/// Shared by all requests.
#[derive(Clone)]
pub(crate) struct Api(Arc<Parts>);

impl std::ops::Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The whole API of `engine`: the resources under `/api/v1`, health, and its own description.
/// `public_url` is where the server is reached from outside.
pub fn router(engine: Engine, config: &ApiConfig, public_url: &str) -> Router {
    // Nobody closes it but the process.
    build(engine, config, public_url, None, watch::channel(false).1)
}

/// The same with `/metrics`; live views end when `closing` says so.
fn build(
    engine: Engine,
    config: &ApiConfig,
    public_url: &str,
    prometheus: Option<Prometheus>,
    closing: watch::Receiver<bool>,
) -> Router {
    let api = Api(Arc::new(Parts {
        engine,
        limits: limits::Limits::new(config),
        turns: idempotency::Turns::default(),
        closing,
        prometheus,
        public_url: public_url.trim_end_matches('/').to_owned(),
    }));
    let (closed, closed_document) = resources().split_for_parts();
    // Not around health: a busy server is alive, and must not be started anew for being busy.
    let closed = closed.layer(from_fn_with_state(api.clone(), enter));
    let (open, open_document) = health::routes().split_for_parts();
    let document = openapi::document(closed_document, open_document, &api.public_url);
    let pages = openapi::pages(document).layer(from_fn_with_state(api.clone(), read));
    closed
        .merge(open)
        .layer(from_fn(measured))
        .with_state(api)
        .merge(pages)
        .fallback(
            |uri: Uri| async move { Refusal::not_found(format!("no `{}` is here", uri.path())) },
        )
        .method_not_allowed_fallback(openapi::method_not_allowed)
}

/// Lets a request through to its handler: one layer, since each has its price for every request.
async fn enter(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let caller = match access::authenticate(&api, &request) {
        Ok(caller) => caller,
        Err(refusal) => return refusal.into_response(),
    };
    let asker = caller.asker();
    request.extensions_mut().insert(caller);
    let taken_in = api.limits.take_in(asker, request).await;
    let admitted = taken_in.and_then(|request| Ok((api.limits.place(asker)?, request)));
    let (place, mut request) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.into_response(),
    };
    // Dropped with this, when the answer is there or the client gone; the work may go on.
    let (_waits, awaited) = limits::Awaited::new();
    request.extensions_mut().insert(awaited);
    let limit = api.limits.request_time();
    let work = async move {
        let answered = idempotency::once(&api, request, next).await;
        limits::until_written(answered.unwrap_or_else(IntoResponse::into_response), place).await
    };
    limits::bounded(limit, work).await
}

/// Lets anybody read what needs no token, as often as one tenant may ask and as far as there is a
/// place for them.
async fn read(State(api): State<Api>, request: Request, next: Next) -> Response {
    let counted = api.limits.count(Asker::Anybody);
    match counted.and_then(|()| api.limits.place(Asker::Anybody)) {
        Ok(place) => limits::until_written(next.run(request).await, place).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Counts a request, and traces it.
async fn measured(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let watch = Stopwatch::start();
    let span = telemetry::api_span(&method, route);
    let response = next.run(request).instrument(span).await;
    telemetry::api_request(&method, route, response.status().as_u16(), watch.elapsed());
    response
}

/// The description of the API as JSON: OpenAPI 3.1.
pub fn document() -> String {
    let (_, closed) = resources().split_for_parts();
    let (_, open) = health::routes().split_for_parts();
    openapi::text(&openapi::document(closed, open, ""))
}

/// Takes a slash at the end of a path of the API away: clients send some.
pub fn without_trailing_slash<B>(mut request: Request<B>) -> Request<B> {
    let path = request.uri().path();
    if !path.starts_with("/api/") || !path.ends_with('/') {
        return request;
    }
    let path = path.trim_end_matches('/');
    let rest = request.uri().query().map(|query| format!("{path}?{query}"));
    if let Ok(uri) = rest.unwrap_or_else(|| path.to_owned()).parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request
}

/// Everything that needs a token.
fn resources() -> OpenApiRouter<Api> {
    platform().merge(endpoints()).merge(messages())
}

fn platform() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(application::list, application::create))
        .routes(routes!(
            application::get,
            application::replace,
            application::patch,
            application::delete
        ))
        .routes(routes!(event_type::list, event_type::create))
        .routes(routes!(
            event_type::get,
            event_type::replace,
            event_type::patch,
            event_type::delete
        ))
        .routes(routes!(task::list))
        .routes(routes!(task::get))
        .routes(routes!(provider::list))
        .routes(routes!(provider::get))
        .routes(routes!(token::list, token::create))
        .routes(routes!(token::revoke))
        .routes(routes!(token::portal_access))
        .routes(routes!(token::logout))
        .routes(routes!(health::metrics))
}

fn endpoints() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(endpoint::list, endpoint::create))
        .routes(routes!(endpoint::get, endpoint::replace, endpoint::patch, endpoint::delete))
        .routes(routes!(endpoint::enable))
        .routes(routes!(endpoint::disable))
        .routes(routes!(
            endpoint::headers::get,
            endpoint::headers::replace,
            endpoint::headers::patch
        ))
        .routes(routes!(endpoint::secret::get))
        .routes(routes!(endpoint::secret::rotate))
        .routes(routes!(endpoint::sending::test))
        .routes(routes!(endpoint::sending::send_example))
        .routes(routes!(endpoint::sending::recover))
        .routes(routes!(endpoint::sending::replay_missing))
        .routes(routes!(endpoint::sending::stats))
}

fn messages() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(message::list, message::create))
        .routes(routes!(message::get))
        .routes(routes!(message::expunge))
        .routes(routes!(attempt::by_endpoint))
        .routes(routes!(attempt::by_message))
        .routes(routes!(attempt::get))
        .routes(routes!(attempt::expunge))
        .routes(routes!(delivery::list))
        .routes(routes!(delivery::get))
        .routes(routes!(delivery::count))
        .routes(routes!(delivery::replay))
        .routes(routes!(destination::messages))
        .routes(routes!(destination::destinations))
        .routes(routes!(destination::resend))
        .routes(routes!(stream::of_application))
        .routes(routes!(stream::of_everything))
}
