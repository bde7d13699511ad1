//! What two ends of one connection say: HTTP/1.1 exchanges with a known truth, and what each end
//! waits for before it says it.
//!
//! The name of an exchange stands in its target, in a header of either head, and in every line of
//! either body, so that whatever is put together wrongly shows.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use anyhow::Result;
use flate2::{Compression, write::GzEncoder};

use super::{
    Bait, Exchange, Message, Plan,
    end::{Act, Step},
};
use crate::traffic::{From, Random};

/// The words of a connection.
pub(super) struct Script {
    pub(super) exchanges: Vec<Exchange>,
    pub(super) steps: [Vec<Step>; 2],
}

/// Writes one connection of at most so many exchanges. Fewer are a beginning of more.
pub(super) fn write(seed: u64, connection: usize, most: usize, bait: Bait) -> Result<Script> {
    let mut random = Random::new(seed);
    let count = 1 + random.below(10);
    let is_pipeliner = random.happens(200_000);
    let close = Close::any(&mut random);
    let mut author = Author {
        connection,
        bait,
        exchanges: Vec::new(),
        steps: [Vec::new(), Vec::new()],
        lengths: [0, 0],
        waited: 0,
        random: Random::new(0),
    };
    let count = count.min(most as u64);
    let mut is_open = true;
    for number in 0..count {
        author.random = Random::new(seed ^ (number + 1).wrapping_mul(0x9e37_79b9));
        let is_last = number + 1 == count;
        let pipelined = is_pipeliner && number > 0 && author.random.happens(600_000);
        is_open = author.exchange(number, pipelined, is_last.then_some(close))?;
        if !is_open {
            break;
        }
    }
    if is_open {
        author.close(close);
    }
    Ok(Script {
        exchanges: author.exchanges,
        steps: author.steps,
    })
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    /// Each end after all is said; who begins.
    Orderly(From),
    Reset(From),
    LeftOpen,
    /// The last answer ends with the connection.
    WithAnswer,
    /// The client sends no more after its last request, and gets its answer.
    Half,
    /// In the middle of the last answer.
    Abort(Plan),
    /// The last answer comes before its request's end, and the server closes.
    Refuse,
}

impl Close {
    fn any(random: &mut Random) -> Self {
        match random.below(16) {
            0..3 => Self::Orderly(From::Client),
            3..6 => Self::Orderly(From::Server),
            6 => Self::Reset(From::Client),
            7 => Self::Reset(From::Server),
            8 => Self::LeftOpen,
            9 => Self::WithAnswer,
            10 => Self::Half,
            11 => Self::Abort(Plan::ClientFin),
            12 => Self::Abort(Plan::ClientReset),
            13 => Self::Abort(Plan::ServerFin),
            14 => Self::Abort(match random.below(2) {
                0 => Plan::ServerReset,
                _ => Plan::Open,
            }),
            _ => Self::Refuse,
        }
    }
}

struct Author {
    random: Random,
    connection: usize,
    bait: Bait,
    exchanges: Vec<Exchange>,
    steps: [Vec<Step>; 2],
    lengths: [u64; 2],
    /// How much of the server's stream the client has waited for.
    waited: u64,
}

