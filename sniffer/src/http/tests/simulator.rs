//! Conversations of a known truth with segments missing: every exchange that comes out is equal to the
//! truth or marked, none is invented, and no response goes to the request of another.

use std::collections::BTreeMap;

use analyzer::exchange::Ending;

use super::*;

/// Numbers in a row from a seed.
pub(super) struct Luck(pub(super) u64);

impl Luck {
    pub(super) const fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    const fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// How a client sends its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    OneByOne,
    /// Now and then several at once; then it waits for all answers.
    Bursts,
    /// Two requests are always under way.
    Window,
}

/// One side's part of one exchange.
type Part = (usize, Side, Vec<u8>);

/// What was said in one exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    target: Option<String>,
    asked: String,
    status: Option<u16>,
    answered: String,
    complete: bool,
    missing: u64,
    unread: u64,
}

impl Said {
    /// The exchange of the truth that this is, by its request and by its response.
    fn numbers(&self) -> (Option<usize>, Option<usize>) {
        let asked = self
            .target
            .as_ref()
            .and_then(|target| target[1..].parse().ok());
        let answered = self
            .status
            .map(|status| usize::from(status).wrapping_sub(FIRST_STATUS));
        (asked, answered)
    }

    fn is_marked(&self) -> bool {
        !self.complete || self.missing > 0 || self.unread > 0 || self.target.is_none()
    }
}

/// The status of the first exchange; each has its own, so that a response tells whose it is.
const FIRST_STATUS: usize = 400;

/// A message's fields and body, in one of the framings.
fn message(luck: &mut Luck, text: &str) -> String {
    // The Host and Server fields make heads as long as they are in the wild.
    let fields = "Host: llm.example:8000\r\nServer: uvicorn\r\n";
    if luck.happens(50) {
        let length = text.len();
        return format!("{fields}Content-Length: {length}\r\n\r\n{text}");
    }
    let mut out = format!("{fields}Transfer-Encoding: chunked\r\n\r\n");
    let mut rest = text;
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at((1 + luck.below(60) as usize).min(rest.len()));
        write!(out, "{:x}\r\n{chunk}\r\n", chunk.len()).unwrap();
        rest = later;
    }
    out.push_str("0\r\n\r\n");
    out
}

/// A text that quotes HTTP now and then, as prompts do.
fn text(luck: &mut Luck, number: usize, who: &str) -> String {
    let mut text = format!("{who} {number}: ");
    for _ in 0..luck.below(8) {
        text.push_str(match luck.below(4) {
            0 => "POST /v1/chat HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n{}",
            1 => "HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n",
            2 => "once upon a time there was a model ",
            _ => "5\\r\\nhello\\r\\n0\\r\\n",
        });
    }
    text
}

/// The truth, and the segments in an order in which a tap hands them on.
pub(super) fn conversation(
    luck: &mut Luck,
    client: Client,
    count: usize,
) -> (Vec<Said>, Vec<Part>) {
    let mut truth = Vec::new();
    let mut order: Vec<(usize, Side)> = Vec::new();
    let mut answered = 0;
    for asked in 0..count {
        order.push((asked, Side::Client));
        let behind = match client {
            Client::Window => 1,
            Client::Bursts if luck.happens(40) => 99,
            Client::Bursts | Client::OneByOne => 0,
        };
        if behind < 99 {
            while answered + behind <= asked {
                order.push((answered, Side::Server));
                answered += 1;
            }
        }
    }
    order.extend((answered..count).map(|number| (number, Side::Server)));
    let mut parts = Vec::new();
    let mut messages = BTreeMap::new();
    for number in 0..count {
        let asked = text(luck, number, "ask");
        let answered = text(luck, number, "say");
        let status = FIRST_STATUS + number;
        let up = format!("POST /{number} HTTP/1.1\r\n{}", message(luck, &asked));
        let down = format!("HTTP/1.1 {status} Fine\r\n{}", message(luck, &answered));
        truth.push(Said {
            target: Some(format!("/{number}")),
            asked,
            status: Some(status as u16),
            answered,
            complete: true,
            ..Said::default()
        });
        messages.insert((number, true), up);
        messages.insert((number, false), down);
    }
    for (number, side) in order {
        let bytes = messages[&(number, side == Side::Client)].as_bytes();
        let size = [30, 80, 200, 1_400][luck.below(4) as usize];
        parts.extend(
            bytes
                .chunks(size)
                .map(|piece| (number, side, piece.to_vec())),
        );
    }
    (truth, parts)
}

