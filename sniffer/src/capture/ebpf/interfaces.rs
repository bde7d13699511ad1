//! The network's interfaces: which there are, which are wanted, and who else is on their hooks.
//!
//! It asks the kernel by rtnetlink, which answers for the network namespace that the socket was
//! made in; `/sys/class/net` answers for the one that was mounted.

use std::{fmt, io, str::FromStr};

use super::netlink::{attributes, dump, text, u16_at, u32_at};

/// Which interfaces to tap: a name, a pattern with `*` and `?`, or `any`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfacePattern {
    /// Every interface whose packets llmtap can read.
    Any,
    /// The one of this name.
    Name(String),
    /// Those whose names match: `*` stands for any characters, `?` for one.
    Glob(String),
}

impl InterfacePattern {
    /// Whether an interface of this name is meant.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Name(wanted) => wanted == name,
            Self::Glob(glob) => glob_matches(glob.as_bytes(), name.as_bytes()),
        }
    }
}

impl FromStr for InterfacePattern {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "any" => Self::Any,
            glob if glob.contains(['*', '?']) => Self::Glob(glob.into()),
            name => Self::Name(name.into()),
        })
    }
}

impl fmt::Display for InterfacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::Name(name) | Self::Glob(name) => name,
        })
    }
}

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its index in its network namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its hardware type, a number of `linux/if_arp.h`.
    pub hardware: u16,
    /// Whether it is administratively up.
    pub up: bool,
}

impl Interface {
    /// What its packets begin with; `None` where llmtap does not read such packets.
    pub const fn link(&self) -> Option<Link> {
        match self.hardware {
            // ARPHRD_ETHER, ARPHRD_LOOPBACK
            1 | 772 => Some(Link::Ethernet),
            // ARPHRD_PPP, RAWIP, TUNNEL, TUNNEL6, SIT, IPGRE, IP6GRE, NONE (tun, WireGuard)
            512 | 519 | 768 | 769 | 776 | 778 | 823 | 65_534 => Some(Link::RawIp),
            _ => None,
        }
    }

    /// On loopback each packet passes both hooks, so one is enough.
    pub const fn is_loopback(&self) -> bool {
        self.hardware == 772
    }
}

/// What the packets of an interface begin with, where the hook sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// An Ethernet header.
    Ethernet,
    /// The IP header.
    RawIp,
}

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWTFILTER: u16 = 44;
const RTM_GETTFILTER: u16 = 46;
const IFINFOMSG_LEN: usize = 16;
const IFLA_IFNAME: u16 = 3;
const IFF_UP: u32 = 1;
const TCMSG_LEN: usize = 20;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_BPF_NAME: u16 = 7;
/// The two hooks of the clsact queueing discipline, as a filter's parent.
const CLSACT_INGRESS: u32 = 0xffff_fff2;
const CLSACT_EGRESS: u32 = 0xffff_fff3;

/// The interfaces of this thread's network namespace.
///
/// # Errors
/// Where the kernel refuses the netlink socket or the question.
pub fn list() -> io::Result<Vec<Interface>> {
    let mut interfaces = Vec::new();
    dump(RTM_GETLINK, &[0; IFINFOMSG_LEN], |kind, message| {
        if kind == RTM_NEWLINK {
            interfaces.extend(read_link(message));
        }
    })?;
    Ok(interfaces)
}

/// The clsact filters of an interface, ingress first: their kinds, and the names of programs.
///
/// # Errors
/// Where the kernel refuses the netlink socket or the question.
pub(super) fn filters(index: u32) -> io::Result<Vec<String>> {
    let mut filters = Vec::new();
    for parent in [CLSACT_INGRESS, CLSACT_EGRESS] {
        let mut head = [0; TCMSG_LEN];
        head[4..8].copy_from_slice(&index.to_ne_bytes());
        head[12..16].copy_from_slice(&parent.to_ne_bytes());
        dump(RTM_GETTFILTER, &head, |kind, message| {
            if kind == RTM_NEWTFILTER {
                filters.extend(read_filter(message));
            }
        })?;
    }
    Ok(filters)
}

/// Reads an `ifinfomsg` and the attributes after it.
fn read_link(message: &[u8]) -> Option<Interface> {
    let (_, name) =
        attributes(message.get(IFINFOMSG_LEN..)?).find(|(kind, _)| *kind == IFLA_IFNAME)?;
    Some(Interface {
        hardware: u16_at(message, 2)?,
        index: u32_at(message, 4)?,
        up: u32_at(message, 8)? & IFF_UP != 0,
        name: text(name),
    })
}