impl Author {
    /// Writes an exchange; says whether another can follow.
    fn exchange(&mut self, number: u64, pipelined: bool, close: Option<Close>) -> Result<bool> {
        let name = format!("x{}-{number}", self.connection);
        if !pipelined {
            self.waited = self.lengths[1];
        }
        if self.random.happens(30_000) && number > 0 {
            self.probe();
        }
        let refused = close == Some(Close::Refuse);
        let (method, request) = self.request(&name, pipelined, refused);
        let half_closed = close == Some(Close::Half);
        if half_closed {
            let delay = self.pause();
            self.step(From::Client, self.waited, delay, Act::Fin);
        }
        let after = if refused
            || (request.body.end - request.head.end > 3_000 && self.random.happens(50_000))
        {
            // An answer before the request's end.
            request.head.end + (request.body.end - request.head.end) / 2
        } else {
            request.body.end
        };
        let until_close = close == Some(Close::WithAnswer);
        let (status, response) = self.response(&name, method, after, until_close, refused)?;
        let plan = match close {
            Some(Close::Abort(plan)) => plan,
            _ => Plan::Complete,
        };
        if pipelined && let Some(last) = self.exchanges.last_mut() {
            last.pipelined = true;
        }
        self.exchanges.push(Exchange {
            target: format!("/e/{name}?q={name}"),
            name,
            method,
            status,
            request,
            response,
            plan,
            pipelined,
        });
        match close {
            Some(Close::WithAnswer | Close::Half | Close::Refuse) => {
                let delay = self.pause();
                let leaves = refused && self.random.happens(500_000);
                let act = if leaves { Act::Leave } else { Act::Fin };
                self.step(From::Server, 0, delay, act);
                if !half_closed {
                    self.after_fin(From::Client);
                }
                Ok(false)
            }
            Some(Close::Abort(plan)) => {
                self.abort(plan);
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    /// Breaks the last answer off.
    fn abort(&mut self, plan: Plan) {
        let Some(exchange) = self.exchanges.last_mut() else {
            return;
        };
        let range = exchange.response.range();
        let at = range.start + self.random.below((range.end - range.start).max(1));
        match plan {
            Plan::ClientFin | Plan::ClientReset => {
                let act = match plan {
                    Plan::ClientFin if self.random.happens(500_000) => Act::Fin,
                    Plan::ClientFin => Act::Leave,
                    _ => Act::Rst,
                };
                let delay = self.random.below(3_000);
                self.step(From::Client, at, delay, act);
                self.after_fin(From::Server);
            }
            Plan::ServerFin | Plan::ServerReset | Plan::Open => {
                // It writes up to there.
                let mut written = 0;
                self.steps[1].retain_mut(|step| {
                    let Act::Send(bytes) = &mut step.act else {
                        return written < at;
                    };
                    let room = at.saturating_sub(written) as usize;
                    written += bytes.len() as u64;
                    bytes.truncate(room.min(bytes.len()));
                    !bytes.is_empty()
                });
                let (delay, asked) = (self.pause(), self.lengths[0]);
                match plan {
                    Plan::ServerFin => {
                        self.step(From::Server, asked, delay, Act::Fin);
                        self.after_fin(From::Client);
                    }
                    Plan::ServerReset => self.step(From::Server, asked, delay, Act::Rst),
                    _ => {}
                }
            }
            Plan::Complete => {}
        }
    }

    fn close(&mut self, close: Close) {
        let delay = self.pause();
        let all = self.lengths;
        let after = |side| match side {
            From::Client => all[1],
            From::Server => all[0],
        };
        match close {
            Close::Orderly(side) => {
                self.step(side, after(side), delay, Act::Fin);
                self.after_fin(match side {
                    From::Client => From::Server,
                    From::Server => From::Client,
                });
            }
            Close::Reset(side) => self.step(side, after(side), delay, Act::Rst),
            _ => {}
        }
    }

    /// An end closes after the other did.
    fn after_fin(&mut self, side: From) {
        let delay = self.random.below(2_000);
        self.steps[index(side)].push(Step {
            after: 0,
            after_fin: true,
            delay,
            act: Act::Fin,
        });
    }

    /// A connection between two requests is silent for long.
    fn probe(&mut self) {
        let delay = 2_000_000 + self.random.below(3_000_000);
        let side = match self.random.below(2) {
            0 => From::Client,
            _ => From::Server,
        };
        let after = match side {
            From::Client => self.waited,
            From::Server => self.lengths[0],
        };
        let junk = self.random.happens(500_000);
        self.step(side, after, delay, Act::KeepAlive { junk });
    }

    fn request(&mut self, name: &str, pipelined: bool, large: bool) -> (&'static str, Message) {
        let kind = if large { 5 } else { self.random.below(10) };
        let method = match kind {
            0 | 1 => "GET",
            2 => "HEAD",
            3 => "DELETE",
            _ => "POST",
        };
        let mut head =
            format!("{method} /e/{name}?q={name} HTTP/1.1\r\nHost: llm\r\nX-Name: {name}\r\n");
        if self.random.happens(50_000) {
            for number in 0..100 {
                let _ = write!(head, "X-Field-{number}: {name} {number}\r\n");
            }
        }
        let body = match kind {
            0..4 => Vec::new(),
            _ if large => self.body(name, 12_000),
            _ => {
                let size = self.size();
                self.body(name, size)
            }
        };
        match kind {
            0..4 => head += "\r\n",
            6 | 7 => head += "Transfer-Encoding: chunked\r\n\r\n",
            _ => {
                if kind == 8 {
                    head += "Expect: 100-continue\r\n";
                }
                let _ = write!(head, "Content-Length: {}\r\n\r\n", body.len());
            }
        }
        let start = self.lengths[0];
        let mut message = Message {
            head: start..start + head.len() as u64,
            ..Message::default()
        };
        let pieces = match kind {
            6 | 7 => self.chunks(&body),
            _ => vec![body.clone()],
        };
        let mut writes = vec![head.into_bytes()];
        let waits = kind == 8 && !pipelined && self.random.happens(600_000);
        if waits {
            let head = writes.remove(0);
            self.write(From::Client, self.waited, &[head]);
            self.write(
                From::Server,
                message.head.end,
                &[b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()],
            );
            self.waited = self.lengths[1];
        }
        lay_out(&mut message, &pieces, &body, kind == 6 || kind == 7);
        message.decoded.clone_from(&body);
        message.framed = body;
        writes.extend(pieces);
        if self.random.happens(500_000) {
            writes = vec![writes.concat()];
        }
        if self.random.happens(20_000) {
            let delay = 200_000 + self.random.below(400_000);
            self.step(From::Client, self.waited, delay, Act::WindowProbe);
        }
        self.write(From::Client, self.waited, &writes);
        (method, message)
    }

    fn response(
        &mut self,
        name: &str,
        method: &str,
        after: u64,
        until_close: bool,
        refused: bool,
    ) -> Result<(u16, Message)> {
        let think = self.pause();
        if self.random.happens(40_000) {
            let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n".to_vec();
            self.write(From::Server, after, &[hints]);
        }
        let kind = match (until_close, refused) {
            (true, _) => 20,
            (_, true) => 21,
            _ => self.random.below(16),
        };
        let status = match kind {
            0 => 204,
            1 => 304,
            2 => 404,
            21 => 413,
            _ => 200,
        };
        let has_body = method != "HEAD" && !matches!(status, 204 | 304);
        let size = match kind {
            3 => 0,
            4 if self.random.happens(300_000) => 60_000,
            _ => self.size(),
        };
        let text = self.body(name, size);
        let is_coded = (matches!(kind, 8 | 9) || (until_close && self.random.happens(300_000)))
            && has_body
            && !text.is_empty();
        let is_chunked = matches!(kind, 5..=7 | 9..=13);
        let framed = if is_coded { gzip(&text)? } else { text.clone() };
        let mut head = format!("HTTP/1.1 {status} S-{name}\r\nX-Name: {name}\r\n");
        if is_coded {
            head += "Content-Encoding: gzip\r\n";
        }
        if matches!(kind, 10..=13) {
            head += "Content-Type: text/event-stream\r\n";
        }
        if until_close {
            head += "Connection: close\r\n";
        } else if status != 204 && is_chunked {
            head += "Transfer-Encoding: chunked\r\n";
        } else if status != 204 {
            let _ = write!(head, "Content-Length: {}\r\n", framed.len());
        }
        head += "\r\n";
        let start = self.lengths[1];
        let mut message = Message {
            head: start..start + head.len() as u64,
            is_coded,
            ..Message::default()
        };
        let mut pieces = Vec::new();
        if has_body {
            pieces = if is_chunked && !until_close {
                self.chunks(&framed)
            } else {
                vec![framed.clone()]
            };
            message.framed = framed;
            message.decoded = text;
        }
        let framed = message.framed.clone();
        lay_out(
            &mut message,
            &pieces,
            &framed,
            is_chunked && !until_close && has_body,
        );
        let streams = kind >= 10;
        let mut writes = vec![head.into_bytes()];
        writes.extend(pieces);
        if !streams && self.random.happens(700_000) {
            writes = vec![writes.concat()];
        }
        for (number, bytes) in writes.into_iter().enumerate() {
            let delay = match (number, streams) {
                (0, _) => think,
                (_, true) => self.random.below(20_000),
                _ => self.random.below(300),
            };
            self.lengths[1] += bytes.len() as u64;
            if !bytes.is_empty() {
                self.step(From::Server, after, delay, Act::Send(bytes));
            }
        }
        Ok((status, message))
    }

    /// Cuts a body into chunks; the last one is the end.
    fn chunks(&mut self, body: &[u8]) -> Vec<Vec<u8>> {
        let mut chunks = Vec::new();
        let mut rest = body;
        // After a hole, chunks of a digit or two cannot be told from the sizes of chunks.
        let least = match self.bait {
            Bait::Escaped => 10,
            Bait::Raw => 1,
        };
        let usual = 1 + self
            .random
            .below(if body.len() > 4_000 { 3_000 } else { 200 });
        while !rest.is_empty() {
            let size = (least + self.random.below(2 * usual)) as usize;
            let (piece, after) = rest.split_at(size.min(rest.len()));
            let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
            chunk.extend_from_slice(piece);
            chunk.extend_from_slice(b"\r\n");
            chunks.push(chunk);
            rest = after;
        }
        let trailer = if self.random.happens(50_000) {
            "0\r\nX-Trailer: yes\r\n\r\n"
        } else {
            "0\r\n\r\n"
        };
        chunks.push(trailer.as_bytes().to_vec());
        chunks
    }

    fn body(&mut self, name: &str, size: usize) -> Vec<u8> {
        let mut body = Vec::with_capacity(size + 64);
        let mut line = 0;
        while body.len() < size {
            line += 1;
            body.extend_from_slice(format!("{name}:{line}:{:x}\n", self.random.any()).as_bytes());
            if self.random.happens(20_000) {
                body.extend_from_slice(self.bait());
            }
        }
        body.truncate(size);
        body
    }

    fn bait(&mut self) -> &'static [u8] {
        let escaped: [&[u8]; 3] = [
            b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nwrong",
            b"POST /e/wrong HTTP/1.1\\r\\nHost: llm\\r\\n\\r\\n",
            b"data: {\"text\":\"GET / HTTP/1.1\"}\\n\\n",
        ];
        let raw: [&[u8]; 3] = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong",
            b"POST /e/wrong HTTP/1.1\r\nHost: llm\r\n\r\n",
            b"\r\n5\r\nwrong\r\n0\r\n\r\n",
        ];
        let texts = match self.bait {
            Bait::Escaped => escaped,
            Bait::Raw => raw,
        };
        texts[self.random.below(3) as usize]
    }

    fn size(&mut self) -> usize {
        let most = match self.random.below(10) {
            0 => 0,
            1..7 => 1_500,
            _ => 8_000,
        };
        self.random.below(most + 1) as usize
    }

    fn pause(&mut self) -> u64 {
        match self.random.below(6) {
            0 => self.random.below(500_000),
            1..3 => 0,
            _ => self.random.below(20_000),
        }
    }

    /// Writes one after the other.
    fn write(&mut self, side: From, after: u64, writes: &[Vec<u8>]) {
        for bytes in writes.iter().filter(|bytes| !bytes.is_empty()) {
            let delay = match self.random.below(4) {
                0 => self.random.below(3_000),
                _ => 0,
            };
            self.lengths[index(side)] += bytes.len() as u64;
            self.step(side, after, delay, Act::Send(bytes.clone()));
        }
    }

    fn step(&mut self, side: From, after: u64, delay: u64, act: Act) {
        self.steps[index(side)].push(Step {
            after,
            after_fin: false,
            delay,
            act,
        });
    }
}

const fn index(side: From) -> usize {
    match side {
        From::Client => 0,
        From::Server => 1,
    }
}

/// Notes where a body's pieces stand.
fn lay_out(message: &mut Message, pieces: &[Vec<u8>], framed: &[u8], is_chunked: bool) {
    let mut place = message.head.end;
    let mut octet = 0;
    for piece in pieces {
        if is_chunked {
            let size = piece
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(0, |end| end + 1) as u64;
            let data = (piece.len() as u64).saturating_sub(size + 2);
            if octet < framed.len() as u64 {
                message.pieces.push((octet, place + size));
                octet += data;
            }
        } else {
            message.pieces.push((octet, place));
            octet += piece.len() as u64;
        }
        place += piece.len() as u64;
    }
    message.body = message.head.end..place;
}

fn gzip(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}
