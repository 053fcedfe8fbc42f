//! Sending much again, in the background.

use crate::engine::Engine;
use crate::engine::tasks::{Resend, What};
use crate::error::{Error, Result};
use crate::history::statistics::check_awaited;
use crate::model::{
    ApplicationId, EndpointId, Order, Task, TaskId, TaskKind, TaskState, Timestamp,
};
use crate::query::{DeliveryFilter, Page};
use crate::store::Owner;

/// Steps that counting takes at most, of 200 events each, or of fewer that are long.
const COUNTED_STEPS_MAX: usize = 500;

/// How many webhooks something would send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeliveryCount {
    /// How many were counted.
    pub count: u64,
    /// Whether there may be more: counting ended after 100,000 events, or about 2 GiB of them.
    pub at_least: bool,
}

/// Which background tasks to list.
#[derive(Clone, Debug)]
pub struct TaskFilter {
    /// Only tasks of this application.
    pub application: Option<ApplicationId>,
    /// Only tasks of this kind.
    pub kind: Option<TaskKind>,
    /// Only tasks in this state, by its word: `running`, `finished` or `failed`.
    pub state: Option<String>,
    /// Go on after this task, the last of the page before.
    pub position: Option<TaskId>,
    /// Which way.
    pub order: Order,
    /// How many, 250 at most.
    pub limit: usize,
}

impl Default for TaskFilter {
    fn default() -> Self {
        Self {
            application: None,
            kind: None,
            state: None,
            position: None,
            order: Order::default(),
            limit: 50,
        }
    }
}

impl TaskFilter {
    fn wants(&self, task: &Task) -> bool {
        self.application.is_none_or(|id| task.application == id)
            && self.kind.is_none_or(|kind| task.kind == kind)
            && self.state.as_deref().is_none_or(|state| task.state.as_str() == state)
    }
}

/// A part of a listing of background tasks.
#[derive(Clone, Debug, Default)]
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// Where the next page goes on; `None` at the end.
    pub next: Option<TaskId>,
}

