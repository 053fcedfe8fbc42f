//! Event types, with their schemas.

use crate::api::Api;
use crate::api::access::{Caller, missing};
use crate::api::input::{Body, Path, Query, nullable};
use crate::api::page::{ListResponse, Ordering, PageQuery, page_of};
use crate::api::refusal::Refusal;
use crate::engine::{EventTypeChange, NewEventType, PutEventType};
use crate::model::EventTypeDefinition;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use utoipa::{IntoParams, ToSchema};

/// An event type to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "name": "order.created", "description": "somebody ordered", "groupName": "order",
    "schemas": {"1": {"type": "object", "required": ["orderId"]}},
}))]
pub struct EventTypeIn {
    /// Its name.
    #[schema(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$")]
    name: String,
    /// What it means.
    #[schema(max_length = 4096)]
    description: String,
    /// Whether it is hidden from lists.
    #[serde(default)]
    archived: bool,
    /// Whether nobody should begin to use it.
    #[serde(default)]
    deprecated: bool,
    /// A JSON schema of its data for each version.
    #[schema(value_type = Option<Object>)]
    schemas: Option<Box<RawValue>>,
    /// The group that it is shown in.
    #[schema(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$")]
    group_name: Option<String>,
    /// The feature flags of which a portal's token needs one to see it; everybody sees it where
    /// there are none. `featureFlag` with a single one is understood too.
    #[serde(default, alias = "featureFlag", deserialize_with = "one_or_more")]
    #[schema(value_type = Option<FeatureFlagsIn>)]
    feature_flags: Option<Vec<String>>,
}

/// A feature flag, as older clients send it, or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes what `Flags` reads")]
pub enum FeatureFlagsIn {
    /// One.
    One(String),
    /// Several: 64 at most.
    More(Vec<String>),
}

/// Reads a flag, as older clients send it, or several.
struct Flags;

impl<'de> Visitor<'de> for Flags {
    type Value = Option<Vec<String>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of feature flags, or null")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: de::Error>(self, flag: &str) -> Result<Self::Value, E> {
        Ok(Some(vec![flag.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut flags: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(flag) = flags.next_element()? {
            all.push(flag);
        }
        Ok(Some(all))
    }
}

fn one_or_more<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    from.deserialize_any(Flags)
}

fn one_or_more_or_null<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<Vec<String>>>, D::Error> {
    one_or_more(from).map(Some)
}

/// What an event type is, besides its name.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"description": "somebody ordered", "deprecated": true}))]
pub struct EventTypeUpdate {
    /// What it means.
    #[schema(max_length = 4096)]
    description: String,
    /// Whether it is hidden from lists.
    #[serde(default)]
    archived: bool,
    /// Whether nobody should begin to use it.
    #[serde(default)]
    deprecated: bool,
    /// A JSON schema of its data for each version.
    #[schema(value_type = Option<Object>)]
    schemas: Option<Box<RawValue>>,
    /// The group that it is shown in.
    #[schema(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$")]
    group_name: Option<String>,
    /// The feature flags of which a portal's token needs one to see it; everybody sees it where
    /// there are none. `featureFlag` with a single one is understood too.
    #[serde(default, alias = "featureFlag", deserialize_with = "one_or_more")]
    #[schema(value_type = Option<FeatureFlagsIn>)]
    feature_flags: Option<Vec<String>>,
}

/// What to change of an event type; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"archived": true}))]
pub struct EventTypePatch {
    /// What it means.
    #[schema(max_length = 4096)]
    description: Option<String>,
    /// Whether it is hidden from lists.
    archived: Option<bool>,
    /// Whether nobody should begin to use it.
    deprecated: Option<bool>,
    /// A JSON schema of its data for each version; null for none.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Object>)]
    schemas: Option<Option<Box<RawValue>>>,
    /// The group that it is shown in; null for none.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256,
        pattern = "^[a-zA-Z0-9\\-_.]+$")]
    group_name: Option<Option<String>>,
    /// The feature flags of which a portal's token needs one to see it; null for none.
    /// `featureFlag` with a single one is understood too.
    #[serde(default, alias = "featureFlag", deserialize_with = "one_or_more_or_null")]
    #[schema(value_type = Option<FeatureFlagsIn>)]
    feature_flags: Option<Option<Vec<String>>>,
}

/// An event type.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeOut {
    /// Its name.
    name: String,
    /// What it means.
    description: String,
    /// Whether it is hidden from lists.
    archived: bool,
    /// Whether nobody should begin to use it.
    deprecated: bool,
    /// A JSON schema of its data for each version, where it was asked for.
    #[schema(value_type = Option<Object>)]
    schemas: Option<Box<RawValue>>,
    /// The group that it is shown in.
    group_name: Option<String>,
    /// The feature flags of which a portal's token needs one to see it.
    feature_flags: Vec<String>,
    /// The first of them, for clients that know one only.
    feature_flag: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl EventTypeOut {
    fn new(held: &EventTypeDefinition, with_schemas: bool) -> Self {
        let schemas = held.schemas.as_ref().filter(|_| with_schemas);
        Self {
            name: held.name.to_string(),
            description: held.description.clone(),
            archived: held.archived,
            deprecated: held.deprecated,
            // Stored only as what it was read from.
            schemas: schemas.and_then(|text| RawValue::from_string(text.as_str().into()).ok()),
            group_name: held.group_name.clone(),
            feature_flags: held.feature_flags.clone(),
            feature_flag: held.feature_flags.first().cloned(),
            created_at: held.created_at.rfc3339(6),
            updated_at: held.updated_at.rfc3339(6),
        }
    }
}

fn text(schemas: Box<RawValue>) -> String {
    Box::<str>::from(schemas).into()
}

impl EventTypeIn {
    fn into_new(self) -> NewEventType {
        let contents = EventTypeUpdate {
            description: self.description,
            archived: self.archived,
            deprecated: self.deprecated,
            schemas: self.schemas,
            group_name: self.group_name,
            feature_flags: self.feature_flags,
        };
        contents.into_new(self.name)
    }
}

impl EventTypeUpdate {
    fn into_new(self, name: String) -> NewEventType {
        NewEventType {
            name,
            description: self.description,
            archived: self.archived,
            deprecated: self.deprecated,
            schemas: self.schemas.map(text),
            group_name: self.group_name,
            feature_flags: self.feature_flags.unwrap_or_default(),
        }
    }
}

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
    let schemas = body.schemas.map(|given| given.map(text));
    let change = EventTypeChange {
        description: body.description,
        archived: body.archived,
        deprecated: body.deprecated,
        schemas,
        group_name: body.group_name,
        feature_flags: body.feature_flags.map(Option::unwrap_or_default),
    };
    let held = api.engine.update_event_type(&name, change).await?;
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
