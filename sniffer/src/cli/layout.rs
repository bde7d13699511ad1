//! The columns of rows that are printed as they come. Their widths cannot follow the cells, which are not known yet;
//! they follow the terminal.

use std::io::{self, IsTerminal as _};

use super::{
    args::Rows,
    human,
    table::{self, Side},
};

/// A column: its title, its width in cells, and on which side its cells stand.
type Column = (&'static str, usize, Side);

use Side::{Left, Right};

const CALLS: [Column; 10] = [
    ("time (UTC)", 12, Left),
    ("model", 32, Left),
    ("outcome", 13, Left),
    ("status", 6, Right),
    ("input", 8, Right),
    ("output", 8, Right),
    ("ttft", 8, Right),
    ("elapsed", 8, Right),
    ("tok/s", 7, Right),
    ("client", 48, Left),
];

/// What gives way where there is no room, the first one first.
const CALLS_GIVE_WAY: [&str; 5] = ["tok/s", "client", "status", "ttft", "time (UTC)"];

const EXCHANGES: [Column; 9] = [
    ("time (UTC)", 12, Left),
    ("method", 7, Left),
    ("status", 6, Right),
    ("request", 9, Right),
    ("response", 9, Right),
    ("elapsed", 8, Right),
    ("ending", 12, Left),
    ("server", 21, Left),
    ("target", 100, Left),
];

const EXCHANGES_GIVE_WAY: [&str; 4] = ["server", "ending", "request", "response"];

/// Texts whose columns may be narrower, and how narrow.
const NARROWER: [(&str, usize); 4] = [
    ("model", 12),
    ("outcome", 12),
    ("client", 12),
    ("target", 20),
];

/// Between two columns.
const GAP: usize = 2;

/// The columns as they are printed: each with its place in a row.
pub(crate) struct Layout {
    all: &'static [Column],
    shown: Vec<(usize, usize)>,
}

impl Layout {
    /// As wide as the terminal where rows go to one; else as wide as they are.
    pub(crate) fn of(rows: Rows) -> Self {
        let width = if io::stdout().is_terminal() {
            table::width()
        } else {
            usize::MAX
        };
        match rows {
            Rows::Calls => Self::fit(&CALLS, &CALLS_GIVE_WAY, width),
            Rows::Exchanges => Self::fit(&EXCHANGES, &EXCHANGES_GIVE_WAY, width),
        }
    }

    fn fit(all: &'static [Column], give_way: &[&str], width: usize) -> Self {
        let mut shown: Vec<_> = all
            .iter()
            .enumerate()
            .map(|(place, (_, width, _))| (place, *width))
            .collect();
        let mut give_way = give_way.iter();
        loop {
            let needed = shown.iter().map(|(_, width)| width + GAP).sum::<usize>();
            let mut over = needed.saturating_sub(GAP).saturating_sub(width);
            let narrowest = |place: usize| {
                let mut texts = NARROWER.iter();
                let text = texts.find(|(name, _)| *name == all[place].0);
                text.map_or(usize::MAX, |(_, least)| *least)
            };
            for (place, width) in shown.iter_mut().rev() {
                let spare = width.saturating_sub(narrowest(*place)).min(over);
                *width -= spare;
                over -= spare;
            }
            let Some(goes) = give_way.next().filter(|_| over > 0) else {
                return Self { all, shown };
            };
            // The others get back what they gave: another column goes.
            shown.retain(|(place, _)| all[*place].0 != *goes);
            for (place, width) in &mut shown {
                *width = all[*place].1;
            }
        }
    }

    pub(crate) fn titles(&self) -> Vec<String> {
        self.all
            .iter()
            .map(|(title, _, _)| (*title).to_owned())
            .collect()
    }

    /// A row's cells, one for each column there is, as a line.
    pub(crate) fn line(&self, cells: &[String]) -> String {
        let shown = self.shown.iter();
        let cells = shown.filter_map(|(place, width)| {
            let cell = cells.get(*place)?;
            Some(match self.all[*place].2 {
                Left => human::left(cell, *width),
                Right => human::right(cell, *width),
            })
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_any_terminal() {
        let cells: Vec<_> = CALLS.iter().map(|_| "通义千问".repeat(20)).collect();
        for width in 60..200 {
            let layout = Layout::fit(&CALLS, &CALLS_GIVE_WAY, width);
            let line = layout.line(&cells);
            assert!(human::width(&line) <= width, "{width}: {line}");
            let layout = Layout::fit(&EXCHANGES, &EXCHANGES_GIVE_WAY, width);
            assert!(human::width(&layout.line(&layout.titles())) <= width);
        }
    }

    #[test]
    fn what_matters_least_gives_way() {
        let titles = |width| {
            let layout = Layout::fit(&CALLS, &CALLS_GIVE_WAY, width);
            layout.line(&layout.titles())
        };
        assert_eq!(
            titles(80),
            "time (UTC)    model         outcome          input    output      ttft   elapsed"
        );
        assert!(titles(usize::MAX).ends_with("tok/s  client"));
    }
}
