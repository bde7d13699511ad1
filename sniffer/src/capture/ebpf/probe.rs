//! Whether this machine allows the tap, found out without touching any traffic.

use std::io;

use aya::programs::{SchedClassifier, TcAttachType};
use sniffer_ebpf::maps::PROGRAMS;

use super::{
    CaptureError, Hook, Interface, Link, MIN_RING_BYTES, OBJECT, interfaces, load, load_error, taps,
};

/// What else is on the hooks of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnHook {
    /// The programs that TCX runs, ingress first.
    pub tcx: Vec<String>,
    /// The clsact filters: the names of programs, the kinds of other filters.
    pub clsact: Vec<String>,
}

/// Loads the whole program with a small ring, attaches it nowhere, and says by which hook it would
/// be attached.
///
/// # Errors
/// Where the kernel cannot or may not; the text says what to do.
pub fn probe() -> Result<Hook, CaptureError> {
    let mut ebpf = load(OBJECT, MIN_RING_BYTES)?;
    for entry in PROGRAMS {
        let link = if entry.link == sniffer_ebpf::record::LINK_ETHERNET {
            Link::Ethernet
        } else {
            Link::RawIp
        };
        taps::program(&mut ebpf, link, entry.direction).map_err(|error| load_error(&*error))?;
    }
    // Loopback is everywhere, and the question is refused where the kernel has no TCX.
    Ok(
        match SchedClassifier::query_tcx("lo", TcAttachType::Ingress) {
            Ok(_) => Hook::Tcx,
            Err(_) => Hook::Clsact,
        },
    )
}

/// Which programs are on the hooks of an interface of this network namespace.
///
/// # Errors
/// Where the kernel does not tell (it takes CAP_NET_ADMIN).
pub fn on_hook(interface: &Interface) -> io::Result<OnHook> {
    let mut tcx = Vec::new();
    for at in [TcAttachType::Ingress, TcAttachType::Egress] {
        // A kernel without TCX has no programs there.
        if let Ok((_, programs)) = SchedClassifier::query_tcx(&interface.name, at) {
            tcx.extend(
                programs
                    .iter()
                    .map(|program| program.name_as_str().unwrap_or("?").to_owned()),
            );
        }
    }
    Ok(OnHook {
        tcx,
        clsact: interfaces::filters(interface.index)?,
    })
}
