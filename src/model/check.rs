//! Checks of what users give, shared by everything that takes it.

use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// Refuses a uid that is none: 1 to 256 letters, digits, `-`, `_` and `.` (as Svix's API).
///
/// # Errors
/// Says what a uid looks like.
pub fn check_uid(uid: &str) -> Result<()> {
    check_name("uid", uid)
}

/// Refuses a name that does not look like a uid; `what` names it in the error.
///
/// # Errors
/// Says what such a name looks like.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    if (1..=256).contains(&name.len()) && name.bytes().all(super::event::is_name_byte) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{what} `{}` is not one: 1 to 256 letters, digits, `-`, `_` and `.` are expected",
        name.chars().take(64).collect::<String>().escape_debug()
    )))
}

/// Bounds channels: up to 10, of 1 to 128 letters, digits, `-`, `_`, `.` and `:`.
///
/// # Errors
/// Names the channel that is none.
pub fn checked_channels(channels: Vec<String>) -> Result<Vec<String>> {
    checked_labels("channel", channels)
}

/// Bounds an event's tags, as [`checked_channels`] does channels.
///
/// # Errors
/// Names the tag that is none.
pub fn checked_tags(tags: Vec<String>) -> Result<Vec<String>> {
    checked_labels("tag", tags)
}

fn checked_labels(what: &str, labels: Vec<String>) -> Result<Vec<String>> {
    if labels.len() > 10 {
        return Err(Error::invalid(format!("there are more than 10 {what}s")));
    }
    for label in &labels {
        let is_label_byte = |byte: u8| super::event::is_name_byte(byte) || byte == b':';
        if !(1..=128).contains(&label.len()) || !label.bytes().all(is_label_byte) {
            return Err(Error::invalid(format!(
                "{what} `{}` is not one: 1 to 128 letters, digits, `-`, `_`, `.` and `:` are \
                 expected",
                label.chars().take(64).collect::<String>().escape_debug()
            )));
        }
    }
    Ok(labels)
}

/// Bounds notes and settings: 64 entries, names of 256 bytes, 16 KiB in all.
///
/// # Errors
/// Says which bound was passed.
pub fn checked_metadata(metadata: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if metadata.len() > 64 || bytes > 16 * 1024 {
        return Err(Error::invalid(
            "metadata or settings have more than 64 entries or 16,384 bytes in all",
        ));
    }
    match metadata.keys().find(|name| name.is_empty() || name.len() > 256) {
        Some(_) => Err(Error::invalid("a name in metadata or settings has no 1 to 256 bytes")),
        None => Ok(metadata),
    }
}

/// Whether a text can stand in a header as it is: visible ASCII and spaces (RFC 9110, section
/// 5.5, without the obsolete bytes above ASCII).
pub fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        && !text.starts_with(' ')
        && !text.ends_with(' ')
}

/// Whether a header, its name in lower case, says where one message ends and the next begins, or how
/// the connection is used (RFC 9110, section 7.6.1): only what writes the message may set it.
pub fn is_connection_header(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "expect"
            | "keep-alive"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Refuses an idempotency key that is empty, longer than 256 bytes or not printable.
///
/// # Errors
/// Says what a key looks like.
pub fn check_idempotency_key(key: &str) -> Result<()> {
    if (1..=256).contains(&key.len()) && !key.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::invalid("an idempotency key has 1 to 256 bytes without control characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_hold_no_line_breaks() {
        assert!(is_header_value("a b"));
        for bad in ["a\r\nb", "a\0", "é", " a", "a ", "\t"] {
            assert!(!is_header_value(bad), "{bad:?}");
        }
    }

    #[test]
    fn names_are_bounded() {
        assert!(check_uid("shop-1.test_2").is_ok());
        assert!(check_uid("").is_err() && check_uid("a/b").is_err());
        assert!(checked_channels(vec!["project:1".to_owned()]).is_ok());
        assert!(checked_channels(vec!["a b".to_owned()]).is_err());
        let error = checked_tags(vec!["vip".to_owned(), "a b".to_owned()]).unwrap_err();
        assert!(error.to_string().starts_with("tag `a b` is not one"), "{error}");
        assert!(check_idempotency_key("a\n").is_err());
    }
}
