//! A capture as a file, to be replayed or looked at elsewhere.

use super::{Frame, Scenario};

/// LINKTYPE_RAW
const RAW_IP: u16 = 101;
/// Interfaces that a tap has.
const INTERFACES: usize = 2;

/// A capture of a scenario as pcapng: IP packets on two interfaces, cut where the tap cut them, in the
/// order in which they were captured.
pub fn to_pcapng(scenario: &Scenario, capture: &[Frame]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut section = Vec::new();
    section.extend(0x1a2b_3c4d_u32.to_le_bytes());
    section.extend(1_u16.to_le_bytes());
    section.extend(0_u16.to_le_bytes());
    section.extend([0xff; 8]);
    block(&mut file, 0x0a0d_0d0a, &section);
    for _ in 0..INTERFACES {
        let mut interface = Vec::new();
        interface.extend(RAW_IP.to_le_bytes());
        interface.extend([0, 0]);
        interface.extend(262_144_u32.to_le_bytes());
        block(&mut file, 1, &interface);
    }
    for frame in capture {
        let Some(connection) = scenario.connections.get(frame.connection) else {
            continue;
        };
        let bytes = frame.packet(&connection.ends);
        let kept = frame.cut.map_or(bytes.len(), |cut| cut.min(bytes.len()));
        let mut packet = Vec::new();
        packet.extend(frame.interface.to_le_bytes());
        packet.extend(((frame.micros >> 32) as u32).to_le_bytes());
        packet.extend((frame.micros as u32).to_le_bytes());
        packet.extend((kept as u32).to_le_bytes());
        packet.extend((bytes.len() as u32).to_le_bytes());
        packet.extend_from_slice(bytes.get(..kept).unwrap_or_default());
        block(&mut file, 6, &packet);
    }
    file
}

fn block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let padding = body.len().next_multiple_of(4) - body.len();
    let length = (12 + body.len() + padding) as u32;
    file.extend(kind.to_le_bytes());
    file.extend(length.to_le_bytes());
    file.extend_from_slice(body);
    file.extend(std::iter::repeat_n(0, padding));
    file.extend(length.to_le_bytes());
}
