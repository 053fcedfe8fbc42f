//! The providers that endpoints can be served as.

use crate::api::Api;
use crate::api::access::{Caller, missing};
use crate::api::input::{Path, Query};
use crate::api::page::{ListResponse, PageQuery, page_of};
use crate::api::refusal::Refusal;
use crate::provider::{Mark, Provider, SecretOwner, SecretShown};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

/// A provider.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderOut {
    /// Its name, for an endpoint's `provider`.
    name: String,
    /// Its name for people.
    title: String,
    /// The page that it was read from.
    source: String,
    /// The headers that carry its signatures.
    signature_headers: Vec<String>,
    /// How many attempts its schedule makes.
    attempts: u32,
    /// Seconds after each failed attempt until the next.
    retry_seconds: Vec<f64>,
    /// Seconds that an attempt may take.
    timeout_seconds: f64,
    /// Whose a secret is: `endpoint` or `application`.
    secret_owner: &'static str,
    /// How often a secret is shown: `always` or `once`.
    secret_shown: &'static str,
    /// How it can authenticate towards endpoints.
    authentications: Vec<&'static str>,
    /// Whether it shows a client certificate where one is set.
    client_certificate: bool,
    /// Whether an endpoint has to answer a challenge.
    challenge: bool,
    /// The event types that there are samples of, for test events.
    event_types: Vec<String>,
}

impl From<&Provider> for ProviderOut {
    fn from(provider: &Provider) -> Self {
        let schedule = provider.schedule();
        Self {
            name: provider.name().to_owned(),
            title: provider.title().to_owned(),
            source: provider.source().to_owned(),
            signature_headers: provider.signature_headers().map(str::to_owned).collect(),
            attempts: schedule.attempts(),
            retry_seconds: schedule.delays().iter().map(std::time::Duration::as_secs_f64).collect(),
            timeout_seconds: provider.timeout().as_secs_f64(),
            secret_owner: match provider.secret_owner() {
                SecretOwner::Endpoint => "endpoint",
                SecretOwner::Application => "application",
            },
            secret_shown: match provider.secret_shown() {
                SecretShown::Always => "always",
                SecretShown::Once => "once",
            },
            authentications: provider.authentications().iter().map(|kind| kind.as_str()).collect(),
            client_certificate: provider.allows_client_certificate(),
            challenge: provider.challenge().is_some(),
            event_types: provider.event_types().map(ToString::to_string).collect(),
        }
    }
}

/// A statement on a provider.
#[derive(Serialize, ToSchema)]
pub struct StatementOut {
    /// What is so.
    text: String,
    /// Whose word it is: `page`, its own; `found`, another place's; `ours`, where none says.
    mark: &'static str,
    /// Where it stands, or why it was chosen.
    note: Option<String>,
}

/// A part of a provider's description.
#[derive(Serialize, ToSchema)]
pub struct SectionOut {
    /// Its heading.
    title: &'static str,
    /// Its statements.
    statements: Vec<StatementOut>,
}

/// A provider with its description.
#[derive(Serialize, ToSchema)]
pub struct ProviderDetail {
    #[serde(flatten)]
    provider: ProviderOut,
    /// What it does, in words.
    description: Vec<SectionOut>,
}

/// List providers
#[utoipa::path(get, path = "/api/v1/provider", operation_id = "provider.list", tag = "Provider",
    params(PageQuery), responses((status = 200, body = ListResponse<ProviderOut>)))]
pub(super) async fn list(
    State(api): State<Api>,
    _: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<ListResponse<ProviderOut>>, Refusal> {
    let providers = api.engine.providers();
    Ok(Json(page_of(providers, &query, |held| held.name().to_owned(), |held| (&**held).into())?))
}

/// The provider that the path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "describes the path")]
pub struct ProviderPath {
    /// Its name.
    #[param(min_length = 1, max_length = 64, example = "yoco")]
    name: String,
}

/// Explain a provider
#[utoipa::path(get, path = "/api/v1/provider/{name}", operation_id = "provider.get",
    tag = "Provider", params(ProviderPath), responses((status = 200, body = ProviderDetail)))]
pub(super) async fn get(
    State(api): State<Api>,
    _: Caller,
    Path(name): Path<String>,
) -> Result<Json<ProviderDetail>, Refusal> {
    let found = api.engine.providers().find(|held| held.name() == name);
    let provider = found.ok_or_else(|| missing("provider", &name))?;
    let sections = provider.describe().sections.iter().map(|section| SectionOut {
        title: section.title,
        statements: section
            .lines
            .iter()
            .map(|line| {
                let (mark, note) = match &line.mark {
                    Mark::Documented(note) => ("page", note.clone()),
                    Mark::Found(place) => ("found", Some(place.clone())),
                    Mark::Ours(reason) => ("ours", Some(reason.clone())),
                };
                StatementOut { text: line.text.clone(), mark, note }
            })
            .collect(),
    });
    let description = sections.collect();
    Ok(Json(ProviderDetail { provider: (&**provider).into(), description }))
}
