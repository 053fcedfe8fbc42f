//! The live line: where a simulation stands, and how long until something happens.

use crate::clock::Stopwatch;
use crate::model::human_duration;
use crate::simulate::Standing;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the line is drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// A line at the foot of the terminal; it goes with this.
pub(super) struct Live {
    bar: ProgressBar,
    standing: Arc<Mutex<(Standing, Stopwatch)>>,
}

impl Live {
    /// Draws the line for a simulation of `events` that begins.
    pub(super) fn start(events: usize) -> Self {
        let standing = Standing { events, accepted: 0, exhausted: 0, waiting: 0, next: None };
        let standing = Arc::new(Mutex::new((standing, Stopwatch::start())));
        let shown = Arc::clone(&standing);
        let write = move |_: &ProgressState, to: &mut dyn fmt::Write| {
            let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            // The line is drawn again in a moment, and nobody else is told.
            let _ = write!(to, "{}", words(&shown.0, shown.1.elapsed()));
        };
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {standing}") {
            bar.set_style(style.with_key("standing", write));
        }
        bar.enable_steady_tick(TICK);
        Self { bar, standing }
    }

    /// Takes note of where the simulation stands now.
    pub(super) fn stands(&self, standing: Standing) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) =
            (standing, Stopwatch::start());
    }

    /// Writes what belongs above the line.
    pub(super) fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn words(standing: &Standing, since: Duration) -> String {
    let mut words = format!("{} of {} accepted", standing.accepted, standing.events);
    if standing.exhausted > 0 {
        words.push_str(&format!(", {} given up", standing.exhausted));
    }
    if standing.waiting > 0 {
        words.push_str(&format!(", {} waiting", standing.waiting));
    }
    let left = standing.next.map(|next| next.saturating_sub(since));
    if let Some(left) = left.filter(|left| !left.is_zero()) {
        // Whole seconds, rounded up: a line that counts down without flickering.
        let seconds = Duration::from_secs(left.as_secs_f64().ceil() as u64);
        words.push_str(&format!(", next in {}", human_duration(seconds)));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_down() {
        let standing = Standing {
            events: 5,
            accepted: 3,
            exhausted: 1,
            waiting: 1,
            next: Some(Duration::from_secs(90)),
        };
        let after = |seconds| words(&standing, Duration::from_millis(seconds));
        assert_eq!(after(0), "3 of 5 accepted, 1 given up, 1 waiting, next in 1 min 30 s");
        assert_eq!(after(30_500), "3 of 5 accepted, 1 given up, 1 waiting, next in 1 min");
        assert_eq!(after(95_000), "3 of 5 accepted, 1 given up, 1 waiting");
    }
}
