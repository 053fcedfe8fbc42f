//! Headers: what they can carry, which there may be, and whether a receiver can take them apart.

use super::Loader;
use crate::error::Result;
use crate::model::check;
use crate::provider::encoding::Encoding;
use crate::provider::profile::{Profile, Sign};
use crate::provider::template::{Template, Token};
use crate::provider::value::HeaderName;
use crate::provider::wire_id::WireId;

/// Bytes of a text that goes into a header at most, as of an endpoint's own headers.
const TEXT_BYTES_MAX: usize = 4096;

/// Headers of a provider at most. With the 64 that an endpoint may have, what authenticates us, `Host`
/// and `Content-Length` it is what is sent at most.
pub(super) const HEADERS_MAX: usize = 32;

impl Loader<'_> {
    /// Refuses a text that no header can carry as it is. Sent all the same, a line break in it would
    /// begin a header of its own, and a letter above ASCII is read in one way here and another there.
    pub(super) fn check_header_text(&self, path: &str, text: &str) -> Result<()> {
        if let Some(letter) = text.chars().find(|letter| !(' '..='~').contains(letter)) {
            let use_instead = "use visible ASCII characters and spaces";
            return self.fault(path, format!("a header cannot carry {letter:?}: {use_instead}"));
        }
        if text.len() > TEXT_BYTES_MAX {
            return self.fault(path, format!("expected up to {TEXT_BYTES_MAX} bytes"));
        }
        Ok(())
    }

    /// Refuses a template whose filled-in form no header can carry as it is, whatever its tokens
    /// stand for.
    pub(super) fn check_header_value(&self, path: &str, template: &Template) -> Result<()> {
        // Names of tokens are ASCII, so the source tells of what stands between them.
        let source = template.source();
        self.check_header_text(path, source)?;
        if check::is_header_value(source) {
            return Ok(());
        }
        self.fault(path, "a header's value cannot begin or end with a space: leave it out")
    }

    /// Refuses too many headers, and two of one name: what receivers make of those differs.
    /// Besides `headers` there may be `signatures`.
    pub(super) fn check_header_names(
        &self,
        path: &str,
        headers: &[(HeaderName, Template)],
        signatures: usize,
    ) -> Result<()> {
        if headers.len() + signatures > HEADERS_MAX {
            let message = format!("expected up to {HEADERS_MAX} headers, those that sign included");
            return self.fault(path, message);
        }
        for (index, (name, _)) in headers.iter().enumerate() {
            let is_same = |held: &HeaderName| held.0.eq_ignore_ascii_case(&name.0);
            if headers.iter().take(index).any(|(held, _)| is_same(held)) {
                return self.fault(
                    &format!("{path}[{index}]"),
                    format!("header `{}` stands here already: leave one out", name.0),
                );
            }
        }
        Ok(())
    }

    /// Refuses headers of which a receiver could not tell where a part ends: an id, a time, one of
    /// several signatures.
    pub(super) fn check_header_reading(&self, profile: &Profile) -> Result<()> {
        let id = profile.ids.webhook.as_ref().unwrap_or(&profile.ids.event);
        for (index, (_, template)) in profile.request.headers.iter().enumerate() {
            let is_read = |token: &Token| matches!(token, Token::Id | Token::Timestamp(_));
            if template.tokens().any(is_read) {
                let letters = Letters { id, signature: None };
                self.check_ends(&format!("request.headers[{index}]"), template, letters)?;
            }
        }
        for (index, sign) in profile.sign.iter().enumerate() {
            let letters = |sign: &Sign| Letters { id, signature: Some(sign.encoding) };
            if let Some(value) = &sign.value {
                self.check_ends(&format!("sign[{index}].value"), value, letters(sign))?;
            }
            let Some(separator) = &sign.separator else { continue };
            let beside = profile.sign.iter().filter(|held| held.header == sign.header);
            let in_none = |letter: char| {
                !beside.clone().any(|held| match &held.value {
                    Some(value) => value
                        .may_hold(letter, |token, letter| letters(held).may_hold(token, letter)),
                    None => held.encoding.may_hold(letter),
                })
            };
            if !separator.chars().any(in_none) {
                return self.fault(
                    &format!("sign[{index}].separator"),
                    "where a signature ends could not be told: expected a character that no `value` \
                     of the header can hold",
                );
            }
        }
        Ok(())
    }

    fn check_ends(&self, path: &str, template: &Template, letters: Letters<'_>) -> Result<()> {
        match template.unclear_end(|token, letter| letters.may_hold(token, letter)) {
            None => Ok(()),
            Some(token) => self.fault(
                path,
                format!(
                    "where {token} ends could not be told: put a character behind it that it cannot \
                     hold, like `,`"
                ),
            ),
        }
    }
}

/// Of which letters what tokens stand for can be made.
#[derive(Clone, Copy)]
struct Letters<'a> {
    id: &'a WireId,
    signature: Option<Encoding>,
}

impl Letters<'_> {
    fn may_hold(self, token: &Token, letter: char) -> bool {
        match token {
            Token::Signature => self.signature.is_none_or(|encoding| encoding.may_hold(letter)),
            Token::Id => self.id.may_hold(letter),
            Token::Timestamp(format) => format.may_hold(letter),
            Token::Attempt => letter.is_ascii_digit(),
            // As [`crate::model::EventType`] takes them.
            Token::EventType => letter.is_ascii_alphanumeric() || "-_.".contains(letter),
            // Other people's text.
            _ => true,
        }
    }
}
