//! Writes small captures for the tests, field by field.

use super::buffer::Order;

/// Kinds of classic capture.
#[derive(Clone, Copy, Debug)]
pub(super) enum Magic {
    Micro,
    Nano,
    Modified,
}

/// Bytes of a capture in the making.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    order: Order,
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new(order: Order) -> Self {
        Self {
            order,
            bytes: Vec::new(),
        }
    }

    /// A pcap file header.
    pub(super) fn pcap(order: Order, magic: Magic, link: u16) -> Self {
        Self::pcap_of_link(order, magic, u32::from(link))
    }

    /// A pcap file header, all 32 bits of its link field given.
    pub(super) fn pcap_of_link(order: Order, magic: Magic, link: u32) -> Self {
        let mut file = Self::new(order);
        file.u32(match magic {
            Magic::Micro => 0xa1b2_c3d4,
            Magic::Nano => 0xa1b2_3c4d,
            Magic::Modified => 0xa1b2_cd34,
        });
        file.u16(2).u16(4).u32(0).u32(0).u32(262_144).u32(link);
        file
    }

    /// A pcap record.
    pub(super) fn record(mut self, seconds: u32, ticks: u32, original: u32, data: &[u8]) -> Self {
        self.u32(seconds)
            .u32(ticks)
            .u32(data.len() as u32)
            .u32(original);
        self.bytes.extend_from_slice(data);
        self
    }

    /// A pcap record of the modified kind, of interface 7.
    pub(super) fn modified_record(self, seconds: u32, ticks: u32, data: &[u8]) -> Self {
        self.modified_record_of(7, seconds, ticks, data)
    }

    /// A pcap record of the modified kind.
    pub(super) fn modified_record_of(
        mut self,
        interface: u32,
        seconds: u32,
        ticks: u32,
        data: &[u8],
    ) -> Self {
        self.u32(seconds)
            .u32(ticks)
            .u32(data.len() as u32)
            .u32(data.len() as u32);
        self.u32(interface).u16(0x0800).u16(0);
        self.bytes.extend_from_slice(data);
        self
    }

    /// A pcapng section header; what follows is in `order`.
    pub(super) fn section(mut self, order: Order) -> Self {
        self.order = order;
        let mut body = Self::new(order);
        body.u32(0x1a2b_3c4d)
            .u16(1)
            .u16(0)
            .u32(u32::MAX)
            .u32(u32::MAX);
        self.block(0x0a0d_0d0a, &body.bytes)
    }

    /// An interface description with raw options (code, value).
    pub(super) fn interface(self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Self {
        let mut body = Self::new(self.order);
        body.u16(link).u16(0).u32(snaplen);
        body.options(options);
        self.block(1, &body.bytes)
    }

    /// An enhanced packet block.
    pub(super) fn packet(self, interface: u32, ticks: u64, data: &[u8]) -> Self {
        let mut body = Self::new(self.order);
        body.u32(interface)
            .u32((ticks >> 32) as u32)
            .u32(ticks as u32);
        body.u32(data.len() as u32).u32(data.len() as u32 + 1);
        body.padded(data);
        body.options(&[(1, b"a comment")]);
        self.block(6, &body.bytes)
    }

    /// An obsolete packet block.
    pub(super) fn obsolete_packet(self, interface: u16, ticks: u64, data: &[u8]) -> Self {
        let mut body = Self::new(self.order);
        body.u16(interface)
            .u16(0xffff)
            .u32((ticks >> 32) as u32)
            .u32(ticks as u32);
        body.u32(data.len() as u32).u32(data.len() as u32);
        body.padded(data);
        self.block(2, &body.bytes)
    }

    /// A simple packet block.
    pub(super) fn simple_packet(self, original: u32, data: &[u8]) -> Self {
        let mut body = Self::new(self.order);
        body.u32(original);
        body.padded(data);
        self.block(3, &body.bytes)
    }

    /// An interface statistics block with what the interface and the ring lost.
    pub(super) fn statistics(self, interface: u32, if_drop: u64, os_drop: u64) -> Self {
        let bytes = |value: u64| match self.order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        };
        let mut body = Self::new(self.order);
        body.u32(interface).u32(0).u32(0);
        body.options(&[(5, &bytes(if_drop)), (7, &bytes(os_drop))]);
        self.block(5, &body.bytes)
    }

    /// Any block; the body is a whole number of 32-bit words.
    pub(super) fn block(mut self, kind: u32, body: &[u8]) -> Self {
        let total = body.len() as u32 + 12;
        self.u32(kind).u32(total);
        self.bytes.extend_from_slice(body);
        self.u32(total);
        self
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes.extend_from_slice(&match self.order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        });
        self
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend_from_slice(&match self.order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        });
        self
    }

    fn options(&mut self, options: &[(u16, &[u8])]) {
        for (code, value) in options {
            self.u16(*code).u16(value.len() as u16);
            self.padded(value);
        }
        if !options.is_empty() {
            self.u32(0);
        }
    }

    fn padded(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
