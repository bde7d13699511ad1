//! The program's attachments: which interfaces it is on, by which hook.

use std::{
    collections::HashSet,
    error::Error,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
};

use aya::{
    Ebpf,
    programs::{
        LinkOrder, ProgramError, SchedClassifier, TcAttachType,
        tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions},
    },
};
use rustix::io::Errno;
use sniffer_ebpf::{
    maps::{PROGRAMS, Program},
    record::{DIRECTION_EGRESS, DIRECTION_INGRESS, LINK_ETHERNET, LINK_RAW_IP},
};

use super::{
    interfaces::{self, Interface, InterfacePattern, Link},
    namespace::OpenNamespace,
    netlink::Monitor,
};

/// How the program is attached to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// By TCX (Linux 6.6): the kernel takes it off when llmtap ends, however it ends.
    Tcx,
    /// By a filter of the clsact queueing discipline.
    Clsact,
}

impl Hook {
    /// Its name in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// An interface that is tapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TappedInterface {
    /// The interface.
    pub interface: Interface,
    /// What its packets begin with.
    pub link: Link,
    /// How the program is attached.
    pub hook: Hook,
}

/// How many llmtaps with clsact filters can be told apart in one network namespace. One more would
/// not be seen by the others, and its filters be taken for stale ones when the next one starts.
const PRESENCE_SLOTS: usize = 16;

/// What it takes to load and attach the program.
const CAPABILITIES: &str = "run as root, or with the capabilities CAP_BPF, CAP_PERFMON and \
     CAP_NET_ADMIN (setcap cap_bpf,cap_perfmon,cap_net_admin+ep FILE, or docker run --cap-add BPF \
     --cap-add PERFMON --cap-add NET_ADMIN)";

/// How many characters of the kernel's own words are shown.
const MAX_EXPLANATION: usize = 400;

/// All attachments. Dropping it takes them off.
pub(super) struct Taps {
    ebpf: Ebpf,
    namespace: OpenNamespace,
    patterns: Vec<InterfacePattern>,
    /// The hook to use; `None` for TCX where the kernel has it, else clsact.
    hook: Option<Hook>,
    attached: Vec<Attached>,
    /// Interfaces that refused the program: they are named once.
    refused: HashSet<u32>,
    presence: Presence,
}

struct Attached {
    tapped: TappedInterface,
    #[expect(
        dead_code,
        reason = "held, not read: dropping them takes the program off"
    )]
    links: Vec<SchedClassifierLink>,
}

impl Taps {
    pub(super) fn new(
        ebpf: Ebpf,
        namespace: OpenNamespace,
        patterns: Vec<InterfacePattern>,
        hook: Option<Hook>,
    ) -> Self {
        Self {
            ebpf,
            namespace,
            patterns,
            hook,
            attached: Vec::new(),
            refused: HashSet::new(),
            presence: Presence::default(),
        }
    }

    /// A monitor of the interfaces of the tapped namespace.
    pub(super) fn monitor(&self) -> io::Result<Monitor> {
        self.namespace.run(Monitor::open)?
    }

    /// The interfaces that are tapped now.
    pub(super) fn tapped(&self) -> impl Iterator<Item = &TappedInterface> {
        self.attached.iter().map(|attached| &attached.tapped)
    }

