//! `POST /scenario_simulators/{name}/actions/run`: emits what the scenario makes happen.

use super::scenarios::{self, Link, Resource, Scenario, Step};
use super::webhooks::Webhooks;
use super::{Organisation, Problem};
use crate::chance::fill_random;
use crate::engine::NewEvent;
use crate::error::Result;
use crate::model::{Mode, base_n};
use crate::simulate::fronts::Fronts;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How far apart the events of a run happened: receivers that order by time see their order.
const STEP_APART: Duration = Duration::from_millis(1);
/// Where the request names the resource.
const RESOURCE_POINTER: &str = "/data/links/resource";

pub(super) async fn run(
    State(fronts): State<Fronts>,
    Extension(organisation): Extension<Organisation>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let scenario = scenarios::named(&name).ok_or_else(|| {
        let known: Vec<&str> = scenarios::names().collect();
        Problem::no_resource(format!(
            "Resource not found: no scenario simulator of that name runs here; those that do are {}",
            known.join(", ")
        ))
    })?;
    let body = body.map_err(|error| {
        Problem::usage(error.status(), "invalid_document_structure", error.body_text())
    })?;
    let resource = resource(scenario.resource, &body)?;
    let webhooks = Webhooks::of(&fronts, organisation)?;
    let events = events(&webhooks, scenario, &resource)?;
    for emitted in webhooks.engine.emit_batch(events).await? {
        if let Some(reason) = emitted.reach.explain() {
            tracing::info!(event = %emitted.event, reason, "a simulated event reaches nobody");
        }
    }
    Ok(Json(json!({ "scenario_simulators": { "id": scenario.name } })))
}

/// The resource that the body names.
fn resource(kind: Resource, body: &[u8]) -> Result<String, Problem> {
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        let message = format!("The body is not JSON: {error}");
        Problem::usage(StatusCode::BAD_REQUEST, "invalid_document_structure", message)
    })?;
    let refused = |message: &str| Problem::validation("resource", RESOURCE_POINTER, message);
    let id = body.pointer(RESOURCE_POINTER).ok_or_else(|| refused("is required"))?;
    let is_id = |id: &&str| {
        let rest = id.strip_prefix(kind.prefix()).unwrap_or_default();
        (1..=64).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let id = id.as_str().filter(is_id).ok_or_else(|| {
        let what = match kind {
            Resource::Payment => "must be the id of a payment, which begins with PM",
            Resource::Mandate => "must be the id of a mandate, which begins with MD",
        };
        refused(what)
    })?;
    Ok(id.to_owned())
}

/// The events of a run on `resource`, in order; the last one happens now.
fn events(webhooks: &Webhooks, scenario: &Scenario, resource: &str) -> Result<Vec<NewEvent>> {
    let made = Made::new()?;
    let now = webhooks.engine.clock().wall();
    let mut events = Vec::with_capacity(scenario.steps.len());
    let mut before_last = u32::try_from(scenario.steps.len()).unwrap_or(u32::MAX);
    for step in scenario.steps {
        before_last = before_last.saturating_sub(1);
        let links = made.links(scenario.resource, resource, step);
        let data = webhooks.provider.sample(
            step.event_type,
            &[
                ("details.origin".to_owned(), step.origin.into()),
                ("details.cause".to_owned(), step.cause.into()),
                ("links".to_owned(), links.into()),
            ],
        )?;
        events.push(NewEvent {
            data,
            time: Some(now.before(STEP_APART * before_last)),
            mode: Mode::Test,
            ..NewEvent::new(webhooks.organisation, step.event_type, &Map::new())?
        });
    }
    Ok(events)
}

/// The resources that a run makes besides the one that it was given.
struct Made {
    payout: String,
    later_payout: String,
    previous_account: String,
    new_account: String,
}

impl Made {
    fn new() -> Result<Self> {
        Ok(Self {
            payout: id("PO")?,
            later_payout: id("PO")?,
            previous_account: id("BA")?,
            new_account: id("BA")?,
        })
    }

    fn links(&self, kind: Resource, given: &str, step: &Step) -> Map<String, Value> {
        let link = |link: &Link| {
            let (name, id) = match (link, kind) {
                (Link::Given, Resource::Payment) => ("payment", given),
                (Link::Given, Resource::Mandate) => ("mandate", given),
                (Link::Payout, _) => ("payout", self.payout.as_str()),
                (Link::LaterPayout, _) => ("payout", self.later_payout.as_str()),
                (Link::PreviousAccount, _) => {
                    ("previous_customer_bank_account", self.previous_account.as_str())
                }
                (Link::NewAccount, _) => ("new_customer_bank_account", self.new_account.as_str()),
            };
            (name.to_owned(), json!(id))
        };
        step.links.iter().map(link).collect()
    }
}

/// An id as GoCardless writes them: a prefix and twelve characters.
fn id(prefix: &str) -> Result<String> {
    let mut random = [0; 8];
    fill_random(&mut random)?;
    // Sixty bits are twelve characters.
    let number = u128::from(u64::from_be_bytes(random) >> 4);
    Ok(format!("{prefix}{}", base_n::encode(number, base_n::CROCKFORD, 12)))
}
