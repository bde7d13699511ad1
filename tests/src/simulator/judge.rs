//! Whether what was read from a capture is true.
//!
//! Where nothing was lost, every exchange must equal the truth: heads, bodies to the byte, order,
//! ending, and every clock. Reordering moves no clock that is compared here, since a byte's time is that
//! of the first captured frame that carried it, and a mark the latest over all bytes of its message up
//! to there: both are worked out from the capture itself. Where something was lost, an exchange equals
//! the truth or says that something is missing; none is there that was not; nothing in a body is
//! another's; and no more is said to be missing than is.

use std::{collections::BTreeMap, ops::AddAssign};

use super::{
    Body, Carried, Connection, Exchange, Frame, Head, Message, Nature, Observed, Plan, Scenario,
    seen::Seen,
};
use crate::traffic::From;

/// Octets that may be said to be missing on a connection without being: one for each FIN, which takes a
/// place in the sequence as an octet does.
const FINS: u64 = 2;

/// Microseconds after which a hole may be given up: llmtap waits 250 ms from the first octet behind it
/// that it saw, by the clock of the packets.
const PATIENCE: u64 = 200_000;

/// What the judge found.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// What the damage cost.
    pub costs: Costs,
    /// What is not as it should be.
    pub faults: Vec<String>,
}

/// What damage cost, in exchanges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// Scenarios.
    pub runs: u64,
    /// Exchanges of which something passed the tap.
    pub exchanges: u64,
    /// Of these, such as equal the truth.
    pub equal: u64,
    /// Such as say that something is missing.
    pub marked: u64,
    /// Of those that are marked, such as came out in two halves.
    pub halved: u64,
    /// Such as are not there.
    pub absent: u64,
    /// Exchanges that were captured whole, and are marked or absent all the same.
    pub collateral: u64,
    /// Octets that passed the tap and were not captured.
    pub lost: u64,
    /// Octets that were counted as missing.
    pub missing: u64,
}

impl AddAssign for Costs {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.exchanges += other.exchanges;
        self.equal += other.equal;
        self.marked += other.marked;
        self.halved += other.halved;
        self.absent += other.absent;
        self.collateral += other.collateral;
        self.lost += other.lost;
        self.missing += other.missing;
    }
}

/// Compares what was read from a capture of a scenario with the truth. `counted`: octets that were
/// counted as missing, in exchanges and between them.
pub fn judge(
    scenario: &Scenario,
    capture: &[Frame],
    nature: Nature,
    observed: &[Observed],
    counted: u64,
) -> Judgement {
    let mut found = Judgement::default();
    let (mut told, mut slack) = (0, 0);
    found.costs.runs = 1;
    found.costs.missing = counted;
    for (number, connection) in scenario.connections.iter().enumerate() {
        let mut judge = Judge {
            connection,
            captured: Seen::of(connection, number, capture),
            passed: Seen::of(connection, number, &scenario.frames),
            nature,
            told: 0,
            late: 0,
            found: &mut found,
        };
        let own = observed.iter();
        let own = own.filter(|it| it.ends == Some(connection.ends));
        if judge.has_hole() {
            judge.nature = Nature::Lossy;
        }
        judge.run(&own.collect::<Vec<_>>());
        told += judge.told;
        slack += judge.late + FINS;
    }
    let strangers = observed.iter().filter(|it| {
        !scenario
            .connections
            .iter()
            .any(|connection| it.ends == Some(connection.ends))
    });
    for stranger in strangers {
        found.faults.push(format!(
            "of no connection, or with its ends exchanged: {stranger}"
        ));
    }
    for (what, missing) in [("counted as", counted), ("told to be", told)] {
        if missing > found.costs.lost + slack {
            let lost = found.costs.lost;
            let text = format!("{missing} octets are {what} missing, of {lost}");
            found.faults.push(text);
        }
    }
    found
}

struct Judge<'j> {
    connection: &'j Connection,
    captured: Seen,
    passed: Seen,
    nature: Nature,
    /// Octets that its exchanges say are missing.
    told: u64,
    /// Octets that were captured after llmtap's patience was over.
    late: u64,
    found: &'j mut Judgement,
}

