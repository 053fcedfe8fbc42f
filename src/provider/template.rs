//! Templates of header values and signed contents: text with tokens in braces, like
//! `v0:{timestamp}:{body}`. Parsed once, when a provider file is loaded.

use crate::provider::value::{TIME_FORMATS, TimeFormat, text};
use serde::de::{Deserialize, Deserializer, Error as _};
use std::borrow::Cow;
use std::fmt;

/// What a template can put in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Token {
    /// The exact bytes of the body.
    Body,
    /// The webhook's id, in the provider's form.
    Id,
    /// When the attempt is made.
    Timestamp(TimeFormat),
    /// The event's type.
    EventType,
    /// Which attempt it is, from 1.
    Attempt,
    /// The endpoint's URL as it was registered.
    Url,
    /// A setting of the endpoint; an optional one that is missing drops the whole header.
    Setting { name: String, optional: bool },
    /// The signature.
    Signature,
    /// The random text of a challenge.
    Challenge,
}

/// The tokens as they are written, for error messages.
const TOKENS: &str = "{body}, {id}, {timestamp}, {timestamp|FORMAT}, {event_type}, {attempt}, \
                      {url}, {setting:NAME}, {setting:NAME?}, {signature}, {challenge}, {version}";

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => f.write_str("{body}"),
            Self::Id => f.write_str("{id}"),
            Self::Timestamp(_) => f.write_str("{timestamp}"),
            Self::EventType => f.write_str("{event_type}"),
            Self::Attempt => f.write_str("{attempt}"),
            Self::Url => f.write_str("{url}"),
            Self::Setting { name, .. } => write!(f, "{{setting:{name}}}"),
            Self::Signature => f.write_str("{signature}"),
            Self::Challenge => f.write_str("{challenge}"),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(String),
    Token(Token),
}

/// A parsed template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Template {
    source: String,
    parts: Vec<Part>,
}

impl Template {
    /// The template as it was written, with hookwheel's version in it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its tokens, in order.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.parts.iter().filter_map(|part| match part {
            Part::Token(token) => Some(token),
            Part::Text(_) => None,
        })
    }

    /// Hands the filled-in template to `sink`, piece by piece.
    ///
    /// # Errors
    /// The first token that `value` has nothing for.
    pub fn fill<'v>(
        &self,
        value: impl Fn(&Token) -> Option<Cow<'v, [u8]>>,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(), &Token> {
        for part in &self.parts {
            match part {
                Part::Text(text) => sink(text.as_bytes()),
                Part::Token(token) => sink(&value(token).ok_or(token)?),
            }
        }
        Ok(())
    }

    /// Whether its filled-in form may have `letter` in it; `may_hold` says so of tokens.
    pub fn may_hold(&self, letter: char, may_hold: impl Fn(&Token, char) -> bool) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Text(text) => text.contains(letter),
            Part::Token(token) => may_hold(token, letter),
        })
    }

    /// The first token whose end [`Self::capture`] may not find: another follows it directly, or a
    /// text of nothing but letters that the token may hold itself.
    pub fn unclear_end(&self, may_hold: impl Fn(&Token, char) -> bool) -> Option<&Token> {
        self.parts.windows(2).find_map(|pair| match pair {
            [Part::Token(token), Part::Token(_)] => Some(token),
            [Part::Token(token), Part::Text(text)] => {
                text.chars().all(|letter| may_hold(token, letter)).then_some(token)
            }
            _ => None,
        })
    }

    /// What the tokens stand for in `text`, if it is a filled-in form of this template. A token ends
    /// where the text that follows it in the template first occurs.
    pub fn capture<'t>(&self, text: &'t str) -> Option<Vec<(&Token, &'t str)>> {
        let mut found = Vec::new();
        let mut rest = text;
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Token(token) => {
                    let end = match parts.peek() {
                        Some(Part::Text(next)) => rest.find(next.as_str())?,
                        _ => rest.len(),
                    };
                    let (value, after) = rest.split_at_checked(end)?;
                    found.push((token, value));
                    rest = after;
                }
            }
        }
        rest.is_empty().then_some(found)
    }
}

