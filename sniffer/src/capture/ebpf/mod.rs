//! Live capture through the kernel's TC hook.
//!
//! A small program on the hook copies the packets of the tapped ports into a ring, and counts what
//! it could not copy. It never wakes the reader but where the ring fills up: a wake-up costs ten
//! times what the copy costs. So the reader looks by itself, every 5 ms where there is traffic and
//! less often where there is none.

mod assembly;
mod clock;
mod duplicates;
mod interfaces;
mod namespace;
mod netlink;
mod probe;
mod taps;

use std::{os::fd::AsFd as _, path::PathBuf};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, Map, MapData, PerCpuArray, RingBuf},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Resource, Rlimit, setrlimit},
};
use sniffer_ebpf::{
    maps::{COUNTERS, Counter, PACKETS, PORT_WORDS, PORTS, WAKE_BYTES, port_bit},
    record::{LINK_RAW_IP, RecordHeader},
};

use self::{
    assembly::Assembler,
    clock::Clock,
    duplicates::Duplicates,
    netlink::Monitor,
    taps::{Taps, explain},
};
use super::{
    CaptureError, CaptureStats, LinkType, MAX_RING_BYTES, MIN_RING_BYTES, Next, Packet,
    PacketSource,
};

pub use interfaces::{Interface, InterfacePattern, Link, list as list_interfaces};
pub use namespace::NetworkNamespace;
pub use probe::{OnHook, on_hook, probe};
pub use taps::{Hook, TappedInterface};

/// The program, built by `cargo xtask ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("llmtap.bpf.o");

/// The part of the ring that fills before the reader is woken: a quarter.
const WAKE_PART: u32 = 4;

/// How long the reader waits for packets where some came just before, in nanoseconds.
const WAIT_BUSY: i64 = 5_000_000;

/// How long it waits at most; each wait without a packet is twice as long as the one before.
const WAIT_IDLE: i64 = 100_000_000;

/// The Linux version that brought the ring buffer.
const RING_SINCE: (u32, u32) = (5, 8);

/// The Linux version from which on maps no longer count against the limit of locked memory.
const UNLIMITED_SINCE: (u32, u32) = (5, 11);

/// How many sentences for a person are kept. Later ones are dropped.
const MAX_WARNINGS: usize = 64;

/// What to tap, and how.
#[derive(Clone, Debug)]
pub struct EbpfSettings {
    /// The interfaces. A name has to be there at the start; what a pattern or `any` means may come
    /// and go.
    pub interfaces: Vec<InterfacePattern>,
    /// The TCP ports, as source or destination.
    pub ports: Vec<u16>,
    /// The ring's size, made a power of two from [`MIN_RING_BYTES`] to [`MAX_RING_BYTES`].
    pub ring_bytes: u32,
    /// The hook; `None` takes TCX where the kernel has it, else clsact.
    pub hook: Option<Hook>,
    /// The network namespace that the interfaces are in.
    pub namespace: NetworkNamespace,
    /// Another object than the one that llmtap was built with.
    pub object: Option<PathBuf>,
}

impl EbpfSettings {
    /// Taps these ports on these interfaces, and leaves all else as it is by default.
    pub fn new(interfaces: Vec<InterfacePattern>, ports: Vec<u16>) -> Self {
        Self {
            interfaces,
            ports,
            ring_bytes: super::DEFAULT_RING_BYTES,
            hook: None,
            namespace: NetworkNamespace::Own,
            object: None,
        }
    }
}

/// What the program and its reader counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EbpfCounters {
    /// Packets that passed the hooks, tapped or not.
    pub examined: u64,
    /// Packets of the tapped ports, and TCP fragments. `seen` = `captured` + `reserve_failed` +
    /// `load_failed`, exactly, whenever no packet is on its way through.
    pub seen: u64,
    /// Of those, the ones that got into the ring.
    pub captured: u64,
    /// Those lost because the ring was full.
    pub reserve_failed: u64,
    /// Those that the kernel would not copy.
    pub load_failed: u64,
    /// Bytes of the captured packets.
    pub captured_bytes: u64,
    /// How often the program woke the reader.
    pub wakeups: u64,
    /// Captured packets that were seen on another interface before, and not handed on again.
    pub duplicates: u64,
    /// Records of the ring that made no sense: 0, unless something is wrong.
    pub broken: u64,
}

