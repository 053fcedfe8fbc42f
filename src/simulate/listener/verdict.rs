//! Checking a request as its receiver should, and what is said of it.

use crate::error::Result;
use crate::model::{Secret, Timestamp};
use crate::provider::{Provider, SigningKey};
use crate::simulate::receiver::answer::Answer;
use crate::simulate::receiver::checks::Checked;
use crate::simulate::receiver::request::Request;
use crate::simulate::receiver::{Consumer, Verdict as OfConsumer};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How far the time that a webhook carries may be off, for a provider of one's own: what the
/// Standard Webhooks libraries allow.
const TOLERANCE: Duration = Duration::from_secs(300);
/// Characters of a reason that are remembered.
const REASON_CHARACTERS_MAX: usize = 500;

/// What the checks said of a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is from the provider, and of now.
    Genuine,
    /// It is a challenge, which carries no signature.
    Challenge,
    /// An honest consumer does not take it, for this reason.
    Refused(String),
    /// It was not checked, for this reason.
    Unchecked(String),
}

impl Verdict {
    /// The word for it, without the reason.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Genuine => "genuine",
            Self::Challenge => "challenge",
            Self::Refused(_) => "refused",
            Self::Unchecked(_) => "unchecked",
        }
    }

    /// Why, where there is a reason.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Genuine | Self::Challenge => None,
            Self::Refused(reason) | Self::Unchecked(reason) => Some(reason),
        }
    }
}

/// How a listener checks what arrives. `Debug` shows no secret.
#[derive(Clone)]
pub struct Check(Kind);

#[derive(Clone)]
enum Kind {
    /// Takes whatever comes.
    Nothing,
    /// By the provider's page, in code that shares nothing with our signing.
    Page { consumer: Consumer, secrets: Vec<Secret> },
    /// By the provider's file.
    Profile { provider: Arc<Provider>, keys: Vec<SigningKey> },
}

/// What came of a check.
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    /// What is to be known beside it.
    pub(super) note: Option<String>,
    /// What an honest consumer answers.
    pub(super) answer: Answer,
}

impl Check {
    /// Takes whatever comes.
    pub fn nothing() -> Self {
        Self(Kind::Nothing)
    }

    /// As the page of one of hookwheel's own providers tells, with these secrets, the newest last;
    /// any of them may fit. As the file says for any other provider. Without a secret, what is
    /// signed is taken and shown as unchecked.
    ///
    /// # Errors
    /// Refuses what is no secret of the provider.
    pub fn page(provider: &Arc<Provider>, secrets: &[Secret]) -> Result<Self> {
        let Some(consumer) = Consumer::named(provider.name()) else {
            return Self::profile(provider, secrets);
        };
        let mut held = Vec::with_capacity(secrets.len());
        for secret in secrets {
            provider.verifying_key(secret)?;
            // Of a pair of keys, the consumer has the public one.
            held.push(provider.shown_form(secret).unwrap_or_else(|_| secret.clone()));
        }
        Ok(Self(Kind::Page { consumer, secrets: held }))
    }

    /// As the provider's file says, with these secrets, the newest last; any of them may fit.
    ///
    /// # Errors
    /// Refuses what is no secret of the provider.
    pub fn profile(provider: &Arc<Provider>, secrets: &[Secret]) -> Result<Self> {
        let keys =
            secrets.iter().map(|secret| provider.verifying_key(secret)).collect::<Result<_>>();
        Ok(Self(Kind::Profile { provider: Arc::clone(provider), keys: keys? }))
    }

    /// Whether what arrives can be told from a forgery.
    pub fn verifies(&self) -> bool {
        match &self.0 {
            Kind::Nothing => false,
            Kind::Page { secrets, .. } => !secrets.is_empty(),
            Kind::Profile { keys, .. } => !keys.is_empty(),
        }
    }

    /// Checks a request; `request` has its headers afterwards as they were compared.
    pub(super) fn judge(&self, request: &mut Request, now: Timestamp) -> Judged {
        let note = match &self.0 {
            Kind::Page { consumer, .. } => in_any_casing(*consumer, request),
            Kind::Nothing | Kind::Profile { .. } => None,
        };
        let mut judged = match &self.0 {
            Kind::Nothing => unchecked("no provider was named", Answer::status(200)),
            Kind::Page { consumer, secrets } => page(*consumer, secrets, request, now),
            Kind::Profile { provider, keys } => profile(provider, keys, request, now),
        };
        if let Verdict::Refused(reason) = &mut judged.verdict {
            *reason = reason.chars().take(REASON_CHARACTERS_MAX).collect();
        }
        Judged { note, ..judged }
    }
}

