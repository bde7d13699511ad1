//! Questions to the kernel by rtnetlink (RFC 3549), and its notices.

use std::{io, os::fd::OwnedFd};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink,
    recv, send, socket_with,
};

/// Room for one answer of the kernel, which sends at most 32 KiB at once (`NLMSG_GOODSIZE` and up).
const ANSWER_LEN: usize = 32 * 1_024;

/// The most answers that a list may take: 4,096 of them hold far more interfaces than a machine
/// can have. Past it the list ends as it is.
const MAX_ANSWERS: usize = 4_096;

/// The multicast group of `RTM_NEWLINK` and `RTM_DELLINK` (`RTMGRP_LINK`).
const GROUP_LINK: u32 = 1;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`
const FLAGS_DUMP: u16 = 0x301;
const NLMSGHDR_LEN: usize = 16;
/// The upper two bits of an attribute's kind are flags.
const ATTRIBUTE_KIND: u16 = 0x3fff;

/// Asks for a list; `head` is what the question has after its netlink header. `visit` gets each
/// message of the answer, its kind first.
///
/// # Errors
/// Where the kernel refuses the netlink socket or the question.
pub(super) fn dump(kind: u16, head: &[u8], mut visit: impl FnMut(u16, &[u8])) -> io::Result<()> {
    let socket = open(0, SocketFlags::CLOEXEC)?;
    let mut request = Vec::with_capacity(NLMSGHDR_LEN + head.len());
    request.extend_from_slice(&((NLMSGHDR_LEN + head.len()) as u32).to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&FLAGS_DUMP.to_ne_bytes());
    request.extend_from_slice(&[0; 8]);
    request.extend_from_slice(head);
    send(&socket, &request, SendFlags::empty())?;

    let mut answer = vec![0; ANSWER_LEN];
    for _ in 0..MAX_ANSWERS {
        let (length, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;
        match read_answer(answer.get(..length).unwrap_or_default(), &mut visit)? {
            Answer::More => {}
            Answer::Done => break,
        }
    }
    Ok(())
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

    /// Whether something changed since the last time. What, is to be asked for.
    pub(super) fn changed(&self) -> bool {
        let mut buffer = [0; 4_096];
        let mut changed = false;
        for _ in 0..MAX_ANSWERS {
            match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
                Err(rustix::io::Errno::AGAIN) => break,
                // A full socket buffer means lost messages: something changed then, too.
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

/// The attributes of a message, each with its kind; it ends at the first that is damaged.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & ATTRIBUTE_KIND;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// A text attribute, without the NUL at its end.
pub(super) fn text(value: &[u8]) -> String {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// An integer in the host's byte order.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// An integer in the host's byte order.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn open(groups: u32, flags: SocketFlags) -> io::Result<OwnedFd> {
    // NETLINK_ROUTE is protocol 0, the default.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    More,
    Done,
}

/// Reads one datagram: several messages, each with its length before it.
fn read_answer(mut messages: &[u8], visit: &mut impl FnMut(u16, &[u8])) -> io::Result<Answer> {
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
            _ => visit(kind, message),
        }
        messages = messages
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Ok(Answer::More)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, content: &[u8]) -> Vec<u8> {
        let mut message = ((NLMSGHDR_LEN + content.len()) as u32)
            .to_ne_bytes()
            .to_vec();
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&[0; 10]);
        message.extend_from_slice(content);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    #[test]
    fn a_datagram_is_several_messages_and_may_be_the_end() {
        let mut seen = Vec::new();
        let mut visit = |kind, content: &[u8]| seen.push((kind, content.to_vec()));
        let both = [message(16, b"abc"), message(44, b"defg")].concat();
        assert_eq!(read_answer(&both, &mut visit).expect("sound"), Answer::More);
        let end = [message(NLMSG_DONE, &[0; 4]), message(16, b"never")].concat();
        assert_eq!(read_answer(&end, &mut visit).expect("sound"), Answer::Done);
        assert_eq!(seen, [(16, b"abc".to_vec()), (44, b"defg".to_vec())]);
    }

    #[test]
    fn a_refusal_is_the_systems_error() {
        let refusal = message(NLMSG_ERROR, &(-1_i32).to_ne_bytes());
        let error = read_answer(&refusal, &mut |_, _| {}).expect_err("refused");
        assert_eq!(error.raw_os_error(), Some(1));
    }

    #[test]
    fn attributes_are_padded_to_four_bytes_and_may_carry_flags() {
        let nested = 0x8000_u16 | 2;
        let mut bytes = vec![7, 0, 1, 0, b'l', b'o', 0, 0];
        bytes.extend_from_slice(&[8, 0]);
        bytes.extend_from_slice(&nested.to_ne_bytes());
        bytes.extend_from_slice(b"abcd");
        let read: Vec<_> = attributes(&bytes).collect();
        assert_eq!(read, [(1, &b"lo\0"[..]), (2, &b"abcd"[..])]);
        assert_eq!(text(read[0].1), "lo");
    }

    proptest! {
        #[test]
        fn nothing_is_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_answer(&bytes, &mut |_, content| {
                attributes(content).for_each(|(_, value)| drop(text(value)));
            });
            let lengths: usize = attributes(&bytes).map(|(_, value)| value.len() + 4).sum();
            prop_assert!(lengths <= bytes.len());
        }
    }
}
