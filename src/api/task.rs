//! Background tasks: recoveries and replays, with how far they are.

use crate::api::Api;
use crate::api::access::{Caller, missing};
use crate::api::input::{Path, Query};
use crate::api::page::{ListResponse, Place, limit};
use crate::api::query::walk;
use crate::api::refusal::Refusal;
use crate::history::TaskFilter;
use crate::model::{Task, TaskKind, TaskState};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How far a task is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskData {
    /// The application.
    app_id: String,
    /// The endpoint, where it is about one.
    endpoint_id: Option<String>,
    /// How many webhooks it has sent on.
    done: u64,
    /// Why it failed.
    reason: Option<String>,
    /// Since when messages are taken.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// Until when.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    created_at: String,
}

/// A background task.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskOut {
    /// Its id.
    #[schema(example = "qtask_068MnRSCDjQOeYMqPNC5Bc")]
    id: String,
    /// `running`, `finished` or `failed`.
    #[schema(pattern = "^(running|finished|failed)$")]
    status: &'static str,
    /// What it does: `endpoint.recover`, `endpoint.replay` (what was missing) or
    /// `endpoint.bulk-replay`.
    #[schema(pattern = "^endpoint\\.(recover|replay|bulk-replay)$")]
    task: &'static str,
    /// How far it is.
    data: TaskData,
    /// When it last moved.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<&Task> for TaskOut {
    fn from(task: &Task) -> Self {
        let (status, reason) = match &task.state {
            TaskState::Running => ("running", None),
            TaskState::Finished => ("finished", None),
            TaskState::Failed { reason } => ("failed", Some(reason.clone())),
        };
        Self {
            id: task.id.to_string(),
            status,
            task: word(task.kind),
            data: TaskData {
                app_id: task.application.to_string(),
                endpoint_id: task.endpoint.map(|id| id.to_string()),
                done: task.done,
                reason,
                since: task.since.map(|at| at.rfc3339(6)),
                until: task.until.map(|at| at.rfc3339(6)),
                created_at: task.created_at.rfc3339(6),
            },
            updated_at: task.updated_at.rfc3339(6),
        }
    }
}

fn word(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Recover => "endpoint.recover",
        TaskKind::ReplayMissing => "endpoint.replay",
        TaskKind::Replay => "endpoint.bulk-replay",
    }
}

fn kind(name: &str) -> Option<TaskKind> {
    let kinds = [TaskKind::Recover, TaskKind::ReplayMissing, TaskKind::Replay];
    kinds.into_iter().find(|kind| word(*kind) == name)
}

/// Which tasks to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TaskQuery {
    /// How many items a page has at most.
    #[param(minimum = 1, maximum = 250, default = 50)]
    limit: Option<u16>,
    /// The `iterator` or `prevIterator` of another page.
    #[param(max_length = 512)]
    iterator: Option<String>,
    /// Only with this status: `running`, `finished` or `failed`.
    #[param(max_length = 32)]
    status: Option<String>,
    /// Only those that do this, like `endpoint.recover`.
    #[param(max_length = 64)]
    task: Option<String>,
}

/// List background tasks
///
/// Newest first. A finished one is kept for seven days.
#[utoipa::path(get, path = "/api/v1/background-task", operation_id = "v1.background-task.list",
    tag = "Background task", params(TaskQuery),
    responses((status = 200, body = ListResponse<TaskOut>)))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<TaskQuery>,
) -> Result<Json<ListResponse<TaskOut>>, Refusal> {
    let place = Place::read(query.iterator.as_deref())?;
    let (position, order) = walk(&place)?;
    let mut filter = TaskFilter {
        application: caller.0.application,
        kind: None,
        state: query.status,
        position,
        order,
        limit: limit(query.limit)?,
    };
    if let Some(name) = &query.task {
        filter.kind = Some(kind(name).ok_or_else(|| {
            Refusal::fault(["query", "task"], format!("`{}` is no task", name.escape_debug()))
        })?);
    }
    let page = api.engine.tasks(&filter).map_err(Refusal::at(["query", "status"]))?;
    let id = |task: &Task| task.id.to_string();
    let next = page.next.map(|next| next.to_string());
    Ok(Json(place.page(page.tasks, next, id, |task| (&task).into())))
}

/// The task that the path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "describes the path")]
pub struct TaskPath {
    /// Its id.
    #[param(max_length = 64)]
    task_id: String,
}

/// Show a background task
#[utoipa::path(get, path = "/api/v1/background-task/{task_id}",
    operation_id = "v1.background-task.get", tag = "Background task", params(TaskPath),
    responses((status = 200, body = TaskOut)))]
pub(super) async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<TaskOut>, Refusal> {
    let id = name.parse().map_err(|_| missing("task", &name))?;
    let is_seen = |task: &Task| caller.0.application.is_none_or(|own| own == task.application);
    match api.engine.task(id) {
        Ok(task) if is_seen(&task) => Ok(Json((&task).into())),
        // In the same words, or they would tell that another tenant has it.
        _ => Err(missing("task", &name)),
    }
}
