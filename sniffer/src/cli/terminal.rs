//! SIGHUP means two things: a manager asks for the settings to be read again, or the terminal that llmtap was
//! started in is gone. The terminal tells which.

use std::fs::{self, File};

/// The number of SIGHUP on Linux.
const SIGHUP: u32 = 1;

/// The terminal that llmtap depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// It was started in one, and ends with it.
    Own,
    /// It has none, or should outlive it (`nohup`).
    None,
}

impl Terminal {
    /// Asks the system. To be called before the signal gets a handler.
    pub(crate) fn of_this_process() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if can_be_opened() && !ignores_hangup(&status) {
            Self::Own
        } else {
            Self::None
        }
    }

    /// Whether it was there and no longer is.
    pub(crate) fn is_gone(self) -> bool {
        self == Self::Own && !can_be_opened()
    }
}

/// Opening it fails once the terminal has hung up, and where there never was one.
fn can_be_opened() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Whether SIGHUP is among the signals that /proc/PID/status lists as ignored.
fn ignores_hangup(status: &str) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (SIGHUP - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_seen() {
        assert!(ignores_hangup("Name:\tllmtap\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup(""));
    }
}
