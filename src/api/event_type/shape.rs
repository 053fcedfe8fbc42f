//! How an event type is written in JSON.

use crate::api::input::nullable;
use crate::engine::{EventTypeChange, NewEventType};
use crate::model::EventTypeDefinition;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use utoipa::ToSchema;

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
    pub(super) fn new(held: &EventTypeDefinition, with_schemas: bool) -> Self {
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
    pub(super) fn into_new(self) -> NewEventType {
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
    pub(super) fn into_new(self, name: String) -> NewEventType {
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

impl EventTypePatch {
    pub(super) fn into_change(self) -> EventTypeChange {
        EventTypeChange {
            description: self.description,
            archived: self.archived,
            deprecated: self.deprecated,
            schemas: self.schemas.map(|given| given.map(text)),
            group_name: self.group_name,
            feature_flags: self.feature_flags.map(Option::unwrap_or_default),
        }
    }
}
