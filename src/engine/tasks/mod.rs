//! Background tasks: sending again in steps, each committed with how far it has come, so that a
//! restart goes on where it stood and sends nothing twice.

mod resend;

pub(crate) use resend::{Resend, What, attempts, may_be_replayed};

use crate::engine::queueing::STORE_RETRY;
use crate::engine::{Inner, whole};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ApplicationId, EndpointId, Order, Task, TaskId, TaskState, Timestamp};
use crate::round::turns::Turns;
use crate::store::{Change, DocumentKind, Store, codec};
use futures_util::FutureExt;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use uuid::Uuid;

/// Tasks that are not finished at most.
pub(crate) const UNFINISHED_MAX: usize = 1000;
/// Of these, tasks of one application at most.
const UNFINISHED_OF_APPLICATION_MAX: usize = 20;
/// Finished tasks that are kept at most; beyond that the oldest go early.
const FINISHED_MAX: usize = 10_000;
/// Of these, tasks of one application at most: so its tasks make only its own go early.
const FINISHED_OF_APPLICATION_MAX: usize = 1000;
/// For how long a finished task is kept.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Whose turn it is to read when it is that of the tasks: one application's more, or the tasks of
/// all would wait behind whatever else the one reads whose task has its turn.
const TOGETHER: ApplicationId = ApplicationId::from_uuid(Uuid::nil());

/// Whoever has it sends to an endpoint again; nobody else does meanwhile, or everything would go
/// out twice.
type Line = Arc<tokio::sync::Mutex<()>>;

/// All tasks, and who is at work.
pub(crate) struct Tasks {
    all: Mutex<BTreeMap<TaskId, Task>>,
    lines: Mutex<HashMap<EndpointId, Weak<tokio::sync::Mutex<()>>>>,
    /// One step of one task at a time: applications take their turns, and leave room for everybody
    /// else.
    pub(crate) turns: Turns,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { all: Mutex::default(), lines: Mutex::default(), turns: Turns::new(1) }
    }
}

impl Tasks {
    fn all(&self) -> MutexGuard<'_, BTreeMap<TaskId, Task>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line of an endpoint.
    pub(crate) fn line(&self, endpoint: EndpointId) -> Line {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(&endpoint).and_then(Weak::upgrade) {
            return line;
        }
        lines.retain(|_, line| line.strong_count() > 0);
        let line = Line::default();
        lines.insert(endpoint, Arc::downgrade(&line));
        line
    }

    /// A task.
    pub(crate) fn get(&self, id: TaskId) -> Option<Task> {
        self.all().get(&id).cloned()
    }

    /// The next tasks after `position` that `wanted` wants, at most `limit`.
    pub(crate) fn list(
        &self,
        position: Option<TaskId>,
        order: Order,
        limit: usize,
        wanted: impl Fn(&Task) -> bool,
    ) -> Vec<Task> {
        let all = self.all();
        let position = position.map_or(Bound::Unbounded, Bound::Excluded);
        let wanted = |(_, task): &(&TaskId, &Task)| wanted(task);
        let taken = |(_, task): (&TaskId, &Task)| task.clone();
        match order {
            Order::NewestFirst => {
                let older = all.range((Bound::Unbounded, position)).rev();
                older.filter(wanted).take(limit).map(taken).collect()
            }
            Order::OldestFirst => {
                let newer = all.range((position, Bound::Unbounded));
                newer.filter(wanted).take(limit).map(taken).collect()
            }
        }
    }

    /// Takes in a new task, unless too many are not finished.
    fn begin(&self, task: &Task) -> Result<()> {
        let mut all = self.all();
        let running = all.values().filter(|held| held.state == TaskState::Running);
        let own = running.clone().filter(|held| held.application == task.application).count();
        let (whose, count) = match running.count() {
            _ if own >= UNFINISHED_OF_APPLICATION_MAX => (" of the application", own),
            count if count >= UNFINISHED_MAX => ("", count),
            _ => {
                all.insert(task.id, task.clone());
                return Ok(());
            }
        };
        Err(Error::unavailable(format!(
            "{count} background tasks{whose} are not finished, and that is the most there may be: \
             try again when some are"
        )))
    }

