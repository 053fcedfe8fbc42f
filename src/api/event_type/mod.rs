//! Event types, with their schemas.

mod shape;

use crate::api::Api;
use crate::api::access::{Caller, missing};
use crate::api::input::{Body, Path, Query};
use crate::api::page::{ListResponse, Ordering, PageQuery, page_of};
use crate::api::refusal::Refusal;
use crate::engine::PutEventType;
use crate::model::EventTypeDefinition;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use shape::{EventTypeIn, EventTypeOut, EventTypePatch, EventTypeUpdate};
use utoipa::IntoParams;

/// Which event types to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventTypeQuery {
    /// How many items a page has at most.
    #[param(minimum = 1, maximum = 250, default = 50)]
    limit: Option<u16>,
    /// The `iterator` or `prevIterator` of another page.
    #[param(max_length = 512)]
    iterator: Option<String>,
    /// In which order they come, by name; ascending when left out.
    #[param(inline)]
    order: Option<Ordering>,
    /// Whether archived ones are shown.
    #[serde(default)]
    include_archived: bool,
    /// Whether schemas are shown.
    #[serde(default)]
    with_content: bool,
}

/// The event type that the path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "describes the path")]
pub struct EventTypePath {
    /// Its name.
    #[param(
        min_length = 1,
        max_length = 256,
        pattern = "^[a-zA-Z0-9\\-_.]+$",
        example = "order.created"
    )]
    event_type_name: String,
}

/// List event types
#[utoipa::path(get, path = "/api/v1/event-type", operation_id = "v1.event-type.list",
    tag = "Event type", params(EventTypeQuery),
    responses((status = 200, body = ListResponse<EventTypeOut>)))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<EventTypeQuery>,
) -> Result<Json<ListResponse<EventTypeOut>>, Refusal> {
    let page = PageQuery { limit: query.limit, iterator: query.iterator, order: query.order };
    let types = api.engine.event_types();
    let shown = types
        .into_iter()
        .filter(|held| query.include_archived || !held.archived)
        .filter(|held| is_for(&caller, held));
    let name = |held: &std::sync::Arc<EventTypeDefinition>| held.name.to_string();
    Ok(Json(page_of(shown, &page, name, |held| EventTypeOut::new(&held, query.with_content))?))
}

/// Make an event type
///
/// One that was archived is brought back, with the new contents.
#[utoipa::path(post, path = "/api/v1/event-type", operation_id = "v1.event-type.create",
    tag = "Event type", request_body = EventTypeIn,
    responses((status = 201, body = EventTypeOut)))]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body<EventTypeIn>,
) -> Result<(StatusCode, Json<EventTypeOut>), Refusal> {
    caller.everything()?;
    let made = api.engine.create_event_type(body.into_new()).await?;
    Ok((StatusCode::CREATED, Json(EventTypeOut::new(&made, true))))
}

/// Show an event type
#[utoipa::path(get, path = "/api/v1/event-type/{event_type_name}",
    operation_id = "v1.event-type.get", tag = "Event type", params(EventTypePath),
    responses((status = 200, body = EventTypeOut)))]
pub(super) async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<EventTypeOut>, Refusal> {
    let held = api.engine.event_type(&name)?;
    match is_for(&caller, &held) {
        true => Ok(Json(EventTypeOut::new(&held, true))),
        false => Err(missing("event type", &name)),
    }
}

/// Whether an event type is offered to a caller: a portal sees those with flags only by a flag.
fn is_for(caller: &Caller, held: &EventTypeDefinition) -> bool {
    !caller.0.portal
        || held.feature_flags.is_empty()
        || held.feature_flags.iter().any(|flag| caller.0.feature_flags.contains(flag))
}

/// Replace an event type, or make it
#[utoipa::path(put, path = "/api/v1/event-type/{event_type_name}",
    operation_id = "v1.event-type.update", tag = "Event type", params(EventTypePath),
    request_body = EventTypeUpdate, responses((status = 200, body = EventTypeOut),
        (status = 201, description = "It was made", body = EventTypeOut)))]
pub(super) async fn replace(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    Body(body): Body<EventTypeUpdate>,
) -> Result<(StatusCode, Json<EventTypeOut>), Refusal> {
    caller.everything()?;
    let put = api.engine.put_event_type(body.into_new(name)).await?;
    let (status, held) = match &put {
        PutEventType::Created(held) => (StatusCode::CREATED, held),
        PutEventType::Replaced(held) => (StatusCode::OK, held),
    };
    Ok((status, Json(EventTypeOut::new(held, true))))
}

/// Change an event type
#[utoipa::path(patch, path = "/api/v1/event-type/{event_type_name}",
    operation_id = "v1.event-type.patch", tag = "Event type", params(EventTypePath),
    request_body = EventTypePatch, responses((status = 200, body = EventTypeOut)))]
pub(super) async fn patch(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    Body(body): Body<EventTypePatch>,
) -> Result<Json<EventTypeOut>, Refusal> {
    caller.everything()?;
    let held = api.engine.update_event_type(&name, body.into_change()).await?;
    Ok(Json(EventTypeOut::new(&held, true)))
}

/// How an event type is deleted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// Remove it for good instead of archiving it.
    #[serde(default)]
    expunge: bool,
}

/// Archive or remove an event type
#[utoipa::path(delete, path = "/api/v1/event-type/{event_type_name}",
    operation_id = "v1.event-type.delete", tag = "Event type",
    params(EventTypePath, DeleteQuery), responses((status = 204, description = "It is gone")))]
pub(super) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<DeleteQuery>,
) -> Result<StatusCode, Refusal> {
    caller.everything()?;
    api.engine.delete_event_type(&name, query.expunge).await?;
    Ok(StatusCode::NO_CONTENT)
}
