//! A small table, for a terminal or as Markdown.

/// How a table is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Columns of one width.
    Text,
    /// Markdown.
    Markdown,
}

/// A title, headings, and rows with a name in the first column and figures in the others.
pub(super) struct Table<const COLUMNS: usize> {
    title: String,
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(super) fn new(title: impl Into<String>, headings: &[&str; COLUMNS]) -> Self {
        Self {
            title: title.into(),
            rows: vec![headings.map(str::to_owned)],
        }
    }

    pub(super) fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells);
    }

    pub(super) fn render(&self, style: Style) -> String {
        let mut widths = [0; COLUMNS];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut text = format!("\n{}\n", self.title);
        if style == Style::Markdown {
            text.push('\n');
        }
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            let cells: Vec<String> = cells.collect();
            match style {
                Style::Text => text += cells.join("  ").trim_end(),
                Style::Markdown => text.extend(["| ", &cells.join(" | "), " |"]),
            }
            text.push('\n');
            if number == 0 && style == Style::Markdown {
                text.extend(["|---|", &"--:|".repeat(COLUMNS - 1), "\n"]);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_in_both_styles() {
        let mut table = Table::new("Speed", &["", "µs"]);
        table.row(["bare".into(), "10.5".into()]);
        table.row(["by eBPF".into(), "11".into()]);
        assert_eq!(
            table.render(Style::Text),
            "\nSpeed\n           µs\nbare     10.5\nby eBPF    11\n"
        );
        assert_eq!(
            table.render(Style::Markdown),
            "\nSpeed\n\n|         |   µs |\n|---|--:|\n| bare    | 10.5 |\n| by eBPF |   11 |\n"
        );
    }
}
