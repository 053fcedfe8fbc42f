//! A delivery: one event on its way to one endpoint, and the states it goes through.

use crate::model::{DeliveryId, EventType, Timestamp, WebhookId};
use serde::{Deserialize, Serialize};

/// Where a delivery stands. See ARCHITECTURE.md for the diagram of what moves it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DeliveryState {
    /// It waits for its (next) attempt.
    Waiting {
        /// When the attempt is due, by the schedule's time.
        due: Timestamp,
    },
    /// A request is in flight.
    Sending,
    /// The endpoint accepted it.
    Succeeded {
        /// When.
        at: Timestamp,
    },
    /// The schedule has no delay left; a replay may still bring it home.
    Exhausted {
        /// When the last attempt ended.
        at: Timestamp,
    },
    /// Its endpoint was deleted first.
    Cancelled {
        /// When.
        at: Timestamp,
    },
    /// It was never tried.
    Skipped {
        /// Why.
        reason: SkipReason,
    },
}

impl DeliveryState {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting { .. } => "waiting",
            Self::Sending => "sending",
            Self::Succeeded { .. } => "succeeded",
            Self::Exhausted { .. } => "exhausted",
            Self::Cancelled { .. } => "cancelled",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// Whether it was skipped for a reason that passes.
    pub fn is_recoverable(&self) -> bool {
        matches!(self, Self::Skipped { reason: SkipReason::EndpointDisabled })
    }

    /// Whether nothing moves it any more but a hand.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Waiting { .. } | Self::Sending)
    }
}

/// Why a delivery was never tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SkipReason {
    /// The endpoint was disabled when the event came.
    EndpointDisabled,
    /// The provider's envelope cannot carry it, such as a GoCardless event without an action.
    UnfitForProvider,
}

impl SkipReason {
    /// The reason in words.
    pub fn explain(self) -> &'static str {
        match self {
            Self::EndpointDisabled => "the endpoint was disabled when the event came",
            Self::UnfitForProvider => "the provider's envelope cannot carry such an event",
        }
    }
}

/// One event on its way to one endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Event and endpoint.
    pub id: DeliveryId,
    /// The webhook that carries it: its own, or one shared with other events.
    pub webhook: WebhookId,
    /// The event's type.
    pub event_type: EventType,
    /// When the event was accepted.
    pub accepted_at: Timestamp,
    /// Where it stands.
    pub state: DeliveryState,
    /// How many attempts were made.
    pub attempts: u32,
}
