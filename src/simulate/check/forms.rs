//! The same JSON in other bytes: what a consumer that verifies over raw bytes does not notice, and
//! one that writes the body anew before it verifies does.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// How a body is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// Without anything that need not be there.
    Plain,
    /// With spaces and line breaks between all parts.
    Spaced,
    /// With the members of every object in reverse order.
    Reversed,
    /// With `e`, `/` and what is not ASCII escaped, in names as in values.
    Escaped,
    /// With `.0` behind whole numbers.
    Fractions,
    /// With whole numbers as mantissa and exponent: `1.5e3`.
    Exponents,
}

/// JSON with its members in order, and what is no object or list as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Json {
    Object(Vec<(String, Json)>),
    List(Vec<Json>),
    Text(String),
    Other(String),
}

impl Json {
    /// Reads JSON; `None` when the text is none.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// Writes it in `form`.
    pub(super) fn written(&self, form: Form) -> String {
        let mut out = String::new();
        self.write(form, &mut out);
        out
    }

    /// The first number or text in it gets another value; `false` when there is neither.
    pub(super) fn alter(&mut self) -> bool {
        match self {
            Self::Object(members) => members.iter_mut().any(|(_, value)| value.alter()),
            Self::List(items) => items.iter_mut().any(Self::alter),
            Self::Text(text) => {
                text.push('x');
                true
            }
            Self::Other(text) if is_number(text) => {
                text.insert(usize::from(text.starts_with('-')), '9');
                true
            }
            Self::Other(_) => false,
        }
    }

    /// Whether there is a whole number in it.
    pub(super) fn has_whole_number(&self) -> bool {
        match self {
            Self::Object(members) => members.iter().any(|(_, value)| value.has_whole_number()),
            Self::List(items) => items.iter().any(Self::has_whole_number),
            Self::Text(_) => false,
            Self::Other(text) => is_whole(text),
        }
    }

    /// The text at a dotted path.
    pub(super) fn text_at(&self, path: &str) -> Option<&str> {
        let found = path.split('.').try_fold(self, |held, step| match held {
            Self::Object(members) => {
                members.iter().find(|(name, _)| name == step).map(|(_, value)| value)
            }
            _ => None,
        })?;
        match found {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn write(&self, form: Form, out: &mut String) {
        let space = if form == Form::Spaced { " \n\t" } else { "" };
        match self {
            Self::Object(members) => {
                out.push('{');
                let mut order: Vec<&(String, Self)> = members.iter().collect();
                if form == Form::Reversed {
                    order.reverse();
                }
                for (index, (name, value)) in order.into_iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    out.push_str(space);
                    write_text(name, form, out);
                    out.push_str(if form == Form::Spaced { " : " } else { ":" });
                    value.write(form, out);
                }
                out.push_str(space);
                out.push('}');
            }
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    out.push_str(space);
                    item.write(form, out);
                }
                out.push_str(space);
                out.push(']');
            }
            Self::Text(text) => write_text(text, form, out),
            Self::Other(text) if is_whole(text) => out.push_str(&number(text, form)),
            Self::Other(text) => out.push_str(text),
        }
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

fn is_whole(text: &str) -> bool {
    is_number(text) && text.bytes().skip(1).all(|byte| byte.is_ascii_digit())
}

/// A whole number in another form.
fn number(text: &str, form: Form) -> String {
    let digits_start = usize::from(text.starts_with('-'));
    match (form, text.split_at_checked(digits_start + 1)) {
        (Form::Fractions, _) => format!("{text}.0"),
        (Form::Exponents, Some((first, ""))) => format!("{first}e0"),
        (Form::Exponents, Some((first, rest))) => {
            let mantissa = match rest.trim_end_matches('0') {
                "" => "0",
                digits => digits,
            };
            format!("{first}.{mantissa}e{}", rest.len())
        }
        _ => text.to_owned(),
    }
}

fn write_text(text: &str, form: Form, out: &mut String) {
    if form != Form::Escaped {
        out.push_str(&serde_json::Value::from(text).to_string());
        return;
    }
    out.push('"');
    for letter in text.chars() {
        match letter {
            '/' => out.push_str("\\/"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            letter if letter == 'e' || letter < ' ' || !letter.is_ascii() => {
                // RFC 8259, section 7: beyond the Basic Multilingual Plane, a pair of surrogates.
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Numbers have to stay as they were written, which only the raw text tells.
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let read = |error: serde_json::Error| D::Error::custom(error);
        match raw.bytes().next() {
            Some(b'{') => {
                let Members(members) = serde_json::from_str(raw).map_err(read)?;
                Ok(Self::Object(members))
            }
            Some(b'[') => {
                let Items(items) = serde_json::from_str(raw).map_err(read)?;
                Ok(Self::List(items))
            }
            Some(b'"') => Ok(Self::Text(serde_json::from_str(raw).map_err(read)?)),
            _ => Ok(Self::Other(raw.to_owned())),
        }
    }
}

struct Members(Vec<(String, Json)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

struct Items(Vec<Json>);

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"née":"a/b","n":[1500,-7,120.12,0],"o":{"x":true,"y":"\ud83d\ude00"}}"#;

    fn written(form: Form) -> String {
        Json::read(BODY.as_bytes()).unwrap().written(form)
    }

    #[test]
    fn every_form_has_other_bytes_and_the_same_meaning() {
        let meaning = |text: &str| -> serde_json::Value { serde_json::from_str(text).unwrap() };
        for form in [Form::Spaced, Form::Reversed, Form::Escaped] {
            assert_ne!(written(form), BODY, "{form:?}");
            assert_eq!(meaning(&written(form)), meaning(BODY), "{form:?}");
        }
        assert_eq!(
            written(Form::Escaped),
            concat!(
                r#"{"n\u00e9\u0065":"a\/b","n":[1500,-7,120.12,0],"#,
                r#""o":{"x":tru"#,
                r#"e,"y":"\ud83d\ude00"}}"#
            )
        );
        assert!(written(Form::Reversed).starts_with(r#"{"o":{"y":"#));
        assert!(written(Form::Fractions).contains("[1500.0,-7.0,120.12,0.0]"));
        assert!(written(Form::Exponents).contains("[1.5e3,-7e0,120.12,0e0]"));
        assert_eq!(Json::Other("1000".into()).written(Form::Exponents), "1.0e3");
    }

    #[test]
    fn an_altered_body_says_something_else() {
        let altered = |text: &str| {
            let mut json = Json::read(text.as_bytes()).unwrap();
            let changed = json.alter();
            (changed, json.written(Form::Fractions))
        };
        assert_eq!(altered(r#"{"a":null,"b":"c"}"#), (true, r#"{"a":null,"b":"cx"}"#.to_owned()));
        assert_eq!(altered(r#"{"a":-1.5}"#), (true, r#"{"a":-91.5}"#.to_owned()));
        assert_eq!(altered("{}"), (false, "{}".to_owned()));
    }
}
