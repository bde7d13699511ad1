//! The TC classifier of llmtap: match the port, copy the packet, count what is lost.
//!
//! Every entry returns `TC_ACT_UNSPEC`: the packet goes on to the next program of the chain, as if
//! this one were not there. Nothing here changes a packet.
#![no_std]
#![no_main]

mod copy;
mod headers;

use aya_ebpf::{
    bindings::TC_ACT_UNSPEC,
    helpers::bpf_ktime_get_ns,
    macros::{classifier, map},
    maps::{Array, PerCpuArray, RingBuf},
    programs::TcContext,
};
use sniffer_ebpf::{
    maps::{Counter, PORT_WORDS, port_bit},
    record::{
        DIRECTION_EGRESS, DIRECTION_INGRESS, FLAG_HEADERS_ONLY, FLAG_VLAN, LINK_ETHERNET,
        LINK_RAW_IP, RecordHeader,
    },
};

/// What one CPU counted, by [`Counter`].
type Counters = [u64; Counter::COUNT];

/// User space sets the size; this one is the least that the kernel takes.
#[map]
static PACKETS: RingBuf = RingBuf::with_byte_size(4_096, 0);

#[map]
static PORTS: Array<u64> = Array::with_max_entries(PORT_WORDS, 0);

#[map]
static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(1, 0);

/// When this CPU last woke the reader, in nanoseconds.
#[map]
static LAST_WAKE: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// The fill of the ring, in bytes, from which on the reader is woken.
#[unsafe(no_mangle)]
static WAKE_BYTES: u64 = u64::MAX;

#[classifier]
pub fn llmtap_eth_in(ctx: TcContext) -> i32 {
    tap(&ctx, LINK_ETHERNET, DIRECTION_INGRESS)
}

#[classifier]
pub fn llmtap_eth_out(ctx: TcContext) -> i32 {
    tap(&ctx, LINK_ETHERNET, DIRECTION_EGRESS)
}

#[classifier]
pub fn llmtap_ip_in(ctx: TcContext) -> i32 {
    tap(&ctx, LINK_RAW_IP, DIRECTION_INGRESS)
}

#[classifier]
pub fn llmtap_ip_out(ctx: TcContext) -> i32 {
    tap(&ctx, LINK_RAW_IP, DIRECTION_EGRESS)
}

/// The whole of the program, but for what is fixed by the hook.
#[inline(always)]
fn tap(ctx: &TcContext, link: u8, direction: u8) -> i32 {
    let Some(counters) = COUNTERS.get_ptr_mut(0) else {
        return TC_ACT_UNSPEC;
    };
    // SAFETY: the map has an entry 0, which this CPU alone writes: neither hook nests on a CPU.
    let counters = unsafe { &mut *counters };
    count(counters, Counter::Examined, 1);
    let Some(tapped) = headers::tapped(ctx, link) else {
        return TC_ACT_UNSPEC;
    };
    count(counters, Counter::Seen, 1);

    let skb = ctx.skb.skb;
    // SAFETY: the kernel hands a valid context, and these fields are readable by a classifier.
    let (total_len, ifindex, vlan_present, vlan_tci) = unsafe {
        (
            (*skb).len,
            (*skb).ifindex,
            (*skb).vlan_present,
            (*skb).vlan_tci,
        )
    };
    let (length, mut flags) = match tapped.content.headers {
        0 => (total_len, 0),
        headers => (headers, FLAG_HEADERS_ONLY),
    };
    if vlan_present != 0 {
        flags |= FLAG_VLAN;
    }
    let header = RecordHeader {
        // SAFETY: the helper has no conditions.
        time: unsafe { bpf_ktime_get_ns() },
        packet: counters[Counter::Seen as usize],
        ifindex,
        total_len,
        offset: 0,
        captured_len: 0,
        // SAFETY: as above.
        cpu: unsafe { aya_ebpf::helpers::bpf_get_smp_processor_id() } as u32,
        vlan_tci: vlan_tci as u16,
        ethertype: tapped.ethertype,
        direction,
        link,
        flags,
        network: tapped.network as u16,
        transport: tapped.content.transport as u16,
    };
    match copy::packet(ctx, counters, header, length) {
        Ok(()) => {
            count(counters, Counter::Captured, 1);
            count(counters, Counter::CapturedBytes, u64::from(length));
        }
        Err(copy::Failure::NoRoom) => count(counters, Counter::ReserveFailed, 1),
        Err(copy::Failure::NotLoaded) => count(counters, Counter::LoadFailed, 1),
    }
    TC_ACT_UNSPEC
}

#[inline(always)]
fn count(counters: &mut Counters, counter: Counter, by: u64) {
    counters[counter as usize] = counters[counter as usize].wrapping_add(by);
}

/// Whether user space asked for this port.
#[inline(always)]
fn is_tapped(port: u16) -> bool {
    let (key, mask) = port_bit(port);
    PORTS.get(key).is_some_and(|word| word & mask != 0)
}

/// The licence as the kernel knows it.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
