//! What to tap where the user does not say: the ports and interfaces of the model servers here.

use std::{
    fmt, fs,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};

/// The default ports of model servers, with who uses them, from their documentation.
///
/// Port 80, on which some container images serve, is left out: where a proxy stands before the model
/// server it listens there, and each call would be seen twice.
pub const WELL_KNOWN_PORTS: &[(u16, &str)] = &[
    (1234, "LM Studio"),
    (2242, "Aphrodite"),
    // text-generation-launcher --port
    (3000, "TGI"),
    (5000, "TabbyAPI, text-generation-webui"),
    (5001, "KoboldCpp"),
    (7997, "Infinity"),
    // vllm serve --port, tritonserver --http-port
    (8000, "vLLM, Triton"),
    // llama-server --port; local-ai --address
    (8080, "llama.cpp, LocalAI"),
    (9997, "Xinference"),
    // OLLAMA_HOST
    (11434, "Ollama"),
    (23333, "LMDeploy"),
    // python -m sglang.launch_server --port
    (30000, "SGLang"),
];

/// An address and port on which something accepts TCP connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listener {
    /// The address, unspecified for all; IPv4 ones in their IPv4 form.
    pub addr: IpAddr,
    /// The port.
    pub port: u16,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, as the kernel has it.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it can carry packets.
    pub state: InterfaceState,
    /// Whether it leads out of the machine.
    pub kind: InterfaceKind,
}

/// Whether an interface can carry packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterfaceState {
    /// It is administratively up.
    Up,
    /// It is not.
    Down,
}

/// Whether an interface leads out of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterfaceKind {
    /// It does not.
    Loopback,
    /// It does, or to another network namespace.
    Other,
}

/// What to tap, and why. Its text is a sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Names of interfaces.
    pub interfaces: Vec<String>,
    /// TCP ports.
    pub ports: Vec<u16>,
    /// Where the ports come from.
    pub origin: Origin,
}

/// Where the tapped ports come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The user named them.
    Named,
    /// Something listens on these well-known ports.
    Listening,
    /// Nothing listens on any well-known port yet, so these are all of them.
    AllWellKnown,
}

/// Finds out what to tap; empty slices mean that the user named nothing.
///
/// # Errors
/// Where the kernel does not tell of listeners (`/proc` is not mounted) or interfaces.
pub fn targets(interfaces: &[String], ports: &[u16]) -> io::Result<Targets> {
    Ok(choose(
        interfaces,
        ports,
        &listening_ports()?,
        &self::interfaces()?,
    ))
}

/// [`targets`], from what the kernel told.
pub fn choose(
    named_interfaces: &[String],
    named_ports: &[u16],
    listeners: &[Listener],
    interfaces: &[Interface],
) -> Targets {
    let listening = default_ports(listeners);
    let (ports, origin) = if !named_ports.is_empty() {
        (named_ports.to_vec(), Origin::Named)
    } else if listening.is_empty() {
        // A model server takes minutes to load: the tap often starts first.
        (
            WELL_KNOWN_PORTS.iter().map(|(port, _)| *port).collect(),
            Origin::AllWellKnown,
        )
    } else {
        (listening, Origin::Listening)
    };
    let interfaces = if named_interfaces.is_empty() {
        default_interfaces(listeners, &ports, interfaces)
    } else {
        named_interfaces.to_vec()
    };
    Targets {
        interfaces,
        ports,
        origin,
    }
}

