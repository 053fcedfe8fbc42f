//! Deliveries: one message on its way to one endpoint, with everything that came of it.

use crate::api::Api;
use crate::api::access::{AppPath, Tenant, missing, path_part};
use crate::api::attempt::shape::{MessageAttemptOut, reason, status};
use crate::api::input::{Body, Query};
use crate::api::limits::Awaited;
use crate::api::page::ListResponse;
use crate::api::query::{Narrowing, walk};
use crate::api::refusal::Refusal;
use crate::api::task::TaskOut;
use crate::history::DeliveryFilter;
use crate::model::{Delivery, DeliveryId, DeliveryState, EventPattern, Timestamp};
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A delivery.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryOut {
    /// Its id.
    id: String,
    /// The message.
    msg_id: String,
    /// The endpoint.
    endpoint_id: String,
    /// The message's type.
    event_type: String,
    /// `waiting`, `sending`, `succeeded`, `exhausted`, `cancelled` or `skipped`.
    state: &'static str,
    /// Why it stands so, where the state does not say it.
    reason: Option<String>,
    /// 0 success, 1 pending, 2 fail, 3 sending, 4 canceled.
    #[schema(minimum = 0, maximum = 4)]
    status: u8,
    /// The same as a word.
    status_text: &'static str,
    /// How many attempts were made.
    attempts: u32,
    /// When the next one is due.
    #[schema(format = DateTime)]
    next_attempt: Option<String>,
    /// When the message was accepted.
    #[schema(format = DateTime)]
    timestamp: String,
    /// The webhook that carries it: its own, or one shared with other messages.
    webhook_id: String,
}

impl From<&Delivery> for DeliveryOut {
    fn from(delivery: &Delivery) -> Self {
        let (status, status_text) = status(&delivery.state, true);
        Self {
            id: delivery.id.to_string(),
            msg_id: delivery.id.event.to_string(),
            endpoint_id: delivery.id.endpoint.to_string(),
            event_type: delivery.event_type.to_string(),
            state: delivery.state.as_str(),
            reason: reason(&delivery.state).map(Into::into),
            status,
            status_text,
            attempts: delivery.attempts,
            next_attempt: due(&delivery.state),
            timestamp: delivery.accepted_at.rfc3339(6),
            webhook_id: delivery.webhook.to_string(),
        }
    }
}

/// When the next attempt of a delivery is due.
pub(super) fn due(state: &DeliveryState) -> Option<String> {
    match state {
        DeliveryState::Waiting { due } => Some(due.rfc3339(6)),
        _ => None,
    }
}

/// A delivery with its attempts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryDetail {
    #[serde(flatten)]
    delivery: DeliveryOut,
    /// Its newest 250 attempts, oldest first.
    attempt_list: Vec<MessageAttemptOut>,
    /// Whether it has older ones; the message's attempts list them all.
    has_older_attempts: bool,
    /// How many of these, from the first on, are shown without their bodies, as those of the newer
    /// ones are long; each attempt by itself shows them.
    without_bodies: usize,
}

/// Which deliveries to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeliveryQuery {
    /// Only those to this endpoint, by id or uid.
    #[param(max_length = 256)]
    endpoint_id: Option<String>,
    /// Only in this state.
    #[param(pattern = "^(waiting|sending|succeeded|exhausted|cancelled|skipped)$")]
    state: Option<String>,
}

/// List deliveries
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/delivery", operation_id = "delivery.list",
    tag = "Delivery", params(AppPath, Narrowing, DeliveryQuery),
    responses((status = 200, body = ListResponse<DeliveryOut>)))]
pub(super) async fn list(
    State(api): State<Api>,
    tenant: Tenant,
    Query(asked): Query<Narrowing>,
    Query(query): Query<DeliveryQuery>,
) -> Result<Json<ListResponse<DeliveryOut>>, Refusal> {
    let mut filter = match query.endpoint_id {
        None => DeliveryFilter::application(tenant.application.id),
        Some(name) => DeliveryFilter::endpoint(api.endpoint(&tenant.application, &name)?.id),
    };
    let asked = asked.read()?;
    let place = asked.place;
    let (position, order) = walk::<DeliveryId>(&place)?;
    filter.position = position;
    filter.order = order;
    filter.limit = asked.limit;
    filter.channel = asked.channel;
    filter.tag = asked.tag;
    filter.since = asked.since;
    filter.until = asked.until;
    filter.event_types = asked.event_types;
    filter.state = query.state;
    let page = api.engine.deliveries(filter).await.map_err(Refusal::at(["query", "state"]))?;
    let id = |held: &Delivery| held.id.to_string();
    let show = |held: Delivery| DeliveryOut::from(&held);
    Ok(Json(place.page(page.deliveries, page.next.map(|next| next.to_string()), id, show)))
}

/// The delivery that the path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "describes the path")]
pub struct DeliveryPath {
    /// Its id.
    #[param(max_length = 64)]
    delivery_id: String,
}