    /// Attaches to the wanted interfaces that are there now, and forgets those that are gone.
    /// Gives what a person should know, a sentence each.
    pub(super) fn reconcile(&mut self) -> io::Result<Vec<String>> {
        let Self {
            ebpf,
            namespace,
            patterns,
            hook,
            attached,
            refused,
            presence,
        } = self;
        namespace.run(|| {
            let present = interfaces::list()?;
            let mut warnings = Vec::new();
            let is_named = |name: &str| {
                let named = InterfacePattern::Name(name.into());
                patterns.contains(&named)
            };
            refused.retain(|index| present.iter().any(|interface| interface.index == *index));
            attached.retain_mut(|tap| {
                let now = present
                    .iter()
                    .find(|interface| interface.index == tap.tapped.interface.index);
                let name = &tap.tapped.interface.name;
                match now {
                    // A renamed interface stays tapped: it is the one that was asked for.
                    Some(now) => tap.tapped.interface = now.clone(),
                    None if is_named(name) => warnings.push(format!("{name} is gone")),
                    None => tracing::info!("{name} is gone"),
                }
                now.is_some()
            });
            for interface in present {
                let known = refused.contains(&interface.index)
                    || attached
                        .iter()
                        .any(|tap| tap.tapped.interface.index == interface.index);
                if known
                    || !patterns
                        .iter()
                        .any(|pattern| pattern.matches(&interface.name))
                {
                    continue;
                }
                let Some(link) = interface.link() else {
                    refused.insert(interface.index);
                    if is_named(&interface.name) {
                        warnings.push(format!(
                            "{} is of a kind that llmtap does not read (hardware type {}): tap another \
                             interface",
                            interface.name, interface.hardware
                        ));
                    }
                    continue;
                };
                match attach(ebpf, &interface, link, hook, presence) {
                    Ok((links, hook)) => {
                        tracing::info!("tapping {} by {}", interface.name, hook.as_str());
                        let tapped = TappedInterface {
                            interface,
                            link,
                            hook,
                        };
                        attached.push(Attached { tapped, links });
                    }
                    Err(error) => {
                        refused.insert(interface.index);
                        warnings.push(format!("{} cannot be tapped: {error}", interface.name));
                    }
                }
            }
            Ok(warnings)
        })?
    }
}

impl Drop for Taps {
    /// A filter is taken off through the network namespace of its interface.
    fn drop(&mut self) {
        let Self {
            namespace,
            attached,
            ..
        } = self;
        let attached = std::mem::take(attached);
        // Where the namespace may no longer be entered, the filters stay until the next start.
        let _ = namespace.run(move || drop(attached));
    }
}

/// Attaches the program to an interface, in one direction or both. The links of a half attached
/// interface are taken off again.
fn attach(
    ebpf: &mut Ebpf,
    interface: &Interface,
    link: Link,
    hook: &mut Option<Hook>,
    presence: &mut Presence,
) -> Result<(Vec<SchedClassifierLink>, Hook), String> {
    if presence.is_alone() {
        remove_stale_filters(&interface.name);
    }
    if *hook != Some(Hook::Clsact) {
        match attach_directions(ebpf, interface, link, Hook::Tcx) {
            Ok(links) => return Ok((links, Hook::Tcx)),
            // A kernel without TCX does not know the kind of attachment.
            Err(error)
                if hook.is_none()
                    && matches!(os_error(&*error), Some(Errno::INVAL | Errno::OPNOTSUPP)) =>
            {
                *hook = Some(Hook::Clsact);
            }
            Err(error) => return Err(explain(&*error)),
        }
    }
    presence.announce();
    if let Err(error) = tc::qdisc_add_clsact(&interface.name)
        && os_error(&error) != Some(Errno::EXIST)
    {
        return Err(explain(&error));
    }
    attach_directions(ebpf, interface, link, Hook::Clsact)
        .map(|links| (links, Hook::Clsact))
        .map_err(|error| explain(&*error))
}

fn attach_directions(
    ebpf: &mut Ebpf,
    interface: &Interface,
    link: Link,
    hook: Hook,
) -> Result<Vec<SchedClassifierLink>, Box<dyn Error>> {
    let directions: &[_] = if interface.is_loopback() {
        &[(DIRECTION_INGRESS, TcAttachType::Ingress)]
    } else {
        &[
            (DIRECTION_INGRESS, TcAttachType::Ingress),
            (DIRECTION_EGRESS, TcAttachType::Egress),
        ]
    };
    let mut links = Vec::new();
    for (direction, at) in directions {
        let program = program(ebpf, link, *direction)?;
        let id = match hook {
            Hook::Tcx => {
                // First in the chain: an earlier program's verdict would end it.
                let order = TcAttachOptions::TcxOrder(LinkOrder::first());
                program.attach_with_options(&interface.name, *at, order)?
            }
            Hook::Clsact => {
                // Priority 0 leaves the choice to the kernel, which puts the filter before those
                // that there are; with one at priority 1 there is no place before it.
                let options = |priority| {
                    TcAttachOptions::Netlink(NlOptions {
                        priority,
                        ..NlOptions::default()
                    })
                };
                program
                    .attach_with_options(&interface.name, *at, options(0))
                    .or_else(|_| program.attach_with_options(&interface.name, *at, options(1)))?
            }
        };
        links.push(program.take_link(id)?);
    }
    Ok(links)
}