    /// The finished tasks that are kept no longer: those that ended long ago, and of too many the
    /// oldest.
    fn outdated(&self, now: Timestamp) -> Vec<TaskId> {
        let all = self.all();
        let finished = all.values().rev().filter(|task| task.state != TaskState::Running);
        let (mut kept, mut by_application) = (0, HashMap::<ApplicationId, usize>::new());
        let mut outdated = Vec::new();
        for task in finished {
            let own = by_application.entry(task.application).or_default();
            let has_room = kept < FINISHED_MAX && *own < FINISHED_OF_APPLICATION_MAX;
            if has_room && task.updated_at >= now.before(KEPT) {
                (kept, *own) = (kept + 1, *own + 1);
            } else {
                outdated.push(task.id);
            }
        }
        outdated
    }
}

/// A task as it is stored, with what it has still to do.
fn document(task: &Task, resend: &Resend) -> Result<Change> {
    let value = Some(codec::encode(&(task, resend))?);
    Ok(Change::Document { kind: DocumentKind::Task, key: task.id.to_string(), value })
}

fn read_document(value: &[u8]) -> Result<(Task, Resend)> {
    codec::decode("a background task", value)
}

impl Inner {
    /// Starts a task: it is durable when this returns, and goes on by itself.
    pub(crate) async fn start_task(self: &Arc<Self>, task: Task, resend: Resend) -> Result<Task> {
        self.check_open()?;
        self.tasks.begin(&task)?;
        let inner = Arc::clone(self);
        whole(async move {
            if let Err(error) = inner.store_task(&task, &resend).await {
                inner.tasks.all().remove(&task.id);
                return Err(error);
            }
            inner.run_task(task.clone(), resend);
            Ok(task)
        })
        .await
    }

    async fn store_task(self: &Arc<Self>, task: &Task, resend: &Resend) -> Result<()> {
        match self.committer.change(vec![document(task, resend)?]).await {
            // It may have reached the disk all the same, and would begin at the next start though
            // it was refused.
            Err(error) if error.is_unavailable() => {
                self.reread_task(task.id).await?.map(drop).ok_or(error)
            }
            ended => ended,
        }
    }

    /// Takes up the tasks that the store holds.
    pub(super) async fn take_up_tasks(self: &Arc<Self>) -> Result<()> {
        let documents = self.blocking(|store| store.documents(DocumentKind::Task)).await?;
        for (_, value) in documents {
            let (task, resend) = read_document(&value)?;
            self.tasks.all().insert(task.id, task.clone());
            if task.state == TaskState::Running {
                self.run_task(task, resend);
            }
        }
        Ok(())
    }

    /// Lets a task go on by itself, after those of its endpoint that came before.
    fn run_task(self: &Arc<Self>, mut task: Task, mut resend: Resend) {
        let line = task.endpoint.map(|endpoint| self.tasks.line(endpoint));
        let mut turn = Box::pin(async move {
            match line {
                Some(line) => Some(line.lock_owned().await),
                None => None,
            }
        });
        // It stands in the line from now on, and not from when its own task first runs.
        let at_once = (&mut turn).now_or_never();
        let inner = Arc::downgrade(self);
        tokio::spawn(async move {
            let _turn = match at_once {
                Some(turn) => turn,
                None => turn.await,
            };
            // Between two steps nothing is held, so that an engine which is dropped ends.
            while task.state == TaskState::Running
                && let Some(inner) = inner.upgrade()
                && !*inner.ended.borrow()
            {
                let step = inner.task_step(&task, &resend).await;
                match step {
                    Ok(gone_on) => (task, resend) = gone_on,
                    Err(error) if error.kind() == ErrorKind::Closed => return,
                    Err(error) => {
                        tracing::warn!(task = %task.id, %error, "a background task stopped");
                        return;
                    }
                }
            }
        });
    }

