//! An endpoint's own headers.

use crate::api::Api;
use crate::api::access::{AppPath, EndpointPath, Owned};
use crate::api::endpoint::shape::split_headers;
use crate::api::input::Body;
use crate::api::refusal::Refusal;
use crate::engine::{EndpointChange, HeaderChange};
use crate::model::Authentication;
use crate::model::endpoint::SealedAuthentication;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Headers to send besides the provider's own.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"headers": {"X-Region": "eu-1"}}))]
pub struct EndpointHeadersIn {
    /// Value by name: 64 at most, 16 KiB in all. `Authorization` is kept encrypted and not shown again.
    headers: BTreeMap<String, String>,
}

/// Headers to change.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"headers": {"X-Region": null}}))]
pub struct EndpointHeadersPatchIn {
    /// Value by name; null takes the header away.
    headers: BTreeMap<String, Option<String>>,
    /// More names of headers to take away: some client libraries cannot send null.
    #[schema(max_items = 64)]
    delete_headers: Option<Vec<String>>,
}

/// The headers sent besides the provider's own.
#[derive(Serialize, ToSchema)]
pub struct EndpointHeadersOut {
    /// Value by name.
    headers: BTreeMap<String, String>,
    /// Names of headers whose values are not shown.
    sensitive: Vec<String>,
}

/// Show an endpoint's headers
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id = "v1.endpoint.get-headers", tag = "Endpoint", params(AppPath, EndpointPath),
    responses((status = 200, body = EndpointHeadersOut)))]
pub(in crate::api) async fn get(owned: Owned) -> Json<EndpointHeadersOut> {
    let sensitive = match &owned.endpoint.authentication {
        SealedAuthentication::Header { name, .. } => vec![name.clone()],
        _ => Vec::new(),
    };
    let headers = owned.endpoint.headers.iter().cloned().collect();
    Json(EndpointHeadersOut { headers, sensitive })
}

/// Replace an endpoint's headers
#[utoipa::path(put, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id = "v1.endpoint.update-headers", tag = "Endpoint", params(AppPath, EndpointPath),
    request_body = EndpointHeadersIn, responses((status = 204, description = "They are set")))]
pub(in crate::api) async fn replace(
    State(api): State<Api>,
    owned: Owned,
    Body(body): Body<EndpointHeadersIn>,
) -> Result<StatusCode, Refusal> {
    let (headers, credential) = split_headers(body.headers);
    let had_header = matches!(owned.endpoint.authentication, SealedAuthentication::Header { .. });
    // A credential that is a header goes with the headers that it came with.
    let authentication = credential.or(had_header.then_some(Authentication::None));
    api.change_headers(&owned, HeaderChange::Replace(headers), authentication).await
}

/// Change an endpoint's headers
#[utoipa::path(patch, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id = "v1.endpoint.patch-headers", tag = "Endpoint", params(AppPath, EndpointPath),
    request_body = EndpointHeadersPatchIn, responses((status = 204, description = "They are set")))]
pub(in crate::api) async fn patch(
    State(api): State<Api>,
    owned: Owned,
    Body(body): Body<EndpointHeadersPatchIn>,
) -> Result<StatusCode, Refusal> {
    let deleted = body.delete_headers.into_iter().flatten();
    let mut changes: Vec<_> = deleted.map(|name| (name, None)).collect();
    let mut set = BTreeMap::new();
    for (name, value) in body.headers {
        match value {
            Some(value) => drop(set.insert(name, value)),
            None => changes.push((name, None)),
        }
    }
    let (set, credential) = split_headers(set);
    changes.extend(set.into_iter().map(|(name, value)| (name, Some(value))));
    api.change_headers(&owned, HeaderChange::Merge(changes), credential).await
}

impl Api {
    async fn change_headers(
        &self,
        owned: &Owned,
        headers: HeaderChange,
        authentication: Option<Authentication>,
    ) -> Result<StatusCode, Refusal> {
        let headers = Some(headers);
        let change = EndpointChange { headers, authentication, ..EndpointChange::default() };
        self.engine.update_endpoint(owned.endpoint.id, change).await?;
        Ok(StatusCode::NO_CONTENT)
    }
}
