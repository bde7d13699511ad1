//! Capture files: pcap and pcapng.

use std::path::Path;

use super::{Conversation, Link, Packet, Wrapping};

/// Frames of one link type, in the order of the file.
#[derive(Clone, Debug)]
pub struct Capture {
    link: Link,
    frames: Vec<Packet>,
}

/// The byte order of a capture file's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// As x86 and ARM write it.
    Little,
    /// Network order.
    Big,
}

/// The unit of a capture file's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// 10⁻⁶ s
    Micro,
    /// 10⁻⁹ s
    Nano,
}

impl Capture {
    /// A capture of one link type, without packets.
    pub fn new(link: Link) -> Self {
        Self {
            link,
            frames: Vec::new(),
        }
    }

    /// A capture on Ethernet of one conversation.
    pub fn of(conversation: &Conversation) -> Self {
        let mut capture = Self::new(Link::Ethernet);
        capture.add(conversation);
        capture
    }

    /// A capture of one conversation, each of its packets wrapped.
    pub fn wrapped(wrapping: &Wrapping, conversation: &Conversation) -> Self {
        let mut capture = Self::new(wrapping.link);
        for packet in conversation.packets() {
            let frames = wrapping.frames(&packet.bytes).into_iter();
            let frames: Vec<_> = frames
                .map(|bytes| Packet {
                    micros: packet.micros,
                    bytes,
                })
                .collect();
            capture.add_packets(&frames);
        }
        capture
    }

    /// The same frames, seen so many microseconds later.
    #[must_use]
    pub fn delayed(mut self, micros: u64) -> Self {
        for frame in &mut self.frames {
            frame.micros += micros;
        }
        self
    }

    /// Adds a conversation's packets. The file is kept in the order of time; packets of one time
    /// stay in the order in which they were added.
    pub fn add(&mut self, conversation: &Conversation) -> &mut Self {
        self.add_packets(conversation.packets())
    }

    /// Adds packets that are IP already.
    pub fn add_packets(&mut self, packets: &[Packet]) -> &mut Self {
        self.frames.extend(packets.iter().map(|packet| Packet {
            micros: packet.micros,
            bytes: self.link.frame(&packet.bytes),
        }));
        self.frames.sort_by_key(|frame| frame.micros);
        self
    }

    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The capture as a pcap file.
    pub fn to_pcap(&self, order: ByteOrder, resolution: Resolution) -> Vec<u8> {
        let mut out = Out::new(order);
        out.u32(match resolution {
            Resolution::Micro => 0xa1b2_c3d4,
            Resolution::Nano => 0xa1b2_3c4d,
        });
        out.u16(2);
        out.u16(4);
        for field in [0, 0, 262_144, u32::from(self.link.number())] {
            out.u32(field);
        }
        for frame in &self.frames {
            let fraction = frame.micros % 1_000_000;
            out.u32((frame.micros / 1_000_000) as u32);
            out.u32(match resolution {
                Resolution::Micro => fraction as u32,
                Resolution::Nano => fraction as u32 * 1_000,
            });
            out.u32(frame.bytes.len() as u32);
            out.u32(frame.bytes.len() as u32);
            out.bytes(&frame.bytes);
        }
        out.bytes
    }

    /// Writes the usual pcap file: little endian, microseconds.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        std::fs::write(path, self.to_pcap(ByteOrder::Little, Resolution::Micro))
    }
}

/// Several captures as the interfaces of one pcapng file, in the order of time.
pub fn to_pcapng(interfaces: &[Capture], order: ByteOrder, resolution: Resolution) -> Vec<u8> {
    let mut file = Out::new(order);
    let mut section = Out::new(order);
    section.u32(0x1a2b_3c4d);
    section.u16(1);
    section.u16(0);
    section.u32(u32::MAX);
    section.u32(u32::MAX);
    file.block(0x0a0d_0d0a, &section.bytes);
    for capture in interfaces {
        let mut interface = Out::new(order);
        interface.u16(capture.link.number());
        interface.u16(0);
        interface.u32(262_144);
        if resolution == Resolution::Nano {
            // if_tsresol: one octet, padded to four, then the end of the options.
            interface.u16(9);
            interface.u16(1);
            interface.bytes(&[9, 0, 0, 0]);
            interface.u32(0);
        }
        file.block(1, &interface.bytes);
    }
    let mut frames: Vec<(u32, &Packet)> = interfaces
        .iter()
        .zip(0_u32..)
        .flat_map(|(capture, index)| capture.frames.iter().map(move |frame| (index, frame)))
        .collect();
    frames.sort_by_key(|(_, frame)| frame.micros);
    for (interface, frame) in frames {
        let units = match resolution {
            Resolution::Micro => frame.micros,
            Resolution::Nano => frame.micros * 1_000,
        };
        let mut packet = Out::new(order);
        packet.u32(interface);
        packet.u32((units >> 32) as u32);
        packet.u32(units as u32);
        packet.u32(frame.bytes.len() as u32);
        packet.u32(frame.bytes.len() as u32);
        packet.bytes(&frame.bytes);
        file.block(6, &packet.bytes);
    }
    file.bytes
}

struct Out {
    order: ByteOrder,
    bytes: Vec<u8>,
}

impl Out {
    const fn new(order: ByteOrder) -> Self {
        Self {
            order,
            bytes: Vec::new(),
        }
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend(match self.order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        });
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend(match self.order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        });
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let padding = body.len().next_multiple_of(4) - body.len();
        let length = (12 + body.len() + padding) as u32;
        self.u32(kind);
        self.u32(length);
        self.bytes(body);
        self.bytes.extend(std::iter::repeat_n(0, padding));
        self.u32(length);
    }
}
