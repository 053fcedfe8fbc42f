//! What headers, signatures, secrets and delivery say of each other.

use super::Loader;
use crate::error::{Error, Result};
use crate::provider::profile::{
    Algorithm, ChallengeFields, Delivery, Exhausted, KeyFrom, Moment, Profile, SecretEncoding, Sign,
};
use crate::provider::sign::{Scheme, SignatureHeader, Signing};
use crate::provider::template::{Token, parse};
use std::time::Duration;

/// Longest time for an attempt: each holds a place among those in flight for as long.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

impl Loader<'_> {
    pub(super) fn check_request(&self, profile: &Profile) -> Result<()> {
        let signatures = profile.sign.len();
        self.check_header_names("request.headers", &profile.request.headers, signatures)?;
        let batches = profile.envelope.batch_max.is_some();
        for (index, (_, template)) in profile.request.headers.iter().enumerate() {
            let path = format!("request.headers[{index}]");
            self.check_header_value(&path, template)?;
            for token in template.tokens() {
                match token {
                    Token::Body | Token::Signature | Token::Challenge => {
                        return self.fault(&path, format!("{token} cannot stand in a header here"));
                    }
                    Token::EventType if batches => {
                        return self
                            .fault(&path, "a batch has no single {event_type}: leave it out");
                    }
                    _ => {}
                }
            }
        }
        for wanted in ["Content-Type", "User-Agent"] {
            let has = |name: &str| name.eq_ignore_ascii_case(wanted);
            if !profile.request.headers.iter().any(|(name, _)| has(&name.0)) {
                return self.fault("request.headers", format!("header `{wanted}` is missing"));
            }
        }
        for (index, sign) in profile.sign.iter().enumerate() {
            self.check_sign(profile, index, sign)?;
        }
        self.check_header_reading(profile)?;
        let resumes = |challenge: &ChallengeFields| challenge.on.contains(&Moment::Resume);
        self.check_delivery(&profile.delivery, profile.challenge.as_ref().is_some_and(resumes))
    }

    fn check_delivery(&self, delivery: &Delivery, resumes: bool) -> Result<()> {
        for (index, range) in delivery.success.iter().enumerate() {
            if range.is_no_success() {
                return self.fault(
                    &format!("delivery.success[{index}]"),
                    "only statuses from 200 to 299 can be a success: redirects are failures",
                );
            }
        }
        if delivery.success.is_empty() {
            return self.fault("delivery.success", "expected at least one, like \"2xx\"");
        }
        if delivery.timeout.0.is_zero() || delivery.timeout.0 > TIMEOUT_MAX {
            let message = "expected more than nothing and up to an hour, like \"10s\"";
            return self.fault("delivery.timeout", message);
        }
        if delivery.exhausted == Exhausted::Park && !resumes {
            return self.fault(
                "delivery.exhausted",
                "a parked endpoint comes back by its challenge: add [challenge] with \"resume\" in \
                 `on`, or use \"fail\"",
            );
        }
        Ok(())
    }

    fn check_sign(&self, profile: &Profile, index: usize, sign: &Sign) -> Result<()> {
        let path = |field: &str| format!("sign[{index}].{field}");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !(1..=64).contains(&sign.scheme.len()) || !sign.scheme.bytes().all(plain) {
            return self.fault(&path("scheme"), "expected 1 to 64 letters, digits, `_` and `-`");
        }
        for other in profile.sign.iter().take(index) {
            if other.scheme == sign.scheme {
                return self.fault(&path("scheme"), "another [[sign]] has this name already");
            }
            if !other.secret.differs_from(&sign.secret) {
                return self.fault(
                    &path("secret"),
                    format!(
                        "a secret of it could be one of `{}`: give both key = \"decoded\" and a \
                         `prefix` that the other does not begin with",
                        other.scheme
                    ),
                );
            }
        }
        if profile.request.headers.iter().any(|(name, _)| same(&name.0, &sign.header.0)) {
            return self.fault(&path("header"), "request.headers has this header already");
        }
        let value_tokens: Vec<&Token> =
            sign.value.iter().flat_map(|template| template.tokens()).collect();
        if sign.value.is_some() && !value_tokens.contains(&&Token::Signature) {
            return self
                .fault(&path("value"), "expected {signature} in it, like \"v1={signature}\"");
        }
        if let Some(value) = &sign.value {
            self.check_header_value(&path("value"), value)?;
        }
        for token in &value_tokens {
            if !matches!(token, Token::Signature | Token::Timestamp(_) | Token::Id) {
                return self.fault(&path("value"), format!("{token} cannot stand here"));
            }
        }
        if let Some(separator) = &sign.separator {
            if separator.is_empty() {
                let message = "expected at least one character, like \" \"";
                return self.fault(&path("separator"), message);
            }
            self.check_header_text(&path("separator"), separator)?;
        }
        let carried = |token: &Token| {
            let headers = profile.request.headers.iter().flat_map(|(_, value)| value.tokens());
            value_tokens.contains(&token) || headers.into_iter().any(|held| held == token)
        };
        for token in sign.content.tokens() {
            match token {
                Token::Body => {}
                Token::Id | Token::Timestamp(_) if carried(token) => {}
                Token::Id | Token::Timestamp(_) => {
                    return self.fault(
                        &path("content"),
                        format!(
                            "{token} is signed, but no header carries it in the same form: the \
                             receiver could not check; add it to request.headers"
                        ),
                    );
                }
                _ => {
                    return self.fault(
                        &path("content"),
                        format!(
                            "{token} cannot be signed: possible are {{body}}, {{id}} and \
                                 {{timestamp}}"
                        ),
                    );
                }
            }
        }
        if !sign.content.tokens().any(|token| *token == Token::Body) {
            return self.fault(&path("content"), "expected {body} in it: the body must be signed");
        }
        self.check_secret(index, sign)
    }

    fn check_secret(&self, index: usize, sign: &Sign) -> Result<()> {
        let path = |field: &str| format!("sign[{index}].secret.{field}");
        let form = &sign.secret;
        let (least, most) = form.given;
        if least == 0 || least > most || most > 1024 {
            return self.fault(&path("given"), "expected least and most, from 1 to 1024");
        }
        if !(16..=1024).contains(&form.bytes) {
            return self.fault(&path("bytes"), "expected 16 to 1024");
        }
        if form.key == KeyFrom::Decoded && form.encoding == SecretEncoding::Alnum {
            return self.fault(&path("key"), "alnum cannot be decoded: expected \"text\"");
        }
        if !is_prefix(&form.prefix) {
            return self.fault(&path("prefix"), "expected up to 32 visible ASCII characters");
        }
        let asymmetric = sign.algorithm == Algorithm::Ed25519;
        if asymmetric && (form.key != KeyFrom::Decoded || form.bytes != 32) {
            return self.fault(&path("bytes"), "ed25519 expects bytes = 32 and key = \"decoded\"");
        }
        match &form.public_prefix {
            None if asymmetric => {
                self.fault(&path("prefix"), "ed25519 expects a `public_prefix`, for what is shown")
            }
            Some(_) if !asymmetric => {
                self.fault(&path("public_prefix"), "hmac has no public key: leave it out")
            }
            Some(prefix) if !is_prefix(prefix) || prefix.is_empty() => {
                self.fault(&path("public_prefix"), "expected 1 to 32 visible ASCII characters")
            }
            Some(prefix) if form.prefix.starts_with(prefix) => self.fault(
                &path("public_prefix"),
                "a secret begins with it: a public key could not be told from one",
            ),
            _ => self.check_generated(index, sign),
        }
    }

    /// What is generated must be accepted when it is given back.
    fn check_generated(&self, index: usize, sign: &Sign) -> Result<()> {
        let form = &sign.secret;
        let length = match (form.key, form.encoding) {
            (KeyFrom::Decoded, _) => form.bytes,
            (KeyFrom::Text, SecretEncoding::Hex) => form.prefix.len() + form.bytes * 2,
            (KeyFrom::Text, SecretEncoding::Base64) => {
                form.prefix.len() + form.bytes.div_ceil(3) * 4
            }
            (KeyFrom::Text, SecretEncoding::Base64url) => {
                form.prefix.len() + (form.bytes * 4).div_ceil(3)
            }
            (KeyFrom::Text, SecretEncoding::Alnum) => form.prefix.len() + form.bytes,
        };
        let (least, most) = form.given;
        if (least..=most).contains(&length) {
            return Ok(());
        }
        self.fault(
            &format!("sign[{index}].secret.given"),
            format!("a generated secret counts {length}, which must lie within"),
        )
    }

    pub(super) fn signing(&self, signs: Vec<Sign>, overlaps: bool) -> Result<Signing> {
        let plain = parse("{signature}").map_err(Error::internal)?;
        let mut headers: Vec<SignatureHeader> = Vec::new();
        for (index, sign) in signs.into_iter().enumerate() {
            let path = format!("sign[{index}].separator");
            let scheme = Scheme {
                name: sign.scheme,
                algorithm: sign.algorithm,
                content: sign.content,
                encoding: sign.encoding,
                value: sign.value.unwrap_or_else(|| plain.clone()),
                secret: sign.secret,
            };
            let separator = sign.separator.unwrap_or_default();
            match headers.iter_mut().find(|header| same(&header.name, &sign.header.0)) {
                Some(header) if header.name != sign.header.0 => {
                    return self.fault(
                        &format!("sign[{index}].header"),
                        format!(
                            "another [[sign]] writes this header `{}`: write it alike",
                            header.name
                        ),
                    );
                }
                Some(header) if header.separator != separator || separator.is_empty() => {
                    return self
                        .fault(&path, "schemes that share a header need the same separator");
                }
                Some(header) => header.schemes.push(scheme),
                None if overlaps && separator.is_empty() => {
                    return self.fault(
                        &format!("sign[{index}]"),
                        "while secrets overlap, the header carries several signatures: add \
                         `separator`, or set secret.rotation = \"switch\"",
                    );
                }
                None => headers.push(SignatureHeader {
                    name: sign.header.0,
                    separator,
                    schemes: vec![scheme],
                }),
            }
        }
        Ok(Signing { headers, overlaps })
    }
}

fn is_prefix(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn same(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
}
