//! The columns of a pane: which there is room for, and how wide they are.

use crate::cli::{
    human,
    table::{self, Side},
};

/// The column that takes what the others leave has as much at least: for less, another column goes.
pub(super) const LEAST_TEXT: u16 = 16;

/// A column.
pub(super) struct Column {
    pub(super) title: &'static str,
    /// In cells; 0: what the others leave, and no more than it needs.
    pub(super) width: u16,
    pub(super) side: Side,
    /// Where there is no room, the column with the highest number goes first; those with 0 stay.
    pub(super) goes: u8,
}

pub(super) const fn column(title: &'static str, width: u16, side: Side, goes: u8) -> Column {
    Column {
        title,
        width,
        side,
        goes,
    }
}

/// A row: its cells, and whether it stands out.
pub(super) type Row = (Vec<String>, bool);

/// The columns that there is room for, each with its place in a row, and as wide as it will be.
pub(super) fn fit(columns: Vec<Column>, rows: &[Row], width: u16) -> Vec<(usize, Column)> {
    let mut columns: Vec<_> = columns.into_iter().enumerate().collect();
    let left_over = loop {
        let gaps = u16::try_from(columns.len().saturating_sub(1)).unwrap_or(u16::MAX);
        let fixed: u16 = columns.iter().map(|(_, column)| column.width).sum();
        let left_over = width.saturating_sub(fixed.saturating_add(gaps));
        let first_to_go = columns
            .iter()
            .enumerate()
            .max_by_key(|(_, (_, column))| column.goes)
            .filter(|(_, (_, column))| column.goes > 0 && left_over < LEAST_TEXT);
        match first_to_go {
            Some((place, _)) => columns.remove(place),
            None => break left_over,
        };
    };
    for (place, column) in &mut columns {
        if column.width == 0 {
            let cells = rows.iter().filter_map(|(cells, _)| cells.get(*place));
            let widest = cells.map(|cell| human::width(cell)).max().unwrap_or(0);
            let widest = widest.clamp(LEAST_TEXT.into(), table::MODEL);
            column.width = u16::try_from(widest).unwrap_or(u16::MAX).min(left_over);
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::{
        Side::{Left, Right},
        *,
    };

    fn titles(columns: Vec<Column>, name: &str, width: u16) -> String {
        let rows = [(vec![name.to_owned(); columns.len()], false)];
        let columns = fit(columns, &rows, width);
        let used: u16 = columns.iter().map(|(_, column)| column.width + 1).sum();
        assert!(used <= width + 1, "{used} of {width}");
        let titles = columns.iter().map(|(_, column)| column.title);
        titles.collect::<Vec<_>>().join(" ")
    }

    fn some() -> Vec<Column> {
        vec![
            column("age", 8, Right, 0),
            column("ttft", 8, Right, 1),
            column("model", 0, Left, 0),
            column("client", 16, Left, 2),
        ]
    }

    #[test]
    fn columns_go_in_their_order_and_the_model_stays() {
        assert_eq!(titles(some(), "m", 60), "age ttft model client");
        assert_eq!(titles(some(), "m", 50), "age ttft model");
        assert_eq!(titles(some(), "m", 33), "age model");
        assert_eq!(titles(some(), "m", 10), "age model");
    }

    #[test]
    fn a_text_takes_what_it_needs_of_what_is_left() {
        let wide = |name: &str| {
            let rows = [(vec![name.to_owned(); 4], false)];
            fit(some(), &rows, 200)[2].1.width
        };
        assert_eq!(wide("m"), LEAST_TEXT);
        assert_eq!(wide(&"通".repeat(20)), 40);
        assert_eq!(usize::from(wide(&"x".repeat(500))), table::MODEL);
    }
}
