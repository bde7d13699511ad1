//! How far the beginning of a connection is settled.

use analyzer::time::Timestamp;

use super::settings::JOIN_SEGMENTS;

/// How far the beginning of a connection is settled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opening {
    /// No SYN was seen, and no payload.
    Unseen,
    /// Payload came without a SYN. It waits a little: the SYN, what was sent before, or a sign of
    /// which end is the client may have been captured later.
    Joining { since: Timestamp, segments: u32 },
    /// What comes is handed on.
    Settled,
}

impl Opening {
    /// Since when payload waits for the beginning.
    pub(super) const fn joining(self) -> Option<Timestamp> {
        match self {
            Self::Joining { since, .. } => Some(since),
            Self::Unseen | Self::Settled => None,
        }
    }

    /// Notes a segment with payload. Once enough of them wait, the first is taken for the beginning.
    pub(super) const fn payload(self, time: Timestamp) -> Self {
        match self {
            Self::Unseen => Self::Joining {
                since: time,
                segments: 1,
            },
            Self::Joining { since, segments } => Self::Joining {
                since,
                segments: segments.saturating_add(1),
            },
            Self::Settled => Self::Settled,
        }
    }

    /// Whether as many segments wait as may.
    pub(super) const fn is_full(self) -> bool {
        matches!(self, Self::Joining { segments, .. } if segments >= JOIN_SEGMENTS)
    }

    /// Whether what comes is handed on.
    pub(super) const fn is_settled(self) -> bool {
        matches!(self, Self::Settled)
    }
}
