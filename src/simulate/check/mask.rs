//! What no report may show: secrets, however they are written, and the credentials of others.

use crate::model::Secret;
use crate::simulate::Sent;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Bytes of a text that is taken for a secret: what is shorter would be found in anything.
const SECRET_BYTES_MIN: usize = 8;
/// What stands in the place of what is not shown.
const STARS: &str = "***";
/// Headers whose value lets its reader in somewhere, or says how to get in.
const CREDENTIALS: [&str; 8] = [
    "authentication-info",
    "authorization",
    "cookie",
    "proxy-authenticate",
    "proxy-authorization",
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
];

/// Texts that no report may show.
pub(super) struct Mask {
    /// The longer ones first: a part must not be starred out of what holds it.
    texts: Vec<Secret>,
    /// The names of the headers that the user adds to requests.
    added: Vec<String>,
}

impl Mask {
    /// Hides these signing secrets, and the values of these headers.
    pub(super) fn new(
        secrets: impl IntoIterator<Item = Secret>,
        added: &[(String, Secret)],
    ) -> Self {
        let secrets = secrets.into_iter().flat_map(keys);
        let values = added.iter().flat_map(|(_, value)| {
            // A scheme may stand in front, as in `Bearer …`.
            let parts = value.expose().split_whitespace().map(Secret::new);
            parts.chain([value.clone()]).collect::<Vec<_>>()
        });
        let mut texts: Vec<Secret> = secrets
            .chain(values)
            .filter(|text| text.expose().len() >= SECRET_BYTES_MIN)
            .flat_map(|text| spellings(&text))
            .collect();
        texts.sort_by_key(|text| std::cmp::Reverse(text.expose().len()));
        Self { texts, added: added.iter().map(|(name, _)| name.clone()).collect() }
    }

    /// Puts stars where a request or its answer shows what it must not.
    pub(super) fn apply(&self, sent: &mut Sent) {
        for (name, value) in &mut sent.request.headers {
            if self.added.iter().any(|added| added.eq_ignore_ascii_case(name)) {
                STARS.clone_into(value);
            }
        }
        match &mut sent.result {
            Ok(answer) => {
                for (name, value) in &mut answer.headers {
                    if CREDENTIALS.iter().any(|held| name.eq_ignore_ascii_case(held)) {
                        STARS.clone_into(value);
                    } else if let Some(masked) = self.text(value) {
                        *value = masked;
                    }
                }
                if let Some(masked) = self.text(&String::from_utf8_lossy(&answer.body)) {
                    answer.body = masked.into();
                }
            }
            Err(failure) => {
                if let Some(masked) = self.text(&failure.detail) {
                    failure.detail = masked;
                }
            }
        }
    }

    /// `text` with stars for what must not be shown; `None` when there is none of it in it.
    pub(super) fn text(&self, text: &str) -> Option<String> {
        let mut masked = None;
        for secret in self.texts.iter().map(Secret::expose) {
            let held = masked.as_deref().unwrap_or(text);
            if held.contains(secret) {
                masked = Some(held.replace(secret, STARS));
            }
        }
        masked
    }
}

/// A secret, and its key without what stands before it, like `whsec_`.
fn keys(secret: Secret) -> impl Iterator<Item = Secret> {
    let key = secret.expose().split_once('_').map(|(_, key)| Secret::new(key));
    [Some(secret), key].into_iter().flatten()
}

/// A text as it is, in base64, in hex and as a part of a URL; and the bytes that it is itself the
/// base64 of, in hex.
fn spellings(text: &Secret) -> Vec<Secret> {
    let bytes = text.expose().as_bytes();
    let percent: String = url::form_urlencoded::byte_serialize(bytes).collect();
    let decoded = STANDARD_NO_PAD.decode(text.expose().trim_end_matches('='));
    let decoded = decoded.ok().filter(|key| key.len() >= SECRET_BYTES_MIN);
    let hexed = [Some(bytes), decoded.as_deref()].into_iter().flatten().map(hex);
    let mut spellings = vec![
        text.expose().to_owned(),
        STANDARD_NO_PAD.encode(bytes),
        URL_SAFE_NO_PAD.encode(bytes),
    ];
    spellings.extend(hexed.flat_map(|hex| [hex.to_ascii_uppercase(), hex]));
    if percent != text.expose() {
        spellings.push(percent);
    }
    spellings.into_iter().map(Secret::new).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_however_it_is_written() {
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let added = [("Authorization".to_owned(), Secret::new("Bearer gate-token-1"))];
        let mask = Mask::new([Secret::new(secret)], &added);
        for shown in [
            secret,
            "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "C2FVsBQIhrscChlQIMV%2Bb5sSYspob7oD",
            "0b6155b0140886bb1c0a195020c57e6f9b1262ca686fba03",
            "0B6155B0140886BB1C0A195020C57E6F9B1262CA686FBA03",
            "d2hzZWNfQzJGVnNCUUlocnNjQ2hsUUlNVitiNXNTWXNwb2I3b0Q",
            "7768736563",
            "Bearer gate-token-1",
            "gate-token-1",
            "Z2F0ZS10b2tlbi0x",
        ] {
            let text = format!("it said {shown}!");
            let masked = mask.text(&text);
            match shown {
                // Five bytes of it tell nobody the rest.
                "7768736563" => assert_eq!(masked, None),
                _ => assert!(masked.is_some_and(|masked| masked == "it said ***!"), "{shown}"),
            }
        }
        assert_eq!(mask.text("it said nothing"), None);
    }
}