/// Packets from the kernel's TC hook. Dropping it takes the program off.
pub struct EbpfSource {
    ring: RingBuf<MapData>,
    counters: PerCpuArray<MapData, [u64; Counter::COUNT]>,
    taps: Taps,
    monitor: Monitor,
    assembler: Assembler,
    duplicates: Duplicates,
    /// Whether a packet can be seen at two places at all.
    several: bool,
    clock: Clock,
    wait: i64,
    stats: CaptureStats,
}

impl std::fmt::Debug for EbpfSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EbpfSource")
            .field("tapped", &self.tapped())
            .finish_non_exhaustive()
    }
}

impl EbpfSource {
    /// Loads the program and attaches it.
    ///
    /// # Errors
    /// Where the kernel cannot or may not, where a named interface is not there, or where no
    /// interface could be tapped; the text says what to do.
    pub fn open(settings: EbpfSettings) -> Result<Self, CaptureError> {
        if settings.ports.is_empty() {
            return Err(CaptureError(
                "there is no port to tap; name one with -p PORT".into(),
            ));
        }
        let object = match &settings.object {
            None => None,
            Some(path) => Some(std::fs::read(path).map_err(|error| {
                CaptureError(format!(
                    "cannot read the eBPF object {}: {error}",
                    path.display()
                ))
            })?),
        };
        let namespace = settings.namespace.open().map_err(CaptureError)?;
        let present = namespace
            .run(list_interfaces)
            .and_then(|list| list)
            .map_err(|error| {
                CaptureError(format!("cannot list the network's interfaces: {error}"))
            })?;
        check_names(&settings.interfaces, &present)?;

        let ring_bytes = ring_bytes(settings.ring_bytes);
        let mut ebpf = load(object.as_deref().unwrap_or(OBJECT), ring_bytes)?;
        // The maps stay open as long as the programs may be loaded: those name them by descriptor.
        let ports = ebpf.map_mut(PORTS).ok_or_else(|| no_map(PORTS))?;
        let mut ports: Array<_, u64> =
            Array::try_from(ports).map_err(|error| load_error(&error))?;
        for (key, word) in port_words(&settings.ports) {
            ports
                .set(key, word, 0)
                .map_err(|error| load_error(&error))?;
        }
        let ring =
            RingBuf::try_from(take(&mut ebpf, PACKETS)?).map_err(|error| load_error(&error))?;
        let counters = PerCpuArray::try_from(take(&mut ebpf, COUNTERS)?)
            .map_err(|error| load_error(&error))?;

        let taps = Taps::new(ebpf, namespace, settings.interfaces, settings.hook);
        // The monitor comes first: what changes after the list was made is then told.
        let monitor = taps.monitor().map_err(|error| {
            CaptureError(format!("cannot watch the network's interfaces: {error}"))
        })?;
        let mut source = Self {
            ring,
            counters,
            taps,
            monitor,
            assembler: Assembler::default(),
            duplicates: Duplicates::default(),
            several: false,
            clock: Clock::start(),
            wait: WAIT_BUSY,
            stats: CaptureStats::default(),
        };
        source.reconcile()?;
        if source.taps.tapped().next().is_none() && !source.stats.warnings.is_empty() {
            return Err(CaptureError(source.stats.warnings.join("; ")));
        }
        Ok(source)
    }

    /// The interfaces that are tapped now.
    pub fn tapped(&self) -> Vec<TappedInterface> {
        self.taps.tapped().cloned().collect()
    }

