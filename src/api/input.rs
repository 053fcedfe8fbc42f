//! Bodies and queries, read so that a fault is told with its place.

use crate::api::refusal::Refusal;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
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
        // A list would pass for a struct whose members stand in this order.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| *byte != b'{') {
            return Err(Refusal::fault(["body"], "the body is no JSON object"));
        }
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let way = place("body", &error);
            Refusal::fault(way, error.into_inner().to_string())
        })?;
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
        serde_path_to_error::deserialize(values).map(Self).map_err(|error| {
            let way = place("query", &error);
            Refusal::fault(way, error.into_inner().to_string())
        })
    }
}

fn place<E>(part: &str, error: &serde_path_to_error::Error<E>) -> Vec<String> {
    let path = error.path().to_string();
    let names = path.split('.').filter(|name| !name.is_empty() && *name != "?");
    std::iter::once(part).chain(names).map(str::to_owned).collect()
}

/// Reads a member that can be left out, null, or given: `None`, `Some(None)`, `Some(Some(…))`.
pub(super) fn nullable<'de, T, D>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(from).map(Some)
}