/// The delivery that a request is about, of its application.
pub(super) struct Named(DeliveryId);

impl FromRequestParts<Api> for Named {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let tenant = Tenant::from_request_parts(parts, api).await?;
        let name = path_part(parts, api, "delivery_id").await?;
        let id: DeliveryId = name.parse().map_err(|_| missing("delivery", &name))?;
        match api.engine.event(id.event).await {
            Ok(held) if held.event.application == tenant.application.id => Ok(Self(id)),
            Ok(_) => Err(missing("delivery", &name)),
            Err(error) if error.is_not_found() => Err(missing("delivery", &name)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Show a delivery with its attempts
#[utoipa::path(get, path = "/api/v1/app/{app_id}/delivery/{delivery_id}",
    operation_id = "delivery.get", tag = "Delivery", params(AppPath, DeliveryPath),
    responses((status = 200, body = DeliveryDetail)))]
pub(super) async fn get(
    State(api): State<Api>,
    Named(id): Named,
) -> Result<Json<DeliveryDetail>, Refusal> {
    let history = api.engine.delivery(id).await?;
    let shown = |attempt| MessageAttemptOut::new(attempt, id.endpoint, &[id.event], true);
    Ok(Json(DeliveryDetail {
        delivery: (&history.delivery).into(),
        attempt_list: history.attempts.iter().map(shown).collect(),
        has_older_attempts: history.has_older_attempts,
        without_bodies: history.without_bodies,
    }))
}

/// Which deliveries are meant.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"state": "exhausted", "eventTypes": ["order.*"]}))]
pub struct DeliverySelection {
    /// Only those to this endpoint, by id or uid.
    #[schema(max_length = 256)]
    endpoint_id: Option<String>,
    /// Only in this state.
    #[schema(pattern = "^(waiting|sending|succeeded|exhausted|cancelled|skipped)$")]
    state: Option<String>,
    /// Only of these types, like `order.created` or `order.*`.
    #[schema(max_items = 256)]
    event_types: Option<Vec<String>>,
    /// Only those of messages accepted at or after.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// Only those of messages accepted before.
    #[schema(format = DateTime)]
    until: Option<String>,
}

impl DeliverySelection {
    fn filter(self, api: &Api, tenant: &Tenant) -> Result<DeliveryFilter, Refusal> {
        let mut filter = match self.endpoint_id {
            None => DeliveryFilter::application(tenant.application.id),
            Some(name) => DeliveryFilter::endpoint(api.endpoint(&tenant.application, &name)?.id),
        };
        let types = self.event_types.unwrap_or_default().into_iter().map(EventPattern::new);
        filter.state = self.state;
        let types = types.collect::<Result<_, _>>();
        let (since, until) = (self.since.as_deref(), self.until.as_deref());
        let (since, until) = (since.map(Timestamp::parse), until.map(Timestamp::parse));
        filter.event_types = types.map_err(Refusal::at(["body", "eventTypes"]))?;
        filter.since = since.transpose().map_err(Refusal::at(["body", "since"]))?;
        filter.until = until.transpose().map_err(Refusal::at(["body", "until"]))?;
        Ok(filter)
    }
}

/// How many deliveries there are.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryCountOut {
    /// How many were counted.
    count: u64,
    /// Whether there are more: counting stops where it would take too long.
    at_least: bool,
}

/// Count deliveries
///
/// What `replay` with the same body would send again.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/delivery/count", operation_id = "delivery.count",
    tag = "Delivery", params(AppPath), request_body = DeliverySelection,
    responses((status = 200, body = DeliveryCountOut)))]
pub(super) async fn count(
    State(api): State<Api>,
    tenant: Tenant,
    Extension(awaited): Extension<Awaited>,
    Body(body): Body<DeliverySelection>,
) -> Result<Json<DeliveryCountOut>, Refusal> {
    let filter = body.filter(&api, &tenant)?;
    let counted = api.engine.count_deliveries_while(filter, || awaited.is_true()).await;
    let counted = counted.map_err(Refusal::at(["body", "state"]))?;
    Ok(Json(DeliveryCountOut { count: counted.count, at_least: counted.at_least }))
}

/// Send deliveries again
///
/// Each that is finished and matches, once, in the background.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/delivery/replay",
    operation_id = "delivery.replay", tag = "Delivery", params(AppPath),
    request_body = DeliverySelection,
    responses((status = 202, description = "It has begun", body = TaskOut)))]
pub(super) async fn replay(
    State(api): State<Api>,
    tenant: Tenant,
    Body(body): Body<DeliverySelection>,
) -> Result<(StatusCode, Json<TaskOut>), Refusal> {
    let task = api.engine.start_replay(body.filter(&api, &tenant)?).await;
    let task = task.map_err(Refusal::at(["body", "state"]))?;
    Ok((StatusCode::ACCEPTED, Json((&task).into())))
}
