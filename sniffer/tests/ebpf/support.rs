//! Network namespaces, and traffic between them.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd as _,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use etherparse::{LaxSlicedPacket, TransportSlice};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sniffer::capture::{
    LinkType, Next, PacketSource as _,
    ebpf::{EbpfSettings, EbpfSource, InterfacePattern, NetworkNamespace},
};

/// How long a test waits for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Whether this process may load programs. Without the right it fails in CI; elsewhere it says
/// that nothing was tested.
pub(crate) fn privileged(test: &str) -> bool {
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n");
    assert!(
        root || std::env::var_os("CI").is_none(),
        "{test} needs root"
    );
    if !root {
        eprintln!("NOT TESTED: {test} needs root");
    }
    root
}

/// The object to test.
pub(crate) fn object() -> Option<PathBuf> {
    std::env::var_os("LLMTAP_BPF_OBJECT").map(PathBuf::from)
}

/// A network namespace of the test's own. It goes with the test, also where that fails.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("llmtap-{}-{number}", std::process::id());
        run(&["ip", "netns", "add", &name]);
        let namespace = Self { name };
        namespace.run(&["ip", "link", "set", "lo", "up"]);
        namespace
    }

    /// Runs a command in it, which has to succeed.
    pub(crate) fn run(&self, command: &[&str]) -> String {
        run(&[&["ip", "netns", "exec", &self.name], command].concat())
    }

    /// Runs `work` in a thread of its own in the namespace.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let file = File::open(format!("/run/netns/{}", self.name)).expect("the namespace");
        thread::spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may");
            work()
        })
    }

    pub(crate) fn settings(&self, interface: &str, port: u16) -> EbpfSettings {
        let pattern: InterfacePattern = interface.parse().expect("infallible");
        let mut settings = EbpfSettings::new(vec![pattern], vec![port]);
        settings.namespace = NetworkNamespace::Name(self.name.clone());
        settings.object = object();
        settings
    }

    /// A listener in the namespace, at a port that the kernel chose.
    pub(crate) fn listen(&self, address: &str) -> (TcpListener, SocketAddr) {
        let address: IpAddr = address.parse().expect("an address");
        self.spawn(move || {
            let listener = TcpListener::bind((address, 0)).expect("a free port");
            let address = listener.local_addr().expect("bound");
            (listener, address)
        })
        .join()
        .expect("a listener")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
    }
}

/// Runs a command, which has to succeed, and gives what it prints.
pub(crate) fn run(command: &[&str]) -> String {
    let output = Command::new(command[0])
        .args(&command[1..])
        .output()
        .expect("iproute2");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Two namespaces with a cable between: `veth0` in each, 10.9.0.1 and fd09::1 at the first,
/// 10.9.0.2 and fd09::2 at the second.
pub(crate) fn cabled(mtu: &str) -> (Namespace, Namespace) {
    let (near, far) = (Namespace::new(), Namespace::new());
    near.run(&[
        "ip", "link", "add", "veth0", "mtu", mtu, "type", "veth", "peer", "name", "veth0", "netns",
        &far.name, "mtu", mtu,
    ]);
    for (namespace, number) in [(&near, 1), (&far, 2)] {
        namespace.run(&[
            "ip",
            "addr",
            "add",
            &format!("10.9.0.{number}/24"),
            "dev",
            "veth0",
        ]);
        namespace.run(&[
            "ip",
            "addr",
            "add",
            &format!("fd09::{number}/64"),
            "dev",
            "veth0",
            "nodad",
        ]);
        namespace.run(&["ip", "link", "set", "veth0", "up"]);
    }
    (near, far)
}

/// One connection: the client sends `request` and ends its side, the server answers it with
/// `answer` and ends.
pub(crate) fn talk(
    server: (TcpListener, SocketAddr),
    client: &Namespace,
    request: Vec<u8>,
    answer: Vec<u8>,
) {
    let (listener, address) = server;
    let (expected, sent) = (request.clone(), answer.clone());
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut got = Vec::new();
        stream.read_to_end(&mut got).expect("a request");
        assert!(got == expected, "the server got another request");
        stream.write_all(&sent).expect("an answer");
    });
    let asking = client.spawn(move || {
        let mut stream = TcpStream::connect(address).expect("a server");
        stream.write_all(&request).expect("a request");
        stream.shutdown(Shutdown::Write).expect("open");
        let mut got = Vec::new();
        stream.read_to_end(&mut got).expect("an answer");
        assert!(got == answer, "the client got another answer");
    });
    asking.join().expect("a client");
    answering.join().expect("a server");
}

