//! What a listing of webhooks is asked for.

use super::Problem;
use super::resource::Sent;
use crate::model::Timestamp;
use axum::http::StatusCode;
use std::time::Duration;

/// Webhooks of one page, unless the request says otherwise.
const LIMIT_DEFAULT: usize = 50;
/// Webhooks of one page at most.
const LIMIT_MAX: usize = 500;
/// The smallest step between two times.
const STEP: Duration = Duration::from_micros(1);

/// The parameters of `GET /webhooks`.
#[derive(Debug)]
pub(super) struct Query {
    pub after: Option<String>,
    pub before: Option<String>,
    pub limit: usize,
    is_test: Option<bool>,
    successful: Option<bool>,
    created_from: Timestamp,
    created_before: Option<Timestamp>,
}

impl Query {
    /// Reads names and values.
    ///
    /// # Errors
    /// Names the parameter that is unknown or holds what it cannot.
    pub fn read(pairs: &[(String, String)]) -> Result<Self, Problem> {
        let mut query = Self {
            after: None,
            before: None,
            limit: LIMIT_DEFAULT,
            is_test: None,
            successful: None,
            created_from: Timestamp::EPOCH,
            created_before: None,
        };
        for (name, value) in pairs {
            query.set(name, value)?;
        }
        if query.after.is_some() && query.before.is_some() {
            let message = "cannot be given together with `after`";
            return Err(Problem::validation("before", "/before", message));
        }
        Ok(query)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        match name {
            "after" => self.after = Some(value.to_owned()),
            "before" => self.before = Some(value.to_owned()),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                let message = "must be between 1 and 500";
                self.limit = limit.ok_or_else(|| Problem::validation(name, "/limit", message))?;
            }
            "is_test" => self.is_test = Some(truth(name, value)?),
            "successful" => self.successful = Some(truth(name, value)?),
            "created_at[gt]" => self.from(time(name, value)?.after(STEP)),
            "created_at[gte]" => self.from(time(name, value)?),
            "created_at[lt]" => self.until(time(name, value)?),
            "created_at[lte]" => self.until(time(name, value)?.after(STEP)),
            _ => {
                let name: String = name.chars().take(64).collect();
                let message = format!("`{}` is not a filter of webhooks", name.escape_debug());
                let status = StatusCode::BAD_REQUEST;
                return Err(Problem::usage(status, "invalid_filters", message));
            }
        }
        Ok(())
    }

    fn from(&mut self, time: Timestamp) {
        self.created_from = self.created_from.max(time);
    }

    fn until(&mut self, time: Timestamp) {
        self.created_before = Some(self.created_before.map_or(time, |held| held.min(time)));
    }

    /// Whether the filters want a webhook.
    pub fn wants(&self, sent: &Sent) -> bool {
        let created_at = sent.created_at();
        self.is_test.is_none_or(|wanted| wanted == sent.is_test())
            && self.successful.is_none_or(|wanted| wanted == sent.is_successful())
            && created_at >= self.created_from
            && self.created_before.is_none_or(|before| created_at < before)
    }
}

fn truth(name: &str, value: &str) -> Result<bool, Problem> {
    // A Python client writes `True`.
    let value = value.to_ascii_lowercase();
    let message = "must be true or false";
    value.parse().map_err(|_| Problem::validation(name, &format!("/{name}"), message))
}

fn time(name: &str, value: &str) -> Result<Timestamp, Problem> {
    let message = "must be a time like 2024-08-07T15:10:57.391Z";
    Timestamp::parse(value).map_err(|_| {
        let pointer = format!("/{}", name.replace('[', "/").replace(']', ""));
        Problem::validation(name, &pointer, message)
    })
}
