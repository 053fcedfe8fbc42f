//! Applications.

use crate::api::Api;
use crate::api::access::{AppPath, Caller, Tenant, check_path, path_part};
use crate::api::input::{Body, Query, nullable};
use crate::api::page::{ListResponse, PageQuery, page_of};
use crate::api::refusal::Refusal;
use crate::engine::{ApplicationChange, NewApplication};
use crate::model::Application;
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

const DAY: Duration = Duration::from_secs(86_400);

/// An application to be made, or to take the place of another.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"name": "Shop", "uid": "shop-1", "metadata": {"country": "NO"}}))]
pub struct ApplicationIn {
    /// What people call it.
    #[schema(min_length = 1, max_length = 256)]
    pub name: String,
    /// The platform's own name for it, unique among applications.
    #[schema(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$")]
    pub uid: Option<String>,
    /// Messages a second at most to all its endpoints together.
    #[serde(alias = "rateLimit")]
    #[schema(minimum = 1, maximum = 65_535)]
    pub throttle_rate: Option<u16>,
    /// The platform's own notes: 64 at most, 16 KiB in all.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Days for which finished deliveries stay in the history; null for the server's setting.
    #[schema(minimum = 1, maximum = 3650)]
    pub retention_days: Option<u16>,
}

/// What to change of an application; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"name": "Shop in Oslo", "throttleRate": null}))]
pub struct ApplicationPatch {
    /// What people call it.
    #[schema(min_length = 1, max_length = 256)]
    pub name: Option<String>,
    /// The platform's own name for it; null takes it away.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256,
        pattern = "^[a-zA-Z0-9\\-_.]+$")]
    pub uid: Option<Option<String>>,
    /// Messages a second at most; null for no limit.
    #[serde(default, alias = "rateLimit", deserialize_with = "nullable")]
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 65_535)]
    pub throttle_rate: Option<Option<u16>>,
    /// The platform's own notes, all of them anew.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Days for which finished deliveries stay in the history; null for the server's setting.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 3650)]
    pub retention_days: Option<Option<u16>>,
}

/// An application.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationOut {
    /// Its id.
    #[schema(example = "app_068MnRSCDjQOeYMqPNC5Bc")]
    id: String,
    /// What people call it.
    name: String,
    /// The platform's own name for it.
    uid: Option<String>,
    /// Messages a second at most to all its endpoints together.
    throttle_rate: Option<u32>,
    /// The platform's own notes.
    metadata: BTreeMap<String, String>,
    /// Days for which finished deliveries stay in the history; null for the server's setting.
    retention_days: Option<u64>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<&Application> for ApplicationOut {
    fn from(application: &Application) -> Self {
        Self {
            id: application.id.to_string(),
            name: application.name.clone(),
            uid: application.uid.clone(),
            throttle_rate: application.rate_limit_per_second,
            metadata: application.metadata.clone(),
            retention_days: application.retention.map(|held| held.as_secs() / DAY.as_secs()),
            created_at: application.created_at.rfc3339(6),
            updated_at: application.updated_at.rfc3339(6),
        }
    }
}

fn retention(days: Option<u16>) -> Result<Option<Duration>, Refusal> {
    match days {
        Some(days) if !(1..=3650).contains(&days) => Err(Refusal::fault(
            ["body", "retentionDays"],
            format!("{days} days are not between 1 and 3650"),
        )),
        days => Ok(days.map(|days| DAY * u32::from(days))),
    }
}

impl ApplicationIn {
    /// The application to be made, checked: also where it turns out to be there already.
    pub(super) fn into_new(self) -> Result<NewApplication, Refusal> {
        let mut new = NewApplication::new(self.name);
        new.uid = self.uid;
        new.rate_limit_per_second = self.throttle_rate.map(u32::from);
        new.metadata = self.metadata.unwrap_or_default();
        new.retention = retention(self.retention_days)?;
        Ok(new.checked()?)
    }

    /// All that a replacement sets; what is left out of it is taken away.
    fn into_change(self) -> Result<ApplicationChange, Refusal> {
        Ok(ApplicationChange {
            name: Some(self.name),
            uid: Some(self.uid),
            rate_limit_per_second: Some(self.throttle_rate.map(u32::from)),
            metadata: Some(self.metadata.unwrap_or_default()),
            retention: Some(retention(self.retention_days)?),
        })
    }
}

/// List applications
///
/// A token for one application sees only that one.
#[utoipa::path(get, path = "/api/v1/app", operation_id = "v1.application.list", tag = "Application",
    params(PageQuery), responses((status = 200, body = ListResponse<ApplicationOut>)))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<ListResponse<ApplicationOut>>, Refusal> {
    let seen = api.engine.applications().into_iter().filter(|held| caller.sees(held));
    let page = page_of(seen, &query, |held| held.id.to_string(), |held| (&*held).into())?;
    Ok(Json(page))
}

