//! Attempts: every HTTP request that was made, and what came of it.

pub(super) mod shape;

use crate::api::Api;
use crate::api::access::{AppPath, EndpointPath, MessagePath, Owned, missing};
use crate::api::input::{Path, Query};
use crate::api::message::{MessageOut, Told, yes};
use crate::api::page::ListResponse;
use crate::api::query::{Narrowing, walk};
use crate::api::refusal::Refusal;
use crate::history::{AttemptEntry, AttemptFilter};
use crate::model::{AttemptId, AttemptPosition, StatusClass};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use shape::MessageAttemptOut;
use utoipa::IntoParams;

/// Which attempts to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AttemptQuery {
    /// Only with this status: 0 success, 2 fail. An attempt is on record when it is over, so none
    /// has another.
    #[param(minimum = 0, maximum = 4)]
    status: Option<u8>,
    /// Only with answers of this class: 100 to 500, or 0 for no answer.
    #[param(minimum = 0, maximum = 500, multiple_of = 100)]
    status_code_class: Option<u16>,
    /// Whether headers and bodies are in the answer.
    #[serde(default = "yes")]
    #[param(default = true)]
    with_content: bool,
    /// Whether the message is in the answer, without its data.
    #[serde(default)]
    with_msg: bool,
}

/// To which endpoint the attempts of a message are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DestinationQuery {
    /// Only those to this endpoint, by id or uid.
    #[param(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$")]
    endpoint_id: Option<String>,
}

/// List the attempts to an endpoint
///
/// The last one comes first.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/attempt/endpoint/{endpoint_id}",
    operation_id = "v1.message-attempt.list-by-endpoint", tag = "Attempt",
    params(AppPath, EndpointPath, Narrowing, AttemptQuery),
    responses((status = 200, body = ListResponse<MessageAttemptOut>)))]
pub(super) async fn by_endpoint(
    State(api): State<Api>,
    owned: Owned,
    Query(asked): Query<Narrowing>,
    Query(query): Query<AttemptQuery>,
) -> Result<Json<ListResponse<MessageAttemptOut>>, Refusal> {
    page(&api, AttemptFilter::endpoint(owned.endpoint.id), asked, query).await
}

/// List the attempts of a message
///
/// The last one comes first.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/attempt/msg/{msg_id}",
    operation_id = "v1.message-attempt.list-by-msg", tag = "Attempt",
    params(AppPath, MessagePath, DestinationQuery, Narrowing, AttemptQuery),
    responses((status = 200, body = ListResponse<MessageAttemptOut>)))]
pub(super) async fn by_message(
    State(api): State<Api>,
    told: Told,
    Query(destination): Query<DestinationQuery>,
    Query(asked): Query<Narrowing>,
    Query(query): Query<AttemptQuery>,
) -> Result<Json<ListResponse<MessageAttemptOut>>, Refusal> {
    let mut filter = AttemptFilter::event(told.history.event.id);
    if let Some(name) = &destination.endpoint_id {
        filter.endpoint = Some(api.endpoint(&told.application, name)?.id);
    }
    page(&api, filter, asked, query).await
}

async fn page(
    api: &Api,
    mut filter: AttemptFilter,
    asked: Narrowing,
    query: AttemptQuery,
) -> Result<Json<ListResponse<MessageAttemptOut>>, Refusal> {
    let asked = asked.read()?;
    let place = asked.place;
    let (position, order) = walk::<AttemptPosition>(&place)?;
    filter.position = position;
    filter.order = order;
    filter.limit = asked.limit;
    filter.channel = asked.channel;
    filter.tag = asked.tag;
    filter.since = asked.since;
    filter.until = asked.until;
    filter.event_types = asked.event_types;
    filter.status_class = query.status_code_class.map(class).transpose()?;
    match query.status {
        None => {}
        Some(0) => filter.succeeded = Some(true),
        Some(2) => filter.succeeded = Some(false),
        Some(1 | 3 | 4) => return Ok(Json(ListResponse::new(Vec::new(), None, None, true))),
        Some(other) => {
            let text = format!("status {other} is not 0 to 4");
            return Err(Refusal::fault(["query", "status"], text));
        }
    }
    let page = api.engine.attempts(filter).await?;
    let position = |held: &AttemptEntry| held.position.to_string();
    let show = |held: AttemptEntry| {
        let msg = held.events.first().filter(|_| query.with_msg);
        let msg = msg.map(|event| MessageOut::new(event, false));
        shown(&held, query.with_content).with_message(msg)
    };
    Ok(Json(place.page(page.attempts, page.next.map(|next| next.to_string()), position, show)))
}

fn class(given: u16) -> Result<StatusClass, Refusal> {
    match given {
        0 => Ok(StatusClass::NoAnswer),
        100 => Ok(StatusClass::Informational),
        200 => Ok(StatusClass::Successful),
        300 => Ok(StatusClass::Redirection),
        400 => Ok(StatusClass::ClientError),
        500 => Ok(StatusClass::ServerError),
        other => Err(Refusal::fault(
            ["query", "status_code_class"],
            format!("class {other} is not one: 0, 100, 200, 300, 400 and 500 are"),
        )),
    }
}

fn shown(held: &AttemptEntry, with_content: bool) -> MessageAttemptOut {
    let events: Vec<_> = held.events.iter().map(|event| event.id).collect();
    MessageAttemptOut::new(&held.attempt, held.endpoint, &events, with_content)
}

/// The attempt that the path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "describes the path")]
pub struct AttemptPath {
    /// Its id.
    #[param(max_length = 64)]
    attempt_id: String,
}

/// The parts of a path that names an attempt.
#[derive(Deserialize)]
pub struct Ids {
    attempt_id: String,
}

/// Show an attempt
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}",
    operation_id = "v1.message-attempt.get", tag = "Attempt",
    params(AppPath, MessagePath, AttemptPath),
    responses((status = 200, body = MessageAttemptOut)))]
pub(super) async fn get(
    State(api): State<Api>,
    told: Told,
    Path(ids): Path<Ids>,
) -> Result<Json<MessageAttemptOut>, Refusal> {
    let id = attempt_id(&ids.attempt_id)?;
    let held = api.engine.attempt(told.history.event.id, id).await?;
    Ok(Json(shown(&held, true)))
}

/// Remove an attempt's content
///
/// The bodies of what was sent and answered are gone for good.
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/content",
    operation_id = "v1.message-attempt.expunge-content", tag = "Attempt",
    params(AppPath, MessagePath, AttemptPath),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn expunge(
    State(api): State<Api>,
    told: Told,
    Path(ids): Path<Ids>,
) -> Result<StatusCode, Refusal> {
    told.caller.platform()?;
    let id = attempt_id(&ids.attempt_id)?;
    api.engine.expunge_attempt(told.history.event.id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn attempt_id(text: &str) -> Result<AttemptId, Refusal> {
    text.parse().map_err(|_| missing("attempt", text))
}
