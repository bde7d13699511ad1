//! Traffic that means to fill up a tap's memory, beside one honest call.
//!
//! An [`Attack`] writes a capture of any length, packet by packet, so that it can be piped into `llmtap
//! replay -` without ever lying anywhere whole. The honest call is asked before it and answered after it:
//! it must come out as if the attack had not been.

mod kinds;
mod measured;
mod wire;

pub use kinds::ATTACKS;
pub use measured::{Measured, run};
pub use wire::{Traffic, Wire};

use std::io::{self, Write};

use crate::pcap::Conversation;

/// One way to fill up memory.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// A short name.
    pub name: &'static str,
    /// What is sent, in words; `{}` stands for the size.
    pub what: &'static str,
    /// How often, in the benchmark.
    pub size: u64,
    /// How often, in a test: enough to reach the limit.
    pub small: u64,
    /// The counter that moves; `None` where what comes is thrown away as it comes, and nothing is shed.
    pub shed: Option<&'static str>,
    /// Further arguments of `llmtap replay`.
    pub arguments: &'static [&'static str],
    send: fn(&mut Wire<'_>, u64) -> io::Result<()>,
}

/// The address of the honest client.
pub const HONEST: &str = "10.1.0.9";

const REQUEST: &str =
    r#"{"model":"honest","messages":[{"role":"user","content":"Are you there?"}]}"#;
const ANSWER: &str = r#"{"object":"chat.completion","model":"honest","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Yes."}}],"usage":{"prompt_tokens":11,"completion_tokens":2}}"#;

impl Attack {
    /// Writes the capture of an attack of this size, with the honest call around it; or the honest call
    /// alone, with the same times.
    ///
    /// # Errors
    /// Where it cannot be written, as where its reader has gone.
    pub fn write(&self, size: u64, traffic: Traffic, out: &mut dyn Write) -> io::Result<u64> {
        let mut wire = Wire::new(out)?;
        let mut honest = Conversation::new(([10, 1, 0, 9], 40_000).into(), wire::SERVER);
        let length = REQUEST.len();
        let asked = wire.now();
        honest.handshake(asked).client(
            asked,
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{REQUEST}"
            ),
        );
        wire.packets(honest.packets())?;
        let before = honest.packets().len();

        wire.mute(traffic);
        (self.send)(&mut wire, size)?;
        wire.mute(Traffic::Attacked);

        let length = ANSWER.len();
        let answered = wire.now();
        honest
            .server(
                answered,
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{ANSWER}"),
            )
            .close(answered);
        wire.packets(honest.packets().get(before..).unwrap_or_default())?;
        wire.finish()
    }
}
