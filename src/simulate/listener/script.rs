//! Answers on purpose: what a listener is told to answer instead of honestly.

use crate::error::{Error, Result};
use crate::model::parse_duration;
use crate::simulate::receiver::answer::Answer;
use std::collections::VecDeque;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Answers of one script at most.
const STEPS_MAX: usize = 1000;
/// The longest delay.
const DELAY_MAX: Duration = Duration::from_secs(3600);
/// What an answer of a script looks like.
const EXPECTED: &str = "expected a status from 200 to 599, `honest`, `close` or `hang`, all but \
    `hang` also late, like `503@2s`, and `repeat` at the end to begin again";

/// A list of answers: each serves one request, then requests are answered honestly again.
///
/// ```
/// use hookwheel::simulate::listener::Script;
/// let script: Script = "500,503@2s,hang,close,200".parse()?;
/// let for_ever: Script = "500,honest,repeat".parse()?;
/// # Ok::<(), hookwheel::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Script {
    steps: Vec<Step>,
    repeats: bool,
}

/// One answer of a script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// The one that an honest consumer or the handler gives, after so long.
    Honest(Duration),
    /// This one.
    Told(Answer),
}

impl FromStr for Script {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut items: Vec<&str> = text.split(',').map(str::trim).collect();
        let repeats = items.pop_if(|last| *last == "repeat").is_some();
        if items.is_empty() || items.len() > STEPS_MAX {
            return Err(Error::invalid(format!(
                "answers `{}` are none, or more than {STEPS_MAX}: {EXPECTED}",
                shown(text)
            )));
        }
        let steps = items.into_iter().map(step).collect::<Result<_>>()?;
        Ok(Self { steps, repeats })
    }
}

fn step(text: &str) -> Result<Step> {
    let refused = || Error::invalid(format!("answer `{}` is none: {EXPECTED}", shown(text)));
    let (what, delay) = match text.split_once('@') {
        Some((what, delay)) => {
            let delay = parse_duration(delay).filter(|delay| *delay <= DELAY_MAX);
            (what, delay.ok_or_else(refused)?)
        }
        None => (text, Duration::ZERO),
    };
    match what {
        "honest" => return Ok(Step::Honest(delay)),
        "close" => return Ok(Step::Told(Answer::close().after(delay))),
        "hang" if delay.is_zero() => return Ok(Step::Told(Answer::hang())),
        _ => {}
    }
    let status = what.parse().ok().filter(|status| (200..600).contains(status));
    Ok(Step::Told(Answer::status(status.ok_or_else(refused)?).after(delay)))
}

fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

/// A script while it is played. Clones of what is shared play the same one.
#[derive(Default)]
pub(super) struct Playing(Mutex<Played>);

#[derive(Default)]
struct Played {
    script: Script,
    left: VecDeque<Step>,
}

impl Playing {
    pub(super) fn new(script: Script) -> Self {
        let playing = Self::default();
        playing.play(script);
        playing
    }

    /// Begins with `script`; what was left of another is forgotten.
    pub(super) fn play(&self, script: Script) {
        let left = script.steps.iter().cloned().collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Played { script, left };
    }

    /// The next answer; an honest one when the script is over.
    pub(super) fn next(&self) -> Step {
        let mut played = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if played.left.is_empty() && played.script.repeats {
            played.left = played.script.steps.iter().cloned().collect();
        }
        played.left.pop_front().unwrap_or(Step::Honest(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(text: &str, count: usize) -> Vec<Step> {
        let playing = Playing::new(text.parse().unwrap());
        (0..count).map(|_| playing.next()).collect()
    }

    #[test]
    fn a_script_is_played_in_turn_and_then_honestly() {
        let honest = || Step::Honest(Duration::ZERO);
        let told = |status| Step::Told(Answer::status(status));
        assert_eq!(played("500, 404", 3), [told(500), told(404), honest()]);
        assert_eq!(
            played("503@2s,close@10ms,hang,honest@1s", 5),
            [
                Step::Told(Answer::status(503).after(Duration::from_secs(2))),
                Step::Told(Answer::close().after(Duration::from_millis(10))),
                Step::Told(Answer::hang()),
                Step::Honest(Duration::from_secs(1)),
                honest(),
            ]
        );
        assert_eq!(played("500,honest,repeat", 4), [told(500), honest(), told(500), honest()]);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in
            ["", "repeat", "500,,200", "99", "600", "500@", "500@2", "hang@1s", "200@2h", "maybe"]
        {
            let error = text.parse::<Script>().unwrap_err();
            assert!(error.is_invalid() && error.to_string().contains("expected"), "{text}");
        }
        assert!("repeat,500".parse::<Script>().is_err());
    }
}
