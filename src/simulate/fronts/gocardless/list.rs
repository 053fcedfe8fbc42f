//! `GET /webhooks`: filters, and pages by cursor, newest first.

use super::query::Query;
use super::resource::{Sent, Webhook};
use super::webhooks::Webhooks;
use super::{Organisation, Problem};
use crate::error::Result;
use crate::history::DeliveryFilter;
use crate::model::{Delivery, WebhookId};
use crate::simulate::fronts::Fronts;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, State};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Deliveries that the walk reads at once.
const READ_AT_ONCE: usize = 250;
/// How often one request reads at most, so that its work is bounded: 5,000 deliveries.
const READS_MAX: usize = 20;

pub(super) async fn list(
    State(fronts): State<Fronts>,
    Extension(organisation): Extension<Organisation>,
    pairs: Result<axum::extract::Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let pairs =
        pairs.map_err(|error| Problem::usage(error.status(), "bad_request", error.body_text()))?;
    let query = Query::read(&pairs.0)?;
    let webhooks = Webhooks::of(&fronts, organisation)?;
    let page = match (&query.before, &query.after) {
        (Some(before), _) => page_before(webhooks, &query, before).await?,
        (None, after) => page_after(webhooks, &query, after.as_deref()).await?,
    };
    Ok(Json(json!({
        "webhooks": page.webhooks,
        "meta": {
            "cursors": { "before": page.before, "after": page.after },
            "limit": query.limit,
        },
    })))
}

/// A page, with what to ask for the pages beside it.
struct Page {
    webhooks: VecDeque<Webhook>,
    before: Option<String>,
    after: Option<String>,
}

/// The webhooks older than `after`, or the newest ones.
async fn page_after(
    webhooks: Webhooks,
    query: &Query,
    after: Option<&str>,
) -> Result<Page, Problem> {
    let mut walk = Walk::new(webhooks);
    if let Some(after) = after {
        let (_, deliveries) = known(&walk.webhooks, "after", after).await?;
        walk.filter.position = deliveries.first().copied();
    }
    let mut page = Page { webhooks: VecDeque::new(), before: None, after: None };
    while let Some(sent) = walk.next().await? {
        if !query.wants(&sent) {
            continue;
        }
        if page.webhooks.len() == query.limit {
            page.after = page.webhooks.back().map(|webhook| webhook.id.clone());
            break;
        }
        page.webhooks.extend(Webhook::of(&walk.webhooks.provider, &sent));
    }
    if walk.was_cut {
        // The page is short, and not the last: it goes on where the walk stopped.
        page.after = walk.last.map(|id| walk.webhooks.provider.webhook_wire_id(id));
    }
    if after.is_some() {
        page.before = page.webhooks.front().map(|webhook| webhook.id.clone());
    }
    Ok(page)
}

/// The webhooks that stand next before `before`, which are newer.
async fn page_before(webhooks: Webhooks, query: &Query, before: &str) -> Result<Page, Problem> {
    let (end, _) = known(&webhooks, "before", before).await?;
    let mut walk = Walk::new(webhooks);
    let mut page = Page { webhooks: VecDeque::new(), before: None, after: None };
    let mut has_newer = false;
    loop {
        let Some(sent) = walk.next().await? else {
            let message = "lies too far back to be paged from: page with `after`";
            return Err(Problem::validation("before", "/before", message));
        };
        if sent.webhook == end {
            break;
        }
        if !query.wants(&sent) {
            continue;
        }
        page.webhooks.extend(Webhook::of(&walk.webhooks.provider, &sent));
        if page.webhooks.len() > query.limit {
            has_newer = true;
            page.webhooks.pop_front();
        }
    }
    page.after = page.webhooks.back().map(|webhook| webhook.id.clone());
    if has_newer {
        page.before = page.webhooks.front().map(|webhook| webhook.id.clone());
    }
    Ok(page)
}

/// The webhook that a cursor names.
async fn known(
    webhooks: &Webhooks,
    name: &'static str,
    cursor: &str,
) -> Result<(WebhookId, Vec<crate::model::DeliveryId>), Problem> {
    match webhooks.deliveries(cursor).await {
        Err(error) if error.is_not_found() => {
            let message = "is not the id of a webhook";
            Err(Problem::validation(name, &format!("/{name}"), message))
        }
        found => Ok(found?),
    }
}

/// Webhooks in the order of their newest events, newest first: the order in which the engine lists
/// deliveries, so that a page begins anywhere without a look at what stands before it.
struct Walk {
    webhooks: Webhooks,
    filter: DeliveryFilter,
    read: VecDeque<Delivery>,
    reads: usize,
    is_end: bool,
    /// Whether it stopped because it had looked at enough.
    was_cut: bool,
    /// The last webhook that it came by.
    last: Option<WebhookId>,
}

impl Walk {
    fn new(webhooks: Webhooks) -> Self {
        let mut filter = DeliveryFilter::application(webhooks.organisation);
        filter.limit = READ_AT_ONCE;
        Self {
            webhooks,
            filter,
            read: VecDeque::new(),
            reads: 0,
            is_end: false,
            was_cut: false,
            last: None,
        }
    }

    /// The next webhook that was sent.
    async fn next(&mut self) -> Result<Option<Sent>> {
        loop {
            while let Some(delivery) = self.read.pop_front() {
                if let Some(sent) = self.sent(&delivery).await? {
                    self.last = Some(sent.webhook);
                    return Ok(Some(sent));
                }
            }
            if self.is_end {
                return Ok(None);
            }
            // Without a webhook to go on from, the page would claim to be the last.
            if self.reads >= READS_MAX && self.last.is_some() {
                self.was_cut = true;
                return Ok(None);
            }
            self.reads += 1;
            let page = self.webhooks.engine.deliveries(self.filter.clone()).await?;
            self.is_end = page.next.is_none();
            self.filter.position = page.next;
            self.read = page.deliveries.into();
        }
    }

    /// The webhook of a delivery, if it was sent and the delivery is the one that stands for it.
    async fn sent(&self, delivery: &Delivery) -> Result<Option<Sent>> {
        if delivery.attempts == 0 {
            return Ok(None);
        }
        let engine = &self.webhooks.engine;
        let content = match engine.webhook(delivery.webhook).await {
            // It expired meanwhile.
            Err(error) if error.is_not_found() => return Ok(None),
            content => content?,
        };
        if self.webhooks.own(&content).first() != Some(&delivery.id) {
            return Ok(None);
        }
        match engine.delivery(delivery.id).await {
            Err(error) if error.is_not_found() => Ok(None),
            history => Ok(Some(Sent { webhook: delivery.webhook, history: history? })),
        }
    }
}
