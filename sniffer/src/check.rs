//! What this machine allows: the report behind `llmtap check`.
//!
//! Nothing is attached and no packet is read. The program is loaded into the kernel for a moment,
//! since only the kernel knows whether it takes it.

use std::{fmt, fs, net::SocketAddr, path::Path};

use serde::Serialize;

/// One machine's report.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// The kernel's release, such as `6.1.0-18-amd64`.
    pub kernel: String,
    /// Whether the kernel describes its types (`/sys/kernel/btf/vmlinux`). The tap does not need it.
    pub btf: bool,
    /// Whether the kernel compiles programs to machine code; `None` where it does not tell. Without
    /// it the tap works, some times slower.
    pub jit: Option<bool>,
    /// The capabilities that matter, and whether this process has them.
    pub capabilities: Vec<Capability>,
    /// Whether eBPF can be used.
    pub ebpf: Verdict,
    /// Whether libpcap can be used.
    pub pcap: Verdict,
    /// The backend that `--backend auto` takes; `None` where there is none.
    pub backend: Option<Backend>,
    /// The interfaces of this network namespace.
    pub interfaces: Vec<InterfaceReport>,
    /// What listens on the ports in question.
    pub listeners: Vec<SocketAddr>,
    /// What to do about what is missing, a sentence each.
    pub remedies: Vec<String>,
}

/// A capability of this process (capabilities(7)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// Its name, such as `CAP_BPF`.
    pub name: &'static str,
    /// Whether it is effective, by itself or as part of another one.
    pub held: bool,
    /// What it is needed for.
    pub needed_for: &'static str,
}

/// A way to capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The kernel's TC hook.
    Ebpf,
    /// libpcap.
    Pcap,
}

impl Backend {
    /// Its name, as `--backend` takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ebpf => "ebpf",
            Self::Pcap => "pcap",
        }
    }
}

/// Whether a backend can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes; the text says how.
    Usable(String),
    /// No; the text says why, and what to do.
    Unusable(String),
}

impl Verdict {
    /// Whether it is a yes.
    pub const fn is_usable(&self) -> bool {
        matches!(self, Self::Usable(_))
    }
}

/// One interface, and who is on its hooks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InterfaceReport {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// What its packets begin with: `ethernet`, `raw_ip`, or `unsupported`.
    pub link: &'static str,
    /// The programs that TCX runs there.
    pub tcx: Vec<String>,
    /// The clsact filters there.
    pub clsact: Vec<String>,
}

/// The capabilities that matter, with their numbers (`linux/capability.h`), and those that contain
/// them: `CAP_SYS_ADMIN` (21) is all of the three that BPF was given later.
const CAPABILITIES: [(&str, u32, bool, &str); 5] = [
    ("CAP_BPF", 39, true, "eBPF: to load the program"),
    (
        "CAP_NET_ADMIN",
        12,
        false,
        "eBPF: to attach it to an interface",
    ),
    (
        "CAP_PERFMON",
        38,
        true,
        "eBPF: to have it verified by the rules that it was built for",
    ),
    ("CAP_NET_RAW", 13, false, "libpcap: to open an interface"),
    (
        "CAP_SYS_ADMIN",
        21,
        false,
        "to enter another network namespace (--netns)",
    ),
];
const SYS_ADMIN: u32 = 21;

impl CheckReport {
    /// Looks around. `listeners` are those on the ports in question, found by the caller.
    pub fn of_this_machine(listeners: Vec<SocketAddr>) -> Self {
        let capabilities = capabilities(&read("/proc/self/status"));
        let (ebpf, interfaces) = ebpf();
        let mut report = Self {
            kernel: read("/proc/sys/kernel/osrelease").trim().into(),
            btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
            jit: match read("/proc/sys/net/core/bpf_jit_enable").trim() {
                "0" => Some(false),
                "1" | "2" => Some(true),
                _ => None,
            },
            pcap: pcap(&capabilities),
            capabilities,
            ebpf,
            backend: None,
            interfaces,
            listeners,
            remedies: Vec::new(),
        };
        report.conclude();
        report
    }

