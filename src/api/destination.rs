//! How a message stands with each of its endpoints, and an endpoint with each of its messages, in
//! Svix's words.

use crate::api::Api;
use crate::api::access::{AppPath, EndpointPath, MessagePath, Owned};
use crate::api::attempt::shape::status;
use crate::api::delivery::due;
use crate::api::endpoint::shown::EndpointOut;
use crate::api::input::Query;
use crate::api::message::{MessageOut, Told, yes};
use crate::api::page::{ListResponse, PageQuery, page_of};
use crate::api::query::{Narrowing, walk};
use crate::api::refusal::Refusal;
use crate::history::EventFilter;
use crate::model::{Delivery, DeliveryId, DeliveryState, Event, EventId};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which messages of an endpoint to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AttemptedQuery {
    /// Only with this status: 0 success, 1 pending, 2 fail, 3 sending, 4 canceled.
    #[param(minimum = 0, maximum = 4)]
    status: Option<u8>,
    /// Whether the data is in the answer.
    #[serde(default = "yes")]
    #[param(default = true)]
    with_content: bool,
    /// Whether the client knows status 4, canceled; otherwise that is 2, fail.
    #[serde(default)]
    expanded_statuses: bool,
}

/// A message with how it stands with one endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointMessageOut {
    #[serde(flatten)]
    message: MessageOut,
    /// 0 success, 1 pending, 2 fail, 3 sending, 4 canceled.
    #[schema(minimum = 0, maximum = 4)]
    status: u8,
    /// The same as a word.
    status_text: &'static str,
    /// Our word for it: `waiting`, `sending`, `succeeded`, `exhausted`, `cancelled` or `skipped`.
    state: &'static str,
    /// When the next attempt is due.
    #[schema(format = DateTime)]
    next_attempt: Option<String>,
}

/// List the messages of an endpoint
///
/// Newest first, each with how it stands.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/msg",
    operation_id = "v1.message-attempt.list-attempted-messages", tag = "Delivery",
    params(AppPath, EndpointPath, Narrowing, AttemptedQuery),
    responses((status = 200, body = ListResponse<EndpointMessageOut>)))]
pub(super) async fn messages(
    State(api): State<Api>,
    owned: Owned,
    Query(asked): Query<Narrowing>,
    Query(query): Query<AttemptedQuery>,
) -> Result<Json<ListResponse<EndpointMessageOut>>, Refusal> {
    let asked = asked.read()?;
    let place = asked.place;
    let (position, order) = walk::<EventId>(&place)?;
    let mut filter = EventFilter::endpoint(owned.endpoint.id);
    filter.position = position;
    filter.order = order;
    filter.limit = asked.limit;
    filter.channel = asked.channel;
    filter.tag = asked.tag;
    filter.since = asked.since;
    filter.until = asked.until;
    filter.event_types = asked.event_types;
    let wanted = query.status.map(known_status).transpose()?;
    let page = api.engine.events(filter).await?;
    let stands = page.events.into_iter().filter_map(|held| {
        let to = |delivery: &&Delivery| delivery.id.endpoint == owned.endpoint.id;
        let state = held.deliveries.iter().find(to)?.state;
        Some((held.event, state))
    });
    let matching = stands.filter(|(_, state)| {
        wanted.is_none_or(|wanted| status(state, query.expanded_statuses).0 == wanted)
    });
    let id = |(event, _): &(Arc<Event>, DeliveryState)| event.id.to_string();
    let show = |(event, state): (Arc<Event>, DeliveryState)| {
        let (status, status_text) = status(&state, query.expanded_statuses);
        EndpointMessageOut {
            message: MessageOut::new(&event, query.with_content),
            status,
            status_text,
            state: state.as_str(),
            next_attempt: due(&state),
        }
    };
    let next = page.next.map(|next| next.to_string());
    Ok(Json(place.page(matching.collect(), next, id, show)))
}

fn known_status(status: u8) -> Result<u8, Refusal> {
    match status {
        0..=4 => Ok(status),
        _ => Err(Refusal::fault(["query", "status"], format!("status {status} is not 0 to 4"))),
    }
}

/// An endpoint with how a message stands with it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageEndpointOut {
    #[serde(flatten)]
    endpoint: EndpointOut,
    /// 0 success, 1 pending, 2 fail, 3 sending, 4 canceled.
    #[schema(minimum = 0, maximum = 4)]
    status: u8,
    /// The same as a word.
    status_text: &'static str,
    /// Where the delivery stands: `waiting`, `sending`, `succeeded`, `exhausted`, `cancelled` or
    /// `skipped`. The endpoint's own `state` stands beside it.
    delivery_state: &'static str,
    /// When the next attempt is due.
    #[schema(format = DateTime)]
    next_attempt: Option<String>,
}

/// Which endpoints of a message to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DestinationQuery {
    /// How many items a page has at most.
    #[param(minimum = 1, maximum = 250, default = 50)]
    limit: Option<u16>,
    /// The `iterator` or `prevIterator` of another page.
    #[param(max_length = 512)]
    iterator: Option<String>,
    /// Whether the client knows status 4, canceled; otherwise that is 2, fail.
    #[serde(default)]
    expanded_statuses: bool,
}

/// List the endpoints of a message
///
/// Those that it goes to, each with how it stands.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint",
    operation_id = "v1.message-attempt.list-attempted-destinations", tag = "Delivery",
    params(AppPath, MessagePath, DestinationQuery),
    responses((status = 200, body = ListResponse<MessageEndpointOut>)))]
pub(super) async fn destinations(
    State(api): State<Api>,
    told: Told,
    Query(query): Query<DestinationQuery>,
) -> Result<Json<ListResponse<MessageEndpointOut>>, Refusal> {
    let page = PageQuery { limit: query.limit, iterator: query.iterator, order: None };
    let mut deliveries = told.history.deliveries;
    deliveries.sort_by_key(|delivery| delivery.id.endpoint);
    let found = deliveries.into_iter().filter_map(|delivery| {
        let endpoint = api.engine.endpoint(delivery.id.endpoint).ok()?;
        Some((delivery, endpoint))
    });
    let shown = page_of(
        found,
        &page,
        |(delivery, _)| delivery.id.endpoint.to_string(),
        |(delivery, endpoint)| {
            let (status, status_text) = status(&delivery.state, query.expanded_statuses);
            MessageEndpointOut {
                endpoint: (&*endpoint).into(),
                status,
                status_text,
                delivery_state: delivery.state.as_str(),
                next_attempt: due(&delivery.state),
            }
        },
    )?;
    Ok(Json(shown))
}

/// Send a message to an endpoint again
///
/// One more attempt, also of what succeeded. A conflict while its first attempt is on its way, for
/// an endpoint that is disabled, and for a message that has had 1,000 attempts over all its
/// endpoints, or 20 for each of them where that is more.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend",
    operation_id = "v1.message-attempt.resend", tag = "Delivery",
    params(AppPath, MessagePath, EndpointPath),
    responses((status = 202, description = "It will be sent", body = EmptyResponse)))]
pub(super) async fn resend(
    State(api): State<Api>,
    told: Told,
    owned: Owned,
) -> Result<(StatusCode, Json<EmptyResponse>), Refusal> {
    let (event, endpoint) = (told.history.event.id, owned.endpoint.id);
    api.engine.replay(DeliveryId { event, endpoint }).await?;
    Ok((StatusCode::ACCEPTED, Json(EmptyResponse {})))
}

/// Nothing.
#[derive(Serialize, ToSchema)]
pub struct EmptyResponse {}
