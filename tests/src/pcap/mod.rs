//! Captures made packet by packet, with exact times.
//!
//! A [`Conversation`] is both ends of one TCP connection; it keeps the sequence numbers and puts
//! every packet into IP. A [`Capture`] wraps the packets of conversations into the frames of one
//! link type, or of one [`Wrapping`], and writes them as pcap ([`Capture::to_pcap`]) or, together with
//! other captures as further interfaces, as pcapng ([`to_pcapng`]). A [`Script`] is a connection as no
//! well-behaved end would send it.

mod conversation;
mod file;
mod frame;
pub(crate) mod ip;
mod script;
mod wrap;

pub use conversation::{Conversation, Reserved};
pub use file::{ByteOrder, Capture, Resolution, to_pcapng};
pub use frame::Link;
pub use script::{From, Script};
pub use wrap::{WRAPPINGS, WRAPPINGS_OF_V6, Wrapping};

/// One IP packet and the time at which it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Microseconds since the Unix epoch.
    pub micros: u64,
    /// The packet, from its IP header on.
    pub bytes: Vec<u8>,
}

#[cfg(test)]
mod tests;
