//! The only place that asks what time it is.
//!
//! A [`Clock`] tells two times. [`Clock::now`] is the schedule's time, by which retries fall due: it
//! never jumps when the machine's clock is set, runs N times faster in the simulator, and stands
//! still in tests until it is moved. [`Clock::wall`] is the time of day that goes on the wire and
//! into the history; receivers compare it with their own.
#![allow(clippy::disallowed_methods, reason = "this is the one place that reads the time")]

use crate::model::Timestamp;
use futures_util::FutureExt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// How far one call of [`Clock::discipline`] moves the schedule's time towards the wall's.
const SLEW_MAX: Duration = Duration::from_millis(50);

/// How slowly and how fast a clock's schedule may run, as multiples of real time. Within it no sum of
/// times overflows, and the years until 9999 pass in no less than seven hours.
pub const SPEED_RANGE: RangeInclusive<f64> = 0.001..=10_000_000.0;

/// A source of time; clones tell the same time.
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    Running {
        anchor: Arc<Mutex<Anchor>>,
        times: f64,
    },
    Manual {
        time: Arc<watch::Sender<Timestamp>>,
        /// The time of day, where that does not move with the schedule's.
        wall: Option<Timestamp>,
    },
}

/// The schedule's time as an instant of the monotonic clock and what it was then.
struct Anchor {
    instant: Instant,
    time: Timestamp,
}

impl Clock {
    /// The machine's time. Retries keep their distance when the wall clock is set.
    pub fn system() -> Self {
        Self::faster(1.0)
    }

    /// A clock whose schedule runs `times` times as fast as the machine's; the time on the wire
    /// stays real. A value beyond [`SPEED_RANGE`] counts as the nearest within, and one that is no
    /// number above zero as 1.
    pub fn faster(times: f64) -> Self {
        let times = if times > 0.0 { times } else { 1.0 };
        let times = times.clamp(*SPEED_RANGE.start(), *SPEED_RANGE.end());
        let anchor = Anchor { instant: Instant::now(), time: system_time() };
        Self(Kind::Running { anchor: Arc::new(Mutex::new(anchor)), times })
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Kind::Manual { time: Arc::new(watch::Sender::new(start)), wall: None })
    }

    /// A clock whose time of day stands at `time` for ever, and whose schedule stands there until
    /// [`Clock::advance`] moves it: for simulations whose bytes are compared.
    pub fn standing(time: Timestamp) -> Self {
        Self(Kind::Manual { time: Arc::new(watch::Sender::new(time)), wall: Some(time) })
    }

    /// The schedule's time.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::Manual { time, .. } => *time.borrow(),
            Kind::Running { anchor, times } => {
                let anchor = anchor.lock().unwrap_or_else(PoisonError::into_inner);
                anchor.time.after(anchor.instant.elapsed().mul_f64(*times))
            }
        }
    }

    /// The time of day, for what is sent and recorded.
    pub fn wall(&self) -> Timestamp {
        match &self.0 {
            Kind::Manual { time, wall } => wall.unwrap_or_else(|| *time.borrow()),
            Kind::Running { .. } => system_time(),
        }
    }

    /// How many times faster than the machine's the schedule runs.
    pub fn speed(&self) -> f64 {
        match &self.0 {
            Kind::Manual { .. } => 1.0,
            Kind::Running { times, .. } => *times,
        }
    }

    /// Moves a manual clock forward and wakes who waits for it; other clocks do not move.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual { time, .. } = &self.0 {
            time.send_modify(|time| *time = time.after(by));
        }
    }

    /// Waits until the schedule's time is `due`; at once when it is past.
    pub async fn sleep_until(&self, due: Timestamp) {
        match &self.0 {
            Kind::Manual { time, .. } => {
                let mut time = time.subscribe();
                // The sender lives as long as this clock, so the wait cannot fail.
                let _ = time.wait_for(|time| *time >= due).await;
            }
            Kind::Running { times, .. } => {
                // One more millisecond at most: timers round, and an early wake would spin.
                while let remaining = due.since(self.now())
                    && !remaining.is_zero()
                {
                    tokio::time::sleep(remaining.div_f64(*times)).await;
                }
            }
        }
    }

    /// Moves the schedule's time towards the wall's by at most 50 ms and returns how far apart they
    /// were. Called once a second it follows a drifting clock, and turns a step of hours into a
    /// slow walk that neither fires every retry at once nor stalls them.
    pub fn discipline(&self) -> Duration {
        let Kind::Running { anchor, times } = &self.0 else {
            return Duration::ZERO;
        };
        if *times != 1.0 {
            return Duration::ZERO;
        }
        let mut anchor = anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let schedule = anchor.time.after(now.duration_since(anchor.instant));
        let wall = system_time();
        anchor.instant = now;
        if wall > schedule {
            anchor.time = schedule.after(wall.since(schedule).min(SLEW_MAX));
            wall.since(schedule)
        } else {
            anchor.time = schedule.before(schedule.since(wall).min(SLEW_MAX));
            schedule.since(wall)
        }
    }
}

fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.after(since)
}

/// Measures how long something really took, whatever clock the schedule goes by.
#[derive(Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The real time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Runs `future` for at most `limit` of real time; `None` when that was not enough.
// No `async fn`: that would hold `future` twice, and there are large ones.
pub fn within<F: Future>(limit: Duration, future: F) -> impl Future<Output = Option<F::Output>> {
    tokio::time::timeout(limit, future).map(Result::ok)
}

/// Blocks this thread for `duration` of real time: never one that others wait for.
pub fn rest(duration: Duration) {
    std::thread::sleep(duration);
}

/// Waits for `duration` of real time: between tries of something outside the schedule.
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_its_sleepers_when_moved() {
        let clock = Clock::manual(Timestamp::from_millis(1000));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep_until(Timestamp::from_millis(61_000)).await;
                clock.now()
            }
        });
        clock.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        assert_eq!(sleeper.await.unwrap(), Timestamp::from_millis(61_000));
    }

    #[test]
    fn a_standing_clock_moves_by_the_schedule_alone() {
        let clock = Clock::standing(Timestamp::from_millis(1000));
        clock.advance(Duration::from_secs(60));
        assert_eq!(clock.now(), Timestamp::from_millis(61_000));
        assert_eq!(clock.wall(), Timestamp::from_millis(1000));
    }

    #[tokio::test]
    async fn a_fast_clock_waits_in_its_own_time() {
        let clock = Clock::faster(1000.0);
        let watch = Stopwatch::start();
        let due = clock.now().after(Duration::from_secs(10));
        clock.sleep_until(due).await;
        assert!(clock.now() >= due);
        assert!(watch.elapsed() < Duration::from_secs(5), "10 s at 1,000 times are 10 ms");
    }

    #[tokio::test]
    async fn a_clock_of_any_speed_neither_panics_nor_stands() {
        for times in [f64::MAX, f64::MIN_POSITIVE, 1e300, 1e-20, f64::INFINITY, f64::NAN, -1.0] {
            let clock = Clock::faster(times);
            assert!(SPEED_RANGE.contains(&clock.speed()), "{times}");
            let sleep = clock.sleep_until(clock.now().after(Duration::from_secs(3600)));
            let _ = within(Duration::from_millis(2), sleep).await;
        }
    }

    #[test]
    fn a_clock_in_step_with_the_wall_is_left_alone() {
        assert!(Clock::system().discipline() < Duration::from_secs(1));
    }
}
