//! What replay says of the drift: reported tokens beside counted ones, by model and tokenizer.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use analyzer::{
    audit::{Audit, AuditTotals, Pair},
    call::Call,
};

use super::{
    human,
    table::{self, Column},
};

/// Pairs of model and tokenizer that are told apart; calls of more are summed under [`OTHER`].
const PAIRS: usize = 1_000;

/// Lines shown, those with the most calls first.
const SHOWN: usize = 20;

const OTHER: &str = "(other)";

/// Gathers audited calls.
#[derive(Debug, Default)]
pub(super) struct Drift {
    rows: BTreeMap<(String, Arc<str>), AuditTotals>,
}

impl Drift {
    /// Takes a call, audited or not.
    pub(super) fn call(&mut self, call: &Call) {
        let Some((audit, tokenizer)) = Audit::of(call).zip(call.tokenizer.as_ref()) else {
            return;
        };
        let models = [&call.request_model, &call.response_model];
        let mut models = models.into_iter().flatten().map(String::as_str);
        let mut key = (
            models.next().unwrap_or("(unknown)").to_owned(),
            Arc::clone(tokenizer),
        );
        if self.rows.len() >= PAIRS && !self.rows.contains_key(&key) {
            OTHER.clone_into(&mut key.0);
        }
        self.rows.entry(key).or_default().add(audit);
    }

    /// The report, in lines of at most this width; nothing where no call was audited.
    pub(super) fn report(&self, width: usize) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.calls));
        let lines: Vec<_> = rows
            .iter()
            .take(SHOWN)
            .map(|((model, tokenizer), row)| {
                let mut line = vec![
                    model.clone(),
                    tokenizer.to_string(),
                    human::count(row.calls),
                ];
                line.extend(shown(row.input));
                line.extend(shown(row.output));
                line
            })
            .collect();
        let figures = ["input", "counted", "drift", "output", "counted", "drift"];
        let columns = [
            Column::of_models("audited model"),
            Column::left("tokenizer"),
        ];
        let columns = columns.into_iter().chain([Column::right("calls")]);
        let columns = columns.chain(figures.map(Column::right)).collect();
        let mut out = Vec::new();
        // Memory takes all that is written to it.
        let _ = table::print(&mut out, columns, &lines, width);
        let mut out = String::from_utf8_lossy(&out).into_owned();
        if rows.len() > SHOWN {
            let _ = writeln!(out, "… and {} audited models more", rows.len() - SHOWN);
        }
        out
    }
}

/// A pair's cells: reported, counted, drift in percent.
fn shown(pair: Pair) -> [String; 3] {
    if pair == Pair::default() {
        return ["-", "-", "-"].map(str::to_owned);
    }
    let drift = pair.drift();
    [
        human::count(pair.reported),
        human::count(pair.counted),
        drift.map_or_else(|| "-".to_owned(), |drift| format!("{:+.1}%", drift * 100.0)),
    ]
}