    /// What was counted so far.
    pub fn counters(&self) -> EbpfCounters {
        let mut sum = [0_u64; Counter::COUNT];
        // The map has one key and cannot vanish; without an answer the counters read 0.
        if let Ok(cpus) = self.counters.get(&0, 0) {
            for cpu in cpus.iter() {
                for (total, of_cpu) in sum.iter_mut().zip(cpu) {
                    *total = total.wrapping_add(*of_cpu);
                }
            }
        }
        let of = |counter: Counter| sum.get(counter as usize).copied().unwrap_or_default();
        EbpfCounters {
            examined: of(Counter::Examined),
            seen: of(Counter::Seen),
            captured: of(Counter::Captured),
            reserve_failed: of(Counter::ReserveFailed),
            load_failed: of(Counter::LoadFailed),
            captured_bytes: of(Counter::CapturedBytes),
            wakeups: of(Counter::Wakeups),
            duplicates: self.duplicates.found(),
            broken: self.assembler.broken(),
        }
    }

    /// The next packet that is whole and no copy.
    fn next_head(&mut self) -> Option<RecordHeader> {
        loop {
            let record = self.ring.next()?;
            let Some(header) = self.assembler.push(&record) else {
                continue;
            };
            drop(record);
            if self.several && self.duplicates.is_copy(&header, self.assembler.bytes()) {
                continue;
            }
            return Some(header);
        }
    }

    /// Waits for packets, a change of the interfaces, or the time to look again.
    fn wait(&mut self) -> Result<(), CaptureError> {
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: self.wait,
        };
        let ring = self.ring.as_fd();
        let mut sources = [
            PollFd::from_borrowed_fd(ring, PollFlags::IN),
            PollFd::new(self.monitor.socket(), PollFlags::IN),
        ];
        match poll(&mut sources, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(CaptureError(format!("cannot wait for packets: {error}"))),
        }
        let [_, monitor] = &sources;
        // What is tapped stays tapped, whatever is wrong with the list.
        if !monitor.revents().is_empty()
            && self.monitor.changed()
            && let Err(error) = self.reconcile()
        {
            self.warn(error.0);
        }
        Ok(())
    }

    fn reconcile(&mut self) -> Result<(), CaptureError> {
        let warnings = self.taps.reconcile().map_err(|error| {
            CaptureError(format!("cannot list the network's interfaces: {error}"))
        })?;
        for warning in warnings {
            self.warn(warning);
        }
        self.several = self.taps.tapped().nth(1).is_some();
        Ok(())
    }

    fn warn(&mut self, sentence: String) {
        tracing::warn!("{sentence}");
        if self.stats.warnings.len() < MAX_WARNINGS {
            self.stats.warnings.push(sentence);
        }
    }
}

impl PacketSource for EbpfSource {
    /// The next frame, in the order of the ring. Packets of two CPUs can stand the wrong way round
    /// there, by the microsecond or so between the look at the clock and the place in the ring.
    fn next(&mut self) -> Result<Next<'_>, CaptureError> {
        let mut head = self.next_head();
        if head.is_none() {
            self.wait()?;
            head = self.next_head();
            self.wait = match head {
                Some(_) => WAIT_BUSY,
                None => (self.wait * 2).min(WAIT_IDLE),
            };
        }
        let Some(header) = head else {
            return Ok(Next::Idle);
        };
        if self.clock.compare(header.time) {
            let by = self.clock.correction() as f64 / 1e6;
            self.warn(format!(
                "the system's clock was set: it is {by:+.3} s off from the start"
            ));
        }
        let data = self.assembler.bytes();
        self.stats.packets += 1;
        self.stats.bytes += data.len() as u64;
        Ok(Next::Packet(Packet {
            time: self.clock.timestamp(header.time),
            link: if header.link == LINK_RAW_IP {
                LinkType::RawIp
            } else {
                LinkType::Ethernet
            },
            data,
            wire_len: header.total_len,
            interface: header.ifindex,
        }))
    }

    fn utc_correction(&self) -> i64 {
        self.clock.correction()
    }

    fn stats(&mut self) -> CaptureStats {
        let counters = self.counters();
        self.stats.seen = counters.seen;
        self.stats.dropped_ring = counters.reserve_failed;
        self.stats.dropped_copy = counters.load_failed;
        self.stats.duplicates = counters.duplicates;
        self.stats.clone()
    }
}

