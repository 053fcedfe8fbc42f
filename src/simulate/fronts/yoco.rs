//! Yoco's API of webhook subscriptions: `POST`, `GET` and `DELETE` on `/api/webhooks`, by its page
//! on listening for events and the shapes that its users' programs show. The page leaves open how
//! ids look, the status of answers and what errors say; those are ours: `sub_` and letters, 200,
//! 204 for what is deleted, and `{"message": …}`.

use super::Fronts;
use super::tenant::{bearer, name_application};
use crate::engine::NewEndpoint;
use crate::error::{Error, ErrorKind};
use crate::model::{ApplicationId, Endpoint, EndpointId};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// What the ids of subscriptions begin with.
const ID_PREFIX: &str = "sub_";

pub(super) fn routes(fronts: &Fronts) -> Router<Fronts> {
    Router::new()
        .route("/api/webhooks", get(list).post(register))
        .route("/api/webhooks/{id}", delete(remove))
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
        })
        .route_layer(middleware::from_fn_with_state(fronts.clone(), authenticate))
}

/// Who holds the key.
#[derive(Clone, Copy)]
struct Merchant {
    application: ApplicationId,
    mode: &'static str,
}

/// An error as the front answers it.
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Invalid | ErrorKind::AddressRefused => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Unavailable | ErrorKind::Closed => StatusCode::SERVICE_UNAVAILABLE,
            _ => {
                tracing::error!(%error, "the Yoco front failed");
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error");
            }
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "message": self.message }))).into_response()
    }
}

async fn authenticate(
    State(fronts): State<Fronts>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let key = bearer(request.headers()).ok().and_then(|key| Some((key, mode(key)?)));
    let Some((key, mode)) = key else {
        let message = "the provided credentials are invalid: expected `Authorization: Bearer` and \
                       a secret key, which begins with `sk_test_` or `sk_live_`";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, message));
    };
    let application = fronts.tenant("yoco", &format!("Yoco {mode} merchant"), key).await?.id;
    request.extensions_mut().insert(Merchant { application, mode });
    let mut response = next.run(request).await;
    name_application(&mut response, application);
    Ok(response)
}

/// The mode that a secret key is for; `None` when it is none.
fn mode(key: &str) -> Option<&'static str> {
    let (mode, rest) = key.strip_prefix("sk_")?.split_once('_')?;
    let mode = ["test", "live"].into_iter().find(|known| *known == mode)?;
    (!rest.is_empty()).then_some(mode)
}

/// A subscription as the API shows it.
#[derive(Serialize)]
struct Subscription {
    id: String,
    name: String,
    url: String,
    mode: &'static str,
    /// Only in the answer to its registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl Subscription {
    fn of(endpoint: &Endpoint, mode: &'static str) -> Self {
        let id = endpoint.id.to_string();
        let letters = id.strip_prefix(EndpointId::PREFIX).unwrap_or_default();
        Self {
            id: format!("{ID_PREFIX}{letters}"),
            name: endpoint.name.clone(),
            url: endpoint.url.clone(),
            mode,
            secret: None,
        }
    }
}

#[derive(Deserialize)]
struct Registration {
    name: String,
    url: String,
}

async fn register(
    State(fronts): State<Fronts>,
    Extension(merchant): Extension<Merchant>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Subscription>, Refusal> {
    let body = body.map_err(|error| Refusal::new(error.status(), error.body_text()))?;
    let registration: Registration = serde_json::from_slice(&body).map_err(|error| {
        let message = format!("expected a JSON object with texts `name` and `url`: {error}");
        Refusal::new(StatusCode::BAD_REQUEST, message)
    })?;
    if registration.name.is_empty() {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "`name` is empty"));
    }
    let mut endpoint = NewEndpoint::new(registration.url).provider("yoco");
    endpoint.name = registration.name;
    let created = fronts.engine.create_endpoint(merchant.application, endpoint).await?;
    let secret = Some(created.secret.expose().to_owned());
    Ok(Json(Subscription { secret, ..Subscription::of(&created.endpoint, merchant.mode) }))
}

async fn list(
    State(fronts): State<Fronts>,
    Extension(merchant): Extension<Merchant>,
) -> Result<Json<Value>, Refusal> {
    let endpoints = fronts.engine.endpoints(merchant.application)?;
    let own = endpoints.iter().filter(|endpoint| is_own(endpoint));
    let subscriptions: Vec<Subscription> =
        own.map(|endpoint| Subscription::of(endpoint, merchant.mode)).collect();
    Ok(Json(json!({ "subscriptions": subscriptions })))
}

async fn remove(
    State(fronts): State<Fronts>,
    Extension(merchant): Extension<Merchant>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let unknown = || Refusal::new(StatusCode::NOT_FOUND, "no subscription has this id");
    let letters = id.strip_prefix(ID_PREFIX).ok_or_else(unknown)?;
    let id: EndpointId =
        format!("{}{letters}", EndpointId::PREFIX).parse().map_err(|_| unknown())?;
    let endpoints = fronts.engine.endpoints(merchant.application)?;
    let is_wanted = |endpoint: &&Arc<Endpoint>| endpoint.id == id && is_own(endpoint);
    let endpoint = endpoints.iter().find(is_wanted).ok_or_else(unknown)?;
    fronts.engine.delete_endpoint(endpoint.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether this front would have made the endpoint: an application can have others beside.
fn is_own(endpoint: &Endpoint) -> bool {
    endpoint.provider == "yoco"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_tells_the_mode() {
        assert_eq!(mode("sk_test_960bfde0VBrLlpK098e4ffeb53e1"), Some("test"));
        assert_eq!(mode("sk_live_1"), Some("live"));
        for bad in ["", "sk_test_", "sk_demo_1", "pk_test_1", "SK_TEST_1", "sk_test"] {
            assert_eq!(mode(bad), None, "{bad}");
        }
    }
}
