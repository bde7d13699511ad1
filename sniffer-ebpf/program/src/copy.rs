//! Copies a packet into the ring, in as many records as it takes.

use core::{hint::black_box, mem::MaybeUninit, ptr};

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::bpf_skb_load_bytes,
    programs::TcContext,
};
use sniffer_ebpf::{
    maps::{Counter, WAKE_PAUSE_NS},
    record::{FLAG_LAST, LARGEST_CLASS, MAX_RECORDS, RecordHeader, SIZE_CLASSES},
};

use crate::Counters;

/// Why a packet does not lie whole in the ring.
pub enum Failure {
    /// The ring has no room.
    NoRoom,
    /// The kernel would not copy it, or it is longer than the most records hold.
    NotLoaded,
}

/// What is reserved in the ring: room for the largest packet of a class.
#[repr(C)]
struct Record<const N: usize> {
    header: RecordHeader,
    data: [MaybeUninit<u8>; N],
}

/// Copies the first `length` bytes of the packet.
#[inline(always)]
pub fn packet(
    ctx: &TcContext,
    counters: &mut Counters,
    mut header: RecordHeader,
    length: u32,
) -> Result<(), Failure> {
    if length as usize > LARGEST_CLASS * MAX_RECORDS {
        return Err(Failure::NotLoaded);
    }
    let flags = header.flags;
    for _ in 0..MAX_RECORDS {
        let rest = length.wrapping_sub(header.offset);
        if rest as usize > LARGEST_CLASS {
            header.captured_len = LARGEST_CLASS as u32;
            record::<{ LARGEST_CLASS }>(ctx, counters, &header)?;
            header.offset += LARGEST_CLASS as u32;
            continue;
        }
        header.captured_len = rest;
        header.flags = flags | FLAG_LAST;
        return match rest as usize {
            n if n <= SIZE_CLASSES[0] => record::<{ SIZE_CLASSES[0] }>(ctx, counters, &header),
            n if n <= SIZE_CLASSES[1] => record::<{ SIZE_CLASSES[1] }>(ctx, counters, &header),
            n if n <= SIZE_CLASSES[2] => record::<{ SIZE_CLASSES[2] }>(ctx, counters, &header),
            n if n <= SIZE_CLASSES[3] => record::<{ SIZE_CLASSES[3] }>(ctx, counters, &header),
            _ => record::<{ SIZE_CLASSES[4] }>(ctx, counters, &header),
        };
    }
    Err(Failure::NotLoaded)
}

#[inline(always)]
fn record<const N: usize>(
    ctx: &TcContext,
    counters: &mut Counters,
    header: &RecordHeader,
) -> Result<(), Failure> {
    let Some(mut entry) = crate::PACKETS.reserve::<Record<N>>(0) else {
        return Err(Failure::NoRoom);
    };
    // The compiler knows the bounds from the branch above and would drop the check below; the
    // verifier needs to see it.
    let length = black_box(header.captured_len);
    if length == 0 || length as usize > N {
        entry.discard(u64::from(BPF_RB_NO_WAKEUP));
        return Err(Failure::NotLoaded);
    }
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is room for one record, aligned to 8 bytes as the ring's slots are, and
    // `length` is within its data.
    let loaded = unsafe {
        ptr::addr_of_mut!((*record).header).write(*header);
        bpf_skb_load_bytes(
            ctx.skb.skb.cast(),
            header.offset,
            ptr::addr_of_mut!((*record).data).cast(),
            length,
        )
    };
    if loaded != 0 {
        entry.discard(u64::from(BPF_RB_NO_WAKEUP));
        return Err(Failure::NotLoaded);
    }
    entry.submit(wake_flag(counters, header.time));
    Ok(())
}

/// Wakes the reader where the ring fills up, and else leaves it to its timer.
#[inline(always)]
fn wake_flag(counters: &mut Counters, now: u64) -> u64 {
    // SAFETY: a read-only setting that user space wrote before the program was loaded; read as
    // volatile since the compiler knows the value in the object alone.
    let threshold = unsafe { ptr::read_volatile(&raw const crate::WAKE_BYTES) };
    if crate::PACKETS.query(u64::from(BPF_RB_AVAIL_DATA)) < threshold {
        return u64::from(BPF_RB_NO_WAKEUP);
    }
    let Some(last) = crate::LAST_WAKE.get_ptr_mut(0) else {
        return u64::from(BPF_RB_NO_WAKEUP);
    };
    // SAFETY: the map has an entry 0, which this CPU alone writes.
    let last = unsafe { &mut *last };
    if now.wrapping_sub(*last) < WAKE_PAUSE_NS {
        return u64::from(BPF_RB_NO_WAKEUP);
    }
    *last = now;
    counters[Counter::Wakeups as usize] += 1;
    u64::from(BPF_RB_FORCE_WAKEUP)
}
