//! One call on several connections, as a relay (a proxy, a gateway, docker's userland proxy) makes it.

use std::net::SocketAddr;

use crate::pcap::Conversation;

/// One connection on the way of a call.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    /// Who called on it.
    pub client: SocketAddr,
    /// Who was called.
    pub server: SocketAddr,
    /// How many microseconds later than on the outermost leg the request passes here, and how many
    /// earlier the answer.
    pub depth: u64,
}

impl Leg {
    /// A leg between two addresses.
    ///
    /// # Errors
    /// Where one is no address with a port.
    pub fn new(client: &str, server: &str, depth: u64) -> anyhow::Result<Self> {
        Ok(Self {
            client: client.parse()?,
            server: server.parse()?,
            depth,
        })
    }
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// With its answer.
    Whole,
    /// The client resets the connection after the tokens, and the relay its own a depth later.
    ClientLeaves,
    /// The server closes the connection without a word, 5 ms after the request.
    Unanswered,
}

/// A streamed call as all its legs carry it.
#[derive(Clone, Debug)]
pub struct Call {
    /// When its request passes on the outermost leg: microseconds since the Unix epoch.
    pub at: u64,
    /// The model that it asks for.
    pub model: String,
    /// The identifier in its answer.
    pub id: String,
    /// How many tokens are answered, one every 10 ms.
    pub tokens: u64,
    /// How it ends.
    pub ends: Ends,
}

impl Call {
    /// Its connection on one leg.
    pub fn over(&self, leg: &Leg) -> Conversation {
        let body = format!(
            r#"{{"model":"{}","stream":true,"messages":[{{"role":"user","content":"hi"}}]}}"#,
            self.model
        );
        let mut talk = Conversation::new(leg.client, leg.server);
        let asked = self.at + leg.depth;
        talk.handshake(asked).client(
            asked,
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nHost: llm\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        );
        if self.ends == Ends::Unanswered {
            let closed = asked + 5_000;
            talk.server_fin(closed)
                .client_fin(closed)
                .server_ack(closed);
            return talk;
        }
        // The outermost leg has the head 20 ms after the request.
        let answered = self.at + 20_000 - leg.depth;
        talk.server(
            answered,
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        for token in 1..=self.tokens {
            let event = format!(
                "data: {{\"id\":\"{}\",\"object\":\"chat.completion.chunk\",\"model\":\"{}\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" hi\"}},\"finish_reason\":null}}]}}\n\n",
                self.id, self.model
            );
            let chunk = format!("{:x}\r\n{event}\r\n", event.len());
            talk.server(answered + token * 10_000, chunk);
        }
        let last = answered + self.tokens * 10_000;
        match self.ends {
            Ends::Whole => {
                talk.server(last, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
                talk.client_ack(last).close(last + 2_000);
            }
            // As the answer comes, the leaving goes: outermost first.
            _ => {
                talk.client_rst(last + 2_000 + 2 * leg.depth);
            }
        }
        talk
    }
}
