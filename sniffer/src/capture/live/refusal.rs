//! Why an interface cannot be tapped, and what to do about it.

use crate::capture::{CaptureError, discover};

/// What stood in the way.
#[derive(Debug)]
pub(super) enum Cause {
    /// What libpcap says.
    Pcap(String),
    /// The number of a link type that llmtap does not read.
    LinkType(i32),
}

impl From<pcap::Error> for Cause {
    fn from(error: pcap::Error) -> Self {
        Self::Pcap(text(&error))
    }
}

/// A sentence for the user. Names the interfaces that there are, so it asks the kernel for them.
pub(super) fn explain(name: &str, cause: &Cause) -> CaptureError {
    // libpcap's own list has nflog, bluetooth and the like in it, which carry no TCP.
    let mut there: Vec<_> = discover::interfaces()
        .unwrap_or_default()
        .into_iter()
        .map(|known| known.name)
        .collect();
    if !there.is_empty() {
        there.push("any".into());
    }
    sentence(name, cause, &there)
}

/// What libpcap says, without the name of its error's kind.
pub(super) fn text(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    }
}

fn sentence(name: &str, cause: &Cause, there: &[String]) -> CaptureError {
    let said = match cause {
        Cause::LinkType(number) => {
            return CaptureError(format!(
                "{name} has link type {number}, which llmtap does not read: tap another interface, or all with -i any"
            ));
        }
        Cause::Pcap(said) => said,
    };
    let lower = said.to_lowercase();
    // The kernel tells of a missing privilege before it looks for the interface.
    CaptureError(
        if lower.contains("permi") || lower.contains("cap_net_raw") {
            format!(
                "{name} may not be tapped by this user ({said}): run llmtap as root, give it CAP_NET_RAW (sudo setcap cap_net_raw+ep $(command -v llmtap)), or in a container add --cap-add NET_RAW"
            )
        } else if !there.is_empty() && !there.iter().any(|known| known == name) {
            format!(
                "there is no interface {name}: choose one of {}",
                there.join(", ")
            )
        } else if lower.contains("not up") || lower.contains("down") {
            format!("{name} is down: bring it up (ip link set {name} up) or tap another interface")
        } else {
            format!("{name} cannot be tapped: {said}; tap another interface, or all with -i any")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_says_what_to_do() {
        let there = ["lo".to_owned(), "eth0".to_owned()];
        let said =
            |name: &str, text: &str| sentence(name, &Cause::Pcap(text.into()), &there).to_string();
        for refused in [
            "Attempt to create packet socket failed - CAP_NET_RAW may be required",
            "socket: Operation not permitted",
            "You don't have permission to capture on that device",
        ] {
            assert!(said("eth0", refused).contains("setcap cap_net_raw+ep"));
            assert!(said("eth0", refused).contains("--cap-add NET_RAW"));
        }
        assert_eq!(
            said("eth9", "SIOCGIFHWADDR: No such device"),
            "there is no interface eth9: choose one of lo, eth0"
        );
        assert!(said("eth0", "That device is not up").contains("ip link set eth0 up"));
        assert!(said("eth0", "strange").contains("cannot be tapped: strange"));
        let odd = sentence("nflog", &Cause::LinkType(239), &there).to_string();
        assert!(odd.contains("link type 239"));
    }
}
