//! Legs of one call are matched behind the merge, where all steps are in one order.

use analyzer::legs::{Legs, Matched};

use super::{
    Output,
    collector::Step,
    observe::{Board, Totals},
};

/// Takes the steps of the whole run, and gives the outputs.
pub(super) struct Matching<'b, F> {
    legs: Legs<Output>,
    on_output: F,
    board: &'b Board,
    /// Its place on the board.
    slot: usize,
}

impl<'b, F: FnMut(Output)> Matching<'b, F> {
    pub(super) fn new(on_output: F, board: &'b Board, slot: usize) -> Self {
        Self {
            legs: Legs::default(),
            on_output,
            board,
            slot,
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        let on_output = &mut self.on_output;
        let out = &mut |matched| on_output(marked(matched));
        match step {
            Step::Output(output) => on_output(output),
            Step::Asked(leg) => self.legs.asked(leg),
            Step::Ended(leg, output) => {
                let bytes = held(&output);
                self.legs.ended(*leg, output, bytes, out);
            }
            Step::Tick(now) => {
                self.legs.tick(now, out);
                self.publish();
            }
        }
    }

    /// Hands on what waits: nothing more will come.
    pub(super) fn finish(mut self) {
        let on_output = &mut self.on_output;
        self.legs.finish(&mut |matched| on_output(marked(matched)));
        self.publish();
    }

    fn publish(&self) {
        let totals = Totals {
            legs: self.legs.counters(),
            ..Totals::default()
        };
        self.board.put(self.slot, totals);
    }
}

fn marked((mut output, inner): Matched<Output>) -> Output {
    if let Output::Exchange(_, Some(record)) = &mut output {
        record.call.outer_of = inner;
    }
    output
}

/// Bytes that an output holds; an exchange's own are few.
fn held(output: &Output) -> usize {
    match output {
        Output::Exchange(row, record) => {
            size_of_val(&**row) + record.as_ref().map_or(0, |record| record.bytes())
        }
        Output::Protocol(..) => size_of_val(output),
    }
}
