//! Letters that act on whatever shows them.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Whether a letter drives what shows it instead of being seen: controls, format characters, of
/// which some turn the order of a line around (Unicode, UTR #36, section 2.11), and the separators
/// that break lines.
pub fn is_unseen(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_control();
    }
    matches!(
        letter.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    )
}

/// `json` with what it leaves as it is and a terminal would obey or not show escaped: it means the
/// same.
pub fn escape_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            // These stand as they are between values only, where they are spaces.
            '\n' | '\t' => text.push(letter),
            '\r' => text.push(' '),
            _ if is_unseen(letter) => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
            _ => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_json_means_the_same_and_shows_everything() {
        let text = "é\u{1b}[2J\u{7f}\u{9b}31m\u{202e}\u{2028}\u{e0041}\u{feff}ש✓";
        let escaped = escape_json(&serde_json::to_string(text).unwrap());
        let shown = r#""é\u001b[2J\u007f\u009b31m\u202e\u2028\udb40\udc41\ufeffש✓""#;
        assert_eq!(escaped, shown);
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
        let laid_out = format!("{{\n  \"a\": {shown}\n}}");
        assert_eq!(escape_json(&format!("{:#}", serde_json::json!({ "a": text }))), laid_out);
    }

    #[test]
    fn between_values_only_a_return_is_not_left_as_it_is() {
        assert_eq!(escape_json("{\r\n\t\"a\\n\":1}"), "{ \n\t\"a\\n\":1}");
    }
}
