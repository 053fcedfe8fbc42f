//! How fast a consumer answers.

use super::runner::Runner;
use super::trial::{Trial, is_success, told};
use crate::error::Result;
use crate::model::{FailureKind, human_duration};
use crate::simulate::Sent;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Webhooks sent at once: as many as the engine has in flight to one endpoint by default.
pub(super) const BURST: usize = 16;

impl Runner {
    pub(super) async fn answers_in_time(&mut self) -> Result<Trial> {
        let mut trial = Trial::default();
        let rendered = self.rendered(&self.draft()?)?;
        let sent = self.post_genuine(rendered).await;
        let limit = self.provider.timeout();
        if self.slowest > limit {
            trial.fault(self.too_late(self.slowest));
        } else if sent.result.is_err() {
            trial.fault(told(&sent));
        } else {
            let slowest = human_duration(self.slowest);
            trial.good(format!("the slowest answer took {slowest}"));
        }
        trial.keep("a genuine event", sent);
        Ok(trial)
    }

    pub(super) async fn answers_burst_in_time(&mut self) -> Result<Trial> {
        let mut burst = JoinSet::new();
        for _ in 0..BURST {
            let rendered = self.rendered(&self.draft()?)?;
            let (wire, wait_max) = (Arc::clone(&self.wire), self.wait_max());
            burst.spawn(async move { wire.post(rendered, wait_max).await });
        }
        let sent: Vec<Sent> = burst.join_all().await;
        let mut trial = Trial::default();
        let mut slowest = Duration::ZERO;
        let mut refused: Option<&Sent> = None;
        for one in &sent {
            slowest = slowest.max(one.duration);
            let late = matches!(&one.result, Err(failure) if failure.kind == FailureKind::Timeout);
            if !is_success(&self.provider, one) && !late {
                refused = refused.or(Some(one));
            }
        }
        if slowest > self.provider.timeout() {
            trial.fault(self.too_late(slowest));
        }
        if let Some(refused) = refused {
            trial.fault(format!("one of {BURST} at once: {}", told(refused)));
        }
        trial.good(format!("the slowest of {BURST} answers took {}", human_duration(slowest)));
        // One tells what all of them were; the slowest tells most.
        if let Some(one) = sent.into_iter().max_by_key(|one| one.duration) {
            trial.keep(&format!("the slowest of {BURST} genuine events at once"), one);
        }
        Ok(trial)
    }

    fn too_late(&self, took: Duration) -> String {
        let (took, limit) = (human_duration(took), human_duration(self.provider.timeout()));
        format!("an answer took {took}; {} waits for {limit}", self.provider.title())
    }
}