/// GoCardless's page has PHP look up a header by its exact name. A name is the same in any casing
/// (RFC 9110, section 5.1), and proxies change it, so here it is found; what the page's code would
/// miss is told.
fn in_any_casing(consumer: Consumer, request: &mut Request) -> Option<String> {
    const NAME: &str = "Webhook-Signature";
    if consumer != Consumer::GoCardless || request.headers.iter().any(|(name, _)| name == NAME) {
        return None;
    }
    let (name, _) = request.headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(NAME))?;
    let came = std::mem::replace(name, NAME.to_owned());
    Some(format!("came as `{came}`; the page's PHP finds only `{NAME}`"))
}

fn unchecked(reason: &str, answer: Answer) -> Judged {
    Judged { verdict: Verdict::Unchecked(reason.to_owned()), note: None, answer }
}

fn refused(status: u16, reason: String) -> Judged {
    let answer = Answer::status(status).body(reason.as_str());
    Judged { verdict: Verdict::Refused(reason), note: None, answer }
}

const NO_SECRET: &str = "no secret was given";

/// A challenge whose answer would need the secret.
fn unanswerable() -> Judged {
    let answer = Answer::status(400).body("a challenge cannot be answered without the secret");
    Judged { verdict: Verdict::Challenge, note: None, answer }
}

fn page(consumer: Consumer, secrets: &[Secret], request: &Request, now: Timestamp) -> Judged {
    let is_challenge = consumer == Consumer::OpenCard && request.method == "GET";
    let Some((newest, older)) = secrets.split_last() else {
        return match (is_challenge, request.method.as_str()) {
            (true, _) => unanswerable(),
            (false, "POST") => unchecked(NO_SECRET, consumer.thanks()),
            // Its method is wrong whatever the secret.
            (false, _) => of_consumer(consumer.check("", request, now), false),
        };
    };
    let check = |secret: &Secret| consumer.check(secret.expose(), request, now);
    let checked = check(newest);
    if checked.verdict.is_accepted() {
        return of_consumer(checked, is_challenge);
    }
    let by_older = older.iter().rev().map(check).find(|checked| checked.verdict.is_accepted());
    of_consumer(by_older.unwrap_or(checked), is_challenge)
}

fn of_consumer(checked: Checked, is_challenge: bool) -> Judged {
    let verdict = match checked.verdict {
        OfConsumer::Accepted if is_challenge => Verdict::Challenge,
        OfConsumer::Accepted => Verdict::Genuine,
        OfConsumer::Refused(reason) => Verdict::Refused(reason),
    };
    Judged { verdict, note: None, answer: checked.answer }
}

/// What a provider's file leaves open is answered as the consumers of the known providers do.
fn profile(provider: &Provider, keys: &[SigningKey], request: &Request, now: Timestamp) -> Judged {
    if let Some(challenge) = provider.challenge()
        && request.method == "GET"
    {
        let Some(token) = challenge.token_in(&request.target) else {
            return refused(400, "a GET without a challenge".to_owned());
        };
        let Some(newest) = keys.last() else {
            return unanswerable();
        };
        return match challenge.answer(&token, newest) {
            Ok((name, value)) => Judged {
                verdict: Verdict::Challenge,
                note: None,
                answer: Answer::status(200).header(name, value),
            },
            Err(error) => refused(400, error.to_string()),
        };
    }
    if request.method != "POST" {
        let method = request.method.escape_debug();
        let mut refused = refused(405, format!("method `{method}`: webhooks come with `POST`"));
        refused.answer = refused.answer.header("Allow", "POST");
        return refused;
    }
    let thanks = (200..300).find(|status| provider.is_success(*status)).unwrap_or(200);
    let thanks = Answer::status(thanks);
    if provider.schemes().next().is_none() {
        return unchecked("the provider does not sign", thanks);
    }
    if keys.is_empty() {
        return unchecked(NO_SECRET, thanks);
    }
    match provider.verify(&request.headers, &request.body, keys, now, Some(TOLERANCE)) {
        Ok(()) => Judged { verdict: Verdict::Genuine, note: None, answer: thanks },
        Err(mismatch) => refused(401, mismatch.reason),
    }
}
