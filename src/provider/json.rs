//! Reading and setting members of a JSON object without writing the rest of it anew.
//!
//! The text must be valid JSON (a `Payload` is); on other text the result is wrong but nothing
//! panics.

use crate::error::{Error, Result};
use std::borrow::Cow;
use std::ops::Range;

/// One member of an object.
pub(super) struct Member<'a> {
    /// Its name, unescaped.
    pub name: Cow<'a, str>,
    /// Where its value stands in the text.
    pub value: Range<usize>,
}

/// The members of the object that `json` is, in order; none when it is no object.
pub(super) fn members(json: &str) -> Members<'_> {
    let start = skip_space(json.as_bytes(), 0);
    let at = if json.as_bytes().get(start) == Some(&b'{') { start + 1 } else { json.len() };
    Members { json, at }
}

/// An iterator over the members of an object.
pub(super) struct Members<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let bytes = self.json.as_bytes();
        let mut at = skip_space(bytes, self.at);
        if bytes.get(at) == Some(&b',') {
            at = skip_space(bytes, at + 1);
        }
        let name_end = skip_text(bytes, at)?;
        let name = unescape(self.json.get(at..name_end)?);
        let colon = skip_space(bytes, name_end);
        let start = skip_space(bytes, colon + 1);
        let end = skip_value(bytes, start);
        self.at = end;
        Some(Member { name, value: start..end })
    }
}

/// What stands between the braces of an object.
pub(super) fn inner(json: &str) -> &str {
    json.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default()
}

/// The text of the value at `path`, one member name per level.
pub(super) fn get<'a>(json: &'a str, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(json, |json, name| {
        let member = members(json).find(|member| member.name == *name)?;
        json.get(member.value)
    })
}

/// Sets the member at `path` to `value`, which is JSON; objects on the way that are missing are
/// made. Every other byte stays as it was.
///
/// # Errors
/// Refuses a path that leads through something that is no object.
pub(super) fn set(json: &str, path: &[&str], value: &str) -> Result<String> {
    let mut out = String::with_capacity(json.len() + value.len() + 16);
    set_within(&mut out, json, path, value)?;
    Ok(out)
}

fn set_within(out: &mut String, json: &str, path: &[&str], value: &str) -> Result<()> {
    let Some((name, rest)) = path.split_first() else {
        out.push_str(value);
        return Ok(());
    };
    change(out, json, &[name], |out, _, held| set_within(out, held, rest, value))
}

/// Writes the object `json` with the members called `names` changed, in one pass: `write` is told
/// which of the names it is and what it held, `{}` where it is missing. Every other byte stays as it
/// was.
///
/// # Errors
/// Refuses to change what is no object; those of `write`.
pub(super) fn change(
    out: &mut String,
    json: &str,
    names: &[&str],
    mut write: impl FnMut(&mut String, usize, &str) -> Result<()>,
) -> Result<()> {
    if let Some(name) = names.first()
        && !json.trim_start().starts_with('{')
    {
        return Err(no_object(name));
    }
    let mut missing: Vec<(usize, &&str)> = names.iter().enumerate().collect();
    let mut done = 0;
    for Member { name, value } in members(json) {
        let Some(index) = names.iter().position(|held| name == *held) else { continue };
        // A repeated name is set everywhere: receivers differ in which one they read.
        missing.retain(|(held, _)| *held != index);
        out.push_str(json.get(done..value.start).unwrap_or_default());
        write(out, index, json.get(value.clone()).unwrap_or_default())?;
        done = value.end;
    }
    let tail = json.get(done..).unwrap_or_default();
    if missing.is_empty() {
        out.push_str(tail);
        return Ok(());
    }
    out.push_str(tail.trim_end().strip_suffix('}').unwrap_or_default());
    let mut is_first = inner(json).trim().is_empty();
    for (index, name) in missing {
        if !std::mem::take(&mut is_first) {
            out.push(',');
        }
        push_text(out, name);
        out.push(':');
        write(out, index, "{}")?;
    }
    out.push('}');
    Ok(())
}

/// The refusal to set `name` in what has no members.
pub(super) fn no_object(name: &str) -> Error {
    Error::invalid(format!("`{}` cannot be set: what holds it is no object", name.escape_debug()))
}

/// Writes `text` as a JSON string.
pub(super) fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            letter if letter < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
}

fn unescape(quoted: &str) -> Cow<'_, str> {
    let plain = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match plain {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        _ => Cow::Owned(serde_json::from_str(quoted).unwrap_or_default()),
    }
}

fn skip_space(bytes: &[u8], at: usize) -> usize {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| space(byte)).count()
}

/// Where the string that begins at `at` ends; `None` when there is none.
fn skip_text(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let mut escaped = false;
    for (offset, byte) in bytes.get(at + 1..)?.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + offset + 2),
            _ => {}
        }
    }
    None
}

/// Where the value that begins at `at` ends.
fn skip_value(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut here = at;
    while let Some(byte) = bytes.get(here) {
        match byte {
            b'"' => {
                here = skip_text(bytes, here).unwrap_or(bytes.len());
                if depth == 0 {
                    return here;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return here,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return here + 1;
                }
            }
            b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return here,
            _ => {}
        }
        here += 1;
    }
    here
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_bytes_stay_as_they_were() {
        let odd = r#"{ "a" : 1.10,"m\u006fde":"x", "b":{"c":[1,{"mode":2}]} }"#;
        assert_eq!(
            set(odd, &["mode"], "\"test\"").unwrap(),
            r#"{ "a" : 1.10,"m\u006fde":"test", "b":{"c":[1,{"mode":2}]} }"#
        );
        assert_eq!(
            set(odd, &["b", "d"], "3").unwrap(),
            r#"{ "a" : 1.10,"m\u006fde":"x", "b":{"c":[1,{"mode":2}],"d":3} }"#
        );
        assert_eq!(set("{ }", &["x", "y"], "[]").unwrap(), r#"{ "x":{"y":[]}}"#);
    }

    #[test]
    fn values_are_found_by_path() {
        let json = r#"{"a":{"b":"}\"{"},"c":null,"d":[1,2]}"#;
        assert_eq!(get(json, &["a", "b"]), Some(r#""}\"{""#));
        assert_eq!(get(json, &["c"]), Some("null"));
        assert_eq!(get(json, &["d"]), Some("[1,2]"));
        assert_eq!(get(json, &["a", "c"]), None);
    }

    #[test]
    fn a_path_through_a_number_is_refused() {
        let error = set(r#"{"a":1}"#, &["a", "b"], "2").unwrap_err();
        assert!(error.to_string().contains("`b` cannot be set"), "{error}");
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("\\PC{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn setting_agrees_with_a_parser(
            map in prop::collection::hash_map("[ab\\\\\"]{0,2}", json(), 0..5),
            name in "[ab\\\\\"]{0,2}",
            value in json(),
            pretty in any::<bool>(),
        ) {
            let mut object = serde_json::Value::Object(map.into_iter().collect());
            let text = if pretty { serde_json::to_string_pretty(&object) } else {
                serde_json::to_string(&object)
            }.unwrap();
            let got = set(&text, &[&name], &value.to_string()).unwrap();
            object[&name] = value;
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&got).unwrap(), object);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}|[{}\\[\\]\",:\\\\ a]{0,20}") {
            let _ = members(&text).count();
            let _ = set(&text, &["a", "b"], "1");
        }
    }
}
