//! One webhook: shown, and sent again.

use super::resource::{Sent, Webhook};
use super::{Organisation, PROVIDER, Problem};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::history::WebhookContent;
use crate::model::{ApplicationId, DeliveryId, WebhookId};
use crate::provider::Provider;
use crate::simulate::fronts::Fronts;
use axum::Json;
use axum::extract::{Extension, Path, State};
use serde_json::{Value, json};
use std::sync::Arc;

/// An organisation's webhooks.
#[derive(Clone)]
pub(super) struct Webhooks {
    pub engine: Engine,
    pub provider: Arc<Provider>,
    pub organisation: ApplicationId,
}

impl Webhooks {
    pub fn of(fronts: &Fronts, organisation: Organisation) -> Result<Self> {
        let engine = fronts.engine.clone();
        let provider = engine.provider(PROVIDER)?;
        Ok(Self { engine, provider, organisation: organisation.0 })
    }

    /// The deliveries of a webhook, by which the engine knows it. An id holds the webhook's UUID,
    /// so that finding it takes one look-up, however long the history is.
    pub async fn deliveries(&self, id: &str) -> Result<(WebhookId, Vec<DeliveryId>)> {
        let unknown = || Error::not_found("Resource not found: no webhook has this id");
        let webhook = self.provider.webhook_of_wire_id(id).ok_or_else(unknown)?;
        let content = match self.engine.webhook(webhook).await {
            Err(error) if error.is_not_found() => return Err(unknown()),
            content => content?,
        };
        let deliveries = self.own(&content);
        if deliveries.is_empty() { Err(unknown()) } else { Ok((webhook, deliveries)) }
    }

    /// The deliveries that stand for a webhook: of its newest event, to the endpoints that are the
    /// organisation's and served as GoCardless. The first of them is the one that is shown.
    pub fn own(&self, content: &WebhookContent) -> Vec<DeliveryId> {
        let is_own = |id: &&_| {
            self.engine.endpoint(**id).is_ok_and(|endpoint| {
                endpoint.application == self.organisation && endpoint.provider == PROVIDER
            })
        };
        // The newest expires last.
        let Some(event) = content.events.iter().max().copied() else { return Vec::new() };
        let endpoints = content.endpoints.iter().filter(is_own);
        endpoints.map(|endpoint| DeliveryId { event, endpoint: *endpoint }).collect()
    }

    async fn resource(&self, webhook: WebhookId, delivery: DeliveryId) -> Result<Webhook> {
        let history = self.engine.delivery(delivery).await?;
        Webhook::of(&self.provider, &Sent { webhook, history })
            .ok_or_else(|| Error::not_found("Resource not found: the webhook was not sent yet"))
    }
}

pub(super) async fn show(
    State(fronts): State<Fronts>,
    Extension(organisation): Extension<Organisation>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let webhooks = Webhooks::of(&fronts, organisation)?;
    let (webhook, deliveries) = webhooks.deliveries(&id).await?;
    answer(&webhooks, webhook, &deliveries).await
}

pub(super) async fn retry(
    State(fronts): State<Fronts>,
    Extension(organisation): Extension<Organisation>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let webhooks = Webhooks::of(&fronts, organisation)?;
    let (webhook, deliveries) = webhooks.deliveries(&id).await?;
    for delivery in &deliveries {
        webhooks.engine.replay(*delivery).await?;
    }
    answer(&webhooks, webhook, &deliveries).await
}

async fn answer(
    webhooks: &Webhooks,
    webhook: WebhookId,
    deliveries: &[DeliveryId],
) -> Result<Json<Value>, Problem> {
    let shown = deliveries.first().ok_or_else(|| Error::internal("a webhook of nobody"))?;
    Ok(Json(json!({ "webhooks": webhooks.resource(webhook, *shown).await? })))
}
