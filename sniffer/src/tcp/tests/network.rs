//! A known conversation through a network that reorders, doubles, cuts, joins and loses.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::tcp::SHARDS;
use Side::{Client, Server};

/// A turn of a conversation: so many octets from one side, in segments of these lengths.
type Turn = (Side, Vec<usize>);

/// Every octet tells its own place, so that a wrong one is seen.
fn octet(side: Side, at: usize) -> u8 {
    let salt = if side == Client { 17 } else { 91 };
    (at * 31 + at / 251 + salt) as u8
}

fn octets(side: Side, range: std::ops::Range<usize>) -> Vec<u8> {
    range.map(|at| octet(side, at)).collect()
}

/// The segments of a conversation in the order in which they were sent, its handshake and end too.
fn conversation(turns: &[Turn]) -> Vec<Draft> {
    let mut drafts = vec![syn(0), syn_ack(0), ack(Client, 0, 0, 0)];
    let mut sent = BTreeMap::from([(false, 0), (true, 0)]);
    for (side, lengths) in turns {
        for length in lengths {
            let at = sent[&(*side == Client)];
            let other = sent[&(*side == Server)];
            let mut draft = send(*side, 0, at as u32, "", other as u32);
            draft.payload = octets(*side, at..at + length);
            drafts.push(draft);
            sent.insert(*side == Client, at + length);
            drafts.push(ack(side.other(), 0, other as u32, (at + length) as u32));
        }
    }
    let (client, server) = (sent[&true] as u32, sent[&false] as u32);
    drafts.push(fin(Client, 0, client, "", server));
    drafts.push(fin(Server, 0, server, "", client + 1));
    drafts.push(ack(Client, 0, client + 1, server + 1));
    drafts
}

/// Numbers in a row of small ones from a seed: the network's luck.
struct Luck(u64);

impl Luck {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

/// Swaps neighbours, doubles some segments, and cuts some in two that overlap.
fn shaken(drafts: Vec<Draft>, luck: &mut Luck) -> Vec<Draft> {
    let mut shaken = Vec::new();
    for (n, draft) in drafts.into_iter().enumerate() {
        if n >= 3 && luck.below(5) == 0 {
            shaken.push(draft.clone());
        }
        if draft.payload.len() > 2 && luck.below(3) == 0 {
            let at = 1 + luck.below(draft.payload.len() as u64 - 1) as usize;
            let mut tail = draft.clone();
            let back = luck.below(at as u64 + 1) as usize;
            tail.payload.drain(..at - back);
            tail.seq = tail.seq.wrapping_add((at - back) as u32);
            let mut head = draft;
            head.payload.truncate(at);
            shaken.extend([head, tail]);
        } else {
            shaken.push(draft);
        }
    }
    // The handshake stays in order: else a connection is joined late, which is another story.
    for _ in 0..shaken.len() {
        let at = 3 + luck.below(shaken.len() as u64 - 3) as usize;
        let to = (at + 1 + luck.below(4) as usize).min(shaken.len() - 1);
        shaken.swap(at, to);
    }
    for (time, draft) in (10..).step_by(10).zip(&mut shaken) {
        draft.time = time;
    }
    shaken
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let lengths = || prop::collection::vec(1usize..40, 1..6);
    prop::collection::vec((lengths(), lengths()), 1..6).prop_map(|rounds| {
        rounds
            .into_iter()
            .flat_map(|(request, answer)| [(Client, request), (Server, answer)])
            .collect()
    })
}

/// The sum of what was handed on, checked octet by octet against the truth.
#[derive(Default)]
struct Sum {
    client: usize,
    server: usize,
    gaps: usize,
}

impl Sum {
    fn of(&self, side: Side) -> usize {
        if side == Client {
            self.client
        } else {
            self.server
        }
    }

    fn add(&mut self, side: Side, octets: usize) {
        match side {
            Client => self.client += octets,
            Server => self.server += octets,
        }
    }

