//! JSON as it is printed: in one line, or laid out for reading.

use crate::model::escape_json;
use serde_json::Value;

/// Arrays and objects within one another at most in what is laid out. The indentation of what is
/// deeper would grow with the square of its length.
const DEPTH_MAX: usize = 256;

/// A value in one line. What JSON leaves as it is and a terminal would obey or not show is escaped.
pub fn line(value: &Value) -> String {
    in_one_line(&value.to_string())
}

/// The same of JSON, which is not written anew: only its line breaks, which stand between values,
/// become spaces.
pub fn in_one_line(json: &str) -> String {
    escape_json(json).replace('\n', " ")
}

/// JSON with line breaks and indentation, as [`pretty`] lays it out, escaped like a [`line`].
pub fn lines(json: &str) -> String {
    escape_json(pretty(json).as_deref().unwrap_or(json))
}

/// `json` with line breaks and indentation; `None` when it is no JSON or nested too deep. Unlike
/// what a parser would write, numbers, escapes, the order of members and repeated ones stay as they
/// are.
pub fn pretty(json: &str) -> Option<String> {
    serde_json::from_str::<serde::de::IgnoredAny>(json).ok()?;
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let mut is_empty = false;
    for letter in json.chars() {
        if in_text {
            out.push(letter);
            in_text = escaped || letter != '"';
            escaped = letter == '\\' && !escaped;
            continue;
        }
        if letter.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(letter, '}' | ']');
        if closes {
            depth = depth.saturating_sub(1);
        }
        // Between the brackets of what is empty stands nothing.
        if closes != is_empty {
            new_line(&mut out, depth);
        }
        out.push(letter);
        is_empty = matches!(letter, '{' | '[');
        match letter {
            '{' | '[' if depth == DEPTH_MAX => return None,
            '{' | '[' => depth += 1,
            ',' => new_line(&mut out, depth),
            ':' => out.push(' '),
            '"' => in_text = true,
            _ => {}
        }
    }
    Some(out)
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_nothing_that_drives_a_terminal() {
        let value = Value::from("a\u{1b}\n\u{7f}\u{9b}é\u{202e}\u{2028}\u{e0041}");
        let line = line(&value);
        assert_eq!(line, r#""a\u001b\n\u007f\u009bé\u202e\u2028\udb40\udc41""#);
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
        assert_eq!(lines("[\r\n\"a\u{9b}\u{202e}\"]"), "[\n  \"a\\u009b\\u202e\"\n]");
        assert_eq!(in_one_line("[1.10,\r\n\"\u{9b}\"]"), "[1.10,  \"\\u009b\"]");
    }

    #[test]
    fn values_stay_as_they_were_written() {
        let json = r#" {"b":1.10, "a":[{},[ ],{"c":"x,{\"\\"}],"a":"\u00e9","n":null}"#;
        let expected = r#"{
  "b": 1.10,
  "a": [
    {},
    [],
    {
      "c": "x,{\"\\"
    }
  ],
  "a": "\u00e9",
  "n": null
}"#;
        assert_eq!(pretty(json).unwrap(), expected);
        assert_eq!(pretty(" 1 ").unwrap(), "1");
        assert_eq!(pretty("{} x"), None);
        assert_eq!(pretty("text"), None);
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(pretty(&nested(256)).is_some());
        assert_eq!(pretty(&nested(257)), None);
    }
}
