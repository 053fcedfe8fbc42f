//! Bodies and queries, read so that a fault is told with its place.

use crate::api::refusal::Refusal;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_path_to_error::Segment;
use std::collections::BTreeMap;
use std::fmt::Display;
use url::form_urlencoded;

/// A JSON body.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        check_content_type(request.headers())?;
        // The bytes are in memory and counted by now.
        let bytes = Bytes::from_request(request, state).await.map_err(|error| {
            Refusal::new(StatusCode::BAD_REQUEST, "bad_request", error.to_string())
        })?;
        // serde takes a list for a struct whose members it holds in their order.
        if bytes.trim_ascii_start().first() == Some(&b'[') {
            return Err(Refusal::fault(["body"], "the body is a list: expected an object"));
        }
        if let Ok(value) = serde_json::from_slice(&bytes) {
            return Ok(Self(value));
        }
        // Once more, to tell where the fault is, which costs too much when there is none.
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let value =
            serde_path_to_error::deserialize(&mut json).map_err(|error| fault("body", &error))?;
        json.end().map_err(|error| Refusal::fault(["body"], error.to_string()))?;
        Ok(Self(value))
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = given.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json") {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        format!(
            "content type `{}` is not understood: send application/json",
            essence.escape_debug()
        ),
    ))
}

/// The parameters after the question mark. Unknown ones are ignored, as clients send some that only
/// other versions know; one that is given several times counts as a list.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let mut merged: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes()) {
            merged
                .entry(name.into_owned())
                .and_modify(|held| {
                    held.push(',');
                    held.push_str(&value);
                })
                .or_insert_with(|| value.into_owned());
        }
        let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&merged).finish();
        let values = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text.as_bytes()));
        serde_path_to_error::deserialize(values).map(Self).map_err(|error| fault("query", &error))
    }
}

/// The parts of the path. What cannot be read names nothing that is there.
pub(super) struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        read.map(|axum::extract::Path(value)| Self(value))
            .map_err(|error| Refusal::not_found(error.body_text()))
    }
}

/// What is wrong with `part` of a request, and the way to it.
fn fault<E: Display>(part: &str, error: &serde_path_to_error::Error<E>) -> Refusal {
    let message = without_given(error.inner().to_string());
    let mut way = vec![part.to_owned()];
    way.extend(error.path().iter().filter_map(|step| match step {
        Segment::Map { key } => Some(key.clone()),
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Enum { .. } | Segment::Unknown => None,
    }));
    way.extend(missing_member(&message).map(str::to_owned));
    Refusal::fault(way, message)
}

/// What serde says is wrong, without the text or number that it repeats between quotes: that may be
/// a secret in the wrong member, and who sent it knows it. `invalid type: integer `5`, expected a
/// string` becomes `invalid type: integer, expected a string`.
fn without_given(message: String) -> String {
    let repeats = ["unknown variant", "invalid type: ", "invalid value: "];
    if !repeats.iter().any(|words| message.starts_with(words)) {
        return message;
    }
    let expected = message.rfind(", expected ").unwrap_or(message.len());
    let (given, expected) = message.split_at_checked(expected).unwrap_or_default();
    let kind = given.split(['`', '"']).next().unwrap_or_default().trim_end();
    format!("{kind}{expected}")
}

/// The member that is missing: it has no place in what was read, and serde names it only in the
/// sentence.
fn missing_member(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

/// Reads a member that can be left out, null, or given: `None`, `Some(None)`, `Some(Some(…))`.
pub(super) fn nullable<'de, T, D>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(from).map(Some)
}
