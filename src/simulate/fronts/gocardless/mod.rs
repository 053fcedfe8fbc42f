//! GoCardless' API as far as webhooks go, in its version 2015-07-06: webhooks listed, shown and
//! retried, and the scenario simulators of its sandbox for payments and mandates.
//!
//! Shapes, statuses and the words of errors are those of its reference
//! (<https://developer.gocardless.com/api-reference>) and client libraries. The front keeps no
//! payments and mandates, so a simulator runs on any id of the right form, in whatever state the
//! integrator believes it to be.

mod error;
mod list;
mod query;
mod resource;
mod scenarios;
mod simulator;
mod webhooks;

pub(super) use error::Problem;

use super::Fronts;
use super::tenant::{NoKey, bearer, name_application};
use crate::model::ApplicationId;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};

/// The name of the provider that is played.
pub(super) const PROVIDER: &str = "gocardless";
/// The version of the API, which every request names in `GoCardless-Version`.
const VERSION: &str = "2015-07-06";

pub(super) fn routes(fronts: &Fronts) -> Router<Fronts> {
    Router::new()
        .route("/webhooks", get(list::list))
        .route("/webhooks/{id}", get(webhooks::show))
        .route("/webhooks/{id}/actions/retry", post(webhooks::retry))
        .route("/scenario_simulators/{name}/actions/run", post(simulator::run))
        .method_not_allowed_fallback(async || Problem::no_method())
        .route_layer(middleware::from_fn_with_state(fronts.clone(), authenticate))
}

/// Whoever holds the access token.
#[derive(Clone, Copy)]
struct Organisation(ApplicationId);

async fn authenticate(
    State(fronts): State<Fronts>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = bearer(request.headers()).map_err(|none| {
        let (reason, message) = match none {
            NoKey::Missing => {
                ("missing_authorization_header", "No authorization header was supplied")
            }
            NoKey::Malformed => (
                "invalid_authorization_header",
                "The authorization header is malformed: expected `Bearer` and an access token",
            ),
        };
        Problem::usage(StatusCode::UNAUTHORIZED, reason, message)
    })?;
    check_version(request.headers())?;
    let name = "GoCardless organisation";
    let application = fronts.tenant("gocardless", name, token).await?.id;
    fronts.provide_endpoint(application).await?;
    request.extensions_mut().insert(Organisation(application));
    let mut response = next.run(request).await;
    name_application(&mut response, application);
    Ok(response)
}

fn check_version(headers: &HeaderMap) -> Result<(), Problem> {
    let (reason, message) = match headers.get("GoCardless-Version") {
        Some(version) if version == VERSION => return Ok(()),
        Some(_) => ("version_not_found", format!("Version not found: expected {VERSION}")),
        None => (
            "missing_version_header",
            format!("No version was supplied: expected the header `GoCardless-Version: {VERSION}`"),
        ),
    };
    Err(Problem::usage(StatusCode::BAD_REQUEST, reason, message))
}
