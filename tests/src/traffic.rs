//! LLM traffic of many keep-alive connections from a seed, and ways to damage its capture.
//!
//! Every call asks for a model of its own, and its answer names that model again: a row that names
//! two of them pairs a request with the answer to another.

use std::collections::BTreeMap;

use crate::pcap::{Conversation, Packet};

/// Microseconds since the Unix epoch at which the traffic begins.
const START: u64 = 1_754_000_000_000_000;

/// The headers of the packets: IPv4 and TCP without options.
const HEADERS: usize = 40;

const WORDS: [&str; 8] = ["the", "of", "and", "to", "in", "is", "that", "for"];

/// A small random number generator (SplitMix64): the same numbers from the same seed everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `bound`; 0 where that is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        match bound {
            0 => 0,
            bound => self.any() % bound,
        }
    }

    /// Whether something happens that happens so often in a million.
    pub const fn happens(&mut self, in_a_million: u64) -> bool {
        self.below(1_000_000) < in_a_million
    }
}

/// One captured packet of the traffic.
#[derive(Clone, Debug)]
pub struct Tagged {
    /// The packet.
    pub packet: Packet,
    /// Its connection's number.
    pub connection: u64,
    /// The exchange whose bytes it carries, if it carries any.
    pub exchange: Option<u64>,
    /// Who sent it.
    pub from: From,
}

impl Tagged {
    /// Bytes of its payload.
    pub fn payload(&self) -> u64 {
        self.packet.bytes.len().saturating_sub(HEADERS) as u64
    }
}

/// Who sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum From {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// Payload that the capture lost of one exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Bytes of the request.
    pub request: u64,
    /// Bytes of the response.
    pub response: u64,
}

/// A capture of the traffic.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// The packets in the order of the capture.
    pub packets: Vec<Tagged>,
    /// The exchanges that are LLM calls; call N asks for the model `m-N`.
    pub calls: Vec<u64>,
}

/// What is done to a capture; rates in a million packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Damage {
    /// How many packets are lost.
    pub lost: u64,
    /// How many come twice.
    pub doubled: u64,
    /// Microseconds by which a packet may be captured late.
    pub late: u64,
}

impl Traffic {
    /// Traffic of so many connections with so many exchanges each.
    pub fn new(seed: u64, connections: u64, exchanges: u64) -> Self {
        let mut random = Random::new(seed);
        let mut traffic = Self {
            packets: Vec::new(),
            calls: Vec::new(),
        };
        for connection in 0..connections {
            let mut writer = Writer::new(&mut random, connection);
            for n in 0..exchanges {
                let number = connection * exchanges + n;
                if writer.exchange(number) {
                    traffic.calls.push(number);
                }
            }
            traffic.packets.extend(writer.close());
        }
        traffic.packets.sort_by_key(|tagged| tagged.packet.micros);
        traffic
    }

    /// The capture, damaged, and what each exchange lost by that.
    pub fn damaged(&self, seed: u64, damage: Damage) -> (Self, BTreeMap<u64, Loss>) {
        let mut random = Random::new(seed);
        let mut losses: BTreeMap<u64, Loss> = BTreeMap::new();
        let mut kept = Vec::new();
        for tagged in &self.packets {
            if random.happens(damage.lost) {
                if let Some(exchange) = tagged.exchange {
                    let loss = losses.entry(exchange).or_default();
                    match tagged.from {
                        From::Client => loss.request += tagged.payload(),
                        From::Server => loss.response += tagged.payload(),
                    }
                }
                continue;
            }
            let copies = if random.happens(damage.doubled) { 2 } else { 1 };
            for _ in 0..copies {
                let captured = tagged.packet.micros + random.below(damage.late + 1);
                let mut tagged = tagged.clone();
                tagged.packet.micros = captured;
                kept.push(tagged);
            }
        }
        kept.sort_by_key(|tagged| tagged.packet.micros);
        let calls = self.calls.clone();
        let packets = kept;
        (Self { packets, calls }, losses)
    }

    /// The packets alone.
    pub fn packets(&self) -> Vec<Packet> {
        self.packets
            .iter()
            .map(|tagged| tagged.packet.clone())
            .collect()
    }
}

/// Writes one connection.
struct Writer<'r> {
    random: &'r mut Random,
    talk: Conversation,
    connection: u64,
    now: u64,
    tags: Vec<(Option<u64>, From)>,
}

