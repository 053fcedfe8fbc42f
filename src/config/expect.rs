//! What a setting may be, in words.

use serde_json::Value;

/// Characters of a wrong value that are shown.
const SHOWN_CHARS_MAX: usize = 60;

/// What would have been right for the setting at `path`, whose default is `default`.
pub(super) fn expected(path: &str, default: &Value) -> &'static str {
    match path {
        "listen" | "fronts_listen" => "an address with a port, like `127.0.0.1:8071`",
        "log.format" => "`text` or `json`",
        "api.requests_per_second" | "api.requests_burst" => "a whole number from 0 to 4294967295",
        "egress.allow" | "egress.deny" => "a list of networks, like `10.0.0.0/8`",
        "egress.ports" => "a list of ports from 0 to 65535",
        "egress.own_addresses" => "a list of addresses with ports, like `192.0.2.1:443`",
        _ => match default {
            Value::Bool(_) => "`true` or `false`",
            Value::Number(_) => "a whole number, 0 or more",
            Value::Array(_) => "a list of texts",
            _ => "text",
        },
    }
}

/// A wrong value as an error shows it: on one short line.
pub(super) fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("`{}`", shown.escape_debug())
}