#[derive(Default)]
struct Collect(BTreeMap<u32, Said>);

impl EventSink for Collect {
    fn event(&mut self, event: Event<'_>) {
        let said = self.0.entry(event.id.number).or_default();
        match event.kind {
            EventKind::RequestHead(head) => said.target = Some(head.target),
            EventKind::RequestBody { bytes, .. } => {
                said.asked.push_str(&String::from_utf8_lossy(&bytes));
            }
            EventKind::ResponseHead(head) => said.status = Some(head.status),
            EventKind::ResponseBody { bytes, .. } => {
                said.answered.push_str(&String::from_utf8_lossy(&bytes));
            }
            EventKind::End(end) => {
                said.complete = end.ending == Ending::Complete;
                for part in [end.request, end.response] {
                    said.missing += part.missing_head + part.missing_body;
                    said.unread += part.unread;
                }
            }
            _ => {}
        }
    }
}

pub(super) fn heard(ops: &[Op]) -> Vec<Said> {
    let mut handler = HttpHandler::new(HttpSettings::new(Source::File), Collect::default());
    let mut stream = handler.open(ConnectionInfo {
        id: 1,
        client: "192.0.2.1:40000".parse().unwrap(),
        server: "192.0.2.2:8000".parse().unwrap(),
        from_start: true,
    });
    let time = Timestamp::from_micros(1);
    let mut received = None;
    for op in ops {
        match op {
            Op::Knowing(so_far) => received = Some(*so_far),
            Op::Data(side, bytes) => {
                let received = received.take();
                handler.data(&mut stream, *side, bytes, Sent { time, received });
            }
            Op::Gap(side, length) => handler.gap(&mut stream, *side, *length, time),
            Op::Fin(side) => handler.fin(&mut stream, *side, time),
            Op::Rst(side) => handler.rst(&mut stream, *side, time),
            Op::Close(_) => {}
        }
    }
    handler.close(stream, CloseReason::Closed, time);
    handler.into_sink().0.into_values().collect()
}

/// What a damage cost: exchanges that are as they were, that are marked, and that are not to be seen.
#[derive(Debug, Default)]
pub(super) struct Cost {
    hurt: usize,
    unhurt: usize,
    marked_unhurt: usize,
    halves: usize,
    gone: usize,
}