impl<'r> Writer<'r> {
    fn new(random: &'r mut Random, connection: u64) -> Self {
        let client = ([10, 1, 0, 9], 20_000 + connection as u16).into();
        let first = (random.any() as u32, random.any() as u32);
        let mut writer = Self {
            now: START + random.below(3_000_000),
            random,
            talk: Conversation::new(client, ([10, 0, 0, 1], 8000).into())
                .with_initial_sequence(first.0, first.1),
            connection,
            tags: Vec::new(),
        };
        writer.talk.handshake(writer.now);
        writer.tag(None, From::Client);
        writer.pass();
        writer
    }

    /// One exchange; says whether it is a call.
    fn exchange(&mut self, number: u64) -> bool {
        let kind = self.random.below(10);
        let body = format!(
            r#"{{"model":"m-{number}","stream":{},"messages":[{{"role":"user","content":"{}"}}]}}"#,
            kind >= 6,
            self.words(400)
        );
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: llm\r\nContent-Length: {}\r\n",
            body.len()
        );
        match kind {
            0 => self.client(number, "GET /health HTTP/1.1\r\nHost: llm\r\n\r\n"),
            1 => self.client(number, "HEAD /v1/models HTTP/1.1\r\nHost: llm\r\n\r\n"),
            2 => {
                self.client(number, &format!("{head}Expect: 100-continue\r\n\r\n"));
                self.server(number, "HTTP/1.1 100 Continue\r\n\r\n");
                self.client(number, &body);
            }
            3 => {
                self.client(number, &format!("{head}\r\n"));
                self.client(number, &body);
            }
            _ => self.client(number, &format!("{head}\r\n{body}")),
        }
        self.now += self.random.below(400_000);
        match kind {
            0 => self.server(number, "HTTP/1.1 204 No Content\r\n\r\n"),
            1 => self.server(number, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"),
            2..6 => self.plain_answer(number),
            _ => self.stream(number),
        }
        self.now += self.random.below(400_000);
        kind >= 2
    }

    fn plain_answer(&mut self, number: u64) {
        let body = format!(
            r#"{{"object":"chat.completion","model":"m-{number}","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":7,"completion_tokens":{},"total_tokens":0}}}}"#,
            self.words(600),
            number % 50 + 1
        );
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        self.server(number, &answer);
    }

    fn stream(&mut self, number: u64) {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
        self.server(number, head);
        for _ in 0..3 + self.random.below(15) {
            let event = format!(
                "data: {{\"object\":\"chat.completion.chunk\",\"model\":\"m-{number}\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" {}\"}},\"finish_reason\":null}}]}}\n\n",
                self.word()
            );
            self.server(number, &format!("{:x}\r\n{event}\r\n", event.len()));
            self.now += self.random.below(20_000);
        }
        self.server(number, "e\r\ndata: [DONE]\n\n\r\n");
        self.server(number, "0\r\n\r\n");
    }

    fn client(&mut self, number: u64, text: &str) {
        self.talk.client(self.now, text);
        self.tag(Some(number), From::Client);
        if self.random.happens(500_000) {
            self.pass();
            self.talk.server_ack(self.now);
            self.tag(None, From::Server);
        }
        self.pass();
    }

    fn server(&mut self, number: u64, text: &str) {
        self.talk.server(self.now, text);
        self.tag(Some(number), From::Server);
        if self.random.happens(800_000) {
            self.pass();
            self.talk.client_ack(self.now);
            self.tag(None, From::Client);
        }
        self.pass();
    }

    fn close(mut self) -> Vec<Tagged> {
        self.talk.close(self.now);
        self.tag(None, From::Client);
        let packets = self.talk.packets().iter().cloned();
        packets
            .zip(self.tags)
            .map(|(packet, (exchange, from))| Tagged {
                packet,
                connection: self.connection,
                exchange,
                from,
            })
            .collect()
    }

    /// Says whose the packets are that were written since the last call.
    fn tag(&mut self, exchange: Option<u64>, from: From) {
        let tag = (exchange, from);
        self.tags.resize(self.talk.packets().len(), tag);
    }

    fn pass(&mut self) {
        self.now += 10 + self.random.below(900);
    }

    fn word(&mut self) -> &'static str {
        let place = self.random.below(WORDS.len() as u64) as usize;
        WORDS.get(place).copied().unwrap_or_default()
    }

    fn words(&mut self, most: u64) -> String {
        let count = self.random.below(most) + 1;
        let words: Vec<&str> = (0..count).map(|_| self.word()).collect();
        words.join(" ")
    }
}