/// Parses a template; the error says what is wrong with it.
pub(super) fn parse(source: &str) -> Result<Template, String> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = source;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        if let Some(after) = from.strip_prefix("{{") {
            text.push('{');
            rest = after;
        } else if let Some(after) = from.strip_prefix("}}") {
            text.push('}');
            rest = after;
        } else {
            let (name, after) = from
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'))
                .ok_or_else(|| {
                    format!(
                        "`{}` has a brace without its other half: a brace as text is written \
                         `{{{{` or `}}}}`",
                        source.escape_debug()
                    )
                })?;
            rest = after;
            if name == "version" {
                text.push_str(env!("CARGO_PKG_VERSION"));
                continue;
            }
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(Part::Token(token(name)?));
        }
    }
    text.push_str(rest);
    if let Some(bad) = text.chars().chain(parts.iter().flat_map(letters)).find(|c| c.is_control()) {
        return Err(format!("a template may not hold the control character {bad:?}"));
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(Template { source: source.replace("{version}", env!("CARGO_PKG_VERSION")), parts })
}

fn letters(part: &Part) -> std::str::Chars<'_> {
    match part {
        Part::Text(text) => text.chars(),
        Part::Token(_) => "".chars(),
    }
}

fn token(name: &str) -> Result<Token, String> {
    if let Some(setting) = name.strip_prefix("setting:") {
        let (setting, optional) = match setting.strip_suffix('?') {
            Some(setting) => (setting, true),
            None => (setting, false),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if setting.is_empty() || !setting.bytes().all(plain) {
            return Err(format!(
                "token `{{{}}}` names no setting: expected letters, digits, `_` and `-`, like \
                 `{{setting:origin}}`",
                name.escape_debug()
            ));
        }
        return Ok(Token::Setting { name: setting.to_owned(), optional });
    }
    if let Some(format) = name.strip_prefix("timestamp|") {
        return TimeFormat::named(format).map(Token::Timestamp).ok_or_else(|| {
            format!("time format `{}` is unknown: known are {TIME_FORMATS}", format.escape_debug())
        });
    }
    Ok(match name {
        "body" => Token::Body,
        "id" => Token::Id,
        "timestamp" => Token::Timestamp(TimeFormat::Unix),
        "event_type" => Token::EventType,
        "attempt" => Token::Attempt,
        "url" => Token::Url,
        "signature" => Token::Signature,
        "challenge" => Token::Challenge,
        _ => {
            return Err(format!(
                "token `{{{}}}` is unknown: known are {TOKENS}",
                name.escape_debug()
            ));
        }
    })
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse(&text(deserializer, "a text with tokens like \"{id}\"")?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(source: &str) -> Result<String, String> {
        let template = parse(source)?;
        let mut out = Vec::new();
        let value = |token: &Token| match token {
            Token::Id => Some(Cow::Borrowed(b"msg_1".as_slice())),
            Token::Timestamp(_) => Some(Cow::Borrowed(b"17".as_slice())),
            _ => None,
        };
        template
            .fill(value, |piece| out.extend_from_slice(piece))
            .map_err(|token| format!("no {token}"))?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn tokens_and_braces_are_filled_in() {
        assert_eq!(filled("{id}.{timestamp}.x").unwrap(), "msg_1.17.x");
        assert_eq!(filled("{{{id}}}").unwrap(), "{msg_1}");
        assert_eq!(filled("a{body}").unwrap_err(), "no {body}");
    }

    #[test]
    fn wrong_templates_say_what_would_be_right() {
        for (source, words) in [
            ("{ts}", "`{ts}` is unknown: known are {body}"),
            ("{id", "without its other half"),
            ("id}", "without its other half"),
            ("{timestamp|iso}", "known are unix"),
            ("{setting:}", "names no setting"),
            ("a\r\nb", "control character"),
        ] {
            let error = parse(source).unwrap_err();
            assert!(error.contains(words), "{source:?}: {error}");
        }
    }

    #[test]
    fn a_filled_in_text_gives_its_tokens_back() {
        let template = parse("t={timestamp},v1={signature}").unwrap();
        let found = template.capture("t=17,v1=ab,cd").unwrap();
        let values: Vec<&str> = found.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, ["17", "ab,cd"]);
        assert!(template.capture("v1=ab").is_none());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(source in "\\PC{0,30}|[{}a|:?]{0,12}", text in "\\PC{0,30}") {
            if let Ok(template) = parse(&source) {
                let _ = template.capture(&text);
            }
        }
    }
}
