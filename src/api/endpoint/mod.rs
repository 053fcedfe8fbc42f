//! Endpoints.

pub(super) mod headers;
pub(super) mod secret;
pub(super) mod sending;
pub(super) mod shape;
pub(super) mod shown;

use crate::api::Api;
use crate::api::access::{AppPath, EndpointPath, Owned, Tenant, check_path, path_part};
use crate::api::input::{Body, Query};
use crate::api::page::{ListResponse, PageQuery, page_of};
use crate::api::refusal::Refusal;
use crate::engine::EndpointChange;
use crate::model::{Application, Endpoint, EndpointState, Secret};
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Deserialize;
use shape::{EndpointIn, EndpointPatch};
use shown::{EndpointCreated, EndpointOut};
use std::sync::Arc;
use utoipa::ToSchema;

/// List endpoints
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint", operation_id = "v1.endpoint.list",
    tag = "Endpoint", params(AppPath, PageQuery),
    responses((status = 200, body = ListResponse<EndpointOut>)))]
pub(super) async fn list(
    State(api): State<Api>,
    tenant: Tenant,
    Query(query): Query<PageQuery>,
) -> Result<Json<ListResponse<EndpointOut>>, Refusal> {
    let endpoints = api.engine.endpoints(tenant.application.id)?;
    let page = page_of(endpoints, &query, |held| held.id.to_string(), |held| api.shown(&held))?;
    Ok(Json(page))
}

/// Make an endpoint
///
/// Where the provider demands a challenge, it is sent at once; an endpoint that does not answer is
/// made all the same, disabled with the reason, since its owner needs the secret to answer.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint", operation_id = "v1.endpoint.create",
    tag = "Endpoint", params(AppPath), request_body = EndpointIn,
    responses((status = 201, body = EndpointCreated)))]
pub(super) async fn create(
    State(api): State<Api>,
    tenant: Tenant,
    Body(body): Body<EndpointIn>,
) -> Result<(StatusCode, Json<EndpointCreated>), Refusal> {
    Ok((StatusCode::CREATED, Json(api.make_endpoint(&tenant.application, body).await?)))
}

/// Show an endpoint
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "v1.endpoint.get", tag = "Endpoint", params(AppPath, EndpointPath),
    responses((status = 200, body = EndpointOut)))]
pub(super) async fn get(State(api): State<Api>, owned: Owned) -> Json<EndpointOut> {
    Json(api.shown(&owned.endpoint))
}

/// The endpoint that a path names, which need not be there yet.
pub(super) struct Named {
    tenant: Tenant,
    name: String,
}

impl FromRequestParts<Api> for Named {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let tenant = Tenant::from_request_parts(parts, api).await?;
        Ok(Self { tenant, name: path_part(parts, api, "endpoint_id").await? })
    }
}

/// Replace an endpoint, or make it
///
/// One that is made has the uid of the body or, where that has none, of the path. Of one that is
/// there, `name`, `concurrency`, `settings`, `headers`, `authentication`, `clientCertificate` and
/// `disableAfterFailingDays` stay where they are left out; `provider`, `secret` and `scheme` cannot
/// be changed in this way. With another scheme, host or port of `url`, `authentication` has to be
/// given again, or as `none`.
#[utoipa::path(put, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "v1.endpoint.update", tag = "Endpoint", params(AppPath, EndpointPath),
    request_body = EndpointIn, responses((status = 200, body = EndpointOut),
        (status = 201, description = "It was made", body = EndpointCreated)))]
pub(super) async fn replace(
    State(api): State<Api>,
    named: Named,
    Body(mut body): Body<EndpointIn>,
) -> Result<axum::response::Response, Refusal> {
    use axum::response::IntoResponse;
    let Ok(held) = api.endpoint(&named.tenant.application, &named.name) else {
        check_path("endpoint_id", &named.name)?;
        body.uid.get_or_insert(named.name);
        let made = api.make_endpoint(&named.tenant.application, body).await?;
        return Ok((StatusCode::CREATED, Json(made)).into_response());
    };
    if let Some(secret) = &body.secret {
        api.check_same_secret(&held, secret).await?;
    }
    let disabled = Some(body.disabled);
    let changed = api.change(&held, body.into_change(&held)?, disabled).await?;
    Ok(Json(api.shown(&changed)).into_response())
}

/// Change an endpoint
///
/// With `disabled` false it is challenged first where its provider demands that, and stays
/// disabled, with the reason in `state`, when it does not answer.
#[utoipa::path(patch, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "v1.endpoint.patch", tag = "Endpoint", params(AppPath, EndpointPath),
    request_body = EndpointPatch, responses((status = 200, body = EndpointOut)))]
