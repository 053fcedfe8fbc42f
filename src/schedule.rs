//! When a failed webhook is tried again: attempts made, the answer and a random number in, a delay
//! out. Pure: it reads no clock and rolls no dice.

use crate::error::{Error, Result};
use crate::model::{Response, Timestamp};
use std::time::{Duration, UNIX_EPOCH};

/// How many retries a schedule may hold.
pub const RETRIES_MAX: usize = 1000;

/// The delays after failed attempts, and what an answer may do to them.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    delays: Vec<Duration>,
    jitter: f64,
    retry_after_max: Option<Duration>,
    throttle: Option<Throttle>,
}

/// Statuses by which an endpoint says that it has too much to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Throttle {
    /// The statuses.
    pub statuses: Vec<u16>,
    /// The shortest delay after one of them.
    pub delay_min: Duration,
}

/// Delays that grow by a factor up to a cap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// The first delay.
    pub first: Duration,
    /// What each delay is multiplied by to get the next; at least 1.
    pub factor: f64,
    /// The longest delay.
    pub cap: Duration,
}

impl Growth {
    /// The delay after `earlier` delays.
    pub fn delay(&self, earlier: u32) -> Duration {
        let power = i32::try_from(earlier).unwrap_or(i32::MAX);
        let seconds = self.first.as_secs_f64() * self.factor.powi(power);
        Duration::try_from_secs_f64(seconds).map_or(self.cap, |delay| delay.min(self.cap))
    }
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again this long after the end of the failed attempt.
    Retry(Duration),
    /// No delay is left.
    GiveUp,
}

impl Schedule {
    /// The schedule that waits each of `delays` once.
    ///
    /// # Errors
    /// Refuses more than [`RETRIES_MAX`] of them.
    pub fn table(delays: Vec<Duration>) -> Result<Self> {
        if delays.len() > RETRIES_MAX {
            return Err(Error::invalid(format!(
                "a schedule of {} retries is too long: {RETRIES_MAX} at most",
                delays.len()
            )));
        }
        Ok(Self { delays, jitter: 0.0, retry_after_max: None, throttle: None })
    }

    /// The schedule of `attempts` attempts whose delays grow.
    ///
    /// # Errors
    /// Refuses more than [`RETRIES_MAX`] retries.
    pub fn growing(growth: Growth, attempts: u32) -> Result<Self> {
        let retries = attempts.saturating_sub(1);
        if retries as usize > RETRIES_MAX {
            return Err(Error::invalid(format!(
                "a schedule of {retries} retries is too long: {RETRIES_MAX} at most"
            )));
        }
        Self::table((0..retries).map(|earlier| growth.delay(earlier)).collect())
    }

    /// Spreads every delay evenly over `fraction` of itself to either side.
    ///
    /// # Errors
    /// Refuses a fraction outside 0 to 1.
    pub fn with_jitter(mut self, fraction: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&fraction) {
            return Err(Error::invalid(format!(
                "jitter {fraction} is not a fraction: expected 0 to 1"
            )));
        }
        self.jitter = fraction;
        Ok(self)
    }

    /// Honours `Retry-After` (RFC 9110, section 10.2.3) up to `max`.
    #[must_use]
    pub fn with_retry_after(mut self, max: Duration) -> Self {
        self.retry_after_max = Some(max);
        self
    }

    /// Waits longer after the statuses of `throttle`.
    #[must_use]
    pub fn with_throttle(mut self, throttle: Throttle) -> Self {
        self.throttle = Some(throttle);
        self
    }

    /// How many attempts it makes in all, the first included.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.delays.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The delays after each failed attempt, before jitter.
    pub fn delays(&self) -> &[Duration] {
        &self.delays
    }

    /// The fraction by which a delay is spread to either side.
    pub fn jitter(&self) -> f64 {
        self.jitter
    }

    /// How far `Retry-After` is honoured; `None` when it is ignored.
    pub fn retry_after_max(&self) -> Option<Duration> {
        self.retry_after_max
    }

    /// The statuses that push the next attempt later.
    pub fn throttle(&self) -> Option<&Throttle> {
        self.throttle.as_ref()
    }

    /// What follows the `made`th scheduled attempt, which failed with `response`, if there was one,
    /// at `now` (wall time, against which a date in `Retry-After` is measured). `random` is a number
    /// from 0 to 1 that decides the jitter. An answer pushes the next attempt later, never earlier.
    pub fn next(
        &self,
        made: u32,
        response: Option<&Response>,
        now: Timestamp,
        random: f64,
    ) -> Next {
        let Some(index) = made.checked_sub(1) else {
            return Next::Retry(Duration::ZERO);
        };
        let Some(delay) = self.delays.get(index as usize) else {
            return Next::GiveUp;
        };
        let random = if random.is_nan() { 0.5 } else { random.clamp(0.0, 1.0) };
        let spread = delay.mul_f64(1.0 + self.jitter * (2.0 * random - 1.0));
        let floor = response.map_or(Duration::ZERO, |response| self.floor(response, now));
        Next::Retry(spread.max(floor))
    }

    fn floor(&self, response: &Response, now: Timestamp) -> Duration {
        let throttled = self
            .throttle
            .as_ref()
            .filter(|throttle| throttle.statuses.contains(&response.status))
            .map_or(Duration::ZERO, |throttle| throttle.delay_min);
        let asked = self
            .retry_after_max
            .zip(response.header("retry-after"))
            .and_then(|(max, text)| Some(retry_after(text, now)?.min(max)))
            .unwrap_or(Duration::ZERO);
        throttled.max(asked)
    }
}

