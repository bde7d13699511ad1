use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use super::*;
use crate::packet::{Decoded, Decoder};

/// How long a test waits for its frames: far more than the 50 ms that the kernel holds them back.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn loopback_traffic_is_seen_whole_and_nothing_else() {
    for names in [&["lo"][..], &["any"], &["lo", "lo"]] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let interfaces = names.iter().map(|name| (*name).to_owned()).collect();
        let Some(mut source) = open(&LiveSettings::new(interfaces, vec![port])) else {
            return;
        };

        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        talk(&other, b"not to be seen");
        talk(&listener, b"hello over loopback");

        let mut decoder = Decoder::default();
        let (mut payload, mut fins) = (Vec::new(), 0);
        let deadline = Instant::now() + PATIENCE;
        // Both sides close; each interface in the list sees it all once.
        while fins < 2 * names.len() {
            assert!(
                Instant::now() < deadline,
                "{names:?}: {payload:?}, {fins} FINs"
            );
            let Next::Packet(packet) = source.next().unwrap() else {
                continue;
            };
            // The filter lets IPv6 packets with extension headers by, such as multicast reports.
            let Decoded::Segment(segment) = decoder.decode(&packet) else {
                continue;
            };
            assert!([segment.source.port(), segment.destination.port()].contains(&port));
            payload.extend_from_slice(segment.payload);
            fins += usize::from(segment.flags.fin);
        }
        assert_eq!(payload, b"hello over loopback".repeat(names.len()));
        let stats = source.stats();
        assert!(stats.packets >= 6 && stats.bytes > 0);
        assert_eq!((stats.dropped_ring, stats.dropped_interface), (0, 0));
    }
}

#[test]
fn a_silent_interface_is_idle() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings = LiveSettings::new(vec!["lo".into()], vec![port]);
    let Some(mut source) = open(&settings) else {
        return;
    };
    let deadline = Instant::now() + PATIENCE;
    while source.next().unwrap() != Next::Idle {
        assert!(Instant::now() < deadline);
    }
}

#[test]
fn an_unknown_interface_is_refused_with_those_that_there_are() {
    if open(&LiveSettings::new(vec!["lo".into()], vec![1])).is_none() {
        return;
    }
    let settings = LiveSettings::new(vec!["lo".into(), "nosuch0".into()], vec![1]);
    let error = LiveSource::open(&settings).err().unwrap().to_string();
    assert!(
        error.starts_with("there is no interface nosuch0: choose one of "),
        "{error}"
    );
    assert!(LiveSource::open(&LiveSettings::new(Vec::new(), Vec::new())).is_err());
}

#[test]
fn an_interface_that_goes_away_does_not_end_the_others() {
    if open(&LiveSettings::new(vec!["lo".into()], vec![1])).is_none() {
        return;
    }
    // A network namespace of this thread's own, which is gone with the thread.
    if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
        return skip(&format!("no network namespace can be made ({error})"));
    }
    if !(ip("link set lo up") && ip("link add t0 type veth peer name t1") && ip("link set t0 up")) {
        return skip("ip link add … type veth does not work here");
    }
    let settings = LiveSettings::new(vec!["t0".into(), "lo".into()], vec![]);
    let mut source = LiveSource::open(&settings).unwrap();
    assert!(ip("link del t0"));
    let deadline = Instant::now() + PATIENCE;
    while source.stats().lost_interfaces == 0 {
        assert!(Instant::now() < deadline, "the loss goes unnoticed");
        source.next().unwrap();
    }
    let warnings = source.stats().warnings;
    assert!(matches!(&warnings[..], [one] if one.starts_with("t0 is no longer tapped: ")));

    talk(&TcpListener::bind("127.0.0.1:0").unwrap(), b"still here");
    while !matches!(source.next().unwrap(), Next::Packet(_)) {
        assert!(Instant::now() < deadline, "the other interface is silent");
    }

    let settings = LiveSettings::new(vec!["t2".into()], vec![]);
    assert!(ip("link add t2 type veth peer name t3"));
    let error = LiveSource::open(&settings).err().unwrap().to_string();
    assert!(error.starts_with("t2 is down: "), "{error}");
    assert!(ip("link set t2 up"));
    let mut source = LiveSource::open(&settings).unwrap();
    assert!(ip("link del t2"));
    let error = loop {
        assert!(
            Instant::now() < deadline,
            "the loss of the last interface is no error"
        );
        if let Err(error) = source.next() {
            break error.to_string();
        }
    };
    assert!(error.contains("no other interface is left"), "{error}");
}

/// Runs ip(8) in this thread's network namespace.
fn ip(arguments: &str) -> bool {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    status.is_ok_and(|status| status.success())
}

/// Names what a test could not do; in CI that fails.
fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
}

/// Opens a source; where the privilege is missing, says so and skips the test, but fails in CI.
fn open(settings: &LiveSettings) -> Option<LiveSource> {
    match LiveSource::open(settings) {
        Ok(source) => Some(source),
        Err(error) if error.to_string().contains("cap_net_raw") => {
            skip(&error.to_string());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// One connection on which the client says something.
fn talk(listener: &TcpListener, words: &[u8]) {
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(words).unwrap();
    drop(client);
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, words);
}
