//! Sending to an endpoint by hand: tests, examples, recoveries; and how it is doing.

use crate::api::Api;
use crate::api::access::{AppPath, EndpointPath, Owned};
use crate::api::attempt::shape::MessageAttemptOut;
use crate::api::input::{Body, Query};
use crate::api::limits::Awaited;
use crate::api::message::MessageOut;
use crate::api::query::instant;
use crate::api::refusal::Refusal;
use crate::api::task::TaskOut;
use crate::engine::TestEvent;
use crate::history::STATISTICS_RANGE_MAX;
use crate::model::{Attempt, EventId, Payload, RawJson, Timestamp};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// The event type that Svix's clients send to see whether an endpoint answers.
const PING: &str = "svix.ping";

/// A test event to be sent.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"eventType": "contact.created", "set": {"fullName": "Ada"}}))]
pub struct TestIn {
    /// Its type; the provider's usual one when left out.
    #[schema(min_length = 1, max_length = 256)]
    event_type: Option<String>,
    /// Up to 64 values to set on top of the sample, by dotted path.
    #[schema(value_type = Option<BTreeMap<String, serde_json::Value>>)]
    set: Option<BTreeMap<String, RawJson>>,
}

/// Send a test event
///
/// A sample event of the provider, marked as a test in its way, sent once, at once, whatever the
/// endpoint's filters and state. The answer is the attempt, also of one that failed.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/test",
    operation_id = "endpoint.test", tag = "Endpoint", params(AppPath, EndpointPath),
    request_body = TestIn, responses((status = 200, body = MessageAttemptOut)))]
pub(in crate::api) async fn test(
    State(api): State<Api>,
    owned: Owned,
    Body(body): Body<TestIn>,
) -> Result<Json<MessageAttemptOut>, Refusal> {
    let overrides = body.set.unwrap_or_default().into_iter().collect();
    let test = TestEvent { event_type: body.event_type, overrides, data: None };
    let attempt = api.engine.test(owned.endpoint.id, test).await?;
    let event = event_of(&attempt);
    Ok(Json(MessageAttemptOut::new(&attempt, owned.endpoint.id, &[event], true)))
}

/// The event of a test: its webhook carries it alone, and so has its UUID.
fn event_of(attempt: &Attempt) -> EventId {
    EventId::from_uuid(attempt.webhook.uuid())
}

/// An example to be sent.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"eventType": "svix.ping"}))]
pub struct EventExampleIn {
    /// `svix.ping`, an event type with an example in its schema, or one that the provider has a
    /// sample of.
    #[schema(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$")]
    event_type: String,
    /// Which of the examples in the schema to send, from 0; the first when left out.
    #[schema(minimum = 0)]
    example_index: Option<usize>,
}

/// Send an example
///
/// Once, marked as a test. The data is an example in the newest schema of the event type or,
/// without one, the provider's sample.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/send-example",
    operation_id = "v1.endpoint.send-example", tag = "Endpoint", params(AppPath, EndpointPath),
    request_body = EventExampleIn, responses((status = 200, body = MessageOut)))]
pub(in crate::api) async fn send_example(
    State(api): State<Api>,
    owned: Owned,
    Body(body): Body<EventExampleIn>,
) -> Result<Json<MessageOut>, Refusal> {
    let data = match body.event_type.as_str() {
        PING => Some(Payload::from_value(&serde_json::json!({"success": true}))?),
        name => api.example(name, body.example_index.unwrap_or(0))?,
    };
    let test = TestEvent { data, ..TestEvent::of(body.event_type) };
    let attempt = api.engine.test(owned.endpoint.id, test).await?;
    let history = api.engine.event(event_of(&attempt)).await?;
    Ok(Json(MessageOut::new(&history.event, true)))
}

impl Api {
    /// An example in the newest schema of an event type, if that has examples.
    fn example(&self, name: &str, index: usize) -> Result<Option<Payload>, Refusal> {
        let Ok(definition) = self.engine.event_type(name) else { return Ok(None) };
        let Some(schemas) = &definition.schemas else { return Ok(None) };
        let schemas = members(schemas.as_str())?;
        // Versions are numbers mostly, and then 10 comes after 9.
        let newest = schemas.iter().max_by_key(|(version, _)| (version.len(), *version));
        let Some((_, schema)) = newest else { return Ok(None) };
        let schema = members(schema.as_str())?;
        let examples = schema.get("examples").map(RawJson::as_str).unwrap_or_default();
        // Something else under that name is no list of examples.
        let examples: Vec<RawJson> = serde_json::from_str(examples).unwrap_or_default();
        if examples.is_empty() {
            return Ok(None);
        }
        let example = examples.get(index).ok_or_else(|| {
            let count = examples.len();
            let message = format!("the schema has {count} examples, and none of index {index}");
            Refusal::fault(["body", "exampleIndex"], message)
        })?;
        Ok(Some(Payload::from_text(example.as_str())?))
    }
}

