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
    /// Their captured payload, in octets. Every one of them is in one of: `handed_on_bytes`,
    /// `retransmitted_bytes`, `duplicate_bytes`, `late_bytes`, `keep_alive_bytes`, `after_end_bytes`,
    /// `rst_bytes`, `absurd_bytes`, or it waits.
    payload_bytes,
    /// Octets handed on.
    handed_on_bytes,
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
    /// Ended connections forgotten early to stay within the limit of their number.
    forgotten,
    /// Segments seen on another interface just before, and left out.
    duplicate_segments,
    /// Their payload, in octets.
    duplicate_bytes,
    /// Segments that brought nothing but octets that were there before.
    retransmitted_segments,
    /// Octets that were there before.
    retransmitted_bytes,
    /// Keep-alive probes: none or one octet, just before what is expected.
    keep_alives,
    /// Their payload, in octets; it is no data.
    keep_alive_bytes,
    /// Segments with payload that came before what they follow.
    out_of_order,
    /// Segments that waited because they acknowledge octets not captured yet.
    held,
    /// Segments whose octets differ from those that came first and were still waiting; the first stand.
    conflicts,
    /// The octets that differ; they count as retransmitted, too.
    conflict_bytes,
    /// Holes given up.
    gaps,
    /// Their octets.
    gap_bytes,
    /// Of the holes, those given up early because a budget was spent.
    gaps_for_budget,
    /// Octets of holes that came after they had been given up.
    late_bytes,
    /// Octets of payload that the capture cut from packets (snap length), filled later or not.
    cut_bytes,
    /// Segments with a sequence number too far off to believe; ignored.
    absurd_seq,
    /// Their payload, in octets.
    absurd_bytes,
    /// Acknowledgements too far ahead to believe; ignored.
    absurd_ack,
    /// RSTs that the receiver cannot have heeded, by their number; ignored.
    rst_ignored,
    /// Payload of RSTs, in octets: a text for people at most (RFC 9293 §3.5.3), never data.
    rst_bytes,
    /// Segments after the end: of a closed connection, or behind a FIN or RST; ignored.
    after_end,
    /// Their payload behind the end, in octets.
    after_end_bytes,
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
