//! A table that fits the terminal.

use std::io::{self, Write};

use super::human;

/// The width where there is no terminal, and nothing says one.
const WIDTH: usize = 120;

/// A text column is not cut shorter than this.
const SHORTEST: usize = 16;

/// Cells of a model's name at most: the longest of those in use, a hub's with its owner, have some fifty.
pub(crate) const MODEL: usize = 56;

/// Between two columns.
const GAP: usize = 2;

/// A column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) title: String,
    pub(crate) side: Side,
    /// Cells that it takes at most, whatever the room.
    most: usize,
}

impl Column {
    /// Of text.
    pub(crate) fn left(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            side: Side::Left,
            most: usize::MAX,
        }
    }

    /// Of figures.
    pub(crate) fn right(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            side: Side::Right,
            most: usize::MAX,
        }
    }

    /// Of the names of models: one that is as long as a line would push the figures out of sight of the others.
    pub(crate) fn of_models(title: impl Into<String>) -> Self {
        Self {
            most: MODEL,
            ..Self::left(title)
        }
    }
}

/// On which side a column's cells stand, and whether they may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Text: on the left, and cut where there is no room.
    Left,
    /// Figures: on the right, and whole.
    Right,
}

/// How many characters a line may have.
pub(crate) fn width() -> usize {
    let terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.or_else(columns).unwrap_or(WIDTH)
}

/// A sentence in lines of at most that width; those after the first are indented.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    const INDENT: &str = "    ";
    let mut out = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let needed = human::width(word);
        if used > 0 && used + 1 + needed > width {
            out.push('\n');
            out.push_str(INDENT);
            used = INDENT.len();
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += needed;
    }
    out.push('\n');
    out
}

/// Prints the rows under the titles. Texts are cut where there is no room for them; then columns are left out,
/// the last ones first.
pub(crate) fn print(
    out: &mut dyn Write,
    mut columns: Vec<Column>,
    rows: &[Vec<String>],
    width: usize,
) -> io::Result<()> {
    let widths = loop {
        let widths = fit(&columns, rows, width);
        let needed = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        if needed <= width || columns.len() <= 1 {
            break widths;
        }
        columns.pop();
    };
    let titles: Vec<String> = columns.iter().map(|column| column.title.clone()).collect();
    for row in std::iter::once(&titles).chain(rows) {
        let mut line = String::new();
        for ((cell, column), width) in row.iter().zip(&columns).zip(&widths) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            line.push_str(&match column.side {
                Side::Left => human::left(cell, *width),
                Side::Right => human::right(cell, *width),
            });
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// The columns' widths: as wide as their cells, texts less wide where that is too much.
fn fit(columns: &[Column], rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(place, column)| {
            let cells = rows.iter().filter_map(|row| row.get(place));
            let cells = cells.map(|cell| human::width(cell));
            let cells = cells.max().unwrap_or(0).min(column.most);
            cells.max(human::width(&column.title))
        })
        .collect();
    loop {
        let needed = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let widest = widths
            .iter_mut()
            .zip(columns)
            .filter(|(width, column)| column.side == Side::Left && **width > SHORTEST)
            .max_by_key(|(width, _)| **width);
        match widest {
            Some((widest, _)) if needed > width => *widest -= 1,
            _ => return widths,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(width: usize) -> String {
        let columns = vec![
            Column::left("model"),
            Column::right("calls"),
            Column::left("client"),
            Column::right("p50"),
        ];
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["a-model-with-a-long-name", "12", "192.0.2.17", "1.20 s"]),
            row(["b", "1,234", "::1", "90 ms"]),
        ];
        let mut out = Vec::new();
        print(&mut out, columns, &rows, width).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_long_name_does_not_push_the_figures_away() {
        let columns = vec![Column::of_models("model"), Column::right("calls")];
        let rows = [vec!["x".repeat(500), "7".to_owned()]];
        let mut out = Vec::new();
        print(&mut out, columns, &rows, 200).unwrap();
        let text = String::from_utf8(out).unwrap();
        let last = text.lines().last().unwrap();
        assert_eq!(human::width(last), MODEL + GAP + "calls".len());
        assert!(last.ends_with("…      7"), "{last}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        assert_eq!(
            printed(80),
            "model                     calls  client         p50\n\
             a-model-with-a-long-name     12  192.0.2.17  1.20 s\n\
             b                         1,234  ::1          90 ms\n"
        );
        for width in 25..80 {
            let text = printed(width);
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{width}: {text}");
            assert!(text.contains("1,234"), "figures stay whole: {text}");
        }
    }
}
