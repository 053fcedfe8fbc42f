//! An endpoint's signing secret.

use crate::api::Api;
use crate::api::access::{AppPath, Caller, EndpointPath, Owned};
use crate::api::input::Body;
use crate::api::refusal::Refusal;
use crate::model::Secret;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// Seconds for which the old secret signs too when nobody says how long (as Svix's API).
const GRACE_SECONDS: u32 = 86_400;
/// Seconds for which it does at most.
const GRACE_SECONDS_MAX: u32 = 604_800;

/// A secret.
#[derive(Serialize, ToSchema)]
pub struct EndpointSecretOut {
    /// What the receiver verifies with: the secret or, for a scheme with a key pair, the public key.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    key: String,
}

/// How a secret is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"gracePeriodSeconds": 3600}))]
pub struct EndpointSecretRotateIn {
    /// The new secret, in the provider's form; one is made when it is left out.
    #[schema(max_length = 512)]
    key: Option<String>,
    /// Seconds for which the old secret signs too, where the provider's header can carry several
    /// signatures; 86,400 when left out.
    #[schema(minimum = 0, maximum = 604_800)]
    grace_period_seconds: Option<u32>,
}

/// Show an endpoint's signing secret
///
/// A conflict where the provider shows a secret only once, when it is made. Not for a token that may
/// only read.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret",
    operation_id = "v1.endpoint.get-secret", tag = "Endpoint", params(AppPath, EndpointPath),
    responses((status = 200, body = EndpointSecretOut)))]
pub(in crate::api) async fn get(
    State(api): State<Api>,
    caller: Caller,
    owned: Owned,
) -> Result<Json<EndpointSecretOut>, Refusal> {
    caller.signs()?;
    let secret = api.engine.endpoint_secret(owned.endpoint.id).await?;
    Ok(Json(shown(&secret)))
}

/// Replace an endpoint's signing secret
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret/rotate",
    operation_id = "v1.endpoint.rotate-secret", tag = "Endpoint", params(AppPath, EndpointPath),
    request_body = EndpointSecretRotateIn, responses((status = 200, body = EndpointSecretOut)))]
pub(in crate::api) async fn rotate(
    State(api): State<Api>,
    owned: Owned,
    Body(body): Body<EndpointSecretRotateIn>,
) -> Result<Json<EndpointSecretOut>, Refusal> {
    let seconds = body.grace_period_seconds.unwrap_or(GRACE_SECONDS);
    if seconds > GRACE_SECONDS_MAX {
        return Err(Refusal::fault(
            ["body", "gracePeriodSeconds"],
            format!("{seconds} s are more than {GRACE_SECONDS_MAX}, which is 7 days"),
        ));
    }
    let grace = Duration::from_secs(seconds.into());
    let new = body.key.map(Secret::new);
    let secret = api.engine.rotate_secret(owned.endpoint.id, new, grace).await?;
    Ok(Json(shown(&secret)))
}

fn shown(secret: &Secret) -> EndpointSecretOut {
    EndpointSecretOut { key: secret.expose().to_owned() }
}