/// How an application is made.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CreateQuery {
    /// Answer with the application of that uid where there is one, instead of a conflict.
    get_if_exists: Option<bool>,
}

/// Make an application
#[utoipa::path(post, path = "/api/v1/app", operation_id = "v1.application.create",
    tag = "Application", params(CreateQuery), request_body = ApplicationIn, responses(
        (status = 201, body = ApplicationOut),
        (status = 200, description = "It was there", body = ApplicationOut)))]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<CreateQuery>,
    Body(body): Body<ApplicationIn>,
) -> Result<(StatusCode, Json<ApplicationOut>), Refusal> {
    caller.everything()?;
    let new = body.into_new()?;
    let uid = new.uid.clone().filter(|_| query.get_if_exists == Some(true));
    let held = || uid.as_deref().and_then(|uid| api.engine.application_by_uid(uid));
    if let Some(held) = held() {
        return Ok((StatusCode::OK, Json((&*held).into())));
    }
    match api.engine.create_application(new).await {
        Ok(made) => Ok((StatusCode::CREATED, Json((&*made).into()))),
        // Somebody else made it in between.
        Err(error) => match held().filter(|_| error.is_conflict()) {
            Some(held) => Ok((StatusCode::OK, Json((&*held).into()))),
            None => Err(error.into()),
        },
    }
}

/// Show an application
#[utoipa::path(get, path = "/api/v1/app/{app_id}", operation_id = "v1.application.get",
    tag = "Application", params(AppPath), responses((status = 200, body = ApplicationOut)))]
pub(super) async fn get(tenant: Tenant) -> Json<ApplicationOut> {
    Json((&*tenant.application).into())
}

/// The application that a path names, which need not be there yet.
pub(super) struct Named {
    caller: Caller,
    name: String,
}

impl FromRequestParts<Api> for Named {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let caller = Caller::from_request_parts(parts, api).await?;
        Ok(Self { caller, name: path_part(parts, api, "app_id").await? })
    }
}

/// Replace an application, or make it
///
/// One that is made has the uid of the body or, where that has none, of the path.
#[utoipa::path(put, path = "/api/v1/app/{app_id}", operation_id = "v1.application.update",
    tag = "Application", params(AppPath), request_body = ApplicationIn, responses(
        (status = 200, body = ApplicationOut),
        (status = 201, description = "It was made", body = ApplicationOut)))]
pub(super) async fn replace(
    State(api): State<Api>,
    named: Named,
    Body(mut body): Body<ApplicationIn>,
) -> Result<(StatusCode, Json<ApplicationOut>), Refusal> {
    let Ok(held) = api.application(&named.caller, &named.name) else {
        named.caller.everything()?;
        check_path("app_id", &named.name)?;
        body.uid.get_or_insert(named.name);
        let made = api.engine.create_application(body.into_new()?).await?;
        return Ok((StatusCode::CREATED, Json((&*made).into())));
    };
    named.caller.administers()?;
    let changed = api.engine.update_application(held.id, body.into_change()?).await?;
    Ok((StatusCode::OK, Json((&*changed).into())))
}

/// Change an application
#[utoipa::path(patch, path = "/api/v1/app/{app_id}", operation_id = "v1.application.patch",
    tag = "Application", params(AppPath), request_body = ApplicationPatch,
    responses((status = 200, body = ApplicationOut)))]
pub(super) async fn patch(
    State(api): State<Api>,
    tenant: Tenant,
    Body(body): Body<ApplicationPatch>,
) -> Result<Json<ApplicationOut>, Refusal> {
    tenant.caller.administers()?;
    let change = ApplicationChange {
        name: body.name,
        uid: body.uid,
        rate_limit_per_second: body.throttle_rate.map(|rate| rate.map(u32::from)),
        metadata: body.metadata,
        retention: body.retention_days.map(retention).transpose()?,
    };
    let changed = api.engine.update_application(tenant.application.id, change).await?;
    Ok(Json((&*changed).into()))
}

/// Delete an application
///
/// Its endpoints go with it, what waits is cancelled, and its tokens are revoked.
#[utoipa::path(delete, path = "/api/v1/app/{app_id}", operation_id = "v1.application.delete",
    tag = "Application", params(AppPath), responses((status = 204, description = "It is gone")))]
pub(super) async fn delete(State(api): State<Api>, tenant: Tenant) -> Result<StatusCode, Refusal> {
    tenant.caller.administers()?;
    api.engine.delete_application(tenant.application.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
