//! How bytes are written in a header: lower-case hex or base64 (RFC 4648).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// How a signature is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Encoding {
    /// Lower-case hexadecimal digits.
    Hex,
    /// Base64 with padding, the alphabet with `+` and `/`.
    Base64,
}

impl Encoding {
    /// Writes `bytes` at the end of `out`.
    pub fn encode_into(self, bytes: &[u8], out: &mut String) {
        match self {
            Self::Hex => {
                out.reserve(bytes.len() * 2);
                for byte in bytes {
                    for digit in [byte >> 4, byte & 15] {
                        out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
                    }
                }
            }
            Self::Base64 => STANDARD.encode_string(bytes, out),
        }
    }

    /// Reads what [`Self::encode_into`] writes, and nothing else: upper-case hex is refused, since
    /// the providers' own examples compare texts.
    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(text.len());
        self.decode_into(text, &mut bytes).map(|()| bytes)
    }

    /// Reads it to the end of `out`, which does not grow where it has room for as many bytes as the
    /// text has.
    pub fn decode_into(self, text: &str, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Hex => decode_hex(text, out),
            Self::Base64 => STANDARD.decode_vec(text, out).ok(),
        }
    }

    /// Whether `letter` may be in what [`Self::encode_into`] writes.
    pub fn may_hold(self, letter: char) -> bool {
        match self {
            Self::Hex => matches!(letter, '0'..='9' | 'a'..='f'),
            Self::Base64 => letter.is_ascii_alphanumeric() || "+/=".contains(letter),
        }
    }

    /// What such a text is called.
    pub fn words(self) -> &'static str {
        match self {
            Self::Hex => "lower-case hex",
            Self::Base64 => "base64",
        }
    }
}

fn decode_hex(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks();
    for [high, low] in pairs {
        out.push(digit(*high)? << 4 | digit(*low)?);
    }
    rest.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_both_encodings() {
        let bytes: Vec<u8> = (0..=255).collect();
        for encoding in [Encoding::Hex, Encoding::Base64] {
            let mut text = String::new();
            encoding.encode_into(&bytes, &mut text);
            assert_eq!(encoding.decode(&text).as_deref(), Some(bytes.as_slice()));
        }
    }

    #[test]
    fn only_the_written_form_is_read() {
        for bad in ["AB", "abc", "0x", "ä"] {
            assert_eq!(Encoding::Hex.decode(bad), None, "{bad}");
        }
        assert_eq!(Encoding::Base64.decode("_-__"), None);
    }
}
