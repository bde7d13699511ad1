//! The two streams of a connection in, exchange events out. Sans-io.

use analyzer::exchange::Event;

/// Takes the events of exchanges as they are read.
pub trait EventSink {
    /// One event. Pieces of bodies are borrowed: keep what you need.
    fn event(&mut self, event: Event<'_>);
}
