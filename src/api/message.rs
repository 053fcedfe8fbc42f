//! Messages: what happened, as the platform told it.

use crate::api::Api;
use crate::api::access::{AppPath, Caller, MessagePath, Tenant, missing, path_part};
use crate::api::application::ApplicationIn;
use crate::api::endpoint::shown::some_items;
use crate::api::idempotency;
use crate::api::input::{Body, Path, Query};
use crate::api::page::ListResponse;
use crate::api::query::{Narrowing, walk};
use crate::api::refusal::Refusal;
use crate::engine::NewEvent;
use crate::history::{EventFilter, EventHistory};
use crate::model::{
    Application, ApplicationId, Event, EventId, EventType, Mode, Payload, Timestamp, check,
    escape_json,
};
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A message to be sent to the application's endpoints.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "eventType": "order.created", "payload": {"orderId": "ord_1", "total": 1200},
}))]
pub struct MessageIn {
    /// What happened.
    #[schema(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$")]
    event_type: String,
    /// The data, a JSON object, whose bytes are sent as they came.
    #[serde(alias = "data")]
    #[schema(value_type = Object)]
    payload: Box<RawValue>,
    /// The platform's own id of it, unique within the application.
    #[schema(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$")]
    event_id: Option<String>,
    /// The channels that it is meant for; all when left out.
    #[schema(min_items = 1, max_items = 10)]
    channels: Option<Vec<String>>,
    /// Words to find it by.
    #[schema(max_items = 10)]
    tags: Option<Vec<String>>,
    /// Whether it is about real money or a trial; each provider marks that its own way.
    #[serde(default)]
    mode: ModeOut,
    /// When it happened; now when left out.
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
    /// Makes the application where it is not there yet.
    application: Option<ApplicationIn>,
    /// The data as text, as Svix's clients send it whose bytes must not change.
    transformations_params: Option<TransformationsParams>,
}

/// The data as text.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"rawPayload": "{\"orderId\": \"ord_1\"}"}))]
pub struct TransformationsParams {
    /// A JSON object, which takes the place of `payload`.
    raw_payload: Option<String>,
}

impl MessageIn {
    /// The event of an application that this is, and the application to make where it is missing.
    fn checked(
        self,
        idempotency_key: Option<String>,
    ) -> Result<(impl FnOnce(ApplicationId) -> NewEvent, Option<ApplicationIn>), Refusal> {
        let event_type = EventType::new(self.event_type);
        let event_type = event_type.map_err(Refusal::at(["body", "eventType"]))?;
        let data = match self.transformations_params.and_then(|held| held.raw_payload) {
            Some(raw) => Payload::from_text(raw).map_err(Refusal::at([
                "body",
                "transformationsParams",
                "rawPayload",
            ]))?,
            None => Payload::from_text(Box::<str>::from(self.payload))
                .map_err(Refusal::at(["body", "payload"]))?,
        };
        let uid = self.event_id;
        uid.iter()
            .try_for_each(|uid| check::check_name("event id", uid))
            .map_err(Refusal::at(["body", "eventId"]))?;
        let channels = check::checked_channels(self.channels.unwrap_or_default());
        let channels = channels.map_err(Refusal::at(["body", "channels"]))?;
        let tags = check::checked_tags(self.tags.unwrap_or_default());
        let tags = tags.map_err(Refusal::at(["body", "tags"]))?;
        let time = self.occurred_at.as_deref().map(Timestamp::parse).transpose();
        let time = time.map_err(Refusal::at(["body", "occurredAt"]))?;
        let mode = self.mode.into();
        let event_of = move |application| NewEvent {
            application,
            event_type,
            data,
            time,
            mode,
            channels,
            uid,
            tags,
            idempotency_key,
        };
        Ok((event_of, self.application))
    }
}

/// Live or test.
#[derive(Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModeOut {
    /// It really happened.
    #[default]
    Live,
    /// A trial.
    Test,
}

impl From<Mode> for ModeOut {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Live => Self::Live,
            Mode::Test => Self::Test,
        }
    }
}

impl From<ModeOut> for Mode {
    fn from(mode: ModeOut) -> Self {
        match mode {
            ModeOut::Live => Self::Live,
            ModeOut::Test => Self::Test,
        }
    }
}

/// A message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageOut {
    /// Its id, the same over all attempts.
    #[schema(example = "msg_068MnRSCDjQOeYMqPNC5Bc")]
    pub(super) id: String,
    /// What happened.
    event_type: String,
    /// The data; empty where it was not asked for, or was removed.
    #[schema(value_type = Object)]
    payload: Box<RawValue>,
    /// The platform's own id of it.
    event_id: Option<String>,
    /// The channels that it is meant for; null for all.
    channels: Option<Vec<String>>,
    /// Words to find it by.
    tags: Option<Vec<String>>,
    /// Live or test.
    mode: ModeOut,
    /// When it was accepted.
    #[schema(format = DateTime)]
    timestamp: String,
    /// When it happened, by the platform's word.
    #[schema(format = DateTime)]
    occurred_at: String,
    /// Why no endpoint receives it; null when one does.
    unreached: Option<String>,
}

