//! A provider file as text: where things stand in it, and what its comments say of them.

use crate::error::{Error, Result};
use std::ops::Range;
use toml_edit::{Document, Item, Table, Value};

/// The text of a provider file with the places of its fields.
pub(super) struct Source {
    file: String,
    document: Document<String>,
}

/// Whose word a value is, by the comment at it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mark {
    /// The provider's own page says so; with the comment's words, if there are any.
    Documented(Option<String>),
    /// Found elsewhere, in the place that the comment names: captures, support pages, libraries.
    Found(String),
    /// Our choice, for the reason that the comment gives.
    Ours(String),
}

impl Source {
    /// Parses `text`, which is the file named `file`.
    ///
    /// # Errors
    /// Refuses what is not TOML, with line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        match Document::parse(text.to_owned()) {
            Ok(document) => Ok(Self { file: file.to_owned(), document }),
            Err(error) => {
                let place = line_column(text, error.span().map_or(0, |span| span.start));
                let message = error.message().replace('\n', ", ");
                Err(Error::invalid(format!("{}: {message}", at(file, place))))
            }
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.document.raw()
    }

    /// The error that says `message` of the field `path`, like `sign[0].header`.
    pub fn fault(&self, path: &str, message: impl std::fmt::Display) -> Error {
        let start = self.span(path).map_or(0, |span| span.start);
        let place = line_column(self.text(), start);
        Error::invalid(format!("{}: `{path}`: {message}", at(&self.file, place)))
    }

    /// The error that says `message` of whatever stands at byte `offset`.
    pub fn fault_at(&self, offset: usize, message: &str) -> Error {
        let place = at(&self.file, line_column(self.text(), offset));
        let mut path = String::new();
        path_at(self.document.as_table(), offset, &mut path);
        if path.is_empty() {
            Error::invalid(format!("{place}: {message}"))
        } else {
            Error::invalid(format!("{place}: `{path}`: {message}"))
        }
    }

    /// Where the value at `path`, or the nearest table around it, stands.
    fn span(&self, path: &str) -> Option<Range<usize>> {
        let mut item = self.document.as_item();
        for step in path.split(['.', '[']) {
            let next = match step.strip_suffix(']') {
                Some(index) => item.get(index.parse::<usize>().ok()?),
                None => item.get(step),
            };
            match next {
                Some(next) => item = next,
                None => break,
            }
        }
        item.span()
    }

    /// Whether the file sets `path`.
    pub fn sets(&self, path: &str) -> bool {
        let mut item = Some(self.document.as_item());
        for step in path.split(['.', '[']) {
            item = item.and_then(|item| match step.strip_suffix(']') {
                Some(index) => item.get(index.parse::<usize>().ok()?),
                None => item.get(step),
            });
        }
        item.is_some()
    }

    /// Whose word the value at `path` is: what the comment on its lines or directly above it says;
    /// `# ours:` goes before `# found:`, and that before `# page:`.
    pub fn mark(&self, path: &str) -> Mark {
        if !self.sets(path) {
            return Mark::Ours("no page asks for anything else".to_owned());
        }
        let comments = self.span(path).map(|span| self.comments(span)).unwrap_or_default();
        let told = |word: &str| {
            let found = comments.iter().find_map(|comment| comment.strip_prefix(word));
            found.map(|words| words.trim().to_owned())
        };
        match (told("ours:"), told("found:")) {
            (Some(reason), _) => Mark::Ours(reason),
            (None, Some(place)) => Mark::Found(place),
            (None, None) => Mark::Documented(told("page:")),
        }
    }

    /// The comments on the lines of `span` and in the block directly above it.
    fn comments(&self, span: Range<usize>) -> Vec<String> {
        let text = self.text();
        let start =
            text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |n| n + 1);
        let end = text.get(span.end..).and_then(|after| after.find('\n'));
        let end = end.map_or(text.len(), |length| span.end + length);
        let mut above: Vec<&str> = text
            .get(..start)
            .unwrap_or_default()
            .lines()
            .rev()
            .map_while(|line| line.trim().strip_prefix('#'))
            .collect();
        above.reverse();
        let mut comments: Vec<String> = Vec::new();
        for line in above {
            let line = line.trim();
            let begins = ["ours:", "found:", "page:"].iter().any(|word| line.starts_with(word));
            match comments.last_mut() {
                Some(last) if !begins => {
                    last.push(' ');
                    last.push_str(line);
                }
                _ => comments.push(line.to_owned()),
            }
        }
        for line in text.get(start..end).unwrap_or_default().lines() {
            for word in ["# ours:", "# found:", "# page:"] {
                if let Some(at) = line.find(word) {
                    comments.push(line.get(at + 2..).unwrap_or_default().trim().to_owned());
                }
            }
        }
        comments
    }
}

