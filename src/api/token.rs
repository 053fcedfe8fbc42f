//! Tokens of the API, and access to the portal.

use crate::api::Api;
use crate::api::access::{AppPath, Caller, check_path};
use crate::api::application::ApplicationIn;
use crate::api::input::{Body, Path, Query};
use crate::api::page::{ListResponse, PageQuery, page_of};
use crate::api::refusal::Refusal;
use crate::engine::NewAccessToken;
use crate::model::AccessToken;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Seconds that a portal's token lives when nobody says how long: 7 days (as Svix's API).
const PORTAL_SECONDS: u32 = 7 * 86_400;

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"name": "order service", "readOnly": true, "expiresInSeconds": 86400}))]
pub struct TokenIn {
    /// What it is for.
    #[schema(min_length = 1, max_length = 256)]
    name: String,
    /// The application that it sees, by id or uid; everything when left out.
    #[schema(min_length = 1, max_length = 256)]
    app_id: Option<String>,
    /// Whether it may only read.
    #[serde(default)]
    read_only: bool,
    /// Seconds until it expires; never when left out.
    #[schema(minimum = 1)]
    expires_in_seconds: Option<u32>,
}

impl TokenIn {
    fn check(&self) -> Result<(), Refusal> {
        if !(1..=256).contains(&self.name.len()) {
            return Err(Refusal::fault(["body", "name"], "a name has 1 to 256 bytes"));
        }
        if self.expires_in_seconds == Some(0) {
            return Err(Refusal::fault(
                ["body", "expiresInSeconds"],
                "a token that expires in 0 s would open nothing: give it longer, or no end",
            ));
        }
        Ok(())
    }
}

/// A token, without its text.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenOut {
    /// Its id.
    id: String,
    /// What it is for.
    name: String,
    /// The application that it sees; null for everything.
    app_id: Option<String>,
    /// Whether it may only read.
    read_only: bool,
    /// Whether it is an endpoint owner's, for the portal.
    portal: bool,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it expires.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A token that was made.
#[derive(Serialize, ToSchema)]
pub struct TokenCreated {
    #[serde(flatten)]
    shown: TokenOut,
    /// The token, which is not shown again.
    token: String,
}

impl From<&AccessToken> for TokenOut {
    fn from(token: &AccessToken) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name.clone(),
            app_id: token.application.map(|id| id.to_string()),
            read_only: token.read_only,
            portal: token.portal,
            created_at: token.created_at.rfc3339(6),
            expires_at: token.expires_at.map(|at| at.rfc3339(6)),
        }
    }
}

/// List tokens
#[utoipa::path(get, path = "/api/v1/token", operation_id = "token.list", tag = "Token",
    params(PageQuery), responses((status = 200, body = ListResponse<TokenOut>)))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<ListResponse<TokenOut>>, Refusal> {
    caller.everything()?;
    let tokens = api.engine.access_tokens();
    Ok(Json(page_of(tokens, &query, |held| held.id.to_string(), |held| (&*held).into())?))
}

/// Make a token
#[utoipa::path(post, path = "/api/v1/token", operation_id = "token.create", tag = "Token",
    request_body = TokenIn, responses((status = 201, body = TokenCreated)))]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body<TokenIn>,
) -> Result<(StatusCode, Json<TokenCreated>), Refusal> {
    caller.everything()?;
    body.check()?;
    let application = body.app_id.map(|name| api.application(&caller, &name)).transpose()?;
    let seconds = body.expires_in_seconds;
    let new = NewAccessToken {
        name: body.name,
        application: application.map(|held| held.id),
        read_only: body.read_only,
        portal: false,
        feature_flags: Vec::new(),
        expires_in: seconds.map(|seconds| Duration::from_secs(seconds.into())),
    };
    let (token, text) = api.engine.create_access_token(new).await?;
    let made = TokenCreated { shown: (&*token).into(), token: text.expose().to_owned() };
    Ok((StatusCode::CREATED, Json(made)))
}

/// The token that the path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "describes the path")]
pub struct TokenPath {
    /// Its id.
    #[param(example = "tok_068MnRSCDjQOeYMqPNC5Bc")]
    token_id: String,
}