impl MessageOut {
    /// The message, with its data where that is wanted.
    pub(super) fn new(event: &Event, with_content: bool) -> Self {
        // The same JSON, with nothing in it that would drive a terminal.
        let payload = if with_content { escape_json(event.data.as_str()) } else { "{}".to_owned() };
        Self {
            id: event.id.to_string(),
            event_type: event.event_type.to_string(),
            // A payload is JSON, or it would not be one.
            payload: RawValue::from_string(payload).unwrap_or_default(),
            event_id: event.uid.clone(),
            channels: some_items(event.channels.clone()),
            tags: some_items(event.tags.clone()),
            mode: event.mode.into(),
            timestamp: event.accepted_at.rfc3339(6),
            occurred_at: event.time.rfc3339(6),
            unreached: event.reach.explain(),
        }
    }
}

/// Whether data is shown.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ContentQuery {
    /// Whether the data is in the answer.
    #[serde(default = "yes")]
    #[param(default = true)]
    pub(super) with_content: bool,
}

/// What a flag is that is on when it is left out.
pub(super) fn yes() -> bool {
    true
}

/// List messages
///
/// Newest first; also those that reached nobody, with the reason.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg", operation_id = "v1.message.list",
    tag = "Message", params(AppPath, Narrowing, ContentQuery),
    responses((status = 200, body = ListResponse<MessageOut>)))]
pub(super) async fn list(
    State(api): State<Api>,
    tenant: Tenant,
    Query(asked): Query<Narrowing>,
    Query(query): Query<ContentQuery>,
) -> Result<Json<ListResponse<MessageOut>>, Refusal> {
    let asked = asked.read()?;
    let place = asked.place;
    let (position, order) = walk::<EventId>(&place)?;
    let mut filter = EventFilter::application(tenant.application.id);
    filter.position = position;
    filter.order = order;
    filter.limit = asked.limit;
    filter.channel = asked.channel;
    filter.tag = asked.tag;
    filter.since = asked.since;
    filter.until = asked.until;
    filter.event_types = asked.event_types;
    let page = api.engine.events(filter).await?;
    let show = |held: EventHistory| MessageOut::new(&held.event, query.with_content);
    let id = |held: &EventHistory| held.event.id.to_string();
    Ok(Json(place.page(page.events, page.next.map(|next| next.to_string()), id, show)))
}

/// Send a message
///
/// When this answers, the message and its deliveries are on stable storage.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/msg", operation_id = "v1.message.create",
    tag = "Message", params(AppPath, ContentQuery), request_body = MessageIn,
    responses((status = 202, description = "It is on its way", body = MessageOut)))]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<ContentQuery>,
    headers: HeaderMap,
    Body(body): Body<MessageIn>,
) -> Result<(StatusCode, Json<MessageOut>), Refusal> {
    caller.platform()?;
    let (event_of, new_application) = body.checked(idempotency::text(&headers)?)?;
    // After the checks, since it may make the application.
    let application = api.application_or_new(&caller, name, new_application).await?;
    let event = event_of(application.id);
    let emitted = api.engine.emit(event).await.map_err(Refusal::at(["body", "payload"]))?;
    let shown = MessageOut::new(&emitted.accepted, query.with_content);
    Ok((StatusCode::ACCEPTED, Json(shown)))
}

/// The message that a request is about, of its application.
pub(super) struct Told {
    pub application: Arc<Application>,
    pub caller: Caller,
    pub history: EventHistory,
}

impl FromRequestParts<Api> for Told {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let Tenant { application, caller } = Tenant::from_request_parts(parts, api).await?;
        let name = path_part(parts, api, "msg_id").await?;
        let id = api.event_id(&application, &name).await?;
        match api.engine.event(id).await {
            Ok(history) if history.event.application == application.id => {
                Ok(Self { application, caller, history })
            }
            Ok(_) => Err(missing("message", &name)),
            Err(error) if error.is_not_found() => Err(missing("message", &name)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Show a message
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}", operation_id = "v1.message.get",
    tag = "Message", params(AppPath, MessagePath, ContentQuery),
    responses((status = 200, body = MessageOut)))]
pub(super) async fn get(
    told: Told,
    Query(query): Query<ContentQuery>,
) -> Result<Json<MessageOut>, Refusal> {
    Ok(Json(MessageOut::new(&told.history.event, query.with_content)))
}

/// Remove a message's content
///
/// Its data, and the bodies of what was sent and answered, are gone for good; that it was there,
/// and how its attempts went, stays. A conflict while a delivery of it waits or is in flight.
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/msg/{msg_id}/content",
    operation_id = "v1.message.expunge-content", tag = "Message", params(AppPath, MessagePath),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn expunge(State(api): State<Api>, told: Told) -> Result<StatusCode, Refusal> {
    told.caller.platform()?;
    api.engine.expunge_event(told.history.event.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
