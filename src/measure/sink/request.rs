//! A request as the sink sees it: just enough of HTTP for what hyper sends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use memchr::memmem;
use sha2::Sha256;

/// A whole request.
pub(super) struct Request<'a> {
    head: &'a [u8],
    body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The request that `buffer` begins with, once all of it is there.
    pub(super) fn parse(buffer: &'a [u8]) -> Option<Self> {
        let end = memmem::find(buffer, b"\r\n\r\n")? + 4;
        let (head, rest) = buffer.split_at_checked(end)?;
        // Engine and plain client write the name's first letters in casings of their own.
        let length = value(head, b"ontent-Length: ").or_else(|| value(head, b"ontent-length: "))?;
        Some(Self { head, body: rest.get(..leading_number(length)?)? })
    }

    /// Bytes of head and body.
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// The number at the end of its path.
    pub(super) fn endpoint(&self) -> u32 {
        let path = value_to(self.head, b" ", b" ").unwrap_or_default();
        let digits = path.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        path.get(path.len() - digits..).and_then(leading_number).unwrap_or_default()
    }

    /// The number that its body carries.
    pub(super) fn number(&self) -> u32 {
        let number = value_to(self.body, b"\"number\":", b",");
        number.and_then(leading_number).unwrap_or_default()
    }

    /// Whether its signature is the HMAC of its body, in hex or base64.
    pub(super) fn is_genuine(&self, secret: &str) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
        mac.update(self.body);
        let digest = mac.finalize().into_bytes();
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = value(self.head, b"ignature: ").unwrap_or_default();
        signature == hex.as_bytes() || signature == STANDARD.encode(digest).as_bytes()
    }
}

/// The value of a header whose line holds `name`.
fn value<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    value_to(head, name, b"\r")
}

/// What stands between the first `begin` and the next `end`.
fn value_to<'a>(text: &'a [u8], begin: &[u8], end: &[u8]) -> Option<&'a [u8]> {
    let rest = text.get(memmem::find(text, begin)? + begin.len()..)?;
    rest.get(..memmem::find(rest, end)?)
}

fn leading_number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(text.get(..digits)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The HMAC-SHA256 of this body under the key `key`, by OpenSSL.
    const BODY: &str = r#"{"data":{"number":42,"note":"x"}}"#;

    fn request(length: usize, signature: &str) -> String {
        format!(
            "POST /hooks/17 HTTP/1.1\r\nX-TN-Signature: {signature}\r\nContent-Length: {length}\r\n\r\n{BODY}rest"
        )
    }

    #[test]
    fn a_request_is_taken_once_it_is_whole() {
        let text = request(BODY.len(), "none");
        let end = text.len() - "rest".len();
        assert!(Request::parse(&text.as_bytes()[..end - 1]).is_none());
        let request = Request::parse(text.as_bytes()).unwrap();
        assert_eq!((request.endpoint(), request.number(), request.len()), (17, 42, end));
    }

    #[test]
    fn signatures_are_told_apart() {
        let hex = "b62b9648919a09be6a0e4b324df1eef9b4b82f70a36a29d0d87ff6059c256226";
        let base64 = "tiuWSJGaCb5qDksyTfHu+bS4L3CjainQ2H/2BZwlYiY=";
        for (signature, genuine) in [(hex, true), (base64, true), ("none", false), ("", false)] {
            let text = request(BODY.len(), signature);
            let request = Request::parse(text.as_bytes()).unwrap();
            assert_eq!(request.is_genuine("key"), genuine, "{signature}");
        }
    }
}
