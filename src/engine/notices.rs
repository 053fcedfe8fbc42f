//! Notices: what the platform is told of the endpoints of its applications, as events of one more
//! application. Their types and data are those of Svix's operational webhooks.
//!
//! A notice is given to the committing thread ahead of the commit that it tells of: a crash between
//! the two makes the same notice again, under the same idempotency key, and loses none. It is taken
//! while attempts are recorded, also when the disk is nearly full, and kept like these while
//! storage fails; apart from that it is accepted like any event.

use crate::engine::{Inner, NewEvent};
use crate::error::{ErrorKind, Result};
use crate::model::{Application, Attempt, Endpoint, EndpointId, Event, Timestamp};
use crate::record::News;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// That an endpoint was disabled without anybody's asking for it then.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "appId": "app_068MnRSCDjQOeYMqPNC5Bc", "appUid": "night-owl",
    "endpointId": "ep_068MnRSCGnYTtQXKVFRdFE", "endpointUid": "main",
    "failSince": "2026-01-10T12:00:00.000000Z",
    "reason": "every attempt has failed since 2026-01-10T12:00:00.000Z, and \
        `disable_after_failing_days` is 5",
}))]
pub(crate) struct EndpointDisabledNotice {
    /// The application whose endpoint it is.
    app_id: String,
    /// The platform's own name for it.
    app_uid: Option<String>,
    /// The endpoint.
    endpoint_id: String,
    /// The platform's own name for it.
    endpoint_uid: Option<String>,
    /// Since when every attempt has failed, as far as that is followed; else when the last one did.
    #[schema(format = DateTime)]
    fail_since: String,
    /// Why it was disabled.
    reason: String,
}

/// That a message is failing at an endpoint, is exhausted, or has recovered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "appId": "app_068MnRSCDjQOeYMqPNC5Bc", "appUid": "night-owl",
    "endpointId": "ep_068MnRSCGnYTtQXKVFRdFE", "endpointUid": "main",
    "msgId": "msg_068MnRSCK8uTzWCoLvG9qH", "msgEventId": "ord-1",
    "lastAttempt": {
        "id": "atmpt_068MnRSCNyM9EdSkvV2mZt", "responseStatusCode": 503,
        "timestamp": "2026-01-15T14:35:05.000000Z",
    },
}))]
pub(crate) struct MessageAttemptNotice {
    /// The application whose message it is.
    app_id: String,
    /// The platform's own name for it.
    app_uid: Option<String>,
    /// The endpoint that it goes to.
    endpoint_id: String,
    /// The platform's own name for it.
    endpoint_uid: Option<String>,
    /// The message.
    msg_id: String,
    /// The platform's own id for it.
    msg_event_id: Option<String>,
    /// The attempt that is the occasion.
    last_attempt: LastAttempt,
}

/// The attempt that a notice tells of.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastAttempt {
    /// Its id.
    id: String,
    /// The status of the answer; 0 when none came.
    #[schema(minimum = 0, maximum = 999)]
    response_status_code: u16,
    /// When it began.
    #[schema(format = DateTime)]
    timestamp: String,
}

/// The types of notices, each with when it is said.
pub(crate) const NOTICES: [(&str, &str); 4] = [
    (DISABLED, "Sent when an endpoint was disabled by its own policy, or by its answer"),
    (FAILING, "Sent when the fourth attempt at a message failed and more are to come"),
    (EXHAUSTED, "Sent when the last attempt at a message failed"),
    (RECOVERED, "Sent when a message was accepted that had been failing or exhausted"),
];
pub(crate) const DISABLED: &str = "endpoint.disabled";
const FAILING: &str = "message.attempt.failing";
const EXHAUSTED: &str = "message.attempt.exhausted";
const RECOVERED: &str = "message.attempt.recovered";

impl Inner {
    /// The application that is told of `endpoint`, and the one whose that is. Nobody is told of the
    /// endpoints that are told: a notice that fails would make another.
    fn told(&self, endpoint: &Endpoint) -> Option<(Arc<Application>, Arc<Application>)> {
        let uid = self.config.notices_application.as_deref()?;
        let told = self.directory.application_by_uid(uid)?;
        let owner = self.directory.application(endpoint.application).ok()?;
        (told.id != owner.id).then_some((told, owner))
    }

    /// Tells what an attempt was news of, for each of the events that it carried.
    pub(super) async fn tell_news(
        self: &Arc<Self>,
        news: News,
        endpoint: &Endpoint,
        events: &[Arc<Event>],
        attempt: &Attempt,
    ) {
        let Some((told, owner)) = self.told(endpoint) else { return };
        let name = match news {
            News::Failing => FAILING,
            News::Exhausted => EXHAUSTED,
            News::Recovered => RECOVERED,
        };
        let notice = |event: &Arc<Event>| {
            let data = MessageAttemptNotice {
                app_id: owner.id.to_string(),
                app_uid: owner.uid.clone(),
                endpoint_id: endpoint.id.to_string(),
                endpoint_uid: endpoint.uid.clone(),
                msg_id: event.id.to_string(),
                msg_event_id: event.uid.clone(),
                last_attempt: LastAttempt {
                    id: attempt.id.to_string(),
                    response_status_code: attempt.outcome.response().map_or(0, |held| held.status),
                    timestamp: attempt.started_at.rfc3339(6),
                },
            };
            let key = format!("{name}/{}/{}", event.id, endpoint.id);
            Ok(NewEvent::new(told.id, name, &data)?.idempotency_key(key))
        };
        self.tell(endpoint.id, events.iter().map(notice).collect()).await;
    }

    /// Tells that an endpoint is about to be disabled.
    pub(super) async fn tell_disabled(self: &Arc<Self>, endpoint: &Endpoint, reason: &str) {
        let Some((told, owner)) = self.told(endpoint) else { return };
        let since = self.failing.since(endpoint.id).unwrap_or_else(|| self.clock.now());
        let data = EndpointDisabledNotice {
            app_id: owner.id.to_string(),
            app_uid: owner.uid.clone(),
            endpoint_id: endpoint.id.to_string(),
            endpoint_uid: endpoint.uid.clone(),
            fail_since: Timestamp::rfc3339(since, 6),
            reason: reason.to_owned(),
        };
        // The same until somebody, or this, has changed the endpoint.
        let key = format!("{DISABLED}/{}/{}", endpoint.id, endpoint.updated_at.as_micros());
        let notice = NewEvent::new(told.id, DISABLED, &data);
        self.tell(endpoint.id, notice.map(|notice| vec![notice.idempotency_key(key)])).await;
    }

    async fn tell(self: &Arc<Self>, endpoint: EndpointId, notices: Result<Vec<NewEvent>>) {
        let told = move |result: Result<()>| match result {
            // It was told before the process ended last, or before the same answer came again.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => tracing::warn!(%endpoint, %error, "the platform was not told"),
            Ok(()) => {}
        };
        let taken = match notices {
            Ok(notices) => {
                let then = move |accepted: Result<_>| told(accepted.map(drop));
                self.take_in(notices, Duration::ZERO, true, true, then).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            tracing::warn!(%endpoint, %error, "the platform was not told");
        }
    }
}
