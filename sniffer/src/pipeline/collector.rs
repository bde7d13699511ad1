//! Counting, and putting what the workers pass on back into one order.

use std::collections::VecDeque;

use analyzer::{
    legs::{EndedLeg, Leg},
    time::Timestamp,
    tokens::Counter,
};
use crossbeam_channel::{Receiver, Sender};

use super::{
    Output,
    worker::{Counting, Order, Passed},
};

/// What a counter passes to the collector.
pub(super) enum Merged {
    /// A step of one worker; they come in order.
    Step(usize, Order, Step),
    /// One worker has come this far.
    Watermark(usize, Order),
}

/// What the workers pass on, in the order of the whole run.
pub(super) enum Step {
    /// An output that nothing holds back.
    Output(Output),
    /// A request that may be a leg of a call.
    Asked(Leg),
    /// The end of such a one.
    Ended(Box<EndedLeg>, Output),
    /// Packet time has come this far.
    Tick(Timestamp),
}

/// Counts the tokens of one worker's calls, until the worker ends.
pub(super) fn count(
    worker: usize,
    uncounted: &Receiver<Passed>,
    counter: &Counter,
    merged: &Sender<Merged>,
) {
    for passed in uncounted {
        let message = match passed {
            Passed::Watermark(order) => Merged::Watermark(worker, order),
            Passed::Protocol(order, info, protocol) => {
                let output = Output::Protocol(info, protocol);
                Merged::Step(worker, order, Step::Output(output))
            }
            Passed::Asked(order, leg) => Merged::Step(worker, order, Step::Asked(leg)),
            Passed::Tick(order, now) => Merged::Step(worker, order, Step::Tick(now)),
            Passed::Exchange(order, finished, counting) => {
                let finished = *finished;
                let record = finished.call.map(|call| {
                    Box::new(match counting {
                        Counting::Due => call.count(counter),
                        Counting::Shed => call.uncounted(),
                    })
                });
                let output = Output::Exchange(Box::new(finished.exchange), record);
                let step = match finished.leg {
                    Some(leg) => Step::Ended(leg, output),
                    None => Step::Output(output),
                };
                Merged::Step(worker, order, step)
            }
        };
        if merged.send(message).is_err() {
            return;
        }
    }
    // Nothing can come after a worker's end, however it ended.
    let _ = merged.send(Merged::Watermark(worker, Order::END));
}

/// Merges the workers' steps: each comes in order, and a worker's watermark tells how far it has come.
pub(super) struct Merge {
    lanes: Vec<Lane>,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<(Order, Step)>,
    reached: Option<Order>,
}

impl Lane {
    /// Everything of this lane that comes before the returned place is here; `None`: nothing is known.
    fn frontier(&self) -> Option<Order> {
        self.waiting
            .front()
            .map(|(order, _)| *order)
            .or(self.reached)
    }
}

impl Merge {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            lanes: (0..workers).map(|_| Lane::default()).collect(),
        }
    }

    /// Hands the steps on in order, until all workers have ended.
    pub(super) fn run(mut self, inbox: &Receiver<Merged>, mut on_step: impl FnMut(Step)) {
        for message in inbox {
            match message {
                Merged::Step(worker, order, step) => {
                    if let Some(lane) = self.lanes.get_mut(worker) {
                        lane.waiting.push_back((order, step));
                    }
                }
                Merged::Watermark(worker, order) => {
                    if let Some(lane) = self.lanes.get_mut(worker) {
                        lane.reached = lane.reached.max(Some(order));
                    }
                }
            }
            while let Some(step) = self.next() {
                on_step(step);
            }
        }
    }

    /// The first step of all, if no lane can still bring one that comes before it.
    fn next(&mut self) -> Option<Step> {
        let first = self
            .lanes
            .iter()
            .enumerate()
            .filter_map(|(index, lane)| Some((lane.waiting.front()?.0, index)))
            .min()?;
        let settled = self
            .lanes
            .iter()
            .all(|lane| lane.frontier().is_some_and(|frontier| frontier >= first.0));
        if !settled {
            return None;
        }
        self.lanes
            .get_mut(first.1)?
            .waiting
            .pop_front()
            .map(|(_, step)| step)
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::unbounded;

    use super::*;
    use crate::{http::Protocol, tcp::ConnectionInfo};

    /// An output that can be told apart by its connection's number.
    fn output(id: u64) -> Step {
        let address = "192.0.2.1:1".parse().unwrap();
        let info = ConnectionInfo {
            id,
            client: address,
            server: address,
            from_start: true,
        };
        Step::Output(Output::Protocol(info, Protocol::Http1))
    }

    fn merged(workers: usize, messages: Vec<Merged>) -> Vec<u64> {
        let (sender, receiver) = unbounded();
        for message in messages {
            sender.send(message).unwrap();
        }
        drop(sender);
        let mut ids = Vec::new();
        Merge::new(workers).run(&receiver, |step| {
            if let Step::Output(Output::Protocol(info, _)) = step {
                ids.push(info.id);
            }
        });
        ids
    }

    #[test]
    fn outputs_come_in_the_order_of_their_packets_whoever_is_first() {
        let at = |worker: usize, packet| Merged::Step(worker, Order::at(packet), output(packet));
        let end = |worker: usize| Merged::Watermark(worker, Order::END);
        let messages = vec![at(0, 5), at(0, 9), at(1, 2), at(1, 7), end(1), end(0)];
        assert_eq!(merged(2, messages), [2, 5, 7, 9]);
        let messages = vec![at(1, 2), at(1, 7), end(1), at(0, 5), at(0, 9), end(0)];
        assert_eq!(merged(2, messages), [2, 5, 7, 9]);
    }

    #[test]
    fn nothing_overtakes_a_worker_that_has_not_said_how_far_it_is() {
        let messages = vec![
            Merged::Step(0, Order::at(5), output(5)),
            Merged::Watermark(1, Order::at(3)),
        ];
        assert_eq!(merged(2, messages), [0; 0]);
        let messages = vec![
            Merged::Step(0, Order::at(5), output(5)),
            Merged::Watermark(1, Order::at(6)),
        ];
        assert_eq!(merged(2, messages), [5]);
    }
}
