//! Tables for people.

use crate::cli::paint;
use comfy_table::{CellAlignment, ContentArrangement, presets};
use std::io::{self, Write};

/// Characters of a cell that are shown.
const CELL_MAX: usize = 100;

/// A table without lines: a heading, and rows that begin with a name.
pub struct Table {
    table: comfy_table::Table,
    names: Vec<String>,
}

impl Table {
    /// An empty table with these headings.
    pub fn new<const N: usize>(heads: [&str; N]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_header(heads);
        // A terminal's width changes nothing, so that what is piped is what is seen.
        table.set_content_arrangement(ContentArrangement::Disabled);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Self { table, names: Vec::new() }
    }

    /// Aligns a column of numbers.
    #[must_use]
    pub fn number(mut self, column: usize) -> Self {
        if let Some(column) = self.table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        self
    }

    /// Adds a row. The cells may come from elsewhere.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cells = cells.map(|cell| clipped(&cell));
        self.names.extend(cells.first().cloned());
        self.table.add_row(cells);
    }

    /// The heading and the rows, each a line.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let text = self.table.trim_fmt();
        let mut lines = text.lines().map(str::to_owned).collect::<Vec<_>>().into_iter();
        let head = lines.next().map(|head| paint::strong(head).to_string());
        let rows = lines.zip(&self.names).map(|(line, name)| match line.strip_prefix(name) {
            Some(rest) => format!("{}{rest}", paint::name(name)),
            None => line,
        });
        head.into_iter().chain(rows)
    }

    /// Writes the heading and the rows.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.lines().try_for_each(|line| writeln!(out, "{line}"))
    }
}

/// A text as one line that cannot drive the terminal, cut where it is very long.
fn clipped(text: &str) -> String {
    let line = paint::harmless(&text.replace(['\n', '\t'], " "));
    match line.char_indices().nth(CELL_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_cells_stay_on_their_line() {
        let mut table = Table::new(["NAME", "COUNT", "WHAT"]).number(1);
        table.row(["a".to_owned(), "10".to_owned(), "two\nlines\u{1b}[2J".to_owned()]);
        table.row(["longer".to_owned(), "9".to_owned(), "x".repeat(101)]);
        let mut out = Vec::new();
        table.write(&mut anstream::StripStream::new(&mut out)).unwrap();
        let text = format!(
            "NAME    COUNT  WHAT\na          10  two lines\\u{{1b}}[2J\nlonger      9  {}…\n",
            "x".repeat(100)
        );
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}