/// The sockets of this network namespace that accept TCP connections, over IPv4 and IPv6.
///
/// # Errors
/// Where `/proc/net/tcp` cannot be read. A missing `tcp6` is none: the kernel may have no IPv6.
pub fn listening_ports() -> io::Result<Vec<Listener>> {
    let mut listeners = parse_listeners(&fs::read_to_string("/proc/net/tcp")?);
    match fs::read_to_string("/proc/net/tcp6") {
        Ok(text) => listeners.extend(parse_listeners(&text)),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(listeners)
}

/// The interfaces of this network namespace, in the kernel's order.
///
/// # Errors
/// Where the kernel does not tell.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut found: Vec<Interface> = Vec::new();
    // One entry an address, and one an interface for its hardware address.
    for entry in getifaddrs()? {
        let flagged = |flag| entry.flags.contains(flag);
        let address = entry.address.and_then(|address| {
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        });
        if let Some(known) = found
            .iter_mut()
            .find(|known| known.name == entry.interface_name)
        {
            known.addresses.extend(address);
            continue;
        }
        let up = flagged(InterfaceFlags::IFF_UP);
        let loopback = flagged(InterfaceFlags::IFF_LOOPBACK);
        found.push(Interface {
            name: entry.interface_name,
            addresses: address.into_iter().collect(),
            state: if up {
                InterfaceState::Up
            } else {
                InterfaceState::Down
            },
            kind: if loopback {
                InterfaceKind::Loopback
            } else {
                InterfaceKind::Other
            },
        });
    }
    Ok(found)
}

/// The well-known ports on which something listens, in ascending order.
pub fn default_ports(listeners: &[Listener]) -> Vec<u16> {
    let listened = |port: &u16| listeners.iter().any(|listener| listener.port == *port);
    WELL_KNOWN_PORTS
        .iter()
        .map(|(port, _)| *port)
        .filter(listened)
        .collect()
}

/// The interfaces that own the addresses listening on these ports, and always the loopback, by which a
/// machine talks to its own addresses. Where something listens on all addresses, or nothing listens yet,
/// these are all that are up and have an address.
pub fn default_interfaces(
    listeners: &[Listener],
    ports: &[u16],
    interfaces: &[Interface],
) -> Vec<String> {
    let on_ports: Vec<_> = listeners
        .iter()
        .filter(|l| ports.contains(&l.port))
        .collect();
    let everywhere = on_ports.is_empty() || on_ports.iter().any(|l| l.addr.is_unspecified());
    let wanted = |interface: &&Interface| {
        let owns = |address: &IpAddr| on_ports.iter().any(|l| l.addr == address.to_canonical());
        interface.state == InterfaceState::Up
            && (interface.kind == InterfaceKind::Loopback
                || everywhere && !interface.addresses.is_empty()
                || interface.addresses.iter().any(owns))
    };
    interfaces
        .iter()
        .filter(wanted)
        .map(|interface| interface.name.clone())
        .collect()
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin == Origin::AllWellKnown {
            f.write_str("nothing listens on a model server's well-known port yet: ")?;
        }
        let word = if self.ports.len() == 1 {
            "port"
        } else {
            "ports"
        };
        write!(f, "tapping {} on {word} ", self.interfaces.join(", "))?;
        for (n, port) in self.ports.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            match WELL_KNOWN_PORTS.iter().find(|(known, _)| known == port) {
                Some((_, server)) => write!(f, "{comma}{port} ({server})")?,
                None => write!(f, "{comma}{port}")?,
            }
        }
        match self.origin {
            Origin::Named => Ok(()),
            Origin::Listening | Origin::AllWellKnown => f.write_str("; name others with -p"),
        }
    }
}