    /// Whether there is a backend, and something to tap: the command's exit code.
    pub const fn is_good(&self) -> bool {
        self.backend.is_some() && !self.listeners.is_empty()
    }

    fn conclude(&mut self) {
        self.backend = if self.ebpf.is_usable() {
            Some(Backend::Ebpf)
        } else if self.pcap.is_usable() {
            Some(Backend::Pcap)
        } else {
            None
        };
        if let Verdict::Unusable(why) = &self.ebpf {
            self.remedies.push(format!("for eBPF: {why}"));
        }
        if self.backend.is_none()
            && let Verdict::Unusable(why) = &self.pcap
        {
            self.remedies.push(format!("for libpcap: {why}"));
        }
        if self.jit == Some(false) {
            self.remedies
                .push("for speed: sysctl -w net.core.bpf_jit_enable=1".into());
        }
        if self.listeners.is_empty() {
            self.remedies.push(
                "nothing listens on the ports in question: start the model server, or name its \
                 port with -p PORT; a server in a container is seen in its own network namespace \
                 (--netns PID)"
                    .into(),
            );
        }
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes_no = |yes| if yes { "yes" } else { "no" };
        writeln!(f, "kernel        {}", self.kernel)?;
        writeln!(f, "BTF           {}", yes_no(self.btf))?;
        writeln!(f, "BPF JIT       {}", self.jit.map_or("unknown", yes_no))?;
        for capability in &self.capabilities {
            let Capability {
                name,
                held,
                needed_for,
            } = capability;
            writeln!(f, "{name:<13} {:<3}  {needed_for}", yes_no(*held))?;
        }
        for (name, verdict) in [("eBPF", &self.ebpf), ("libpcap", &self.pcap)] {
            match verdict {
                Verdict::Usable(how) => writeln!(f, "{name:<13} usable: {how}")?,
                Verdict::Unusable(why) => writeln!(f, "{name:<13} not usable: {why}")?,
            }
        }
        let backend = self.backend.map_or("none", Backend::as_str);
        writeln!(f, "backend       {backend}")?;
        for interface in &self.interfaces {
            let InterfaceReport {
                name,
                link,
                tcx,
                clsact,
                ..
            } = interface;
            let state = if interface.up { "up" } else { "down" };
            write!(f, "interface     {name} ({state}, {link})")?;
            let others: Vec<_> = tcx.iter().chain(clsact).map(String::as_str).collect();
            if !others.is_empty() {
                write!(f, ", on its hooks: {}", others.join(", "))?;
            }
            writeln!(f)?;
        }
        for listener in &self.listeners {
            writeln!(f, "listening     {listener}")?;
        }
        for remedy in &self.remedies {
            writeln!(f, "to do         {remedy}")?;
        }
        Ok(())
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Reads `CapEff`, a mask in hexadecimal digits, from a process's status.
fn capabilities(status: &str) -> Vec<Capability> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default();
    let has = |number: u32| mask & (1 << number) != 0;
    CAPABILITIES
        .into_iter()
        .map(|(name, number, in_sys_admin, needed_for)| {
            let held = has(number) || in_sys_admin && has(SYS_ADMIN);
            Capability {
                name,
                held,
                needed_for,
            }
        })
        .collect()
}

#[cfg(feature = "ebpf")]
fn ebpf() -> (Verdict, Vec<InterfaceReport>) {
    use crate::capture::ebpf;

    let verdict = match ebpf::probe() {
        Ok(ebpf::Hook::Tcx) => Verdict::Usable("by TCX".into()),
        Ok(ebpf::Hook::Clsact) => Verdict::Usable("by clsact, since this kernel has no TCX".into()),
        Err(error) => Verdict::Unusable(error.to_string()),
    };
    let interfaces = ebpf::list_interfaces().unwrap_or_default();
    let report = |interface: ebpf::Interface| {
        let others = ebpf::on_hook(&interface).unwrap_or_default();
        InterfaceReport {
            link: match interface.link() {
                Some(ebpf::Link::Ethernet) => "ethernet",
                Some(ebpf::Link::RawIp) => "raw_ip",
                None => "unsupported",
            },
            name: interface.name,
            index: interface.index,
            up: interface.up,
            tcx: others.tcx,
            clsact: others.clsact,
        }
    };
    (verdict, interfaces.into_iter().map(report).collect())
}

#[cfg(not(feature = "ebpf"))]
fn ebpf() -> (Verdict, Vec<InterfaceReport>) {
    (
        Verdict::Unusable("this llmtap was built without it (feature `ebpf`)".into()),
        Vec::new(),
    )
}

fn pcap(capabilities: &[Capability]) -> Verdict {
    if !cfg!(feature = "pcap") {
        return Verdict::Unusable("this llmtap was built without it (feature `pcap`)".into());
    }
    let raw = capabilities
        .iter()
        .any(|capability| capability.name == "CAP_NET_RAW" && capability.held);
    if raw {
        Verdict::Usable("through packet sockets".into())
    } else {
        Verdict::Unusable(
            "it takes CAP_NET_RAW: run as root, or setcap cap_net_raw+ep FILE, or docker run \
             --cap-add NET_RAW"
                .into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ebpf: Verdict, pcap: Verdict, listeners: Vec<SocketAddr>) -> CheckReport {
        let mut report = CheckReport {
            kernel: "6.1.0".into(),
            btf: true,
            jit: Some(true),
            capabilities: capabilities("CapEff:\t0000000000003000\n"),
            ebpf,
            pcap,
            backend: None,
            interfaces: Vec::new(),
            listeners,
            remedies: Vec::new(),
        };
        report.conclude();
        report
    }

    #[test]
    fn capabilities_are_bits_and_sys_admin_contains_those_of_bpf() {
        let held = |status| -> Vec<_> {
            let all = capabilities(status)
                .into_iter()
                .filter(|capability| capability.held);
            all.map(|capability| capability.name).collect()
        };
        assert_eq!(
            held("Name:\tx\nCapEff:\t0000000000003000\n"),
            ["CAP_NET_ADMIN", "CAP_NET_RAW"]
        );
        assert_eq!(
            held("CapEff:\t0000000000200000\n"),
            ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN"]
        );
        assert!(held("no such line").is_empty());
    }

    #[test]
    fn ebpf_comes_first_and_libpcap_is_the_second_choice() {
        let yes = || Verdict::Usable("so".into());
        let no = || Verdict::Unusable("it takes X".into());
        let listeners = vec!["127.0.0.1:8000".parse().expect("an address")];
        let both = report(yes(), yes(), listeners.clone());
        assert_eq!((both.backend, both.is_good()), (Some(Backend::Ebpf), true));
        assert!(both.remedies.is_empty());
        let second = report(no(), yes(), listeners.clone());
        assert_eq!(
            (second.backend, second.is_good()),
            (Some(Backend::Pcap), true)
        );
        assert_eq!(second.remedies, ["for eBPF: it takes X"]);
        let none = report(no(), no(), listeners);
        assert_eq!(
            (none.backend, none.is_good(), none.remedies.len()),
            (None, false, 2)
        );
        let idle = report(yes(), yes(), Vec::new());
        assert!(!idle.is_good() && idle.to_string().contains("to do         nothing listens"));
    }

    #[test]
    fn the_report_reads_as_json() {
        let report = report(
            Verdict::Usable("by TCX".into()),
            Verdict::Unusable("x".into()),
            vec![],
        );
        let json = serde_json::to_value(&report).expect("plain data");
        assert_eq!(json["backend"], "ebpf");
        assert_eq!(json["ebpf"]["usable"], "by TCX");
        assert_eq!(json["pcap"]["unusable"], "x");
    }

    #[test]
    fn this_machine_has_a_kernel_and_a_loopback() {
        let report = CheckReport::of_this_machine(Vec::new());
        assert!(report.kernel.contains('.'), "{report}");
        if cfg!(feature = "ebpf") {
            assert!(
                report
                    .interfaces
                    .iter()
                    .any(|interface| interface.name == "lo"),
                "{report}"
            );
        }
    }
}
