//! Who asks, and what they may see.
//!
//! A token sees everything or one application; what is outside of that does not exist for it. A
//! token of a portal is an endpoint owner's: it looks after endpoints and deliveries, and neither
//! emits events nor changes the application.

use crate::api::Api;
use crate::api::places::Asker;
use crate::api::refusal::Refusal;
use crate::model::{AccessToken, Application, Endpoint, EventId, check};
use crate::telemetry;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use std::sync::Arc;
use utoipa::IntoParams;

/// Who sends a request, when its token is known, may do it, and has not asked too often.
pub(super) fn authenticate(api: &Api, request: &Request) -> Result<Caller, Refusal> {
    let token = token(api, request.headers()).inspect_err(|_| telemetry::token_refused())?;
    check_method(&token, request.method())?;
    let caller = Caller(token);
    api.limits.count(caller.asker())?;
    Ok(caller)
}

fn token(api: &Api, headers: &HeaderMap) -> Result<Arc<AccessToken>, Refusal> {
    let refusal = |detail: &str| {
        Refusal::new(StatusCode::UNAUTHORIZED, "authentication_failed", detail.to_owned())
    };
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        return Err(refusal("no token is given: send `Authorization: Bearer hw_…`"));
    };
    let text = given.to_str().unwrap_or_default();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err(refusal("the authorization is not of the form `Bearer hw_…`")),
    };
    // One sentence whatever is wrong with it, so that a guess learns nothing.
    api.engine
        .authenticate(token)
        .ok_or_else(|| refusal("the token is unknown, was revoked, or has expired"))
}

fn check_method(token: &AccessToken, method: &Method) -> Result<(), Refusal> {
    if token.read_only && !method.is_safe() {
        return Err(forbidden("the token may only read"));
    }
    Ok(())
}

fn forbidden(detail: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "forbidden", detail)
}

/// Who asks.
#[derive(Clone)]
pub(super) struct Caller(pub Arc<AccessToken>);

impl Caller {
    /// With whom it is counted.
    pub fn asker(&self) -> Asker {
        Asker::of(&self.0)
    }

    /// Refuses what only a token for everything may do, as if it were not there.
    pub fn everything(&self) -> Result<(), Refusal> {
        match self.0.application {
            None => Ok(()),
            Some(_) => Err(Refusal::not_found("nothing is here that this token may see")),
        }
    }

    /// Refuses what is the platform's and not an endpoint owner's.
    pub fn platform(&self) -> Result<(), Refusal> {
        if self.0.portal {
            return Err(forbidden("a portal's token looks after endpoints and deliveries only"));
        }
        Ok(())
    }

    /// Refuses what only a token for everything may do to an application, also to its own: a
    /// tenant that chose its uid could take another's place.
    pub fn administers(&self) -> Result<(), Refusal> {
        match self.0.application {
            None => Ok(()),
            Some(_) => Err(forbidden("only a token for everything may change an application")),
        }
    }

    /// Refuses secrets to a token that may only read: whoever has them can sign.
    pub fn signs(&self) -> Result<(), Refusal> {
        match self.0.read_only {
            false => Ok(()),
            true => Err(forbidden("a token that may only read does not see secrets")),
        }
    }

    /// Whether this caller may see an application.
    pub fn sees(&self, application: &Application) -> bool {
        self.0.application.is_none_or(|own| own == application.id)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        // Every route that asks for the caller lies behind `authenticate`.
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Refusal::new(StatusCode::UNAUTHORIZED, "authentication_failed", "no token is given")
        })
    }
}

/// The application that the path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "describes the path; `Tenant` and `Owned` read it")]
pub struct AppPath {
    /// The application's id or uid.
    #[param(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$", example = "shop-1")]
    app_id: String,
}

/// The endpoint that the path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "describes the path; `Owned` reads it")]
pub struct EndpointPath {
    /// The endpoint's id or uid.
    #[param(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$", example = "main")]
    endpoint_id: String,
}

/// The message that the path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "describes the path; `message` reads it")]
pub struct MessagePath {
    /// The message's id, or the `eventId` that the platform gave it.
    #[param(
        min_length = 1,
        max_length = 256,
        pattern = "^[a-zA-Z0-9\\-_.]+$",
        example = "order-1"
    )]
    msg_id: String,
}

/// The application that a request is about, seen by its caller.
pub(super) struct Tenant {
    pub caller: Caller,
    pub application: Arc<Application>,
}

impl FromRequestParts<Api> for Tenant {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let caller = Caller::from_request_parts(parts, api).await?;
        let name = path_part(parts, api, "app_id").await?;
        let application = api.application(&caller, &name)?;
        Ok(Self { caller, application })
    }
}

/// The endpoint that a request is about, of its application.
pub(super) struct Owned {
    pub endpoint: Arc<Endpoint>,
}

impl FromRequestParts<Api> for Owned {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let tenant = Tenant::from_request_parts(parts, api).await?;
        let name = path_part(parts, api, "endpoint_id").await?;
        let endpoint = api.endpoint(&tenant.application, &name)?;
        Ok(Self { endpoint })
    }
}

/// A part of the path, by its name in the route.
pub(super) async fn path_part(parts: &mut Parts, api: &Api, name: &str) -> Result<String, Refusal> {
    let parameters = RawPathParams::from_request_parts(parts, api)
        .await
        .map_err(|error| Refusal::not_found(error.to_string()))?;
    let part = parameters.iter().find(|(held, _)| *held == name);
    let (_, value) = part.ok_or_else(|| Refusal::not_found("the path is incomplete"))?;
    Ok(value.to_owned())
}

/// Refuses a part of the path by which nothing could be called that is to be made.
pub(super) fn check_path(name: &str, value: &str) -> Result<(), Refusal> {
    check::check_uid(value).map_err(|error| Refusal::fault(["path", name], error.to_string()))
}

impl Api {
    /// The application of that id or uid; not there for a caller who may not see it.
    pub(super) fn application(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Arc<Application>, Refusal> {
        let by_id = name.parse().ok().and_then(|id| self.engine.application(id).ok());
        by_id
            .or_else(|| self.engine.application_by_uid(name))
            .filter(|application| caller.sees(application))
            .ok_or_else(|| missing("application", name))
    }

    /// The application's endpoint of that id or uid.
    pub(super) fn endpoint(
        &self,
        application: &Application,
        name: &str,
    ) -> Result<Arc<Endpoint>, Refusal> {
        let endpoints = self.engine.endpoints(application.id)?;
        let id = name.parse().ok();
        let by_id = endpoints.iter().find(|endpoint| Some(endpoint.id) == id);
        let by_uid = || endpoints.iter().find(|endpoint| endpoint.uid.as_deref() == Some(name));
        by_id.or_else(by_uid).cloned().ok_or_else(|| missing("endpoint", name))
    }

    /// The id of the application's message of that id or `eventId`. Whether it is there is found
    /// when it is read.
    pub(super) async fn event_id(
        &self,
        application: &Application,
        name: &str,
    ) -> Result<EventId, Refusal> {
        if let Ok(id) = name.parse() {
            return Ok(id);
        }
        let found = self.engine.event_by_uid(application.id, name).await?;
        found.ok_or_else(|| missing("message", name))
    }
}

/// What is said of something that is not there.
pub(super) fn missing(what: &str, name: &str) -> Refusal {
    let name: String = name.chars().take(64).collect();
    Refusal::not_found(format!("{what} `{}` does not exist", name.escape_debug()))
}