/// Makes the maps, and reads the programs; those go into the kernel when they are needed.
fn load(object: &[u8], ring_bytes: u32) -> Result<Ebpf, CaptureError> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = kernel_version(&release);
    if version.is_some_and(|version| version < RING_SINCE) {
        return Err(CaptureError(format!(
            "cannot tap by eBPF: the kernel {} has no BPF ring buffer, which came with 5.8; use \
             --backend pcap",
            release.trim()
        )));
    }
    if version.is_some_and(|version| version < UNLIMITED_SINCE) {
        // Where the limit may not be lifted, making the ring fails, and says so.
        let _ = setrlimit(
            Resource::Memlock,
            Rlimit {
                current: None,
                maximum: None,
            },
        );
    }
    let wake_bytes = u64::from(ring_bytes / WAKE_PART);
    EbpfLoader::new()
        .map_max_entries(PACKETS, ring_bytes)
        .override_global(WAKE_BYTES, &wake_bytes, true)
        .load(object)
        .map_err(|error| load_error(&error))
}

/// Reads `MAJOR.MINOR` off the kernel's release.
fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// A name has to be there; a pattern may wait for what it means.
fn check_names(wanted: &[InterfacePattern], present: &[Interface]) -> Result<(), CaptureError> {
    let names = || {
        let names: Vec<_> = present
            .iter()
            .map(|interface| interface.name.as_str())
            .collect();
        names.join(", ")
    };
    if wanted.is_empty() {
        return Err(CaptureError(format!(
            "there is no interface to tap; there are: {}",
            names()
        )));
    }
    for pattern in wanted {
        if let InterfacePattern::Name(name) = pattern
            && !present.iter().any(|interface| interface.name == *name)
        {
            return Err(CaptureError(format!(
                "there is no interface {name}; there are: {}",
                names()
            )));
        }
    }
    Ok(())
}

/// The nearest size that the kernel takes, not below the one asked for.
fn ring_bytes(asked: u32) -> u32 {
    asked
        .clamp(MIN_RING_BYTES, MAX_RING_BYTES)
        .next_power_of_two()
}

/// The words of the port set that are not 0.
fn port_words(ports: &[u16]) -> Vec<(u32, u64)> {
    let mut words = vec![0_u64; PORT_WORDS as usize];
    for port in ports {
        let (key, mask) = port_bit(*port);
        if let Some(word) = words.get_mut(key as usize) {
            *word |= mask;
        }
    }
    (0..).zip(words).filter(|(_, word)| *word != 0).collect()
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map, CaptureError> {
    ebpf.take_map(name).ok_or_else(|| no_map(name))
}

fn no_map(name: &str) -> CaptureError {
    CaptureError(format!("the eBPF object has no map {name}"))
}

fn load_error(error: &(dyn std::error::Error + 'static)) -> CaptureError {
    tracing::debug!("{error}");
    CaptureError(format!("cannot tap by eBPF: {}", explain(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_has_a_size_that_the_kernel_takes() {
        assert_eq!(ring_bytes(0), MIN_RING_BYTES);
        assert_eq!(ring_bytes(100_000_000), 128 << 20);
        assert_eq!(ring_bytes(u32::MAX), MAX_RING_BYTES);
    }

    #[test]
    fn a_release_has_a_version() {
        assert_eq!(kernel_version("6.1.0-18-amd64\n"), Some((6, 1)));
        assert_eq!(kernel_version("5.10.0"), Some((5, 10)));
        assert_eq!(kernel_version("six"), None);
    }

    #[test]
    fn the_port_set_has_a_bit_for_each_port() {
        assert_eq!(port_words(&[8_000, 8_000, 0, 1]), [(0, 3), (125, 1)]);
    }

    #[test]
    fn an_unknown_interface_is_named_with_those_that_there_are() {
        let lo = Interface {
            index: 1,
            name: "lo".into(),
            hardware: 772,
            up: true,
        };
        let wanted = [InterfacePattern::Any, InterfacePattern::Name("eth7".into())];
        let error = check_names(&wanted, &[lo]).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "there is no interface eth7; there are: lo"
        );
    }

    #[test]
    fn a_source_can_be_moved_to_a_thread() {
        const fn is_send<T: Send>() {}
        is_send::<EbpfSource>();
    }
}
