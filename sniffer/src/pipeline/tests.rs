//! The pipeline as a whole, over sources made by hand.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::{
    capture::{LinkType, Packet},
    packet::frame::{ACK, SYN, TcpPacket, frame, outer},
};

const CLIENT: &str = "192.0.2.1:40000";
const SERVER: &str = "192.0.2.2:8000";

/// Frames with their times and the clock's correction when they come.
struct Frames {
    frames: Vec<(Timestamp, i64, Vec<u8>)>,
    next: usize,
}

impl PacketSource for Frames {
    fn next(&mut self) -> Result<Next<'_>, CaptureError> {
        let Some((time, _, data)) = self.frames.get(self.next) else {
            return Ok(Next::End);
        };
        self.next += 1;
        Ok(Next::Packet(Packet {
            time: *time,
            link: LinkType::Ethernet,
            data,
            wire_len: data.len() as u32,
            interface: 0,
        }))
    }

    fn stats(&mut self) -> CaptureStats {
        CaptureStats::default()
    }

    fn utc_correction(&self) -> i64 {
        self.frames
            .get(self.next)
            .map_or(0, |(_, correction, _)| *correction)
    }
}

/// One connection with one exchange a second; the clock is set forward by an hour before the second.
fn exchanges(count: u32) -> Frames {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    const RESPONSE: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
    let mut frames = Vec::new();
    let mut add = |second: u32, from: &str, to: &str, seq, ack, flags, payload: &[u8]| {
        let packet = TcpPacket {
            seq,
            ack,
            flags,
            ..TcpPacket::new(from, to, payload)
        };
        frames.push((
            Timestamp::from_micros(1_000_000_000 + i64::from(second) * 1_000_000),
            if second > 1 { 3_600_000_000 } else { 0 },
            frame(LinkType::Ethernet, &[], &packet.ip()),
        ));
    };
    add(0, CLIENT, SERVER, 99, 0, SYN, b"");
    add(0, SERVER, CLIENT, 199, 100, SYN | ACK, b"");
    for n in 0..count {
        let (client, server) = (
            100 + n * REQUEST.len() as u32,
            200 + n * RESPONSE.len() as u32,
        );
        let asked = client + REQUEST.len() as u32;
        add(n + 1, CLIENT, SERVER, client, server, ACK, REQUEST);
        add(n + 1, SERVER, CLIENT, server, asked, ACK, RESPONSE);
    }
    Frames { frames, next: 0 }
}

fn settings(pace: Pace, workers: usize) -> Settings {
    Settings {
        source: Source::File,
        pace,
        feed: None,
        ports: Vec::new(),
        workers,
        tcp: TcpSettings::default(),
        http: HttpSettings::new(Source::File),
        analysis: Live::default(),
        counter: Counter::always().into(),
    }
}

fn starts(source: &mut Frames, workers: usize) -> Vec<i64> {
    let settings = settings(Pace::Replay, workers);
    let mut starts = Vec::new();
    let on_output = |output| {
        if let Output::Exchange(row, _) = output {
            starts.extend(row.request_start.map(Timestamp::as_micros));
        }
    };
    run(
        source,
        &settings,
        &AtomicBool::new(false),
        on_output,
        |_| {},
    )
    .unwrap();
    starts
}

#[test]
fn a_clock_that_is_set_moves_only_exchanges_that_begin_later() {
    for workers in [1, 2, 16] {
        assert_eq!(
            starts(&mut exchanges(3), workers),
            [
                1_001_000_000,
                1_002_000_000 + 3_600_000_000,
                1_003_000_000 + 3_600_000_000
            ]
        );
    }
}

#[test]
fn tunnels_are_opened_in_files_and_left_alone_live() {
    for (pace, exchanges_seen, tunnelled) in [(Pace::Replay, 3, 0), (Pace::Live, 0, 8)] {
        let mut source = exchanges(3);
        for (_, _, data) in &mut source.frames {
            let ip = data.split_off(14);
            *data = frame(LinkType::Ethernet, &[], &outer(4, 4, &ip));
        }
        let mut seen = 0;
        let on_output = |output| seen += usize::from(matches!(output, Output::Exchange(..)));
        let stop = AtomicBool::new(false);
        let report = run(&mut source, &settings(pace, 1), &stop, on_output, |_| {}).unwrap();
        assert_eq!(
            (seen, report.packets.tunnelled),
            (exchanges_seen, tunnelled)
        );
    }
}
