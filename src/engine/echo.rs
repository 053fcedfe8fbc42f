//! What an endpoint repeats of the credential that it was sent, taken out of its answer.
//!
//! An endpoint that is being set up often answers with the request as it came. It knows what is in
//! it, but who reads its history may not.

use crate::model::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use memchr::memmem;
use std::iter;
use std::ops::Range;
use zeroize::Zeroizing;

/// Bytes of what is looked for at least: what is shorter would be found in ordinary text.
const BYTES_MIN: usize = 8;
/// What stands in its place; never longer, so that an answer does not grow beyond its cap.
const STARS: &[u8] = b"***";

/// Puts stars where `answer` repeats one of these values of headers, or what is secret in it.
pub(super) fn mask<'a>(answer: &mut Response, sent: impl Iterator<Item = &'a str>) {
    let secrets: Vec<_> = sent.flat_map(secrets).collect();
    if secrets.is_empty() {
        return;
    }
    for (_, value) in &mut answer.headers {
        if let Some(masked) = masked(value.as_bytes(), &secrets, false) {
            *value = String::from_utf8_lossy(&masked).into_owned();
        }
    }
    if let Some(masked) = masked(&answer.body, &secrets, answer.cut.is_some()) {
        answer.body = masked.into();
    }
}

/// A header's value, the token behind its scheme, and what basic authentication is made of (RFC 7617):
/// user name and password, and the password alone.
fn secrets(value: &str) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    let (scheme, token) = value.split_once(' ').unwrap_or_default();
    let pair = match scheme.eq_ignore_ascii_case("basic") {
        true => Zeroizing::new(BASE64.decode(token).unwrap_or_default()),
        false => Zeroizing::default(),
    };
    let colon = memchr::memchr(b':', &pair);
    let password = colon.and_then(|at| pair.get(at + 1..)).unwrap_or_default();
    let all = [value.as_bytes(), token.as_bytes(), &pair, password];
    let long = all.into_iter().filter(|secret| secret.len() >= BYTES_MIN);
    long.map(|secret| Zeroizing::new(secret.to_vec())).collect::<Vec<_>>().into_iter()
}

/// `bytes` with stars for what they hold of `secrets`; `None` where that is nothing. The end of what
/// was `cut` off may hold the beginning of one.
fn masked(bytes: &[u8], secrets: &[Zeroizing<Vec<u8>>], cut: bool) -> Option<Vec<u8>> {
    let mut found = places(bytes, secrets, cut);
    if memchr::memchr(b'\\', bytes).is_some() {
        let (plain, begins) = unescaped(bytes);
        let begin = |at: usize| begins.get(at).copied().unwrap_or(bytes.len());
        let places = places(&plain, secrets, cut);
        found.extend(places.into_iter().map(|place| begin(place.start)..begin(place.end)));
    }
    if found.is_empty() {
        return None;
    }
    found.sort_by_key(|place| place.start);
    let (mut masked, mut done) = (Vec::with_capacity(bytes.len()), 0);
    for place in found {
        if place.start >= done {
            masked.extend_from_slice(bytes.get(done..place.start).unwrap_or_default());
            masked.extend_from_slice(STARS);
        }
        done = done.max(place.end);
    }
    masked.extend_from_slice(bytes.get(done..).unwrap_or_default());
    Some(masked)
}

/// Where `secrets` are in `bytes`.
fn places(bytes: &[u8], secrets: &[Zeroizing<Vec<u8>>], cut: bool) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    for secret in secrets {
        let all = memmem::find_iter(bytes, secret.as_slice());
        places.extend(all.map(|at| at..at + secret.len()));
        if cut {
            let begun =
                |length: &usize| secret.get(..*length).is_some_and(|it| bytes.ends_with(it));
            let length = (BYTES_MIN..secret.len()).rev().find(begun);
            places.extend(length.map(|length| bytes.len() - length..bytes.len()));
        }
    }
    places
}