/// Reads `Retry-After`: seconds or an HTTP date; `None` for nonsense.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit still mean a very long time.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let date = Timestamp::EPOCH.after(date.duration_since(UNIX_EPOCH).ok()?);
    Some(date.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> Timestamp {
        Timestamp::parse("2026-03-01T12:00:00Z").unwrap()
    }

    fn patient() -> Schedule {
        Schedule::table(vec![Duration::from_secs(5), Duration::from_secs(300)])
            .unwrap()
            .with_retry_after(DAY)
            .with_throttle(Throttle { statuses: vec![429], delay_min: Duration::from_secs(60) })
    }

    fn answer(status: u16, retry_after: Option<&str>) -> Response {
        Response {
            status,
            headers: retry_after
                .map(|value| ("Retry-After".to_owned(), value.to_owned()))
                .into_iter()
                .collect(),
            ..Response::default()
        }
    }

    fn delay(schedule: &Schedule, made: u32, response: &Response) -> Duration {
        match schedule.next(made, Some(response), now(), 0.5) {
            Next::Retry(delay) => delay,
            Next::GiveUp => panic!("gave up after attempt {made}"),
        }
    }

    #[test]
    fn the_table_is_walked_to_its_end() {
        let schedule = patient();
        assert_eq!(schedule.attempts(), 3);
        let seconds = |n| Next::Retry(Duration::from_secs(n));
        let walked: Vec<Next> = (0..4).map(|made| schedule.next(made, None, now(), 0.5)).collect();
        assert_eq!(walked, [seconds(0), seconds(5), seconds(300), Next::GiveUp]);
    }

    #[test]
    fn growing_delays_stop_at_the_cap() {
        let growth =
            Growth { first: Duration::from_secs(60), factor: 10.0, cap: Duration::from_secs(3600) };
        let schedule = Schedule::growing(growth, 5).unwrap();
        let seconds: Vec<u64> = schedule.delays().iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [60, 600, 3600, 3600]);
        assert_eq!(growth.delay(u32::MAX), growth.cap);
    }

    #[test]
    fn retry_after_pushes_later_and_is_clamped() {
        let schedule = patient();
        for (text, seconds) in [
            ("120", 120),
            ("1", 5),
            ("-1", 5),
            ("1e30", 5),
            ("soon", 5),
            ("", 5),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 5),
            ("Sun, 01 Mar 2026 12:10:00 GMT", 600),
            ("Sunday, 01-Mar-26 12:10:00 GMT", 600),
            ("34560000", 86_400),
            ("Mon, 05 Apr 2027 12:00:00 GMT", 86_400),
            ("99999999999999999999999999", 86_400),
        ] {
            let got = delay(&schedule, 1, &answer(503, Some(text)));
            assert_eq!(got, Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn retry_after_is_ignored_unless_asked_for() {
        let schedule = Schedule::table(vec![Duration::from_secs(5)]).unwrap();
        let got = delay(&schedule, 1, &answer(503, Some("120")));
        assert_eq!(got, Duration::from_secs(5));
    }

    #[test]
    fn throttle_statuses_wait_at_least_their_delay() {
        let schedule = patient();
        assert_eq!(delay(&schedule, 1, &answer(429, None)), Duration::from_secs(60));
        assert_eq!(delay(&schedule, 2, &answer(429, None)), Duration::from_secs(300));
        assert_eq!(delay(&schedule, 1, &answer(500, None)), Duration::from_secs(5));
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_jitter_and_is_never_pulled_earlier(
            seconds in 0_u64..1_000_000,
            jitter in 0.0..=1.0_f64,
            random in proptest::num::f64::ANY,
            status in 100_u16..600,
            text in "\\PC{0,20}|-?[0-9]{1,40}",
        ) {
            let plain = Schedule::table(vec![Duration::from_secs(seconds)]).unwrap()
                .with_jitter(jitter).unwrap();
            let asked = plain.clone().with_retry_after(DAY);
            let Next::Retry(base) = plain.next(1, None, now(), random) else { unreachable!() };
            let answer = answer(status, Some(&text));
            let Next::Retry(later) = asked.next(1, Some(&answer), now(), random) else {
                unreachable!()
            };
            let exact = seconds as f64;
            prop_assert!(base.as_secs_f64() >= exact * (1.0 - jitter) - 1e-6);
            prop_assert!(base.as_secs_f64() <= exact * (1.0 + jitter) + 1e-6);
            prop_assert!(later >= base && later <= base.max(DAY));
        }
    }
}