fn at(file: &str, (line, column): (usize, usize)) -> String {
    format!("{file}:{line}:{column}")
}

/// Line and column of a byte, both counted from 1, the column in characters.
fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn path_at(table: &Table, offset: usize, path: &mut String) {
    let holds = |span: Option<Range<usize>>| span.is_some_and(|span| span.contains(&offset));
    for (name, item) in table {
        let on_key = holds(table.key(name).and_then(|key| key.span()));
        if on_key || item_holds(item, offset) {
            push_step(path, name);
            path_in(item, offset, path);
            return;
        }
    }
}

fn item_holds(item: &Item, offset: usize) -> bool {
    match item {
        Item::Table(table) => table_holds(table, offset),
        Item::ArrayOfTables(tables) => tables.iter().any(|table| table_holds(table, offset)),
        Item::Value(value) => value.span().is_some_and(|span| span.contains(&offset)),
        Item::None => false,
    }
}

/// A table's span is its header only; what is in it may follow anywhere.
fn table_holds(table: &Table, offset: usize) -> bool {
    let holds = |span: Option<Range<usize>>| span.is_some_and(|span| span.contains(&offset));
    holds(table.span())
        || table.iter().any(|(name, item)| {
            holds(table.key(name).and_then(|key| key.span())) || item_holds(item, offset)
        })
}

fn path_in(item: &Item, offset: usize, path: &mut String) {
    match item {
        Item::Table(table) => path_at(table, offset, path),
        Item::ArrayOfTables(tables) => {
            for (index, table) in tables.iter().enumerate() {
                if table_holds(table, offset) {
                    path.push_str(&format!("[{index}]"));
                    path_at(table, offset, path);
                    return;
                }
            }
        }
        Item::Value(value) => path_in_value(value, offset, path),
        Item::None => {}
    }
}

fn path_in_value(value: &Value, offset: usize, path: &mut String) {
    let holds = |span: Option<Range<usize>>| span.is_some_and(|span| span.contains(&offset));
    if let Some(array) = value.as_array() {
        for (index, inner) in array.iter().enumerate() {
            if holds(inner.span()) {
                path.push_str(&format!("[{index}]"));
                path_in_value(inner, offset, path);
                return;
            }
        }
    }
    if let Some(table) = value.as_inline_table() {
        for (name, inner) in table.iter() {
            let on_key = holds(table.key(name).and_then(|key| key.span()));
            if on_key || holds(inner.span()) {
                push_step(path, name);
                path_in_value(inner, offset, path);
                return;
            }
        }
    }
}

fn push_step(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
name = \"x\"
[delivery]
# ours: two lines
# of reason
timeout = \"2s\"
delays = [
  \"1m\",  # page: as written
  \"2m\",  # ours: a guess
]
plain = 1
seen = 2 # found: in a capture
";

    #[test]
    fn comments_tell_whose_word_a_value_is() {
        let source = Source::parse("x.toml", FILE).unwrap();
        let ours = |text: &str| Mark::Ours(text.to_owned());
        assert_eq!(source.mark("delivery.timeout"), ours("two lines of reason"));
        assert_eq!(source.mark("delivery.delays"), ours("a guess"));
        assert_eq!(
            source.mark("delivery.delays[0]"),
            Mark::Documented(Some("as written".to_owned()))
        );
        assert_eq!(source.mark("delivery.plain"), Mark::Documented(None));
        assert_eq!(source.mark("delivery.seen"), Mark::Found("in a capture".to_owned()));
        assert_eq!(source.mark("delivery.jitter"), ours("no page asks for anything else"));
    }

    #[test]
    fn faults_name_line_column_and_field() {
        let source = Source::parse("x.toml", FILE).unwrap();
        let error = source.fault("delivery.delays[1]", "bad").to_string();
        assert_eq!(error, "x.toml:8:3: `delivery.delays[1]`: bad");
        let offset = FILE.find("\"2m\"").unwrap();
        assert_eq!(source.fault_at(offset, "bad").to_string(), error);
        let error = Source::parse("x.toml", "a = 1\nb = \n").err().unwrap().to_string();
        assert!(error.starts_with("x.toml:2:"), "{error}");
    }
}
