//! Provider fronts: the APIs that a provider's users call to register endpoints and to look at
//! their webhooks, over this engine. An integrator's own client, pointed here by its base URL,
//! registers, receives, lists and retries as it would at the provider. For trials: whoever has an
//! API key of the right form is let in, and is a tenant of its own.
//!
//! The paths of the two fronts do not collide, so one listener serves both: `/api/webhooks` is
//! Yoco's, everything else GoCardless'. Every answer to a key names the tenant's application in the
//! header `Hookwheel-Application`, for what the provider's API has no call for: emitting events
//! ([`Engine::emit`](crate::Engine::emit)) and looking at each attempt.

mod config;
mod gocardless;
mod listen;
mod tenant;
mod yoco;

pub use config::{FrontsConfig, GoCardlessEndpoint};
pub use listen::serve;

use crate::clock;
use crate::engine::Engine;
use crate::model::ApplicationId;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The fronts' routes. A connection's own bounds are the listener's: [`serve`] has them.
pub fn router(engine: Engine, config: FrontsConfig) -> Router {
    let body_max_bytes = config.body_max_bytes;
    let fronts = Fronts { engine, config: Arc::new(config), provided: Arc::default() };
    yoco::routes(&fronts)
        .merge(gocardless::routes(&fronts))
        .fallback(async |uri: Uri| Style::of(&uri).not_found())
        .layer(DefaultBodyLimit::max(body_max_bytes))
        .layer(middleware::from_fn_with_state(fronts.clone(), in_time))
        .with_state(fronts)
}

/// What the fronts' handlers share. Clones are the same.
#[derive(Clone)]
struct Fronts {
    engine: Engine,
    config: Arc<FrontsConfig>,
    /// Organisations whose endpoint is as `config` says.
    provided: Arc<Mutex<HashSet<ApplicationId>>>,
}

/// Ends a request that takes too long: a body that trickles in, or a history that is too long to be
/// walked.
async fn in_time(State(fronts): State<Fronts>, request: Request, next: Next) -> Response {
    let style = Style::of(request.uri());
    let limit = Duration::from_secs(fronts.config.request_seconds);
    match clock::within(limit, next.run(request)).await {
        Some(response) => response,
        None => style.timed_out(),
    }
}

/// Whose errors a path is answered with, where no handler is.
#[derive(Clone, Copy)]
enum Style {
    Yoco,
    GoCardless,
}

impl Style {
    fn of(uri: &Uri) -> Self {
        if uri.path().starts_with("/api/") { Self::Yoco } else { Self::GoCardless }
    }

    fn not_found(self) -> Response {
        match self {
            Self::Yoco => yoco::Refusal::new(StatusCode::NOT_FOUND, "no such path").into_response(),
            Self::GoCardless => gocardless::Problem::no_path().into_response(),
        }
    }

    fn timed_out(self) -> Response {
        let status = StatusCode::REQUEST_TIMEOUT;
        match self {
            Self::Yoco => yoco::Refusal::new(status, "the request took too long").into_response(),
            Self::GoCardless => gocardless::Problem::timed_out().into_response(),
        }
    }
}