/// Revoke a token
#[utoipa::path(delete, path = "/api/v1/token/{token_id}", operation_id = "token.revoke",
    tag = "Token", params(TokenPath), responses((status = 204, description = "It is void")))]
pub(super) async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    caller.everything()?;
    let id = id.parse().map_err(|_| Refusal::not_found("no such token"))?;
    api.engine.revoke_access_token(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a portal's token may do.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"expiry": 3600}))]
pub struct AppPortalAccessIn {
    /// Makes the application where it is not there yet.
    application: Option<ApplicationIn>,
    /// Whether it may only read.
    #[serde(default)]
    read_only: bool,
    /// Which event types it sees besides those for everybody: the ones with one of these flags.
    #[schema(max_items = 64)]
    feature_flags: Option<Vec<String>>,
    /// Seconds until it expires; 7 days when left out.
    #[schema(minimum = 1, maximum = 604_800)]
    expiry: Option<u32>,
}

/// Access to the portal.
#[derive(Serialize, ToSchema)]
pub struct AppPortalAccessOut {
    /// Where it is used.
    #[schema(format = "uri")]
    url: String,
    /// A token for this application alone.
    token: String,
}

/// Give an endpoint's owner access
///
/// The token sees this application only; it looks after endpoints and deliveries, and can neither
/// emit nor change the application. An application has 1,000 at most: then the one that ends first
/// makes room. `url` is the page of this API, until there is a portal.
#[utoipa::path(post, path = "/api/v1/auth/app-portal-access/{app_id}",
    operation_id = "v1.authentication.app-portal-access", tag = "Token", params(AppPath),
    request_body = AppPortalAccessIn, responses((status = 200, body = AppPortalAccessOut)))]
pub(super) async fn portal_access(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    Body(body): Body<AppPortalAccessIn>,
) -> Result<Json<AppPortalAccessOut>, Refusal> {
    caller.platform()?;
    let application = api.application_or_new(&caller, name, body.application).await?;
    let seconds = body.expiry.unwrap_or(PORTAL_SECONDS);
    if !(1..=PORTAL_SECONDS).contains(&seconds) {
        return Err(Refusal::fault(
            ["body", "expiry"],
            format!("{seconds} s are not between 1 and {PORTAL_SECONDS}"),
        ));
    }
    let new = NewAccessToken {
        name: "portal".to_owned(),
        application: Some(application.id),
        read_only: body.read_only,
        portal: true,
        feature_flags: body.feature_flags.unwrap_or_default(),
        expires_in: Some(Duration::from_secs(seconds.into())),
    };
    let (_, token) = api.engine.create_access_token(new).await?;
    let url = format!("{}/docs/", api.public_url);
    Ok(Json(AppPortalAccessOut { url, token: token.expose().to_owned() }))
}

/// Give a token back
///
/// The token that asks is void from then on.
#[utoipa::path(post, path = "/api/v1/auth/logout", operation_id = "v1.authentication.logout",
    tag = "Token", responses((status = 204, description = "It is void")))]
pub(super) async fn logout(State(api): State<Api>, caller: Caller) -> Result<StatusCode, Refusal> {
    api.engine.revoke_access_token(caller.0.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Api {
    /// The application of that name, made from what came with the request where it is not there.
    pub(super) async fn application_or_new(
        &self,
        caller: &Caller,
        name: String,
        new: Option<ApplicationIn>,
    ) -> Result<std::sync::Arc<crate::model::Application>, Refusal> {
        let found = self.application(caller, &name);
        let new = new.map(ApplicationIn::into_new).transpose()?;
        match (found, new) {
            (Err(_), Some(mut new)) if caller.0.application.is_none() => {
                check_path("app_id", &name)?;
                let uid = new.uid.get_or_insert_with(|| name.clone());
                if *uid != name {
                    return Err(Refusal::fault(
                        ["body", "application", "uid"],
                        format!("uid `{}` is not the one of the path", uid.escape_debug()),
                    ));
                }
                match self.engine.create_application(new).await {
                    // Another request may have made it meanwhile.
                    Err(error) if error.is_conflict() => self.application(caller, &name),
                    made => made.map_err(Refusal::at(["body", "application"])),
                }
            }
            (found, _) => found,
        }
    }
}