    fn check(&mut self, told: &Told) -> Result<(), TestCaseError> {
        match told {
            Told::Data(side, bytes, _) => {
                let at = self.of(*side);
                prop_assert_eq!(bytes, &octets(*side, at..at + bytes.len()));
                self.add(*side, bytes.len());
            }
            Told::Gap(side, length, _) => {
                self.add(*side, *length as usize);
                self.gaps += *length as usize;
            }
            _ => {}
        }
        Ok(())
    }
}

fn total(turns: &[Turn], side: Side) -> usize {
    let of_side = turns.iter().filter(|(from, _)| *from == side);
    of_side
        .map(|(_, lengths)| lengths.iter().sum::<usize>())
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_is_lost_and_turns_stay_in_order(turns in turns(), seed: u64) {
        let mut bench = Bench::new();
        bench.take(&shaken(conversation(&turns), &mut Luck(seed)));
        bench.finish(1_000_000);
        let told = bench.told();
        let mut sum = Sum::default();
        let mut ends = Vec::new();
        let mut so_far = Sum::default();
        for (side, lengths) in &turns {
            so_far.add(*side, lengths.iter().sum());
            ends.push((*side, so_far.client, so_far.server));
        }
        for told in &told {
            sum.check(told)?;
            // A side that has gone into its turn has had the whole turn before it.
            for (side, client, server) in &ends {
                match side {
                    Client => prop_assert!(sum.server <= *server || sum.client >= *client),
                    Server => prop_assert!(sum.server >= *server || sum.client <= *client),
                }
            }
        }
        prop_assert_eq!(sum.gaps, 0, "{:?}", told);
        prop_assert_eq!((sum.client, sum.server), (total(&turns, Client), total(&turns, Server)));
        prop_assert!(told.contains(&bench.opened(true)));
        let fins = told.iter().filter(|told| matches!(told, Told::Fin(..))).count();
        prop_assert_eq!(fins, 2);
        prop_assert!(matches!(told.last(), Some(Told::Close(CloseReason::Closed, _))));
    }

    #[test]
    fn what_is_lost_is_a_gap_of_the_right_length(turns in turns(), seed: u64, loss in 2u64..12) {
        let mut luck = Luck(seed);
        let drafts = shaken(conversation(&turns), &mut luck);
        let count = drafts.len();
        // What brings the handshake and the ends is kept: without them the tail's length is unknown.
        let kept: Vec<Draft> = drafts
            .into_iter()
            .filter(|d| d.flags.syn || d.flags.fin || luck.below(loss) != 0)
            .collect();
        let mut bench = Bench::new();
        bench.take(&kept);
        bench.finish(10 * count as i64 + 1_000);
        let mut sum = Sum::default();
        for told in bench.told() {
            sum.check(&told)?;
        }
        prop_assert_eq!((sum.client, sum.server), (total(&turns, Client), total(&turns, Server)));
    }

    #[test]
    fn copies_and_cuts_change_nothing_but_what_was_cut(turns in turns(), seed: u64) {
        let mut luck = Luck(seed);
        let drafts = shaken(conversation(&turns), &mut luck);
        let count = drafts.len();
        let mut bench = Bench::new();
        let mut copies = 0;
        for mut draft in drafts {
            if luck.below(4) == 0 && draft.payload.len() > 1 {
                let keep = 1 + luck.below(draft.payload.len() as u64 - 1) as usize;
                draft.cut = (draft.payload.len() - keep) as u32;
                draft.payload.truncate(keep);
            }
            bench.take(std::slice::from_ref(&draft));
            while luck.below(3) == 0 {
                draft.interface += 1;
                copies += 1;
                bench.take(std::slice::from_ref(&draft));
            }
        }
        bench.finish(10 * count as i64 + 1_000);
        prop_assert_eq!(bench.counters().duplicate_segments, copies);
        let mut sum = Sum::default();
        for told in bench.told() {
            sum.check(&told)?;
        }
        prop_assert_eq!((sum.client, sum.server), (total(&turns, Client), total(&turns, Server)));
    }

    #[test]
    fn whatever_is_lost_nothing_is_invented(turns in turns(), seed: u64, loss in 2u64..12, shift: u32) {
        // Handshakes and ends are lost as well, and numbers wrap anywhere: what is handed on is of the
        // truth, in its order, though where it begins may not be known.
        let mut luck = Luck(seed);
        let drafts = shaken(conversation(&turns), &mut luck);
        let count = drafts.len();
        let mut bench = Bench::new();
        bench.shift = (shift, shift);
        bench.take(&drafts.into_iter().filter(|_| luck.below(loss) != 0).collect::<Vec<_>>());
        bench.finish(10 * count as i64 + 1_000);
        for side in [Client, Server] {
            let whole = octets(side, 0..total(&turns, side));
            // Where the stream may be: anywhere, until its octets tell.
            let mut places: Vec<usize> = (0..=whole.len()).collect();
            for told in bench.handler.told.iter().map(|(_, told)| told) {
                match told {
                    Told::Data(from, bytes, _) if *from == side => {
                        places.retain(|at| whole.get(*at..).is_some_and(|w| w.starts_with(bytes)));
                        for at in &mut places {
*at += bytes.len();
}
                        prop_assert!(!places.is_empty(), "{side:?}: {:?}", bench.handler.told);
                    }
                    Told::Gap(from, length, _) if *from == side => {
                        for at in &mut places {
*at += *length as usize;
}
                    }
                    _ => {}
                }
            }
            // A FIN that was lost behind lost octets counts as one of them: nothing tells them apart.
            places.retain(|at| *at <= whole.len() + 1);
            prop_assert!(!places.is_empty(), "{side:?}: {:?}", bench.handler.told);
        }
    }

    #[test]
    fn any_segments_break_nothing(
        segments in prop::collection::vec(
            (any::<bool>(), 0u32..400, prop::option::of(0u32..400), any::<[u8; 4]>(), any::<i16>(), 0usize..60),
            0..120,
        ),
    ) {
        let small = TcpSettings {
            max_connection_bytes: 3_000,
            max_buffered_bytes: SHARDS * 2_000,
            max_chunks: 9,
            ..TcpSettings::default()
        };
        let mut bench = Bench::with(small);
        for (client, seq, ack, [flags, port, far, interface], time, length) in segments {
            let from = if client { Client } else { Server };
            bench.client.set_port(1 + u16::from(port % 3));
            let stretch = if far == 0 { 9_999_999 } else { 1 };
            let mut draft = send(from, i64::from(time) * 1_000, seq * stretch, "", 0);
            draft.ack = ack.map(|ack| isn(from.other()).wrapping_add(ack * stretch));
            draft.payload = vec![far; length];
            draft.flags.syn = flags % 16 == 0;
            draft.flags.fin = flags >> 4 == 0;
            draft.flags.rst = flags == 77;
            draft.cut = u32::from(far % 7 == 1) * 20;
            draft.interface = u32::from(interface > 200);
            bench.take(&[draft]);
            prop_assert!(bench.table.buffered() <= 2_000);
        }
        bench.finish(1 << 40);
        // Each stream is opened once, closed once, and silent after that.
        let mut open = BTreeMap::new();
        for (id, told) in &bench.handler.told {
            match told {
                Told::Open { .. } => prop_assert!(open.insert(*id, true).is_none()),
                Told::Close(..) => prop_assert_eq!(open.insert(*id, false), Some(true)),
                _ => prop_assert_eq!(open.get(id), Some(&true)),
            }
        }
        prop_assert!(open.values().all(|is_open| !is_open));
    }
}
