//! JSON that is parsed and written again with its members in order, as `JSON.parse` and
//! `JSON.stringify` do. serde_json's own `Value` would sort them.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Number, Value};
use std::fmt;

/// The text of `json`, parsed and written again; `None` when it is no JSON.
pub fn rewritten(json: &[u8]) -> Option<Vec<u8>> {
    let parsed: Json = serde_json::from_slice(json).ok()?;
    serde_json::to_vec(&parsed).ok()
}

enum Json {
    Plain(Value),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(value) => value.serialize(out),
            Self::List(items) => out.collect_seq(items),
            Self::Object(members) => {
                let mut map = out.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Json;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Plain(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    /// JavaScript knows one kind of number, and writes 1500.0 as 1500.
    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        let number = match value.fract() == 0.0 && value.abs() < 9e15 {
            true => Number::from(value as i64),
            false => Number::from_f64(value).ok_or_else(|| E::custom("no number"))?,
        };
        Ok(Json::Plain(number.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}

#[test]
fn compact_json_stays_as_it_is_and_other_forms_do_not() {
    let same = |text: &str| rewritten(text.as_bytes()).as_deref() == Some(text.as_bytes());
    assert!(same(r#"{"z":1500,"a":[true,null,1.5,"é/"],"m":{}}"#));
    for other in [r#"{ "a":1}"#, "{}\n", r#"{"a":"\u00e9"}"#, r#"{"a":"\/"}"#, "[1500.0]", "[1e3]"]
    {
        assert!(!same(other), "{other}");
    }
    assert_eq!(rewritten(b"{"), None);
}