/// Compares what was heard with the truth; `hurt` are the exchanges of which something was lost.
pub(super) fn judge(
    truth: &[Said],
    hurt: &[usize],
    heard: &[Said],
    cost: &mut Cost,
) -> Result<(), String> {
    let mut requests = BTreeMap::new();
    let mut responses = BTreeMap::new();
    for said in heard {
        let (asked, answered) = said.numbers();
        if let (Some(asked), Some(answered)) = (asked, answered)
            && asked != answered
        {
            return Err(format!("{asked} has the answer to {answered}"));
        }
        if let Some(number) = asked
            && requests.insert(number, said).is_some()
        {
            return Err(format!("request {number} twice"));
        }
        if let Some(number) = answered
            && responses.insert(number, said).is_some()
        {
            return Err(format!("response {number} twice"));
        }
        let Some(number) = asked.or(answered) else {
            if !said.is_marked() {
                return Err(format!("nothing, unmarked: {said:?}"));
            }
            continue;
        };
        let Some(truth) = truth.get(number) else {
            return Err(format!("invented: {said:?}"));
        };
        if said == truth {
            continue;
        }
        if !said.is_marked() {
            return Err(format!("not the truth of {number}, unmarked: {said:?}"));
        }
        if !is_part(&said.asked, &truth.asked) || !is_part(&said.answered, &truth.answered) {
            return Err(format!("something else than {number}: {said:?}"));
        }
    }
    for (number, truth) in truth.iter().enumerate() {
        let found = (requests.get(&number), responses.get(&number));
        if hurt.contains(&number) {
            cost.hurt += 1;
            cost.gone += usize::from(found == (None, None));
            continue;
        }
        match found {
            (Some(said), _) if *said == truth => cost.unhurt += 1,
            (Some(_), Some(_)) => {
                cost.marked_unhurt += 1;
                cost.halves += usize::from(found.0 != found.1);
            }
            (Some(_), None) | (None, Some(_)) => cost.marked_unhurt += 1,
            (None, None) => return Err(format!("{number} is gone, and nothing of it was lost")),
        }
    }
    Ok(())
}

/// Whether a text is another with pieces left out.
fn is_part(part: &str, whole: &str) -> bool {
    let mut rest = whole.bytes();
    part.bytes().all(|byte| rest.any(|other| other == byte))
}

/// Leaves segments out.
fn damaged(luck: &mut Luck, parts: &[Part], percent: u64) -> (Vec<Op>, Vec<usize>) {
    let mut ops: Vec<Op> = Vec::new();
    let mut hurt = Vec::new();
    for (number, side, bytes) in parts {
        if !luck.happens(percent) {
            ops.push(Op::Data(*side, bytes.clone()));
            continue;
        }
        hurt.push(*number);
        match ops.last_mut() {
            Some(Op::Gap(last, length)) if last == side => *length += bytes.len() as u64,
            _ => ops.push(Op::Gap(*side, bytes.len() as u64)),
        }
    }
    hurt.dedup();
    ops.extend([FIN_C, FIN_S]);
    (ops, hurt)
}

#[test]
fn without_loss_all_is_as_it_was() {
    for client in [Client::OneByOne, Client::Bursts, Client::Window] {
        for seed in 0..300 {
            let mut luck = Luck(seed);
            let (truth, parts) = conversation(&mut luck, client, 12);
            let (ops, _) = damaged(&mut luck, &parts, 0);
            assert_eq!(heard(&ops), truth, "{client:?}, seed {seed}");
        }
    }
}

/// How a client sends, how many segments in a hundred are lost, and how many connections of
/// [`CONNECTIONS`] may still mislead: those that lose the very bytes that would show their habit.
const LOSSES: [(Client, u64, usize); 9] = [
    (Client::OneByOne, 1, 0),
    (Client::OneByOne, 5, 0),
    (Client::OneByOne, 20, 0),
    (Client::Bursts, 1, 0),
    (Client::Bursts, 5, 0),
    (Client::Bursts, 20, 0),
    (Client::Window, 1, 2),
    (Client::Window, 5, 12),
    (Client::Window, 20, 44),
];

const CONNECTIONS: u64 = 300;

/// Prints what each kind of damage costs.
#[test]
fn with_losses_all_is_equal_or_marked() {
    for (client, percent, most) in LOSSES {
        let mut cost = Cost::default();
        let mut faults = Vec::new();
        for seed in 0..CONNECTIONS {
            let mut luck = Luck(seed);
            let (truth, parts) = conversation(&mut luck, client, 20);
            let (ops, hurt) = damaged(&mut luck, &parts, percent);
            if let Err(fault) = judge(&truth, &hurt, &heard(&ops), &mut cost) {
                faults.push(format!("seed {seed}: {fault}"));
            }
        }
        println!(
            "{client:?}, {percent} % lost: {cost:?}, {} misled",
            faults.len()
        );
        assert!(
            faults.len() <= most,
            "{client:?}, {percent} % lost: {faults:#?}"
        );
    }
}

