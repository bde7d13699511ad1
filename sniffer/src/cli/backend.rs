//! Which backend takes the packets, and why.

#[cfg(feature = "ebpf")]
use std::path::PathBuf;

use analyzer::exchange::Source;
use anyhow::{anyhow, bail};
use sniffer::capture::{PacketSource, discover::Targets};

use super::args::{Backend, RunArgs};

/// An open source of packets.
pub(crate) struct Opened {
    /// How it takes them.
    pub(crate) source: Source,
    /// The source.
    pub(crate) packets: Box<dyn PacketSource>,
    /// What it taps, for people.
    pub(crate) what: String,
}

/// Opens the backend that was asked for; `auto` takes eBPF where it can, else libpcap, and says which
/// and why.
pub(crate) fn open(args: &RunArgs, targets: &Targets) -> anyhow::Result<Opened> {
    match args.backend {
        Backend::Ebpf => ebpf(args, targets),
        Backend::Pcap => pcap(args, targets),
        Backend::Auto => match ebpf(args, targets) {
            // That it is eBPF stands in the line that says it is ready.
            Ok(opened) => Ok(opened),
            // libpcap cannot enter another namespace: the first error is the one to mend.
            Err(why) if args.netns.is_some() => Err(why),
            Err(why) => {
                let opened = pcap(args, targets)
                    .map_err(|error| anyhow!("{error:#}\neBPF cannot be used either: {why:#}"))?;
                tracing::info!("capturing with libpcap, since eBPF cannot be used: {why:#}");
                Ok(opened)
            }
        },
    }
}

#[cfg(feature = "ebpf")]
fn ebpf(args: &RunArgs, targets: &Targets) -> anyhow::Result<Opened> {
    use sniffer::capture::ebpf::{EbpfSettings, EbpfSource, InterfacePattern, NetworkNamespace};

    let patterns: Vec<InterfacePattern> = targets
        .interfaces
        .iter()
        .map(|name| {
            let Ok(pattern) = name.parse();
            pattern
        })
        .collect();
    let namespace = args
        .netns
        .as_deref()
        .map(NetworkNamespace::parse)
        .unwrap_or_default();
    let source = EbpfSource::open(EbpfSettings {
        namespace,
        // For those who build the kernel side themselves, and for the tests of a fresh one.
        object: std::env::var_os("LLMTAP_BPF_OBJECT").map(PathBuf::from),
        ring_bytes: args.ring_size,
        ..EbpfSettings::new(patterns, targets.ports.clone())
    })?;
    let names: Vec<_> = source
        .tapped()
        .into_iter()
        .map(|tapped| tapped.interface.name)
        .collect();
    let names = if names.is_empty() {
        "no interface yet".to_owned()
    } else {
        names.join(", ")
    };
    Ok(Opened {
        source: Source::Ebpf,
        packets: Box::new(source),
        what: format!("capturing on {names} by eBPF"),
    })
}

#[cfg(not(feature = "ebpf"))]
fn ebpf(_: &RunArgs, _: &Targets) -> anyhow::Result<Opened> {
    bail!(
        "this llmtap was built without eBPF: take --backend pcap, or build it with the feature `ebpf`"
    )
}

fn pcap(args: &RunArgs, targets: &Targets) -> anyhow::Result<Opened> {
    if args.netns.is_some() {
        bail!(
            "libpcap taps this network namespace alone: leave --backend out, or run llmtap inside \
             the other one (ip netns exec NAME llmtap run …)"
        );
    }
    libpcap(args, targets)
}

#[cfg(feature = "pcap")]
fn libpcap(args: &RunArgs, targets: &Targets) -> anyhow::Result<Opened> {
    use sniffer::capture::live::{LiveSettings, LiveSource};

    let mut settings = LiveSettings::new(targets.interfaces.clone(), targets.ports.clone());
    settings.ring_bytes = args.ring_size as usize;
    Ok(Opened {
        source: Source::Pcap,
        packets: Box::new(LiveSource::open(&settings)?),
        what: format!("capturing on {} by libpcap", targets.interfaces.join(", ")),
    })
}

#[cfg(not(feature = "pcap"))]
fn libpcap(_: &RunArgs, _: &Targets) -> anyhow::Result<Opened> {
    bail!(
        "this llmtap was built without libpcap: take --backend ebpf, or build it with the feature `pcap`"
    )
}
