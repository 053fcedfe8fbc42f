//! Checking a webhook as its receiver should, for anyone debugging a handler.

use crate::model::Timestamp;
use crate::provider::Provider;
use crate::provider::json;
use crate::provider::sign::{Scheme, SignatureHeader, SigningKey};
use crate::provider::template::Token;
use crate::provider::value::TimeFormat;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// Why a webhook is not genuine: which part does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// A sentence for people.
    pub reason: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Mismatch {}

fn mismatch<T>(reason: impl Into<String>) -> Result<T, Mismatch> {
    Err(Mismatch { reason: reason.into() })
}

/// What the received headers say that the tokens of the profile's templates stand for.
type Bindings<'a> = Vec<(&'a Token, &'a str)>;

impl Provider {
    /// Checks the `headers` and `body` of a received webhook against `keys` (see
    /// [`Provider::verifying_key`]). With a `tolerance`, the time that the webhook carries must lie
    /// within it around `now`, if it carries one.
    ///
    /// # Errors
    /// Says which part does not hold.
    pub fn verify(
        &self,
        headers: &[(String, String)],
        body: &[u8],
        keys: &[SigningKey],
        now: Timestamp,
        tolerance: Option<Duration>,
    ) -> Result<(), Mismatch> {
        let bindings = self.bindings(headers)?;
        let mut times: Vec<(TimeFormat, String)> = Vec::new();
        let mut checked = false;
        for header in &self.signing.headers {
            let has_key = |scheme: &Scheme| keys.iter().any(|key| key.scheme() == scheme.name);
            if !header.schemes.iter().any(has_key) {
                continue;
            }
            checked = true;
            let Some(value) = find(headers, &header.name) else {
                return mismatch(format!("header `{}` is missing", header.name));
            };
            let entry = header.matching(value, body, keys, &bindings)?;
            times.extend(timestamps(&entry).map(|(format, text)| (format, text.to_owned())));
        }
        if !checked {
            return mismatch("no key is given for any of the provider's signing schemes");
        }
        times.extend(timestamps(&bindings).map(|(format, text)| (format, text.to_owned())));
        times.extend(self.body_time(body));
        match tolerance {
            Some(tolerance) => check_times(&times, now, tolerance),
            None => Ok(()),
        }
    }

    /// Reads the tokens that the profile's headers carry.
    fn bindings<'a>(&'a self, headers: &'a [(String, String)]) -> Result<Bindings<'a>, Mismatch> {
        let mut bindings = Vec::new();
        for (name, template) in &self.headers {
            let signed = |token: &Token| matches!(token, Token::Id | Token::Timestamp(_));
            if !template.tokens().any(signed) {
                continue;
            }
            let Some(value) = find(headers, name) else {
                return mismatch(format!("header `{name}` is missing"));
            };
            let Some(found) = template.capture(value) else {
                return mismatch(format!(
                    "header `{name}` is malformed: expected the form `{}`",
                    template.source()
                ));
            };
            bindings.extend(found);
        }
        Ok(bindings)
    }

    /// The attempt's time in the body, where the provider puts it there.
    fn body_time(&self, body: &[u8]) -> Option<(TimeFormat, String)> {
        let (path, format) = self.body_time.as_ref()?;
        let steps: Vec<&str> = path.split('.').collect();
        let raw = json::get(std::str::from_utf8(body).ok()?, &steps)?;
        Some((*format, raw.trim_matches('"').to_owned()))
    }
}

impl SignatureHeader {
    /// The tokens of the entry in `value` that one of `keys` made.
    fn matching<'a>(
        &'a self,
        value: &'a str,
        body: &[u8],
        keys: &[SigningKey],
        bindings: &Bindings<'_>,
    ) -> Result<Bindings<'a>, Mismatch> {
        let entries: Vec<&str> = match self.separator.as_str() {
            "" => vec![value],
            separator => value.split(separator).collect(),
        };
        let mut understood = false;
        for entry in entries {
            for scheme in &self.schemes {
                let Some(found) = scheme.value.capture(entry.trim()) else {
                    continue;
                };
                let Some(signature) = signature_of(&found).and_then(|text| scheme.decode(text))
                else {
                    continue;
                };
                understood = true;
                let lookup = |token: &Token| {
                    if *token == Token::Body {
                        return Some(Cow::Borrowed(body));
                    }
                    let held = found.iter().chain(bindings).find(|(held, _)| *held == token)?;
                    Some(Cow::Borrowed(held.1.as_bytes()))
                };
                for key in keys.iter().filter(|key| key.scheme() == scheme.name) {
                    if key.verify(&scheme.content, lookup, &signature).unwrap_or(false) {
                        return Ok(found);
                    }
                }
            }
        }
        if !understood {
            let forms: Vec<String> = self.schemes.iter().map(Scheme::form).collect();
            return mismatch(format!(
                "header `{}` is malformed: expected {}",
                self.name,
                forms.join(" or ")
            ));
        }
        mismatch(format!(
            "the signature in `{}` differs: the body was changed on the way, or the secret is \
             another",
            self.name
        ))
    }
}

impl Scheme {
    fn decode(&self, text: &str) -> Option<Vec<u8>> {
        self.encoding.decode(text)
    }

    /// What one signature looks like.
    fn form(&self) -> String {
        format!("`{}` with a signature in {}", self.value.source(), self.encoding.words())
    }
}

fn signature_of<'a>(found: &Bindings<'a>) -> Option<&'a str> {
    found.iter().find(|(token, _)| **token == Token::Signature).map(|(_, text)| *text)
}

fn timestamps<'a>(bindings: &'a Bindings<'_>) -> impl Iterator<Item = (TimeFormat, &'a str)> {
    bindings.iter().filter_map(|(token, text)| match token {
        Token::Timestamp(format) => Some((*format, *text)),
        _ => None,
    })
}

fn check_times(
    times: &[(TimeFormat, String)],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), Mismatch> {
    for (format, text) in times {
        let Some(time) = format.read(text) else {
            return mismatch(format!(
                "timestamp `{}` is malformed: expected {}",
                text.escape_debug(),
                format.words()
            ));
        };
        let words = crate::model::human_duration;
        if now.since(time) > tolerance {
            let (age, allowed) = (words(now.since(time)), words(tolerance));
            return mismatch(format!("the timestamp is too old: {age}, and {allowed} are allowed"));
        }
        if time.since(now) > tolerance {
            let (lead, allowed) = (words(time.since(now)), words(tolerance));
            return mismatch(format!(
                "the timestamp lies {lead} in the future, and {allowed} are allowed"
            ));
        }
    }
    Ok(())
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(held, _)| held.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}