/// What the tap saw of a connection.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) request: Stream,
    pub(crate) answer: Stream,
    pub(crate) packets: u64,
    pub(crate) largest: usize,
    last_time: i64,
    pub(crate) steps_back: u64,
}

/// The bytes of one direction, put where their sequence numbers say.
#[derive(Default)]
pub(crate) struct Stream {
    start: Option<u32>,
    bytes: Vec<u8>,
    known: Vec<bool>,
    finished: bool,
}

impl Stream {
    fn put(&mut self, seq: u32, syn: bool, fin: bool, payload: &[u8]) {
        if syn {
            self.start = Some(seq.wrapping_add(1));
        }
        self.finished |= fin;
        let Some(start) = self.start else { return };
        let at = seq.wrapping_sub(start) as usize;
        if payload.is_empty() || at > 1 << 30 {
            return;
        }
        let end = at + payload.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
            self.known.resize(end, false);
        }
        self.bytes[at..end].copy_from_slice(payload);
        self.known[at..end].fill(true);
    }

    /// Whether it is these bytes and its end was seen.
    pub(crate) fn is(&self, expected: &[u8]) -> bool {
        self.finished && self.bytes == expected && self.known.iter().all(|known| *known)
    }

    /// How many bytes of it were seen.
    pub(crate) fn known(&self) -> usize {
        self.known.iter().filter(|known| **known).count()
    }
}

impl Seen {
    /// Takes in what has come until `enough` says so, or until it is clear that it never will.
    pub(crate) fn read_until(
        &mut self,
        source: &mut EbpfSource,
        port: u16,
        enough: impl Fn(&Self) -> bool,
    ) {
        let deadline = Instant::now() + PATIENCE;
        while !enough(self) && Instant::now() < deadline {
            self.read_once(source, port);
        }
    }

    /// Takes in all that has come, and goes on until nothing comes for a while.
    pub(crate) fn read_rest(&mut self, source: &mut EbpfSource, port: u16) {
        let mut idle = 0;
        while idle < 3 {
            idle = if self.read_once(source, port) {
                0
            } else {
                idle + 1
            };
        }
    }

    fn read_once(&mut self, source: &mut EbpfSource, port: u16) -> bool {
        let Next::Packet(packet) = source.next().expect("a source that works") else {
            return false;
        };
        self.packets += 1;
        self.largest = self.largest.max(packet.data.len());
        let time = packet.time.as_micros();
        self.steps_back += u64::from(time < self.last_time);
        self.last_time = self.last_time.max(time);
        // Lax: GSO packets of 64 KiB and more have an IP length of 0.
        let sliced = match packet.link {
            LinkType::Ethernet => LaxSlicedPacket::from_ethernet(packet.data).expect("Ethernet"),
            _ => LaxSlicedPacket::from_ip(packet.data).expect("IP"),
        };
        let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else {
            panic!("no TCP")
        };
        let stream = if tcp.destination_port() == port {
            &mut self.request
        } else {
            assert_eq!(tcp.source_port(), port, "a packet of another port");
            &mut self.answer
        };
        stream.put(tcp.sequence_number(), tcp.syn(), tcp.fin(), tcp.payload());
        true
    }
}

/// Bytes that are the same each time, and nowhere the same as at another place.
pub(crate) fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0_u32..)
        .flat_map(|at| {
            at.wrapping_mul(2_654_435_761)
                .wrapping_add(u32::from(seed))
                .to_le_bytes()
        })
        .take(length)
        .collect()
}
