//! What replay says of the drift: reported tokens beside counted ones, by model and tokenizer.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    sync::Arc,
};

use analyzer::{
    audit::{Audit, AuditTotals, Pair},
    call::Call,
};

use super::human;

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

    /// The report, in lines, an empty one before it; nothing where no call was audited.
    pub(super) fn report(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut out = String::new();
        let cells: [&dyn Display; 9] = [
            &"audited model",
            &"tokenizer",
            &"calls",
            &"input",
            &"counted",
            &"drift",
            &"output",
            &"counted",
            &"drift",
        ];
        write_line(&mut out, &cells);
        out.insert(0, '\n');
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.calls));
        for ((model, tokenizer), row) in rows.iter().take(SHOWN) {
            let [input, output] = [row.input, row.output].map(shown);
            let (model, number) = (human::cell(model, 30), human::count(row.calls));
            let cells: [&dyn Display; 9] = [
                &model, tokenizer, &number, &input[0], &input[1], &input[2], &output[0],
                &output[1], &output[2],
            ];
            write_line(&mut out, &cells);
        }
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

fn write_line(out: &mut String, cells: &[&dyn Display; 9]) {
    let [
        model,
        tokenizer,
        number,
        input,
        input_counted,
        input_drift,
        output,
        output_counted,
        output_drift,
    ] = cells;
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{model:<30} {tokenizer:<14} {number:>7} {input:>9} {input_counted:>9} {input_drift:>8} {output:>9} \
         {output_counted:>9} {output_drift:>8}"
    );
}
