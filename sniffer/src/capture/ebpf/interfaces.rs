//! The network's interfaces: which there are, which are wanted, and when that changes.
//!
//! It asks the kernel by rtnetlink, which answers for the network namespace that the socket was
//! made in; `/sys/class/net` answers for the one that was mounted.

use std::{fmt, io, os::fd::OwnedFd, str::FromStr};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink,
    recv, send, socket_with,
};

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

/// Room for one answer of the kernel, which sends at most 32 KiB at once (`NLMSG_GOODSIZE` and up).
const ANSWER_LEN: usize = 32 * 1_024;

/// The most answers that a list may take: 4,096 of them hold far more interfaces than a machine
/// can have. Past it the list ends as it is.
const MAX_ANSWERS: usize = 4_096;

/// The multicast group of `RTM_NEWLINK` and `RTM_DELLINK` (`RTMGRP_LINK`).
const GROUP_LINK: u32 = 1;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
/// `NLM_F_REQUEST | NLM_F_DUMP`
const FLAGS_DUMP: u16 = 0x301;
const NLMSGHDR_LEN: usize = 16;
const IFINFOMSG_LEN: usize = 16;
const IFLA_IFNAME: u16 = 3;
const IFF_UP: u32 = 1;

/// The interfaces of this thread's network namespace.
///
/// # Errors
/// Where the kernel refuses the netlink socket or the question.
pub fn list() -> io::Result<Vec<Interface>> {
    let socket = open(0, SocketFlags::CLOEXEC)?;
    send(&socket, &dump_request(), SendFlags::empty())?;
    let mut interfaces = Vec::new();
    let mut answer = vec![0; ANSWER_LEN];
    for _ in 0..MAX_ANSWERS {
        let (length, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;
        match read_answer(answer.get(..length).unwrap_or_default(), &mut interfaces)? {
            Answer::More => {}
            Answer::Done => break,
        }
    }
    Ok(interfaces)
}

/// Tells that interfaces appeared, vanished or were renamed.
#[derive(Debug)]
pub(super) struct Monitor {
    socket: OwnedFd,
}

impl Monitor {
    /// A monitor of this thread's network namespace.
    pub(super) fn open() -> io::Result<Self> {
        let socket = open(GROUP_LINK, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        Ok(Self { socket })
    }

    /// Whether something changed since the last time. What, is to be asked with [`list`].
    pub(super) fn changed(&self) -> bool {
        let mut buffer = [0; 4_096];
        let mut changed = false;
        // A full socket buffer (ENOBUFS) means lost messages: something changed then, too.
        for _ in 0..MAX_ANSWERS {
            match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
                Err(rustix::io::Errno::AGAIN) => break,
                Ok(_) | Err(rustix::io::Errno::NOBUFS) => changed = true,
                Err(_) => return true,
            }
        }
        changed
    }

    /// Readable when something changed.
    pub(super) const fn socket(&self) -> &OwnedFd {
        &self.socket
    }
}

fn open(groups: u32, flags: SocketFlags) -> io::Result<OwnedFd> {
    // NETLINK_ROUTE is protocol 0, the default.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

fn dump_request() -> [u8; NLMSGHDR_LEN + IFINFOMSG_LEN] {
    let mut request = [0; NLMSGHDR_LEN + IFINFOMSG_LEN];
    let length = (request.len() as u32).to_ne_bytes();
    request[..4].copy_from_slice(&length);
    request[4..6].copy_from_slice(&RTM_GETLINK.to_ne_bytes());
    request[6..8].copy_from_slice(&FLAGS_DUMP.to_ne_bytes());
    request
}

enum Answer {
    More,
    Done,
}

/// Reads one datagram: several messages, each with its length before it.
fn read_answer(mut messages: &[u8], interfaces: &mut Vec<Interface>) -> io::Result<Answer> {
    while let (Some(length), Some(kind)) = (u32_at(messages, 0), u16_at(messages, 4)) {
        let length = length as usize;
        let Some(message) = messages.get(NLMSGHDR_LEN..length) else {
            break;
        };
        match kind {
            NLMSG_DONE => return Ok(Answer::Done),
            NLMSG_ERROR => {
                let code = u32_at(message, 0).map_or(0, |code| (code as i32).saturating_neg());
                return Err(io::Error::from_raw_os_error(code));
            }
            RTM_NEWLINK => interfaces.extend(read_link(message)),
            _ => {}
        }
        messages = messages
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Ok(Answer::More)
}

/// Reads an `ifinfomsg` and the attributes after it.
fn read_link(message: &[u8]) -> Option<Interface> {
    let hardware = u16_at(message, 2)?;
    let index = u32_at(message, 4)?;
    let flags = u32_at(message, 8)?;
    let mut attributes = message.get(IFINFOMSG_LEN..)?;
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let length = usize::from(length);
        let value = attributes.get(4..length)?;
        if kind == IFLA_IFNAME {
            let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
            let name = String::from_utf8_lossy(name).into_owned();
            return Some(Interface {
                index,
                name,
                hardware,
                up: flags & IFF_UP != 0,
            });
        }
        attributes = attributes
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    None
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
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

        #[test]
        fn no_answer_is_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_answer(&bytes, &mut Vec::new());
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
    fn an_answer_gives_each_interface_and_its_end() {
        let mut message = vec![0; NLMSGHDR_LEN + IFINFOMSG_LEN];
        message[4..6].copy_from_slice(&RTM_NEWLINK.to_ne_bytes());
        message[18..20].copy_from_slice(&772_u16.to_ne_bytes());
        message[20..24].copy_from_slice(&1_u32.to_ne_bytes());
        message[24..28].copy_from_slice(&IFF_UP.to_ne_bytes());
        // An attribute of another kind, padded to four bytes, stands before the name.
        message.extend_from_slice(&[5, 0, 9, 0, 0xff, 0, 0, 0]);
        message.extend_from_slice(&[7, 0, 3, 0, b'l', b'o', 0, 0]);
        let length = (message.len() as u32).to_ne_bytes();
        message[..4].copy_from_slice(&length);
        message.extend_from_slice(&[20, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

        let mut interfaces = Vec::new();
        assert!(matches!(
            read_answer(&message, &mut interfaces),
            Ok(Answer::Done)
        ));
        let expected = Interface {
            index: 1,
            name: "lo".into(),
            hardware: 772,
            up: true,
        };
        assert_eq!(interfaces, [expected.clone()]);
        assert_eq!(
            (expected.link(), expected.is_loopback()),
            (Some(Link::Ethernet), true)
        );
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
