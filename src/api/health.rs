//! Whether the server is well: for load balancers, service managers and Svix's clients.

use crate::api::Api;
use crate::api::access::Caller;
use crate::api::refusal::Refusal;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes that need no token.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(ping))
        .routes(routes!(live))
        .routes(routes!(ready))
}

/// Show metrics
///
/// In Prometheus' text format, for a token that may read everything.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "Health",
    responses((status = 200, content_type = "text/plain", body = String)))]
pub(super) async fn metrics(
    State(api): State<Api>,
    caller: Caller,
) -> Result<impl IntoResponse, Refusal> {
    caller.everything()?;
    let missing = || Refusal::not_found("this process counts for another recorder");
    let prometheus = api.prometheus.as_ref().ok_or_else(missing)?;
    let text = prometheus.render(&api.engine.status().await);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

/// Whether the server can do its work
#[utoipa::path(get, path = "/api/v1/health", operation_id = "v1.health.get", tag = "Health",
    security(()), responses((status = 204, description = "It can")))]
async fn health(State(api): State<Api>) -> Result<StatusCode, Refusal> {
    api.engine.check_ready().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the server answers
#[utoipa::path(get, path = "/api/v1/health/ping", operation_id = "v1.health.ping", tag = "Health",
    security(()), responses((status = 204, description = "It does")))]
async fn ping() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Whether the process is alive
#[utoipa::path(get, path = "/health/live", operation_id = "health.live", tag = "Health",
    security(()), responses((status = 204, description = "It is; otherwise start it anew")))]
async fn live() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Whether requests should be sent here
///
/// Not while it is closing, while its store fails, or with a full disk.
#[utoipa::path(get, path = "/health/ready", operation_id = "health.ready", tag = "Health",
    security(()), responses((status = 204, description = "They should")))]
async fn ready(State(api): State<Api>) -> Result<StatusCode, Refusal> {
    api.engine.check_ready().await?;
    Ok(StatusCode::NO_CONTENT)
}