/// The members of schemas or of one of them, as they are written.
fn members(json: &str) -> Result<BTreeMap<String, RawJson>, Refusal> {
    serde_json::from_str(json).map_err(|error| {
        let message = format!("the schemas of this event type cannot be read: {error}");
        Refusal::fault(["body", "eventType"], message)
    })
}

/// Which messages an endpoint missed.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"since": "2026-01-01T00:00:00Z"}))]
pub struct RecoverIn {
    /// Messages accepted at or after.
    #[schema(format = DateTime)]
    since: String,
    /// Messages accepted before; all when left out.
    #[schema(format = DateTime)]
    until: Option<String>,
}

impl RecoverIn {
    fn range(&self) -> Result<(Timestamp, Option<Timestamp>), Refusal> {
        let read = |member: &'static str, text: &str| {
            Timestamp::parse(text)
                .map_err(|error| Refusal::fault(["body", member], error.to_string()))
        };
        let until = self.until.as_deref().map(|text| read("until", text)).transpose()?;
        Ok((read("since", &self.since)?, until))
    }
}

/// Send an endpoint everything that failed
///
/// What is exhausted, and what was skipped while it was disabled, in the background.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/recover",
    operation_id = "v1.endpoint.recover", tag = "Endpoint", params(AppPath, EndpointPath),
    request_body = RecoverIn,
    responses((status = 202, description = "It has begun", body = TaskOut)))]
pub(in crate::api) async fn recover(
    State(api): State<Api>,
    owned: Owned,
    Body(body): Body<RecoverIn>,
) -> Result<(StatusCode, Json<TaskOut>), Refusal> {
    let (since, until) = body.range()?;
    let task = api.engine.start_recovery(owned.endpoint.id, since, until).await?;
    Ok((StatusCode::ACCEPTED, Json((&task).into())))
}

/// Send an endpoint everything that it never got
///
/// Messages that were sent before it was made or that its filter did not want then, and does now,
/// and those skipped while it was disabled, in the background.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/replay-missing",
    operation_id = "v1.endpoint.replay-missing", tag = "Endpoint", params(AppPath, EndpointPath),
    request_body = RecoverIn,
    responses((status = 202, description = "It has begun", body = TaskOut)))]
pub(in crate::api) async fn replay_missing(
    State(api): State<Api>,
    owned: Owned,
    Body(body): Body<RecoverIn>,
) -> Result<(StatusCode, Json<TaskOut>), Refusal> {
    let (since, until) = body.range()?;
    let task = api.engine.start_replay_missing(owned.endpoint.id, since, until).await?;
    Ok((StatusCode::ACCEPTED, Json((&task).into())))
}

/// Over which time to count.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatsQuery {
    /// Messages accepted at or after; 28 days before `until` when left out.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Messages accepted before; now when left out.
    #[param(format = DateTime)]
    until: Option<String>,
}

/// How the messages of an endpoint stand.
#[derive(Serialize, ToSchema)]
pub struct EndpointStats {
    /// Accepted by the endpoint.
    success: u64,
    /// Waiting for their next attempt.
    pending: u64,
    /// In flight.
    sending: u64,
    /// Given up.
    fail: u64,
    /// Not sent: cancelled, or skipped while the endpoint was disabled.
    canceled: u64,
}

/// Count an endpoint's messages
///
/// Over 28 days at most.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/stats",
    operation_id = "v1.endpoint.get-stats", tag = "Endpoint",
    params(AppPath, EndpointPath, StatsQuery), responses((status = 200, body = EndpointStats)))]
pub(in crate::api) async fn stats(
    State(api): State<Api>,
    owned: Owned,
    Extension(awaited): Extension<Awaited>,
    Query(query): Query<StatsQuery>,
) -> Result<Json<EndpointStats>, Refusal> {
    let until = instant("until", query.until.as_deref())?;
    let until = until.unwrap_or_else(|| api.engine.clock().wall());
    let since = instant("since", query.since.as_deref())?;
    let since = since.unwrap_or_else(|| until.before(STATISTICS_RANGE_MAX));
    let id = owned.endpoint.id;
    let counts = api.engine.statistics_while(id, since, until, || awaited.is_true()).await;
    let counts = counts.map_err(Refusal::at(["query"]))?;
    Ok(Json(EndpointStats {
        success: counts.succeeded,
        pending: counts.waiting,
        sending: counts.sending,
        fail: counts.exhausted,
        canceled: counts.cancelled + counts.skipped,
    }))
}