impl Engine {
    /// Sends an endpoint everything that it missed in a time, as [`Engine::recover`] does, in the
    /// background. Of several tasks of one endpoint one is at work, and the others wait for it.
    ///
    /// # Errors
    /// Refused for an endpoint that is deleted or disabled, and with
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) while 20 tasks of the application,
    /// or 1,000 in all, are not finished.
    pub async fn start_recovery(
        &self,
        endpoint: EndpointId,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<Task> {
        let what = What::Missed(endpoint);
        self.start(TaskKind::Recover, endpoint, what, since, until).await
    }

    /// Sends an endpoint the events that it wants now and was never sent: those accepted before it
    /// was there, while it listened to others, or while it was disabled. They go out as if they
    /// were new, with all their retries; test events do not.
    ///
    /// # Errors
    /// As for [`Engine::start_recovery`].
    pub async fn start_replay_missing(
        &self,
        endpoint: EndpointId,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<Task> {
        let what = What::Missing(endpoint);
        self.start(TaskKind::ReplayMissing, endpoint, what, since, until).await
    }

    /// Sends the webhook of every finished delivery that `filter` asks for again, by hand: one
    /// attempt each, though a webhook carries several of them. What goes to an endpoint that is
    /// deleted or disabled is left out, and so are test events and what the provider's envelope
    /// cannot carry. The filter's position, order and
    /// limit count for nothing.
    ///
    /// # Errors
    /// As for [`Engine::deliveries`] and [`Engine::start_recovery`].
    pub async fn start_replay(&self, filter: DeliveryFilter) -> Result<Task> {
        self.inner.wait_for_emits().await?;
        let (resend, application, endpoint) = self.replay_matching(&filter)?;
        if let Some(endpoint) = endpoint {
            self.inner.replayable(endpoint)?;
        }
        let (since, until) = (filter.since, filter.until);
        let task = self.new_task(TaskKind::Replay, application, endpoint, since, until)?;
        self.inner.start_task(task, resend).await
    }

    /// How many webhooks [`Engine::start_replay`] would send, counted over 100,000 events, or about
    /// 2 GiB of them, at most.
    ///
    /// # Errors
    /// As for [`Engine::deliveries`].
    pub async fn count_deliveries(&self, filter: DeliveryFilter) -> Result<DeliveryCount> {
        self.count_deliveries_while(filter, || true).await
    }

    /// The same, as long as somebody waits for it.
    pub(crate) async fn count_deliveries_while(
        &self,
        filter: DeliveryFilter,
        is_awaited: impl Fn() -> bool,
    ) -> Result<DeliveryCount> {
        let (mut resend, application, _) = self.replay_matching(&filter)?;
        let mut count = 0;
        for _ in 0..COUNTED_STEPS_MAX {
            check_awaited(&is_awaited)?;
            let (gone_on, part) = self.inner.resend_step(application, resend).await?;
            let Some(part) = part else { return Ok(DeliveryCount { count, at_least: false }) };
            resend = gone_on;
            count += part.count;
        }
        Ok(DeliveryCount { count, at_least: true })
    }

    /// A background task. Finished ones are kept for 7 days.
    ///
    /// # Errors
    /// Refuses an unknown one.
    pub fn task(&self, id: TaskId) -> Result<Task> {
        let task = self.inner.tasks.get(id);
        task.ok_or_else(|| Error::not_found(format!("task `{id}` does not exist or has expired")))
    }

    /// Background tasks, in the order in which they were asked for. Walking page by page shows each
    /// once, though new ones begin meanwhile; oldest first, those are shown too.
    ///
    /// # Errors
    /// Refuses a state that is none.
    pub fn tasks(&self, filter: &TaskFilter) -> Result<TaskPage> {
        const STATES: [&str; 3] = ["running", "finished", "failed"];
        if let Some(state) = &filter.state
            && !STATES.contains(&state.as_str())
        {
            return Err(Error::invalid(format!(
                "task state `{}` is not one: expected one of {}",
                state.escape_debug(),
                STATES.join(", ")
            )));
        }
        let mut page = Page::new(filter.limit);
        let wanted = |task: &Task| filter.wants(task);
        let (position, order) = (filter.position, filter.order);
        for task in self.inner.tasks.list(position, order, page.room(), wanted) {
            page.push(task.id, task, 0);
        }
        let (tasks, next) = page.finish(None);
        Ok(TaskPage { tasks, next })
    }

    async fn start(
        &self,
        kind: TaskKind,
        endpoint: EndpointId,
        what: What,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<Task> {
        let application = self.inner.replayable(endpoint)?.application;
        self.inner.wait_for_emits().await?;
        let resend = self.inner.resend_of(what, Some(since), until)?;
        let task = self.new_task(kind, application, Some(endpoint), Some(since), until)?;
        self.inner.start_task(task, resend).await
    }

    fn replay_matching(
        &self,
        filter: &DeliveryFilter,
    ) -> Result<(Resend, ApplicationId, Option<EndpointId>)> {
        let (application, endpoint) = match filter.owner {
            Owner::Application(id) => (self.inner.directory.application(id)?.id, None),
            Owner::Endpoint(id) => (self.inner.directory.endpoint(id)?.application, Some(id)),
        };
        filter.check()?;
        let what = What::Matching(DeliveryFilter { position: None, ..filter.clone() });
        let resend = self.inner.resend_of(what, filter.since, filter.until)?;
        Ok((resend, application, endpoint))
    }

    fn new_task(
        &self,
        kind: TaskKind,
        application: ApplicationId,
        endpoint: Option<EndpointId>,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Task> {
        let now = self.inner.clock.wall();
        Ok(Task {
            id: TaskId::from_uuid(self.inner.ids.next()?),
            kind,
            application,
            endpoint,
            since,
            until,
            state: TaskState::Running,
            done: 0,
            created_at: now,
            updated_at: now,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{NewApplication, NewEvent, until};
    use serde_json::json;

    /// An application with that many events, which reached nobody.
    async fn application(engine: &Engine, events: usize) -> ApplicationId {
        let application = NewApplication::new("Shop");
        let application = engine.create_application(application).await.unwrap().id;
        let event = || NewEvent::new(application, "a.b", &json!({})).unwrap();
        engine.emit_batch((0..events).map(|_| event()).collect()).await.unwrap();
        application
    }

    #[tokio::test]
    async fn tasks_take_turns_by_application_and_not_by_their_number() {
        let engine = Engine::builder().in_memory().open().await.unwrap();
        // Each task of the one takes two steps, that of the other six.
        let (busy, quiet) = (application(&engine, 1).await, application(&engine, 1000).await);
        let turns = &engine.inner.tasks.turns;
        let held = turns.take(busy).await.unwrap();
        let start = |application| engine.start_replay(DeliveryFilter::application(application));
        let mut others = Vec::new();
        for _ in 0..20 {
            others.push(start(busy).await.unwrap().id);
        }
        let own = start(quiet).await.unwrap().id;
        until(|| turns.waiting() == 21).await;
        drop(held);
        let is_over = |id: &TaskId| engine.task(*id).unwrap().state == TaskState::Finished;
        until(|| is_over(&own) && others.iter().all(is_over)).await;
        let ended_at = |id: &TaskId| engine.task(*id).unwrap().updated_at;
        let earlier = others.iter().filter(|id| ended_at(id) < ended_at(&own)).count();
        assert!(earlier < 5, "{earlier} of 20 tasks of another ended first");
    }
}
