//! A challenge: a request whose answer proves that an endpoint is its owner's.

use crate::chance::Chance;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Response;
use crate::provider::encoding::Encoding;
use crate::provider::profile::Moment;
use crate::provider::secret;
use crate::provider::sign::SigningKey;
use crate::provider::template::{Template, Token};
use crate::provider::value::StatusRange;
use crate::schedule::Growth;
use std::borrow::Cow;

/// How a provider makes an endpoint prove that it is its owner's: a GET with a random text, whose
/// HMAC under the signing secret comes back in a header.
pub struct Challenge {
    pub(super) moments: Vec<Moment>,
    pub(super) query: String,
    pub(super) characters: usize,
    pub(super) headers: Vec<(String, String)>,
    pub(super) success: Vec<StatusRange>,
    pub(super) answer_header: String,
    pub(super) answer: Template,
    pub(super) encoding: Encoding,
    pub(super) probe: Growth,
}

/// A challenge's request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChallengeRequest {
    /// The method: `GET`.
    pub method: &'static str,
    /// The endpoint's URL with the random text in its query.
    pub url: String,
    /// What of that was put behind the endpoint's URL.
    pub added: String,
    /// Headers in the order and casing of the wire.
    pub headers: Vec<(String, String)>,
    /// The random text.
    pub token: String,
}

impl Challenge {
    /// Whether the challenge runs at `moment`.
    pub fn runs_on(&self, moment: Moment) -> bool {
        self.moments.contains(&moment)
    }

    /// How long to wait between challenges of an endpoint that is parked.
    pub fn probe(&self) -> Growth {
        self.probe
    }

    /// A random text to challenge with, drawn from `chance`.
    ///
    /// # Errors
    /// Fails when the system has no random numbers.
    pub fn token(&self, chance: &Chance) -> Result<String> {
        let mut text = String::with_capacity(self.characters);
        secret::random_alnum(&mut text, self.characters, chance, "challenge")?;
        Ok(text)
    }

    /// The request that challenges the endpoint at `url` with `token`, letters and digits.
    pub fn request(&self, url: &str, token: &str) -> ChallengeRequest {
        // As text, not through a URL parser: the rest of the URL stays as it was registered.
        let address = url.split_once('#').map_or(url, |(address, _)| address);
        let between = match address.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        let added = format!("{between}{}={token}", self.query);
        ChallengeRequest {
            method: "GET",
            url: format!("{address}{added}"),
            added,
            headers: self.headers.clone(),
            token: token.to_owned(),
        }
    }

    /// The text of the challenge that a request for `target`, a path with its query, brings; `None`
    /// when it is no challenge.
    pub fn token_in(&self, target: &str) -> Option<String> {
        let query = target.split_once('?')?.1;
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| *name == self.query)
            .map(|(_, value)| value.into_owned())
    }

    /// The header, name and value, by which the endpoint of who has `key` answers a challenge.
    ///
    /// # Errors
    /// Refuses a public key, which cannot sign.
    pub fn answer(&self, token: &str, key: &SigningKey) -> Result<(String, String)> {
        let value = |held: &Token| match held {
            Token::Challenge => Some(Cow::Borrowed(token.as_bytes())),
            _ => None,
        };
        let mut text = String::new();
        self.encoding.encode_into(&key.sign(&self.answer, value)?, &mut text);
        Ok((self.answer_header.clone(), text))
    }

    /// Whether `response` answers `request` with the owner's secret. Compared in constant time;
    /// upper-case hex is refused, as by a provider that compares texts.
    ///
    /// # Errors
    /// Says what is wrong with the answer.
    pub fn check(
        &self,
        request: &ChallengeRequest,
        response: &Response,
        key: &SigningKey,
    ) -> Result<()> {
        let refused = |words: String| Err(Error::new(ErrorKind::NotProven, words));
        if !self.success.iter().any(|range| range.contains(response.status)) {
            return refused(format!("the challenge was answered with status {}", response.status));
        }
        let header = &self.answer_header;
        let Some(answer) = response.header(header) else {
            return refused(format!("the challenge's answer has no header `{header}`"));
        };
        let Some(answer) = self.encoding.decode(answer.trim()) else {
            let words = self.encoding.words();
            return refused(format!("the challenge's answer in `{header}` is not {words}"));
        };
        let value = |token: &Token| match token {
            Token::Challenge => Some(Cow::Borrowed(request.token.as_bytes())),
            _ => None,
        };
        if key.verify(&self.answer, value, &answer)? {
            return Ok(());
        }
        refused(format!(
            "the challenge's answer in `{header}` is not the HMAC of its text under the secret"
        ))
    }
}
