//! What the killed process says: one fact a line.

use hookwheel::{DeliveryId, EventId};
use std::fmt;
use std::str::FromStr;

/// The variable that makes a test process the one that is killed: its data folder.
pub const FOLDER: &str = "HOOKWHEEL_CRASH_FOLDER";
/// The variable with the number of its life.
pub const LIFE: &str = "HOOKWHEEL_CRASH_LIFE";
/// What every secret ends with, so that it is long enough for its provider.
pub const SECRET_SUFFIX: &str = "of-the-shop";
/// What every line ends with: the last one before a kill may be cut.
const END: &str = " .";

/// A line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// It begins to open its engine.
    Opening,
    /// The engine is open.
    Open,
    /// `emit` returned, for this idempotency key.
    Acked(EventId, String),
    /// `replay` returned.
    Replayed(DeliveryId),
    /// This secret is about to take over.
    Rotating(String),
    /// It did.
    Rotated(String),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opening => f.write_str("opening")?,
            Self::Open => f.write_str("open")?,
            Self::Acked(event, key) => write!(f, "acked {event} {key}")?,
            Self::Replayed(delivery) => write!(f, "replayed {delivery}")?,
            Self::Rotating(secret) => write!(f, "rotating {secret}")?,
            Self::Rotated(secret) => write!(f, "rotated {secret}")?,
        }
        f.write_str(END)
    }
}

impl FromStr for Line {
    /// It is none, or was cut.
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let words: Vec<&str> = line.strip_suffix(END).ok_or(())?.split(' ').collect();
        Ok(match *words {
            ["opening"] => Self::Opening,
            ["open"] => Self::Open,
            ["acked", event, key] => Self::Acked(event.parse().map_err(drop)?, key.to_owned()),
            ["replayed", delivery] => Self::Replayed(delivery.parse().map_err(drop)?),
            ["rotating", secret] => Self::Rotating(secret.to_owned()),
            ["rotated", secret] => Self::Rotated(secret.to_owned()),
            _ => return Err(()),
        })
    }
}