/// Three exchanges on one connection, and a hole of each length at each place of each side.
#[test]
fn one_hole_anywhere() {
    let length = |text: &str| format!("Content-Length: {}\r\n\r\n{text}", text.len());
    let chunks =
        "Transfer-Encoding: chunked\r\n\r\n5\r\nonce \r\n9\r\nHTTP/1.1 \r\n5\r\nagain\r\n0\r\n\r\n";
    for framed in [length("once HTTP/1.1 again"), chunks.to_owned()] {
        let say = |first: String| (first + &framed).into_bytes();
        let turns: Vec<(Vec<u8>, Vec<u8>)> = (0..3)
            .map(|number| {
                let status = FIRST_STATUS + number;
                let ask = say(format!("POST /{number} HTTP/1.1\r\nHost: a\r\n"));
                (ask, say(format!("HTTP/1.1 {status} Fine\r\nServer: b\r\n")))
            })
            .collect();
        let truth: Vec<Said> = (0..3)
            .map(|number| Said {
                target: Some(format!("/{number}")),
                asked: "once HTTP/1.1 again".into(),
                status: Some((FIRST_STATUS + number) as u16),
                answered: "once HTTP/1.1 again".into(),
                complete: true,
                ..Said::default()
            })
            .collect();
        for side in [Side::Client, Side::Server] {
            let of_side: Vec<usize> = turns
                .iter()
                .map(|(ask, say)| {
                    if side == Side::Client {
                        ask.len()
                    } else {
                        say.len()
                    }
                })
                .collect();
            let total: usize = of_side.iter().sum();
            for from in 0..total {
                for length in (1..8).chain((8..total - from).step_by(7)) {
                    let hole = from..(from + length).min(total);
                    let (ops, hurt) = with_hole(&turns, side, &hole);
                    let heard = heard(&ops);
                    let judged = judge(&truth, &hurt, &heard, &mut Cost::default());
                    assert_eq!(judged, Ok(()), "{side:?} {hole:?}");
                    for number in (0..3).filter(|number| !hurt.contains(number)) {
                        let whole = heard.contains(&truth[number]);
                        assert!(whole, "{side:?} {hole:?} hurt {number}: {heard:#?}");
                    }
                }
            }
        }
    }
}

/// The turns, each a segment, with the bytes of one side in a range missing; a message that begins in
/// the hole is seen from its end on. Gives the exchanges that it hurts, too.
fn with_hole(
    turns: &[(Vec<u8>, Vec<u8>)],
    side: Side,
    hole: &std::ops::Range<usize>,
) -> (Vec<Op>, Vec<usize>) {
    let (mut ops, mut hurt, mut at) = (Vec::new(), Vec::new(), 0);
    for (number, (ask, say)) in turns.iter().enumerate() {
        for (from, bytes) in [(Side::Client, ask), (Side::Server, say)] {
            if from != side {
                ops.push(Op::Data(from, bytes.clone()));
                continue;
            }
            let place = |of: usize| of.clamp(at, at + bytes.len()) - at;
            let (start, end) = (place(hole.start), place(hole.end));
            at += bytes.len();
            if start < end {
                hurt.push(number);
            }
            let (before, after) = if start < end {
                (&bytes[..start], &bytes[end..])
            } else {
                (bytes.as_slice(), &bytes[bytes.len()..])
            };
            ops.extend((!before.is_empty()).then(|| Op::Data(from, before.to_vec())));
            ops.extend((start < end).then_some(Op::Gap(from, (end - start) as u64)));
            ops.extend((!after.is_empty()).then(|| Op::Data(from, after.to_vec())));
        }
    }
    ops.extend([FIN_C, FIN_S]);
    (ops, hurt)
}
