//! Ids: UUIDv7 (RFC 9562, section 5.7), shown as a prefix and 22 characters of base 62, so that
//! they sort by the time they were made.

use crate::error::{Error, Result};
use crate::model::{Timestamp, base_n};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $word:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Uuid);

        impl $name {
            /// What the text of such an id begins with.
            pub const PREFIX: &str = $prefix;

            /// The id of this UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID behind the id.
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// The id as a number, the first bits being the time.
            pub const fn as_u128(self) -> u128 {
                self.0.as_u128()
            }

            /// When it was made, to the millisecond.
            pub fn time(self) -> Timestamp {
                let millis = i64::try_from(self.as_u128() >> 80).unwrap_or(i64::MAX);
                Timestamp::from_millis(millis)
            }

            /// The range of all ids.
            pub const fn all() -> Range<Self> {
                Self(Uuid::nil())..Self(Uuid::max())
            }

            /// The smallest id that can be made at `time` or after; ids tell milliseconds.
            pub fn first_at(time: Timestamp) -> Self {
                let millis = u128::try_from(time.as_micros()).unwrap_or(0).div_ceil(1000);
                Self(Uuid::from_u128(millis << 80))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, base_n::encode(self.as_u128(), base_n::BASE62, 22))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                text.strip_prefix($prefix)
                    .filter(|rest| rest.len() == 22)
                    .and_then(|rest| base_n::decode(rest, base_n::BASE62))
                    .map(|number| Self(Uuid::from_u128(number)))
                    .ok_or_else(|| {
                        Error::invalid(format!(
                            concat!(
                                $word, " id `{}` is not one: expected `", $prefix,
                                "` and 22 letters and digits"
                            ),
                            text.escape_debug()
                        ))
                    })
            }
        }
    };
}

id!(
    /// Names an application.
    ApplicationId, "app_", "application"
);
id!(
    /// Names an endpoint.
    EndpointId, "ep_", "endpoint"
);
id!(
    /// Names an event. The prefix is `msg_`: in the REST API and in Standard Webhooks' `webhook-id`
    /// an event is a message, and its id is the same text everywhere.
    EventId, "msg_", "event"
);
id!(
    /// Names a webhook: what one POST carries. Where a provider sends one event a POST, it has the
    /// same UUID as its event.
    WebhookId, "wh_", "webhook"
);
id!(
    /// Names an attempt.
    AttemptId, "atmpt_", "attempt"
);
id!(
    /// Names a background task.
    TaskId, "qtask_", "task"
);

id!(
    /// Names an access token of the API.
    AccessTokenId, "tok_", "access token"
);

/// Names a delivery: one event on its way to one endpoint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeliveryId {
    /// The event.
    pub event: EventId,
    /// The endpoint that it goes to.
    pub endpoint: EndpointId,
}

impl DeliveryId {
    /// What the text of a delivery's id begins with.
    pub const PREFIX: &str = "dlv_";
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = base_n::encode(self.event.as_u128(), base_n::BASE62, 22);
        let endpoint = base_n::encode(self.endpoint.as_u128(), base_n::BASE62, 22);
        write!(f, "dlv_{event}{endpoint}")
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DeliveryId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |part: Option<&str>| base_n::decode(part?, base_n::BASE62);
        let rest = text.strip_prefix(Self::PREFIX).filter(|rest| rest.len() == 44);
        let event = number(rest.and_then(|rest| rest.get(..22)));
        let endpoint = number(rest.and_then(|rest| rest.get(22..)));
        match (event, endpoint) {
            (Some(event), Some(endpoint)) => Ok(Self {
                event: EventId::from_uuid(Uuid::from_u128(event)),
                endpoint: EndpointId::from_uuid(Uuid::from_u128(endpoint)),
            }),
            _ => Err(Error::invalid(format!(
                "delivery id `{}` is not one: expected `dlv_` and 44 letters and digits",
                text.escape_debug()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text() {
        let event = EventId::from_uuid(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001));
        let endpoint = EndpointId::from_uuid(Uuid::from_u128(u128::MAX));
        let delivery = DeliveryId { event, endpoint };
        assert_eq!(event.to_string().parse::<EventId>().unwrap(), event);
        assert_eq!(delivery.to_string().parse::<DeliveryId>().unwrap(), delivery);
    }

    #[test]
    fn ids_tell_when_they_were_made() {
        let time = Timestamp::from_millis(1_700_000_000_000);
        assert_eq!(EventId::first_at(time).time(), time);
        let within = Timestamp::from_micros(time.as_micros() + 1);
        assert_eq!(EventId::first_at(within).time(), Timestamp::from_millis(1_700_000_000_001));
    }

    #[test]
    fn a_foreign_text_is_refused_with_what_would_be_right() {
        let error = "app_1".parse::<EventId>().unwrap_err();
        assert!(error.is_invalid());
        assert!(error.to_string().contains("`msg_` and 22"), "{error}");
    }
}
