//! Letters that act on whatever shows them.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Whether a letter drives what shows it instead of being seen: controls, format characters, of
/// which some turn the order of a line around (Unicode, UTR #36, section 2.11), and the separators
/// that break lines.
pub fn is_unseen(letter: char) -> bool {
    matches!(
        letter.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    )
}

/// `json`, which is in one line, with what it leaves as it is and a terminal would obey or not show
/// escaped: it means the same.
pub fn escape_json(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for letter in json.chars() {
        if is_unseen(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            line.push(letter);
        }
    }
    line
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
    }
}
