//! What comes of attempts, as it happens: server-sent events (WHATWG HTML, section 9.2).

use crate::api::Api;
use crate::api::access::{AppPath, Caller, Tenant};
use crate::api::attempt::shape::MessageAttemptOut;
use crate::api::places::Place;
use crate::api::refusal::Refusal;
use crate::clock;
use crate::engine::{Outcome, Outcomes};
use crate::model::{AccessTokenId, ApplicationId};
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Serialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;
use utoipa::ToSchema;

/// How often a quiet view looks whether its token has expired.
const TOKEN_CHECK: Duration = Duration::from_secs(2);

/// What came of an attempt.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeOut {
    #[serde(flatten)]
    attempt: MessageAttemptOut,
    /// The application of the endpoint.
    app_id: String,
    /// The types of the messages that it carried.
    event_types: Vec<String>,
    /// The state of the deliveries from now on; null when it stays as it was.
    state: Option<&'static str>,
}

impl OutcomeOut {
    fn new(outcome: &Outcome, application: ApplicationId) -> Self {
        let events: Vec<_> = outcome.deliveries.iter().map(|(id, _)| id.event).collect();
        Self {
            attempt: MessageAttemptOut::new(&outcome.attempt, outcome.endpoint, &events, true),
            app_id: application.to_string(),
            event_types: outcome.deliveries.iter().map(|(_, held)| held.to_string()).collect(),
            state: outcome.state.map(|state| state.as_str()),
        }
    }
}

/// Watch an application's attempts
///
/// Server-sent events of the name `attempt`, from now on, each with an `OutcomeOut`. A client that
/// is too slow misses some; the history has them all. An application's tokens have eight views open
/// together at most, and so has each token that sees everything.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/outcome/stream", operation_id = "outcome.stream",
    tag = "Attempt", params(AppPath),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(super) async fn of_application(
    State(api): State<Api>,
    tenant: Tenant,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    watch(&api, &tenant.caller, Some(tenant.application.id))
}

/// Watch all attempts
#[utoipa::path(get, path = "/api/v1/outcome/stream", operation_id = "outcome.stream-all",
    tag = "Attempt", responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(super) async fn of_everything(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    caller.everything()?;
    watch(&api, &caller, None)
}

struct Watch {
    api: Api,
    token: AccessTokenId,
    application: Option<ApplicationId>,
    outcomes: Outcomes,
    closing: watch::Receiver<bool>,
    _place: Place,
}

fn watch(
    api: &Api,
    caller: &Caller,
    application: Option<ApplicationId>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, Refusal> {
    let token = caller.0.id;
    let _place = api.limits.stream(caller.asker())?;
    let (outcomes, closing) = (api.engine.outcomes(), api.closing.clone());
    let watch = Watch { api: api.clone(), token, application, outcomes, closing, _place };
    let events = unfold(watch, |mut watch| async {
        let event = watch.next().await?;
        Some((Ok(event), watch))
    });
    // Lines in between, so that proxies do not take a quiet connection for a dead one.
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

impl Watch {
    /// The next event; none when the server closes, or the token is void.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let outcome = tokio::select! {
                _ = self.closing.wait_for(|closing| *closing) => return None,
                () = self.api.engine.access_token_removed(self.token) => return None,
                () = clock::pause(TOKEN_CHECK) => None,
                outcome = self.outcomes.next() => Some(outcome?),
            };
            if !self.api.engine.is_access_token_valid(self.token) {
                return None;
            }
            let Some(outcome) = outcome else { continue };
            let Ok(endpoint) = self.api.engine.endpoint(outcome.endpoint) else { continue };
            let application = endpoint.application;
            if self.application.is_some_and(|wanted| wanted != application) {
                continue;
            }
            let shown = OutcomeOut::new(&outcome, application);
            let event = Event::default().event("attempt").id(outcome.attempt.id.to_string());
            // Plain data always becomes JSON.
            return event.json_data(shown).ok();
        }
    }
}