/// Reads a `tcmsg` and the attributes after it. The kernel tells each priority, too, by a message
/// that has no options.
fn read_filter(message: &[u8]) -> Option<String> {
    let find = |wanted| {
        let mut all = attributes(message.get(TCMSG_LEN..).unwrap_or_default());
        all.find(|(kind, _)| *kind == wanted)
            .map(|(_, value)| value)
    };
    let kind = text(find(TCA_KIND)?);
    let name = attributes(find(TCA_OPTIONS)?).find(|(kind, _)| *kind == TCA_BPF_NAME);
    Some(name.map_or(kind, |(_, name)| text(name)))
}

/// Matches with one mark to go back to: `*` takes one character more each time.
fn glob_matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut mark = None;
    loop {
        match (glob.get(at), name.get(seen)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                mark = Some((at, seen));
                at += 1;
            }
            (Some(b'?'), Some(_)) => {
                at += 1;
                seen += 1;
            }
            (Some(wanted), Some(got)) if wanted == got => {
                at += 1;
                seen += 1;
            }
            _ => match mark {
                Some((star, from)) if from < name.len() => {
                    mark = Some((star, from + 1));
                    at = star + 1;
                    seen = from + 1;
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule itself, for names short enough.
    fn glob_matches_by_definition(glob: &[u8], name: &[u8]) -> bool {
        match (glob.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                (0..=name.len()).any(|taken| glob_matches_by_definition(rest, &name[taken..]))
            }
            (Some((b'?', rest)), Some((_, name))) => glob_matches_by_definition(rest, name),
            (Some((wanted, rest)), Some((got, name))) if wanted == got => {
                glob_matches_by_definition(rest, name)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn globs_match_by_their_definition(glob in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            prop_assert_eq!(
                glob_matches(glob.as_bytes(), name.as_bytes()),
                glob_matches_by_definition(glob.as_bytes(), name.as_bytes())
            );
        }
    }

    #[test]
    fn a_pattern_is_a_name_a_glob_or_any() {
        let pattern = |text: &str| text.parse::<InterfacePattern>().expect("infallible");
        assert!(pattern("any").matches("eth0"));
        assert!(pattern("eth0").matches("eth0") && !pattern("eth0").matches("eth01"));
        assert!(pattern("veth*").matches("veth12ab") && !pattern("veth*").matches("eth0"));
        assert_eq!(pattern("veth*").to_string(), "veth*");
    }

    #[test]
    fn a_link_has_its_name_among_its_attributes() {
        let mut message = vec![0; IFINFOMSG_LEN];
        message[2..4].copy_from_slice(&772_u16.to_ne_bytes());
        message[4..8].copy_from_slice(&1_u32.to_ne_bytes());
        message[8..12].copy_from_slice(&IFF_UP.to_ne_bytes());
        assert_eq!(read_link(&message), None, "no name");
        message.extend_from_slice(&[5, 0, 9, 0, 0xff, 0, 0, 0]);
        message.extend_from_slice(&[7, 0, 3, 0, b'l', b'o', 0, 0]);
        let lo = read_link(&message).expect("an interface");
        assert_eq!((lo.index, lo.name.as_str(), lo.up), (1, "lo", true));
        assert_eq!((lo.link(), lo.is_loopback()), (Some(Link::Ethernet), true));
    }

    #[test]
    fn a_filter_is_called_by_its_program_or_else_its_kind() {
        let mut message = vec![0; TCMSG_LEN];
        message.extend_from_slice(&[8, 0, 1, 0, b'b', b'p', b'f', 0]);
        assert_eq!(read_filter(&message), None, "a priority");
        let other = [&message[..], &[4, 0, 2, 0]].concat();
        assert_eq!(read_filter(&other).as_deref(), Some("bpf"));
        message.extend_from_slice(&[12, 0, 2, 0x80, 8, 0, 7, 0, b't', b'a', b'p', 0]);
        assert_eq!(read_filter(&message).as_deref(), Some("tap"));
    }

    #[test]
    fn the_kernel_lists_its_loopback() {
        let interfaces = list().expect("netlink needs no privilege");
        assert!(
            interfaces
                .iter()
                .any(|interface| interface.name == "lo" && interface.index == 1)
        );
    }
}
