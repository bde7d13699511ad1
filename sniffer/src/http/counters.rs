//! What was counted.

use crate::tcp::Side;

use super::Protocol;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What one handler has counted since it was made. Plain numbers, to be summed over handlers.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct HttpCounters {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl HttpCounters {
            /// Every counter with its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)+].into_iter()
            }

            /// Adds another handler's figures.
            pub fn add(&mut self, other: &Self) {
                $(self.$name = self.$name.saturating_add(other.$name);)+
            }
        }
    };
}

counters! {
    /// Connections that spoke HTTP/1.
    connections_http1,
    /// Connections that spoke TLS.
    connections_tls,
    /// Connections that spoke HTTP/2 in clear.
    connections_http2,
    /// Connections that became WebSockets.
    connections_websocket,
    /// Connections that became tunnels (CONNECT).
    connections_tunnel,
    /// Connections of no known protocol.
    connections_unknown,
    /// Exchanges begun.
    exchanges,
    /// Request heads read.
    requests,
    /// Final response heads read.
    responses,
    /// Interim responses (1xx) read.
    interim_responses,
    /// Exchanges begun by a response whose request was not seen.
    responses_without_request,
    /// Responses after a loss that more than one request may have been for, and that were paired with none.
    responses_unpaired,
    /// Exchanges that ended without their end having been read, after bytes were lost or unreadable.
    exchanges_lost,
    /// Exchanges given up since too many were open on their connection.
    exchanges_evicted,
    /// Bytes of request heads that were not captured.
    missing_request_head,
    /// Bytes of request bodies that were not captured.
    missing_request_body,
    /// Bytes of response heads that were not captured.
    missing_response_head,
    /// Bytes of response bodies that were not captured.
    missing_response_body,
    /// Bytes that were not captured and that no exchange could be charged with when they were lost.
    missing_between,
    /// Bytes of heads that were read, interim ones included.
    head_bytes,
    /// Bytes of bodies that were read, transfer framing taken off.
    body_bytes,
    /// Bytes of the transfer framing of bodies, and of empty lines before heads.
    framing_bytes,
    /// Bytes passed over in search of a message head or a chunk, and of heads that were given up.
    skipped_bytes,
    /// Bytes of connections that are not HTTP/1, or no longer: the clients'.
    left_alone_client_bytes,
    /// Bytes of connections that are not HTTP/1, or no longer: the servers'.
    left_alone_server_bytes,
    /// Heads that were no HTTP/1 head.
    heads_invalid,
    /// Heads longer than the limit.
    heads_too_large,
    /// Beginnings of heads given up to stay within the limit of what waits in all connections.
    heads_shed,
    /// Heads cut off by the end of their stream.
    heads_unfinished,
    /// Header lines that were no header field.
    fields_invalid,
    /// Header fields past the limit.
    fields_dropped,
    /// Messages whose length could not be told from their head.
    framings_invalid,
    /// Chunked bodies that broke the chunked format.
    chunks_invalid,
    /// Bodies whose content coding could not be taken off to the end.
    bodies_undecoded,
    /// Bodies that ended within their content coding: broken off, or cut.
    codings_cut,
    /// Bodies read up to the limit only.
    bodies_capped,
    /// Coded bodies that were not decoded since others held all the memory for it.
    decoders_refused,
    /// Bytes of bodies that were seen but not handed on.
    unread_bytes,
}

impl HttpCounters {
    /// Connections by protocol.
    pub fn protocols(&self) -> [(&'static str, u64); 6] {
        [
            (Protocol::Http1.as_str(), self.connections_http1),
            (Protocol::Tls.as_str(), self.connections_tls),
            (Protocol::Http2.as_str(), self.connections_http2),
            (Protocol::WebSocket.as_str(), self.connections_websocket),
            (Protocol::Tunnel.as_str(), self.connections_tunnel),
            (Protocol::Unknown.as_str(), self.connections_unknown),
        ]
    }

    pub(super) const fn leave_alone(&mut self, from: Side, length: u64) {
        let counter = match from {
            Side::Client => &mut self.left_alone_client_bytes,
            Side::Server => &mut self.left_alone_server_bytes,
        };
        *counter = counter.saturating_add(length);
    }

    pub(super) fn connection(&mut self, protocol: Protocol) {
        let counter = match protocol {
            Protocol::Http1 => &mut self.connections_http1,
            Protocol::Tls => &mut self.connections_tls,
            Protocol::Http2 => &mut self.connections_http2,
            Protocol::WebSocket => &mut self.connections_websocket,
            Protocol::Tunnel => &mut self.connections_tunnel,
            Protocol::Unknown => &mut self.connections_unknown,
        };
        *counter = counter.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_with_values() {
        let mut counters = HttpCounters::default();
        counters.connection(Protocol::Tls);
        counters.add(&counters.clone());
        let seen: Vec<_> = counters.iter().filter(|(_, value)| *value > 0).collect();
        assert_eq!(seen, [("connections_tls", 2)]);
    }
}