/// The listening sockets in the text of `/proc/net/tcp` or `tcp6` (`man 5 proc_pid_net`). Lines that
/// are not understood are passed over.
fn parse_listeners(text: &str) -> Vec<Listener> {
    /// TCP_LISTEN of the kernel's include/net/tcp_states.h
    const LISTEN: &str = "0A";
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let (addr, port) = local.split_once(':')?;
        let addr = parse_address(addr)?.to_canonical();
        let port = u16::from_str_radix(port, 16).ok()?;
        (state == LISTEN).then_some(Listener { addr, port })
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// An address as 32-bit words in hexadecimal, each in the byte order of this machine.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(words.as_flattened()).ok()?).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_of_both_versions() {
        // The kernel writes words in its own byte order.
        let word = |octets: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(octets));
        let v4 = format!(
            "  sl  local_address rem_address   st tx_queue rx_queue\n\
             \x20  0: {}:1F40 00000000:0000 0A 00000000:00000000 00:00000000\n\
             \x20  1: {}:1F41 0200000A:C350 01 00000000:00000000 00:00000000\n\
             garbage\n   3: XYZ:1F40 00000000:0000 0A\n",
            word([127, 0, 0, 1]),
            word([10, 0, 0, 1]),
        );
        assert_eq!(parse_listeners(&v4), [listener("127.0.0.1", 8000)]);
        let zero = word([0; 4]);
        let v6 = format!(
            "header\n 0: {zero}{zero}{zero}{zero}:2CAA {zero}{zero}{zero}{zero}:0000 0A 0\n \
             1: {}{zero}{zero}{}:2CAB {zero}:0000 0A 0\n \
             2: {zero}{zero}{}{}:2CAC {zero}:0000 0A 0\n",
            word([0x20, 1, 0xd, 0xb8]),
            word([0, 0, 0, 5]),
            word([0, 0, 0xff, 0xff]),
            word([192, 0, 2, 1]),
        );
        assert_eq!(
            parse_listeners(&v6),
            [
                listener("::", 11434),
                listener("2001:db8::5", 11435),
                listener("192.0.2.1", 11436)
            ]
        );
    }

    #[test]
    fn this_machine_has_a_loopback_and_its_listeners() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(
            listening_ports()
                .unwrap()
                .contains(&listener("127.0.0.1", port))
        );
        let lo = interfaces()
            .unwrap()
            .into_iter()
            .find(|i| i.kind == InterfaceKind::Loopback);
        assert!(
            lo.unwrap()
                .addresses
                .contains(&"127.0.0.1".parse().unwrap())
        );
    }

    #[test]
    fn ports_are_the_well_known_ones_with_a_listener() {
        let listeners = [
            listener("::", 11434),
            listener("0.0.0.0", 22),
            listener("::", 8000),
        ];
        assert_eq!(default_ports(&listeners), [8000, 11434]);
        assert!(WELL_KNOWN_PORTS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn interfaces_are_the_owners_of_the_listening_addresses() {
        let all = machine();
        let chosen = |addr: &str| default_interfaces(&[listener(addr, 8000)], &[8000], &all);
        assert_eq!(chosen("127.0.0.1"), ["lo"]);
        assert_eq!(chosen("192.0.2.1"), ["lo", "eth0"]);
        assert_eq!(chosen("2001:db8::1"), ["lo", "eth0"]);
        assert_eq!(chosen("0.0.0.0"), ["lo", "eth0", "docker0"]);
        assert_eq!(chosen("::"), ["lo", "eth0", "docker0"]);
        // Down.
        assert_eq!(chosen("198.51.100.1"), ["lo"]);
        // Nothing listens on the port yet.
        assert_eq!(
            default_interfaces(&[], &[8000], &all),
            ["lo", "eth0", "docker0"]
        );
    }

    #[test]
    fn the_sentence_says_what_is_tapped() {
        let listeners = [listener("127.0.0.1", 8000)];
        let found = choose(&[], &[], &listeners, &machine());
        assert_eq!(
            found.to_string(),
            "tapping lo on port 8000 (vLLM, Triton); name others with -p"
        );
        let named = choose(&["eth0".into()], &[9997, 4711], &listeners, &machine());
        assert_eq!(
            named.to_string(),
            "tapping eth0 on ports 9997 (Xinference), 4711"
        );
        let nothing = choose(&[], &[], &[], &machine());
        assert_eq!(nothing.ports.len(), WELL_KNOWN_PORTS.len());
        assert!(nothing.to_string().starts_with(
            "nothing listens on a model server's well-known port yet: tapping lo, eth0, docker0 on ports 1234 (LM Studio), "
        ));
    }

    fn listener(addr: &str, port: u16) -> Listener {
        Listener {
            addr: addr.parse().unwrap(),
            port,
        }
    }

    fn machine() -> Vec<Interface> {
        use InterfaceKind::{Loopback, Other};
        use InterfaceState::{Down, Up};
        let interface = |name: &str, addresses: &[&str], state, kind| Interface {
            name: name.into(),
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            state,
            kind,
        };
        vec![
            interface("lo", &["127.0.0.1", "::1"], Up, Loopback),
            interface("eth0", &["192.0.2.1", "2001:db8::1"], Up, Other),
            interface("eth1", &["198.51.100.1"], Down, Other),
            interface("veth7", &[], Up, Other),
            interface("docker0", &["172.17.0.1"], Up, Other),
        ]
    }
}
