//! Colours, by what they mean. They vanish where the output is no terminal, or `NO_COLOR` is set.

use crate::model::is_unseen;
use anstyle::{AnsiColor, Style};
use std::fmt;

/// A text in a style.
pub struct Painted<T>(Style, T);

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        // The formatter's width is for the text: escapes take no room.
        self.1.fmt(f)?;
        write!(f, "{:#}", self.0)
    }
}

/// It went well.
pub fn good<T: fmt::Display>(text: T) -> Painted<T> {
    Painted(AnsiColor::Green.on_default(), text)
}

/// It went wrong.
pub fn bad<T: fmt::Display>(text: T) -> Painted<T> {
    Painted(AnsiColor::Red.on_default().bold(), text)
}

/// It went wrong and may yet go well; or: mind this.
pub fn warning<T: fmt::Display>(text: T) -> Painted<T> {
    Painted(AnsiColor::Yellow.on_default(), text)
}

/// A name to find one's way by.
pub fn name<T: fmt::Display>(text: T) -> Painted<T> {
    Painted(AnsiColor::Cyan.on_default(), text)
}

/// A heading.
pub fn strong<T: fmt::Display>(text: T) -> Painted<T> {
    Painted(Style::new().bold(), text)
}

/// Something beside the point.
pub fn faint<T: fmt::Display>(text: T) -> Painted<T> {
    Painted(Style::new().dimmed(), text)
}

/// Text from elsewhere, such as an endpoint's answer, with everything escaped by which it could
/// drive the terminal or look like another text; line breaks and tabs stay.
pub fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\t' => safe.push(letter),
            letter if is_unseen(letter) => safe.extend(letter.escape_default()),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_counts_the_text_only() {
        let painted = format!("{:<6}|", good("ok"));
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), "ok    |");
    }

    #[test]
    fn escapes_of_others_do_not_reach_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2J\r\n\u{9b}b"), "a\\u{1b}[2J\\r\n\\u{9b}b");
    }

    #[test]
    fn a_line_reads_in_the_order_of_its_letters() {
        // Overrides, isolates, marks, a separator, a tag and a zero width space; letters stay.
        let odd = "\u{202e}\u{2066}\u{200f}\u{61c}\u{2028}\u{2029}\u{e0041}\u{200b}\u{feff}";
        let shown = harmless(&format!("é{odd}ש✓"));
        let escaped: String = odd.chars().map(|one| one.escape_unicode().to_string()).collect();
        assert_eq!(shown, format!("é{escaped}ש✓"));
    }
}
