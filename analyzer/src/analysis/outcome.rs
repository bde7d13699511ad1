//! How a call ended.
//!
//! | answer complete | ending | status | outcome |
//! |---|---|---|---|
//! | yes | any | not seen | incomplete |
//! | yes | any | seen | by the status |
//! | no | time-out, capture's end, eviction, lost | any | incomplete |
//! | no | client FIN or RST | lost | incomplete |
//! | no | client FIN or RST | seen, or none was sent | client_abort |
//! | no | server FIN or RST | lost | incomplete |
//! | no | server FIN or RST | seen, or none was sent | server_abort |
//!
//! By the status: 429 rate_limited, other 4xx client_error, 5xx server_error, 2xx with an error
//! error_in_200, 2xx ok, all else other. An answer is complete when it reached the end of its framing
//! or when the dialect's final event was read, whatever the connection did later.

use crate::{call::Outcome, dialect::Final, exchange::Ending};

/// What is known of a response's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Seen(u16),
    /// The exchange ended before any byte of an answer.
    NeverSent,
    /// There was an answer, but its head was not seen.
    Lost,
}

/// Whether the answer has an error in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Error,
    None,
}

/// Whether an answer is complete.
pub(super) fn is_complete(ending: Ending, ended: Final) -> bool {
    matches!(ending, Ending::Complete | Ending::Upgraded) || ended == Final::Seen
}

/// The outcome; the first rule that matches.
pub(super) fn outcome(status: Status, ending: Ending, ended: Final, fault: Fault) -> Outcome {
    if is_complete(ending, ended) {
        return match status {
            Status::Seen(status) => by_status(status, fault),
            Status::NeverSent | Status::Lost => Outcome::Incomplete,
        };
    }
    match (ending, status) {
        (_, Status::Lost) => Outcome::Incomplete,
        (Ending::ClientFin | Ending::ClientReset, _) => Outcome::ClientAbort,
        (Ending::ServerFin | Ending::ServerReset, _) => Outcome::ServerAbort,
        _ => Outcome::Incomplete,
    }
}

fn by_status(status: u16, fault: Fault) -> Outcome {
    match (status, fault) {
        (429, _) => Outcome::RateLimited,
        (400..=499, _) => Outcome::ClientError,
        (500..=599, _) => Outcome::ServerError,
        (200..=299, Fault::Error) => Outcome::ErrorIn200,
        (200..=299, Fault::None) => Outcome::Ok,
        _ => Outcome::Other,
    }
}

#[cfg(test)]
mod tests {
    use Ending::{
        CaptureEnd, ClientFin, ClientReset, Complete, Evicted, Lost, ServerFin, ServerReset,
        TimedOut, Upgraded,
    };
    use Final::{Seen, Unseen};

    use super::*;

    #[expect(clippy::too_many_lines, reason = "a row of the table a line")]
    #[test]
    fn every_row_of_the_table() {
        let ok = Status::Seen(200);
        for (status, ending, ended, fault, expected) in [
            (ok, Complete, Unseen, Fault::None, Outcome::Ok),
            (ok, Complete, Seen, Fault::None, Outcome::Ok),
            (
                Status::Lost,
                Complete,
                Seen,
                Fault::None,
                Outcome::Incomplete,
            ),
            (
                Status::NeverSent,
                Complete,
                Unseen,
                Fault::None,
                Outcome::Incomplete,
            ),
            (
                Status::Lost,
                ClientFin,
                Seen,
                Fault::None,
                Outcome::Incomplete,
            ),
            // The final event came; what the connection did later is no matter.
            (ok, ClientFin, Seen, Fault::None, Outcome::Ok),
            (ok, ClientReset, Seen, Fault::None, Outcome::Ok),
            (ok, ServerFin, Seen, Fault::None, Outcome::Ok),
            (ok, ServerReset, Seen, Fault::None, Outcome::Ok),
            (ok, TimedOut, Seen, Fault::None, Outcome::Ok),
            (ok, CaptureEnd, Seen, Fault::None, Outcome::Ok),
            // It did not.
            (ok, TimedOut, Unseen, Fault::None, Outcome::Incomplete),
            (ok, CaptureEnd, Unseen, Fault::None, Outcome::Incomplete),
            (ok, Evicted, Unseen, Fault::None, Outcome::Incomplete),
            (ok, Lost, Unseen, Fault::None, Outcome::Incomplete),
            (
                Status::NeverSent,
                TimedOut,
                Unseen,
                Fault::None,
                Outcome::Incomplete,
            ),
            (ok, ClientFin, Unseen, Fault::None, Outcome::ClientAbort),
            (ok, ClientReset, Unseen, Fault::None, Outcome::ClientAbort),
            (
                Status::NeverSent,
                ClientFin,
                Unseen,
                Fault::None,
                Outcome::ClientAbort,
            ),
            (
                Status::NeverSent,
                ClientReset,
                Unseen,
                Fault::None,
                Outcome::ClientAbort,
            ),
            (
                Status::Lost,
                ClientFin,
                Unseen,
                Fault::None,
                Outcome::Incomplete,
            ),
            (ok, ServerFin, Unseen, Fault::None, Outcome::ServerAbort),
            (ok, ServerReset, Unseen, Fault::None, Outcome::ServerAbort),
            (
                Status::NeverSent,
                ServerReset,
                Unseen,
                Fault::None,
                Outcome::ServerAbort,
            ),
            (
                Status::Lost,
                ServerFin,
                Unseen,
                Fault::None,
                Outcome::Incomplete,
            ),
            // An abort comes before what the status says.
            (
                Status::Seen(500),
                ClientFin,
                Unseen,
                Fault::Error,
                Outcome::ClientAbort,
            ),
            (ok, ServerFin, Unseen, Fault::Error, Outcome::ServerAbort),
            // By the status.
            (
                Status::Seen(429),
                Complete,
                Unseen,
                Fault::Error,
                Outcome::RateLimited,
            ),
            (
                Status::Seen(400),
                Complete,
                Unseen,
                Fault::Error,
                Outcome::ClientError,
            ),
            (
                Status::Seen(499),
                Complete,
                Unseen,
                Fault::None,
                Outcome::ClientError,
            ),
            (
                Status::Seen(500),
                Complete,
                Unseen,
                Fault::None,
                Outcome::ServerError,
            ),
            (
                Status::Seen(503),
                Complete,
                Unseen,
                Fault::Error,
                Outcome::ServerError,
            ),
            (
                Status::Seen(101),
                Upgraded,
                Unseen,
                Fault::None,
                Outcome::Other,
            ),
            (
                Status::Seen(307),
                Complete,
                Unseen,
                Fault::None,
                Outcome::Other,
            ),
            (
                Status::Seen(600),
                Complete,
                Unseen,
                Fault::None,
                Outcome::Other,
            ),
            (ok, Complete, Unseen, Fault::Error, Outcome::ErrorIn200),
            (
                Status::Seen(201),
                Complete,
                Unseen,
                Fault::None,
                Outcome::Ok,
            ),
        ] {
            assert_eq!(
                outcome(status, ending, ended, fault),
                expected,
                "{status:?} {ending:?} {ended:?} {fault:?}"
            );
        }
    }
}
