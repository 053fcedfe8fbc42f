//! Requests that only a forger would make, beside the genuine ones.

use super::Fault;
use crate::chance::Chance;
use crate::error::{Error, Result};
use crate::model::{EventType, Mode, Payload, Secret};
use crate::provider::{Provider, SigningKey, overridden};
use crate::simulate::wire::{Sent, Wire};
use std::sync::Arc;
use std::time::Duration;

/// How old a stale webhook is at least: thrice the tolerance that pages ask for.
const STALE_MIN: Duration = Duration::from_secs(15 * 60);
/// What is added to that at most.
const STALE_MORE_MAX: Duration = Duration::from_secs(24 * 3600);

/// A forged request and what came back.
#[derive(Clone, Debug)]
pub struct Forgery {
    /// What is wrong with it.
    pub fault: Fault,
    /// The type of the event that it pretends to carry.
    pub event_type: EventType,
    /// The id of that event on the wire.
    pub id: String,
    /// The request, and its answer.
    pub sent: Sent,
    /// What the answer says.
    pub verdict: ForgeryVerdict,
}

/// What the answer to a forgery says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForgeryVerdict {
    /// It was taken for genuine: 2xx.
    Taken,
    /// It was refused.
    Refused,
    /// Nobody can tell: there was no answer, or one that tells of a mishap (5xx).
    NotJudged,
}

impl ForgeryVerdict {
    /// The verdict on `sent`.
    fn of(sent: &Sent) -> Self {
        match &sent.result {
            // Also where the provider wants another status of success: 2xx says that it arrived.
            Ok(answer) if (200..300).contains(&answer.status) => Self::Taken,
            Ok(answer) if answer.status < 500 => Self::Refused,
            _ => Self::NotJudged,
        }
    }
}

/// The keys that sign what meets the fault `old-secret`.
pub(in crate::simulate) struct OldKeys {
    /// Those keys, the newest last.
    pub keys: Vec<SigningKey>,
    /// Whether the new secret is not among them, so that only the first attempt is signed so: the
    /// provider has switched by the next.
    pub is_switch: bool,
}

impl OldKeys {
    /// The keys while `old` is replaced by `new`; where the provider has both sign and none is
    /// given, an old secret is made.
    pub(in crate::simulate) fn new(
        provider: &Provider,
        old: Option<&Secret>,
        new: &Secret,
        chance: &Chance,
    ) -> Result<Self> {
        let key = |secret: &Secret| provider.signing_key(&provider.check_secret(secret)?, secret);
        let made = match old {
            Some(old) => old.clone(),
            None => provider.draw_secret(Some(&provider.check_secret(new)?), chance)?.secret,
        };
        let is_switch = !provider.rotation_overlaps();
        let mut keys = vec![key(&made)?];
        if !is_switch {
            keys.push(key(new)?);
        }
        Ok(Self { keys, is_switch })
    }
}

/// Forges requests to one endpoint.
pub(in crate::simulate) struct Forger {
    provider: Arc<Provider>,
    wire: Wire,
    key: SigningKey,
    wrong_key: SigningKey,
    chance: Chance,
}

impl Forger {
    /// A forger of what `provider` sends over `wire`, signed with `secret`.
    ///
    /// # Errors
    /// Refuses what is no secret of the provider.
    pub(in crate::simulate) fn new(
        provider: Arc<Provider>,
        wire: Wire,
        secret: &Secret,
        chance: Chance,
    ) -> Result<Self> {
        let scheme = provider.check_secret(secret)?;
        let wrong = provider.draw_secret(Some(&scheme), &chance)?.secret;
        Ok(Self {
            wire,
            key: provider.signing_key(&scheme, secret)?,
            wrong_key: provider.signing_key(&scheme, &wrong)?,
            provider,
            chance,
        })
    }

    /// Forges an event like this one in the way of `fault`, and sends it.
    ///
    /// # Errors
    /// Refuses what the provider's envelope cannot carry.
    pub(in crate::simulate) async fn forge(
        &self,
        fault: Fault,
        event_type: &EventType,
        data: &Payload,
        mode: Mode,
    ) -> Result<Forgery> {
        let event = self.wire.event(event_type, data.clone(), mode)?;
        let id = self.provider.event_wire_id(&event);
        let draft = self.wire.draft(vec![Arc::clone(&event)])?;
        let now = self.wire.now();
        let genuine = std::slice::from_ref(&self.key);
        let rendered = match fault {
            Fault::Stale => {
                let mut bytes = [0; 4];
                self.chance.fill("stale", &mut bytes)?;
                let more = STALE_MORE_MAX.mul_f64(f64::from(u32::from_le_bytes(bytes)) / 4.3e9);
                self.wire.rendered(&draft, genuine, 1, now.before(STALE_MIN + more))?
            }
            Fault::WrongSecret => {
                self.wire.rendered(&draft, std::slice::from_ref(&self.wrong_key), 1, now)?
            }
            Fault::Unsigned => {
                let mut rendered = self.wire.rendered(&draft, genuine, 1, now)?;
                let signed =
                    |name: &str| self.provider.signature_headers().any(|held| held == name);
                rendered.headers.retain(|(name, _)| !signed(name));
                rendered
            }
            Fault::Tampered => {
                let mut rendered = self.wire.rendered(&draft, genuine, 1, now)?;
                let mut other = (*event).clone();
                let set = [("xTampered".to_owned(), true.into())];
                other.data = overridden(data.as_str(), &set)?;
                let other = draft.with_events(vec![Arc::new(other)]);
                rendered.body = self.wire.rendered(&other, genuine, 1, now)?.body;
                rendered
            }
            genuine => return Err(Error::internal(format!("`{genuine}` is no forgery"))),
        };
        let sent = self.wire.post(rendered, self.provider.timeout()).await;
        let verdict = ForgeryVerdict::of(&sent);
        Ok(Forgery { fault, event_type: event_type.clone(), id, sent, verdict })
    }
}
