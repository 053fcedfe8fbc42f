//! Signatures that are not quite right, for tries at receivers.

use crate::provider::Provider;
use crate::provider::encoding::Encoding;
use crate::provider::sign::SignatureHeader;
use crate::provider::template::Token;
use std::borrow::Cow;

/// A signature as it stands in a header.
pub struct SignatureText<'a> {
    /// The signature, in the provider's encoding.
    pub text: &'a str,
    encoding: Encoding,
}

impl SignatureText<'_> {
    /// The same signature in the encoding that this provider does not use: base64 for hex, hex for
    /// base64.
    pub fn in_another_encoding(&self) -> String {
        let mut other = String::new();
        let encoding = match self.encoding {
            Encoding::Hex => Encoding::Base64,
            Encoding::Base64 => Encoding::Hex,
        };
        let bytes = self.encoding.decode(self.text).unwrap_or_default();
        encoding.encode_into(&bytes, &mut other);
        other
    }
}

impl Provider {
    /// The headers of a webhook with each signature in them replaced by what `change` makes of it.
    /// What stands around a signature, like `v1=`, stays.
    pub fn with_signatures(
        &self,
        mut headers: Vec<(String, String)>,
        change: impl Fn(&SignatureText<'_>) -> String,
    ) -> Vec<(String, String)> {
        for (name, value) in &mut headers {
            if let Some(header) = self.signing.headers.iter().find(|held| held.name == *name) {
                *value = header.with_signatures(value, &change);
            }
        }
        headers
    }
}

impl SignatureHeader {
    fn with_signatures(
        &self,
        value: &str,
        change: &impl Fn(&SignatureText<'_>) -> String,
    ) -> String {
        let entries: Vec<&str> = match self.separator.as_str() {
            "" => vec![value],
            separator => value.split(separator).collect(),
        };
        let changed: Vec<String> =
            entries.iter().map(|entry| self.changed(entry, change)).collect();
        changed.join(&self.separator)
    }

    /// One entry of the header, changed; as it was, where it is none of the provider's.
    fn changed(&self, entry: &str, change: &impl Fn(&SignatureText<'_>) -> String) -> String {
        for scheme in &self.schemes {
            let Some(found) = scheme.value.capture(entry) else { continue };
            let value = |token: &Token| {
                let (_, text) = found.iter().find(|(held, _)| *held == token)?;
                Some(match token {
                    Token::Signature => {
                        let held = SignatureText { text, encoding: scheme.encoding };
                        Cow::Owned(change(&held).into_bytes())
                    }
                    _ => Cow::Borrowed(text.as_bytes()),
                })
            };
            let mut bytes = Vec::with_capacity(entry.len());
            if scheme.value.fill(value, |piece| bytes.extend_from_slice(piece)).is_ok() {
                return String::from_utf8_lossy(&bytes).into_owned();
            }
        }
        entry.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use crate::provider::Providers;

    fn changed(provider: &str, header: (&str, &str)) -> String {
        let provider = Providers::embedded().unwrap().get(provider).unwrap();
        let headers = vec![(header.0.to_owned(), header.1.to_owned())];
        provider.with_signatures(headers, |held| held.in_another_encoding()).remove(0).1
    }

    #[test]
    fn signatures_change_and_what_stands_around_them_stays() {
        assert_eq!(changed("ticketnation", ("X-TN-Signature", "00ff")), "AP8=");
        assert_eq!(changed("citizen-ticket", ("X-Signature", "AP8=")), "00ff");
        let several = ("webhook-signature", "v1,AP8= v1a,AA== v2,AP8=");
        assert_eq!(changed("standard-webhooks", several), "v1,00ff v1a,00 v2,AP8=");
        assert_eq!(changed("ticketnation", ("Content-Type", "00ff")), "00ff");
    }
}
