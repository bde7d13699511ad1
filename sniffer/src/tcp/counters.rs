//! What the TCP room saw, lost and refused.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What one shard saw, lost and refused, cumulative.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct TcpCounters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl TcpCounters {
            /// Every counter with its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            /// Adds another shard's figures.
            pub fn add(&mut self, other: &Self) {
                $(self.$name = self.$name.saturating_add(other.$name);)*
            }
        }
    };
}

counters! {
    /// Segments taken.
    segments,
    /// Their captured payload, in octets.
    payload_bytes,
    /// Connections found, with payload or without.
    connections,
    /// Of these, connections joined after their SYN.
    joined_late,
    /// Connections handed on: they carried payload.
    opened,
    /// Connections that ended with both FINs or an RST.
    closed,
    /// Connections that were silent for longer than their time-out.
    timed_out,
    /// Connections open when the capture ended.
    capture_end,
    /// Connections given up to stay within the limit of their number.
    evicted,
    /// Connections whose addresses and ports a new one took.
    replaced,
    /// Segments that brought nothing but octets that were there before.
    retransmitted_segments,
    /// Octets that were there before.
    retransmitted_bytes,
    /// Keep-alive probes: none or one octet, just before what is expected.
    keep_alives,
    /// Segments with payload that came before what they follow.
    out_of_order,
    /// Segments that waited because they acknowledge octets not captured yet.
    held,
    /// Segments whose octets differ from those that came first; the first stand.
    conflicts,
    /// Holes given up.
    gaps,
    /// Their octets.
    gap_bytes,
    /// Of the holes, those given up early because a budget was spent.
    gaps_for_budget,
    /// Octets of payload that the capture cut from packets (snap length), filled later or not.
    cut_bytes,
    /// Segments with a sequence number too far ahead to believe; ignored.
    absurd_seq,
    /// Acknowledgements too far ahead to believe; ignored.
    absurd_ack,
    /// RSTs outside every plausible window; ignored.
    rst_ignored,
    /// Segments after the end: of a closed connection, or behind a FIN or RST; ignored.
    after_end,
    /// Connections whose client is a guess from the port numbers.
    roles_guessed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_add_up_by_name() {
        let mut sum = TcpCounters::default();
        let one = TcpCounters {
            gaps: 2,
            ..TcpCounters::default()
        };
        sum.add(&one);
        sum.add(&one);
        assert!(sum.iter().any(|counter| counter == ("gaps", 4)));
    }
}