/// The entry for this case, loaded into the kernel where it was not yet.
pub(super) fn program(
    ebpf: &mut Ebpf,
    link: Link,
    direction: u8,
) -> Result<&mut SchedClassifier, Box<dyn Error>> {
    let link = match link {
        Link::Ethernet => LINK_ETHERNET,
        Link::RawIp => LINK_RAW_IP,
    };
    let name = PROGRAMS
        .iter()
        .find(|program| program.link == link && program.direction == direction)
        .map_or("", |program| program.name);
    let program = ebpf
        .program_mut(name)
        .ok_or_else(|| format!("the object has no {name:?}"))?;
    let program: &mut SchedClassifier = program.try_into()?;
    if program.fd().is_err() {
        program.load()?;
    }
    Ok(program)
}

/// Takes off filters that an llmtap left behind which was killed. The queueing discipline stays:
/// others may use it.
fn remove_stale_filters(interface: &str) {
    for Program {
        name, direction, ..
    } in PROGRAMS
    {
        let at = if direction == DIRECTION_INGRESS {
            TcAttachType::Ingress
        } else {
            TcAttachType::Egress
        };
        // It fails where there are none, or no clsact at all.
        let _ = tc::qdisc_detach_program(interface, at, name);
    }
}

/// Tells llmtaps with filters in one network namespace of each other, so that none takes a living
/// one's filters for stale. Abstract socket names are the namespace's own, as the filters are, and
/// vanish with the process that bound them.
#[derive(Debug, Default)]
struct Presence {
    own: Option<UnixDatagram>,
    alone: Option<bool>,
}

impl Presence {
    /// Whether no other llmtap has filters here. Asked once: later ones look out themselves.
    fn is_alone(&mut self) -> bool {
        *self.alone.get_or_insert_with(|| {
            let free: Vec<_> = (0..PRESENCE_SLOTS).filter_map(bind_slot).collect();
            free.len() == PRESENCE_SLOTS
        })
    }

    /// Takes the first free slot.
    fn announce(&mut self) {
        if self.own.is_none() {
            self.own = (0..PRESENCE_SLOTS).find_map(bind_slot);
        }
    }
}

fn bind_slot(slot: usize) -> Option<UnixDatagram> {
    let address = SocketAddr::from_abstract_name(format!("llmtap-clsact-{slot}")).ok()?;
    UnixDatagram::bind_addr(&address).ok()
}

/// The system's error behind an error.
pub(super) fn os_error(error: &(dyn Error + 'static)) -> Option<Errno> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(code) = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error)
        {
            return Some(Errno::from_raw_os_error(code));
        }
        cause = error.source();
    }
    None
}

/// The error in a sentence that says what to do, where that is known.
pub(super) fn explain(error: &(dyn Error + 'static)) -> String {
    match os_error(error) {
        Some(Errno::PERM) => format!("the kernel does not permit it; {CAPABILITIES}"),
        Some(Errno::NOSYS) => "this kernel has no eBPF; use --backend pcap".into(),
        Some(Errno::NOMEM) => "there is no memory for the ring: take a smaller one (--ring-size), or raise the process's \
             limit (that of its cgroup; before Linux 5.11 ulimit -l)"
            .into(),
        _ => {
            // The verifier's log is long: its end says what it did not like.
            let text = error.to_string();
            let end = text
                .char_indices()
                .rev()
                .nth(MAX_EXPLANATION)
                .map_or(0, |(at, _)| at);
            let end = text.get(end..).unwrap_or_default().replace('\n', " ");
            if let Some(ProgramError::LoadError { .. }) = error.downcast_ref() {
                // With fewer capabilities it verifies programs by stricter rules.
                return format!("the kernel's verifier refused the program; {CAPABILITIES}: {end}");
            }
            end
        }
    }
}