    /// One step of a task: what it sends is committed with how far it has come.
    async fn task_step(self: &Arc<Self>, task: &Task, resend: &Resend) -> Result<(Task, Resend)> {
        let _turn = self.tasks.turns.take(task.application).await?;
        let mut task = task.clone();
        task.updated_at = self.clock.wall();
        let (mut changes, mut endpoints) = (Vec::new(), Default::default());
        let mut gone_on = resend.clone();
        match self.resend_step(TOGETHER, resend.clone()).await {
            Ok((walked, Some(part))) => {
                gone_on = walked;
                task.done += part.count;
                endpoints = part.endpoints();
                changes = part.changes;
            }
            Ok((_, None)) => task.state = TaskState::Finished,
            Err(error) if error.is_unavailable() => {
                crate::clock::pause(STORE_RETRY).await;
                return Ok((task, gone_on));
            }
            Err(error) => task.state = TaskState::Failed { reason: error.to_string() },
        }
        changes.push(document(&task, &gone_on)?);
        match self.committer.change(changes).await {
            Ok(()) => {}
            // It may have reached the disk all the same: what is there tells.
            Err(error) if error.is_unavailable() => {
                let stored = self.reread_task(task.id).await?;
                let gone = || Error::internal(format!("task `{}` is gone", task.id));
                (task, gone_on) = stored.ok_or_else(gone)?;
            }
            Err(error) => return Err(error),
        }
        self.tell_waiting(&endpoints);
        self.tasks.all().insert(task.id, task.clone());
        Ok((task, gone_on))
    }

    /// A task as the store holds it, if it does, once that is back.
    async fn reread_task(self: &Arc<Self>, id: TaskId) -> Result<Option<(Task, Resend)>> {
        let key = id.to_string();
        let look_up = move |store: &dyn Store| store.document(DocumentKind::Task, &key);
        self.look_up(look_up).await?.map(|value| read_document(&value)).transpose()
    }

    /// Removes finished tasks that are kept no longer.
    pub(super) async fn forget_tasks(&self, now: Timestamp) -> Result<()> {
        let gone = self.tasks.outdated(now);
        for some in gone.chunks(100) {
            let key = |id: &TaskId| Change::Document {
                kind: DocumentKind::Task,
                key: id.to_string(),
                value: None,
            };
            self.committer.change(some.iter().map(key).collect()).await?;
            let mut all = self.tasks.all();
            some.iter().for_each(|id| drop(all.remove(id)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TaskKind;

    const NOW: Timestamp = Timestamp::from_millis(10 * 86_400_000);

    /// A task of an application, both by number.
    fn task(number: u128, application: u128, state: TaskState) -> Task {
        Task {
            id: TaskId::from_uuid(Uuid::from_u128(number)),
            kind: TaskKind::Recover,
            application: ApplicationId::from_uuid(Uuid::from_u128(application)),
            endpoint: None,
            since: None,
            until: None,
            state,
            done: 0,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    #[test]
    fn an_application_has_some_unfinished_tasks_and_leaves_room_for_others() {
        let tasks = Tasks::default();
        let begin =
            |number, application| tasks.begin(&task(number, application, TaskState::Running));
        for number in 0..20 {
            begin(number, 1).unwrap();
        }
        let error = begin(20, 1).unwrap_err();
        assert!(
            error.is_unavailable() && error.to_string().contains("of the application"),
            "{error}"
        );
        tasks.all().insert(task(0, 1, TaskState::Finished).id, task(0, 1, TaskState::Finished));
        begin(20, 1).unwrap();
        for number in 21..1001 {
            begin(number, number).unwrap();
        }
        let error = begin(1001, 1001).unwrap_err();
        assert!(error.is_unavailable() && error.to_string().starts_with("1000 "), "{error}");
    }

    #[test]
    fn the_finished_tasks_of_one_application_make_its_own_go_early() {
        let tasks = Tasks::default();
        let finish = |number, application| {
            let task = task(number, application, TaskState::Finished);
            tasks.all().insert(task.id, task);
        };
        finish(0, 2);
        (1..=1002).for_each(|number| finish(number, 1));
        let numbers = || tasks.outdated(NOW).iter().map(|id| id.as_u128()).collect::<Vec<_>>();
        assert_eq!(numbers(), [2, 1], "not the oldest of all, which is another's");
        for application in 3..=12 {
            (0..1000).for_each(|number| finish(application * 10_000 + number, application));
        }
        assert_eq!(numbers().len(), 1003, "10,000 are left");
        assert_eq!(tasks.outdated(NOW.after(KEPT + Duration::from_secs(1))).len(), 11_003);
    }
}
