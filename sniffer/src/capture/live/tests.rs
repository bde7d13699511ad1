use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
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
            let Decoded::Segment(segment) = decoder.decode(&packet) else {
                panic!("not TCP")
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
    assert_eq!(source.next().unwrap(), Next::Idle);
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

/// Opens a source; where the privilege is missing, says so and skips the test, but fails in CI.
fn open(settings: &LiveSettings) -> Option<LiveSource> {
    match LiveSource::open(settings) {
        Ok(source) => Some(source),
        Err(error)
            if error.to_string().contains("CAP_NET_RAW")
                || error.to_string().contains("cap_net_raw") =>
        {
            assert!(std::env::var_os("CI").is_none(), "{error}");
            eprintln!("SKIPPED, needs root or CAP_NET_RAW: {error}");
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