pub(super) async fn patch(
    State(api): State<Api>,
    owned: Owned,
    Body(body): Body<EndpointPatch>,
) -> Result<Json<EndpointOut>, Refusal> {
    let disabled = body.disabled;
    let changed = api.change(&owned.endpoint, body.into_change(), disabled).await?;
    Ok(Json(api.shown(&changed)))
}

/// Delete an endpoint
///
/// What waits for it is cancelled; its history stays until it expires.
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "v1.endpoint.delete", tag = "Endpoint", params(AppPath, EndpointPath),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn delete(State(api): State<Api>, owned: Owned) -> Result<StatusCode, Refusal> {
    api.engine.delete_endpoint(owned.endpoint.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Serve an endpoint again
///
/// One that is disabled or parked. Where its provider demands a challenge, it has to be answered.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/enable",
    operation_id = "endpoint.enable", tag = "Endpoint", params(AppPath, EndpointPath),
    responses((status = 200, body = EndpointOut)))]
pub(super) async fn enable(
    State(api): State<Api>,
    owned: Owned,
) -> Result<Json<EndpointOut>, Refusal> {
    let changed = api.engine.enable_endpoint(owned.endpoint.id).await?;
    Ok(Json(api.shown(&changed)))
}

/// Why an endpoint is disabled.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "moving to another host"}))]
pub struct DisableIn {
    /// Why, for whoever asks later.
    #[schema(max_length = 1024)]
    reason: String,
}

/// Stop serving an endpoint
///
/// What waits stays waiting; new messages are recorded as skipped, and `recover` sends them later.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/disable",
    operation_id = "endpoint.disable", tag = "Endpoint", params(AppPath, EndpointPath),
    request_body = DisableIn, responses((status = 200, body = EndpointOut)))]
pub(super) async fn disable(
    State(api): State<Api>,
    owned: Owned,
    Body(body): Body<DisableIn>,
) -> Result<Json<EndpointOut>, Refusal> {
    let changed = api.engine.disable_endpoint(owned.endpoint.id, body.reason).await?;
    Ok(Json(api.shown(&changed)))
}

impl Api {
    /// An endpoint as it is shown.
    fn shown(&self, endpoint: &Endpoint) -> EndpointOut {
        EndpointOut::from(endpoint).probed(self.engine.probe_status(endpoint.id))
    }

    async fn make_endpoint(
        &self,
        application: &Application,
        body: EndpointIn,
    ) -> Result<EndpointCreated, Refusal> {
        let new = body.into_new();
        // The engine would say that it does not exist, which is 404 and about the path.
        if !self.engine.providers().any(|held| held.name() == new.provider) {
            let name: String = new.provider.chars().take(64).collect();
            let name = name.escape_debug();
            let message =
                format!("provider `{name}` is unknown: `GET /api/v1/provider` lists them");
            return Err(Refusal::fault(["body", "provider"], message));
        }
        let made = self.engine.create_endpoint(application.id, new).await?;
        Ok(EndpointCreated::new(&made.endpoint, &made.secret))
    }

    /// Refuses a secret that is another than the endpoint has: replacing is done by rotating.
    async fn check_same_secret(&self, held: &Endpoint, given: &str) -> Result<(), Refusal> {
        match self.engine.endpoint_secret(held.id).await {
            Ok(secret) if secret == Secret::new(given) => Ok(()),
            _ => Err(Refusal::conflict(
                "the endpoint's secret is another: replace it by `secret/rotate`",
            )),
        }
    }

    /// Changes an endpoint, and whether it is served.
    async fn change(
        &self,
        held: &Endpoint,
        change: EndpointChange,
        disabled: Option<bool>,
    ) -> Result<Arc<Endpoint>, Refusal> {
        let is_disabled = matches!(held.state, EndpointState::Disabled { .. });
        let changed = self.engine.update_endpoint(held.id, change).await?;
        match disabled {
            Some(true) if !is_disabled => {
                let reason = "it was disabled through the API";
                Ok(self.engine.disable_endpoint(held.id, reason).await?)
            }
            Some(false) if is_disabled => match self.engine.enable_endpoint(held.id).await {
                Ok(enabled) => Ok(enabled),
                // The rest is changed, and the endpoint's state says what is missing.
                Err(error) if error.is_not_proven() => Ok(self.engine.endpoint(held.id)?),
                Err(error) => Err(error.into()),
            },
            _ => Ok(changed),
        }
    }
}