/// `bytes` without the escapes of JSON (RFC 8259, section 7), as far as these stand for ASCII, and
/// where each byte of that begins: some write `\/` for a slash, and `\u002B` for a plus sign.
fn unescaped(bytes: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let (mut plain, mut begins) = (Vec::with_capacity(bytes.len()), Vec::new());
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let (byte, length) = match rest {
            [b'\\', b'u', digits @ ..] => match digits.get(..4) {
                // Cut off.
                None => break,
                Some(digits) => match ascii(digits) {
                    Some(byte) => (byte, 6),
                    None => (b'\\', 1),
                },
            },
            [b'\\', byte @ (b'"' | b'\\' | b'/'), ..] => (*byte, 2),
            [b'\\'] => break,
            [byte, ..] => (*byte, 1),
            [] => break,
        };
        plain.push(byte);
        begins.push(at);
        at += length;
    }
    begins.extend(iter::once(at));
    (plain, begins)
}

/// The letter with this number, in four hexadecimal digits.
fn ascii(digits: &[u8]) -> Option<u8> {
    let number = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    number.is_ascii().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Cut;

    /// `ada:open sesame`
    const BASIC: &str = "Basic YWRhOm9wZW4gc2VzYW1l";

    /// What is kept of `body` by an endpoint that was sent `value`.
    fn kept(value: &str, body: &str, cut: Option<Cut>) -> String {
        let headers = vec![("X-Seen".to_owned(), format!("<{value}>"))];
        let body = body.to_owned().into();
        let mut answer = Response { headers, body, cut, ..Response::default() };
        mask(&mut answer, iter::once(value));
        if value.len() >= BYTES_MIN {
            assert_eq!(answer.headers, [("X-Seen".to_owned(), "<***>".to_owned())]);
        }
        String::from_utf8(answer.body.into()).unwrap()
    }

    #[test]
    fn a_credential_and_what_is_secret_in_it_are_taken_out_however_json_writes_them() {
        let plus = "Token ++//++//";
        for (value, body, expected) in [
            (BASIC, "Authorization: Basic YWRhOm9wZW4gc2VzYW1l\r\n", "Authorization: ***\r\n"),
            (BASIC, "YWRhOm9wZW4gc2VzYW1l, twice YWRhOm9wZW4gc2VzYW1l", "***, twice ***"),
            (BASIC, "welcome, ada:open sesame!", "welcome, ***!"),
            (BASIC, r#"{"password": "open sesame"}"#, r#"{"password": "***"}"#),
            ("Bearer tok_12345", "bearer tok_12345", "bearer ***"),
            (plus, r#"{"é": "\n", "a": "Token ++\/\/++\/\/"}"#, r#"{"é": "\n", "a": "***"}"#),
            (plus, r#""\u002B\u002b//\u002B+//", "\u00e9""#, r#""***", "\u00e9""#),
            (r#"quote"back\slash"#, r#""quote\"back\\slash""#, r#""***""#),
            (r#"quote"back\slash"#, r#"quote"back\slash"#, "***"),
            ("aaaaaaaa", "aaaaaaaaaaaaaaaaaaaa", "******aaaa"),
            ("a secret", "another a \\u00", "another a \\u00"),
            ("a secret", "another one", "another one"),
            // Too short to be told from ordinary text.
            ("orders", "no orders", "no orders"),
        ] {
            assert_eq!(kept(value, body, None), expected, "{value}: {body}");
        }
    }

    #[test]
    fn an_answer_that_was_cut_off_does_not_end_in_the_middle_of_one() {
        let cut = Some(Cut::TooLong);
        assert_eq!(kept(BASIC, "head: Basic YWRhOm9w", cut), "head: ***");
        assert_eq!(kept(BASIC, "head: Basic YWRhOm9w", None), "head: Basic YWRhOm9w");
        let plus = "Token ++//++//";
        assert_eq!(kept(plus, r#""Token ++\/\/++\u0"#, cut), r#""***\u0"#);
        // Seven letters of it tell nobody the rest.
        assert_eq!(kept(BASIC, "open se", cut), "open se");
    }
}
