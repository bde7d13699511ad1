//! What `tcp` hands its streams to.

use analyzer::time::Timestamp;

use crate::tcp::{CloseReason, ConnectionInfo, Sent, Side, StreamHandler};

use super::memory::DecoderMemory;
use super::{EventSink, HttpCounters, HttpSettings, HttpStream, protocol};

/// Turns the streams of connections into exchange events.
pub struct HttpHandler<S> {
    settings: HttpSettings,
    sink: S,
    counters: HttpCounters,
    decoder_memory: DecoderMemory,
}

/// What a stream works with while it is called.
pub(super) struct Context<'h, S> {
    pub(super) settings: &'h HttpSettings,
    pub(super) sink: &'h mut S,
    pub(super) counters: &'h mut HttpCounters,
    pub(super) decoder_memory: &'h DecoderMemory,
}

impl<S: EventSink> HttpHandler<S> {
    /// A handler that gives its events to `sink`.
    pub fn new(settings: HttpSettings, sink: S) -> Self {
        Self {
            settings,
            sink,
            counters: HttpCounters::default(),
            decoder_memory: DecoderMemory::default(),
        }
    }

    /// The sink.
    pub const fn sink(&self) -> &S {
        &self.sink
    }

    /// The sink.
    pub const fn sink_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Gives the sink back.
    pub fn into_sink(self) -> S {
        self.sink
    }

    /// What was counted so far.
    pub const fn counters(&self) -> &HttpCounters {
        &self.counters
    }

    const fn context(&mut self) -> Context<'_, S> {
        Context {
            settings: &self.settings,
            sink: &mut self.sink,
            counters: &mut self.counters,
            decoder_memory: &self.decoder_memory,
        }
    }
}

impl<S: EventSink> StreamHandler for HttpHandler<S> {
    type Stream = HttpStream;

    fn sender_of(&self, payload: &[u8]) -> Option<Side> {
        protocol::sender_of(payload)
    }

    fn open(&mut self, info: ConnectionInfo) -> HttpStream {
        HttpStream::new(info)
    }

    fn data(&mut self, stream: &mut HttpStream, from: Side, bytes: &[u8], sent: Sent) {
        stream.data(&mut self.context(), from, bytes, sent);
    }

    fn gap(&mut self, stream: &mut HttpStream, from: Side, length: u64, _time: Timestamp) {
        stream.gap(&mut self.context(), from, length);
    }

    fn fin(&mut self, stream: &mut HttpStream, from: Side, time: Timestamp) {
        stream.fin(&mut self.context(), from, time);
    }

    fn rst(&mut self, stream: &mut HttpStream, from: Side, time: Timestamp) {
        stream.rst(&mut self.context(), from, time);
    }

    fn close(&mut self, stream: HttpStream, reason: CloseReason, _time: Timestamp) {
        stream.close(&mut self.context(), reason);
    }

    fn is_waiting(&self, stream: &HttpStream) -> bool {
        stream.is_waiting()
    }

    fn held(&self, stream: &HttpStream) -> usize {
        stream.held()
    }

    fn shed(&mut self, stream: &mut HttpStream) {
        stream.shed_heads(&mut self.context());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_may_move_between_threads() {
        fn is_send<T: Send>() {}
        is_send::<HttpHandler<()>>();
        is_send::<HttpStream>();
    }
}
