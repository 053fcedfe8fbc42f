//! Ids on the wire.

use crate::model::base_n;
use crate::provider::value::text;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use uuid::Uuid;

/// Bytes in front of what an id is made of at most.
const PREFIX_BYTES_MAX: usize = 64;

/// How an id of ours is written for a provider: a prefix, and the UUID as such or in an alphabet.
/// Different UUIDs always have different texts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct WireId {
    prefix: String,
    alphabet: Option<(&'static str, usize)>,
}

impl WireId {
    /// The text of `uuid`.
    pub fn write(&self, uuid: Uuid) -> String {
        match self.alphabet {
            None => format!("{}{}", self.prefix, uuid.hyphenated()),
            Some((alphabet, length_min)) => {
                let number = base_n::encode(uuid.as_u128(), alphabet, length_min);
                format!("{}{number}", self.prefix)
            }
        }
    }

    /// A text of this form that is as short as the form allows, made of `random`: not a UUID's, but
    /// like those that providers show.
    pub fn short(&self, random: u128) -> String {
        self.write(match self.alphabet {
            None => uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid(),
            Some((_, 0)) => Uuid::from_u128(random),
            Some((alphabet, length)) => {
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                let bound = (alphabet.len() as u128).checked_pow(length);
                Uuid::from_u128(bound.map_or(random, |bound| random % bound))
            }
        })
    }

    /// The UUID whose text this is; `None` when it is none's.
    pub fn read(&self, text: &str) -> Option<Uuid> {
        let rest = text.strip_prefix(&self.prefix)?;
        let uuid = match self.alphabet {
            None => Uuid::try_parse(rest).ok()?,
            Some((alphabet, _)) => Uuid::from_u128(base_n::decode(rest, alphabet)?),
        };
        // A UUID has one text: neither another casing nor another padding names it too.
        (self.write(uuid) == text).then_some(uuid)
    }

    /// Whether `letter` may be in such an id.
    pub fn may_hold(&self, letter: char) -> bool {
        let alphabet = self.alphabet.map_or("0123456789abcdef-", |(alphabet, _)| alphabet);
        self.prefix.contains(letter) || alphabet.contains(letter)
    }

    /// Such an id, to show what they look like.
    pub fn example(&self) -> String {
        self.write(Uuid::from_u128(0x0197_5a3c_8e21_7b40_9d3e_5f60_718a_9bac))
    }
}

impl<'de> Deserialize<'de> for WireId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer, "a form of id like \"evt_{base62}\"")?;
        wire_id(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{}` is not a form of id: expected a prefix of up to 64 letters, digits, `_` and \
                 `-`, then `{{uuid}}`, `{{base36}}`, `{{base62}}` or `{{crockford}}`, with a length if need \
                 be, like `evt_{{base62:24}}`",
                text.chars().take(64).collect::<String>().escape_debug()
            ))
        })
    }
}

fn wire_id(text: &str) -> Option<WireId> {
    let (prefix, rest) = text.split_once('{')?;
    let form = rest.strip_suffix('}')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if prefix.len() > PREFIX_BYTES_MAX || !prefix.bytes().all(plain) {
        return None;
    }
    let (name, length) = match form.split_once(':') {
        Some((name, length)) => (name, length.parse().ok().filter(|length| *length <= 64)?),
        None => (form, 0),
    };
    let alphabet = match name {
        "uuid" if length == 0 => None,
        "base36" => Some((base_n::BASE36, length)),
        "base62" => Some((base_n::BASE62, length)),
        "crockford" => Some((base_n::CROCKFORD, length)),
        _ => return None,
    };
    Some(WireId { prefix: prefix.to_owned(), alphabet })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_back_and_no_other_names_the_same() {
        let uuid = Uuid::from_u128(0x0197_5a3c_8e21_7b40_9d3e_5f60_718a_9bac);
        for form in ["evt_{base36}", "evt_{base62:24}", "EV{crockford}", "{uuid}"] {
            let id = wire_id(form).unwrap();
            assert_eq!(id.read(&id.write(uuid)), Some(uuid), "{form}");
            let number = id.write(uuid).strip_prefix(&id.prefix).map(str::to_owned).unwrap();
            let padded = format!("{}0{number}", id.prefix);
            for other in [&padded, &number.to_uppercase(), &uuid.simple().to_string(), "WB1", ""] {
                assert_eq!(id.read(other), None, "{form}: {other}");
            }
        }
    }

    #[test]
    fn short_ids_have_the_length_that_the_form_says() {
        for (form, length) in [("ord_{base36:9}", 13), ("ch_{base62:24}", 27), ("{uuid}", 36)] {
            let id = wire_id(form).unwrap();
            for random in [0, 7, u128::MAX / 3, u128::MAX] {
                assert_eq!(id.short(random).len(), length, "{form}: {}", id.short(random));
            }
            assert_ne!(id.short(1), id.short(2));
        }
    }

    #[test]
    fn ids_keep_all_bits_of_the_uuid() {
        for form in ["evt_{base36}", "evt_{base62:24}", "EV{crockford}", "{uuid}"] {
            let id = wire_id(form).unwrap();
            assert_ne!(id.write(Uuid::from_u128(1 << 127)), id.write(Uuid::from_u128(1)), "{form}");
            assert_ne!(
                id.write(Uuid::from_u128(1 << 127 | 1)),
                id.write(Uuid::from_u128(1 << 127))
            );
        }
        assert_eq!(wire_id("msg_{base62:27}").unwrap().example().len(), 31);
        for bad in ["evt_", "evt_{base64}", "a\"{uuid}", "{uuid}x", "{base36:x}", "{base36:900}"] {
            assert_eq!(wire_id(bad), None, "{bad}");
        }
    }
}