impl Judge<'_> {
    fn run(&mut self, observed: &[&Observed]) {
        for from in [From::Client, From::Server] {
            // What was lost before the tap, and never sent again, is missing too.
            self.found.costs.lost += self.passed.end(from) - self.captured.count(from);
            self.late += self.late(from);
        }
        self.told += observed.iter().map(|it| it.missing()).sum::<u64>();
        let mut named: BTreeMap<String, Vec<&Observed>> = BTreeMap::new();
        let mut nameless = 0;
        for it in observed {
            match it.name() {
                Some(name) => named.entry(name).or_default().push(it),
                None if it.is_marked() => nameless += 1,
                None => self.fault("without a name", it),
            }
        }
        let mut order: Vec<(u32, usize)> = Vec::new();
        let mut hurt = 0;
        for (place, exchange) in self.connection.exchanges.iter().enumerate() {
            if !self
                .passed
                .is_touched(From::Client, exchange.request.range())
            {
                continue;
            }
            let own = named.remove(&exchange.name).unwrap_or_default();
            order.extend(own.iter().map(|it| (it.number, place)));
            self.found.costs.exchanges += 1;
            let was_equal = self.found.costs.equal;
            self.exchange(exchange, &own);
            if self.found.costs.equal == was_equal {
                if self.is_unhurt(exchange) {
                    self.found.costs.collateral += 1;
                } else {
                    hurt += 1;
                }
            }
        }
        for it in named.values().flatten() {
            self.fault("invented", it);
        }
        if nameless > hurt {
            let text = format!("{nameless} without a name where {hurt} are hurt");
            self.found.faults.push(text);
        }
        order.sort_unstable();
        if !order.is_sorted_by_key(|(_, place)| *place) && self.nature == Nature::Whole {
            self.found.faults.push(format!("out of order: {order:?}"));
        }
    }

    /// Whether something was lost on its way to the tap and never sent again, as an end died.
    fn has_hole(&self) -> bool {
        let sides = [From::Client, From::Server];
        sides
            .into_iter()
            .any(|from| self.passed.prefix(from) < self.passed.end(from))
    }

    /// Octets of one end that were captured so long after others behind them that the hole was given
    /// up, which is so where the other end's acknowledgements do not tell that it may yet be filled.
    fn late(&self, from: From) -> u64 {
        let other = match from {
            From::Client => From::Server,
            From::Server => From::Client,
        };
        if self.captured.count(other) > 0 {
            return 0;
        }
        let mut behind = u64::MAX;
        let mut late = 0;
        for time in self.captured.times(from).iter().rev() {
            late += u64::from(*time != u64::MAX && *time > behind.saturating_add(PATIENCE));
            behind = behind.min(*time);
        }
        late
    }

    /// Whether an exchange was captured as whole as it passed.
    fn is_unhurt(&self, exchange: &Exchange) -> bool {
        self.captured
            .is_whole(From::Client, exchange.request.range())
            && self
                .captured
                .is_whole(From::Server, exchange.response.range())
    }

    fn exchange(&mut self, exchange: &Exchange, own: &[&Observed]) {
        for it in own {
            self.names(exchange, it);
        }
        match (self.nature, own) {
            (Nature::Whole, [it]) => {
                if self.whole(exchange, it) {
                    self.found.costs.equal += 1;
                } else {
                    self.found.costs.marked += 1;
                }
            }
            (Nature::Whole, _) => {
                // A head of which a part alone passed may have no exchange.
                if self.captured.prefix(From::Client) >= exchange.request.head.end || own.len() > 1
                {
                    let text = format!("{} is there {} times", exchange.name, own.len());
                    self.found.faults.push(text);
                }
                self.found.costs.absent += 1;
            }
            (Nature::Lossy, []) => self.found.costs.absent += 1,
            (Nature::Lossy, [it]) => self.damaged(exchange, it),
            (Nature::Lossy, [one, two]) => {
                let has_both = |head: fn(&Observed) -> bool| head(one) && head(two);
                let is_halved =
                    !has_both(|it| it.request.is_some()) && !has_both(|it| it.response.is_some());
                if is_halved && one.is_marked() && two.is_marked() {
                    self.found.costs.marked += 1;
                    self.found.costs.halved += 1;
                    self.bodies(exchange, one);
                    self.bodies(exchange, two);
                } else {
                    self.fault("there twice", one);
                    self.fault("there twice", two);
                }
            }
            (Nature::Lossy, [it, ..]) => self.fault("there more than twice", it),
        }
    }

    /// All that names an exchange in a row must name this one.
    fn names(&mut self, exchange: &Exchange, it: &Observed) {
        let heads = [
            (&it.request, it.request_carried),
            (&it.response, it.response_carried),
        ];
        for (head, carried) in heads {
            let Some(head) = head else {
                continue;
            };
            // A head that was read in part may lack its name, and then says so.
            let is_cut = head.name.is_none() && carried.missing_head > 0;
            if head.name.as_ref() != Some(&exchange.name) && !is_cut {
                let how = if exchange.pipelined {
                    "(pipelined) "
                } else {
                    ""
                };
                self.fault(&format!("{} {how}has a head of another", exchange.name), it);
            }
        }
        if let Some(head) = &it.request
            && head.line != format!("{} {}", exchange.method, exchange.target)
        {
            self.fault("another request", it);
        }
        if let Some(head) = &it.response
            && head.line != exchange.status.to_string()
        {
            self.fault("another status", it);
        }
    }

    /// Nothing was lost: what is there, is as it was. Says whether it came to its planned end.
    fn whole(&mut self, exchange: &Exchange, it: &Observed) -> bool {
        let client = self.captured.prefix(From::Client);
        let server = self.captured.prefix(From::Server);
        // An end that died may not have sent all that it meant to.
        let is_torn = client < self.connection.stream(From::Client).len() as u64
            || server < self.connection.stream(From::Server).len() as u64;
        let is_reset = self.is_reset();
        // Of a coded body that broke off, the last octets may not be decodable.
        let is_cut = exchange.response.is_coded && it.ending != "complete";
        let unread = it.request_carried.unread + it.response_carried.unread;
        if (it.missing() > 0 || (unread > 0 && !is_cut)) && !is_torn {
            self.fault("missing, though all is there", it);
        }
        let asked = client >= exchange.request.range().end;
        let answered = server >= exchange.response.range().end && exchange.response.body.end > 0;
        let sides = [
            (
                From::Client,
                &exchange.request,
                &it.request,
                &it.request_body,
                it.request_carried,
                client,
            ),
            (
                From::Server,
                &exchange.response,
                &it.response,
                &it.response_body,
                it.response_carried,
                server,
            ),
        ];
        for (from, message, head, body, carried, prefix) in sides {
            if head.is_none() && prefix >= message.head.end && !is_reset {
                self.fault("a head is not there", it);
            }
            if let Some(head) = head {
                self.head_clocks(from, message, head, it);
            }
            self.whole_body(from, message, body, carried, prefix, it);
        }
        if asked && !(is_reset && it.request_end.is_none()) {
            let end = self.captured.latest(From::Client, exchange.request.range());
            if it.request_end != end {
                self.fault(&format!("the request ended at {end:?}"), it);
            }
        }
        if asked && answered && it.ending == "complete" {
            let end = self
                .captured
                .latest(From::Server, exchange.response.range());
            if it.response_end != end {
                self.fault(&format!("the answer ended at {end:?}"), it);
            }
            return true;
        }
        let ending = it.ending;
        let is_right = match exchange.plan {
            // A refused request need not come to its end.
            Plan::Complete if answered => (ending == "complete") || (is_reset && ending != "lost"),
            Plan::Complete => is_torn || is_reset,
            Plan::ClientFin => matches!(ending, "client_fin" | "client_reset") || is_torn,
            Plan::ClientReset => ending == "client_reset" || is_torn,
            Plan::ServerFin => ending == "server_fin" || is_torn,
            Plan::ServerReset => ending == "server_reset" || is_torn,
            Plan::Open => ending == "capture_end" || is_torn,
        };
        if !is_right {
            self.fault(&format!("planned was {:?}", exchange.plan), it);
        }
        exchange.plan != Plan::Complete || ending == "complete"
    }

    /// Whether the connection was to be reset by either end.
    fn is_reset(&self) -> bool {
        self.connection.was_reset
    }

    fn head_clocks(&mut self, from: From, message: &Message, head: &Head, it: &Observed) {
        let first = message.head.start..message.head.start + 1;
        let first = self.captured.latest(from, first);
        let last = self.captured.latest(from, message.head.clone());
        if (Some(head.first), Some(head.last)) != (first, last) {
            self.fault(
                &format!("{from:?}'s head came at {first:?} to {last:?}"),
                it,
            );
        }
    }

    fn whole_body(
        &mut self,
        from: From,
        message: &Message,
        body: &Body,
        carried: Carried,
        prefix: u64,
        it: &Observed,
    ) {
        if !message.decoded.starts_with(&body.bytes) {
            self.fault(&format!("{from:?}'s body is another"), it);
            return;
        }
        let is_whole = prefix >= message.range().end;
        let framed = message.framed.len() as u64;
        let expected = if is_whole {
            framed
        } else {
            let captured = |octet: &u64| message.place(*octet) < prefix;
            (0..framed).take_while(captured).count() as u64
        };
        let is_right = carried.framed == expected
            && (!is_whole || body.bytes.len() == message.decoded.len())
            && carried.decoded == body.bytes.len() as u64;
        // Of what was under way when a reset came, some is passed over.
        let may_lack = self.is_reset() && carried.framed < expected;
        if !(is_right || may_lack) {
            self.fault(&format!("{from:?}'s body has {expected} octets"), it);
        }
        if message.is_coded {
            return;
        }
        let times = self.captured.times(from);
        let (mut upto, mut latest) = (message.head.start, 0);
        for (end, time) in &body.pieces {
            let place = message.place((*end as u64).saturating_sub(1)) + 1;
            let fresh = times.get(upto as usize..place as usize);
            latest = fresh.into_iter().flatten().copied().fold(latest, u64::max);
            upto = place;
            if latest != *time {
                let text = format!("{from:?}'s piece up to {end} came at {latest}, not {time}");
                self.fault(&text, it);
                return;
            }
        }
    }

    /// Something was lost: it equals the truth, or says so.
    fn damaged(&mut self, exchange: &Exchange, it: &Observed) {
        if it.is_marked() {
            self.bodies(exchange, it);
            let is_planned = exchange.plan != Plan::Complete && self.is_unhurt_so_far(exchange);
            if is_planned && it.request.is_some() && it.ending != "lost" {
                self.found.costs.equal += 1;
            } else {
                self.found.costs.marked += 1;
            }
            return;
        }
        // An answer may be over before its request, and a reset may end both.
        let is_cut = it.request_end.is_none() && self.is_unhurt_so_far(exchange);
        let request = exchange.request.decoded.starts_with(&it.request_body.bytes)
            && (is_cut || it.request_carried.framed == exchange.request.framed.len() as u64);
        let response = it.response_body.bytes == exchange.response.decoded
            && it.response_carried.framed == exchange.response.framed.len() as u64;
        if !(request && response) {
            self.fault("damaged, and not marked", it);
            return;
        }
        self.found.costs.equal += 1;
        if self.is_unhurt(exchange) && it.request_end.is_some() {
            self.clocks(exchange, it);
        }
    }

    /// Whether all was captured that passed of an exchange that broke off.
    fn is_unhurt_so_far(&self, exchange: &Exchange) -> bool {
        let sides = [
            (From::Client, exchange.request.range()),
            (From::Server, exchange.response.range()),
        ];
        sides.into_iter().all(|(from, range)| {
            let passed = self.passed.times(from);
            let captured = self.captured.times(from);
            let range = range.start as usize..(range.end as usize).min(passed.len());
            let pair = passed.get(range.clone()).zip(captured.get(range));
            pair.is_none_or(|(passed, captured)| {
                let mut octets = passed.iter().zip(captured);
                octets.all(|(passed, captured)| (*passed == u64::MAX) == (*captured == u64::MAX))
            })
        })
    }

    fn clocks(&mut self, exchange: &Exchange, it: &Observed) {
        for (from, message, head, end) in [
            (From::Client, &exchange.request, &it.request, it.request_end),
            (
                From::Server,
                &exchange.response,
                &it.response,
                it.response_end,
            ),
        ] {
            if let Some(head) = head {
                self.head_clocks(from, message, head, it);
            }
            let expected = self.captured.latest(from, message.range());
            if end != expected {
                self.fault(&format!("{from:?} ended at {expected:?}"), it);
            }
        }
    }

    /// What there is of bodies is of this exchange, and in its place.
    fn bodies(&mut self, exchange: &Exchange, it: &Observed) {
        for (from, message, body) in [
            (From::Client, &exchange.request, &it.request_body),
            (From::Server, &exchange.response, &it.response_body),
        ] {
            let mut rest = message.decoded.as_slice();
            let mut ends: Vec<usize> = body.holes.clone();
            ends.push(body.bytes.len());
            let mut start = 0;
            for end in ends {
                let run = body.bytes.get(start..end).unwrap_or_default();
                start = end;
                if run.is_empty() {
                    continue;
                }
                // Of a request that was not seen nobody knows that it was HEAD: what follows the answer's
                // head passes for its body.
                let is_head = exchange.method == "HEAD" && it.request.is_none();
                let Some(at) = find(rest, run) else {
                    if is_head {
                        return;
                    }
                    let run =
                        String::from_utf8_lossy(run.get(..run.len().min(60)).unwrap_or_default())
                            .into_owned();
                    self.fault(
                        &format!("{from:?}'s body holds what is not its own: {run:?}"),
                        it,
                    );
                    return;
                };
                rest = rest.get(at + run.len()..).unwrap_or_default();
            }
        }
    }

    fn fault(&mut self, what: &str, it: &Observed) {
        self.found.faults.push(format!("{what}: {it}"));
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
