//! Capture files: pcap and pcapng, plain or compressed with gzip or zstd, several merged in time.
//!
//! A damaged file is no error: it gives what comes before the damage, and one sentence in
//! [`CaptureStats::warnings`].

mod buffer;
mod input;
mod pcap;
mod pcapng;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod write;

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{ErrorKind, IsTerminal, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use analyzer::time::Timestamp;

use self::input::Input;
use super::{CaptureError, CaptureStats, Next, PacketSource};

/// The longest packet that a record may have. libpcap stops at 262,144, but programs that write
/// segments joined by the kernel (GRO, BIG TCP) pass that. A length above it ends the file with a
/// warning, for what follows cannot be trusted.
const MAX_RECORD: u32 = 16 * 1024 * 1024;

/// Bytes that the read buffers of all files begin with together; a buffer is never below
/// [`MIN_BUFFER`] nor above [`MAX_BUFFER`]. One buffer grows past its share only by a record that is
/// larger, up to twice the largest record.
const BUFFERS: usize = 16 * 1024 * 1024;
const MIN_BUFFER: usize = 16 * 1024;
const MAX_BUFFER: usize = 256 * 1024;

/// A capture to read from: its name for messages, and its bytes.
pub type NamedReader = (String, Box<dyn Read + Send>);

/// Packets of one or several capture files, in the order of time.
///
/// Files are merged by the time of each one's next packet; on ties the file named first comes first,
/// and the order inside a file stays as it is.
pub struct FileSource {
    inputs: Vec<Input>,
    /// The next packet's time and the file's index, for each file that has one.
    heads: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// The file whose packet was handed out last, or all of them at the beginning.
    current: Current,
    stats: CaptureStats,
    read: Arc<AtomicU64>,
    total: Option<u64>,
}

/// How far a [`FileSource`] has come.
#[derive(Clone, Debug)]
pub struct Position {
    read: Arc<AtomicU64>,
    total: Option<u64>,
}

impl Position {
    /// Bytes read so far; of compressed files these are the compressed ones.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes in all; not known of a pipe.
    pub const fn total(&self) -> Option<u64> {
        self.total
    }
}

#[derive(Clone, Copy, Debug)]
enum Current {
    All,
    One(usize),
}

impl FileSource {
    /// Opens capture files; the path `-` is standard input.
    ///
    /// # Errors
    /// Where a file cannot be opened, is empty, or is no capture. The text names it and says what to do.
    pub fn open(paths: &[PathBuf]) -> Result<Self, CaptureError> {
        let mut total = Some(0u64);
        let mut readers: Vec<NamedReader> = Vec::with_capacity(paths.len());
        for path in paths {
            let (reader, length) = open_path(path, &readers)?;
            readers.push(reader);
            total = total
                .zip(length)
                .map(|(sum, length)| sum.saturating_add(length));
        }
        let mut source = Self::from_readers(readers)?;
        source.total = total;
        Ok(source)
    }

    /// Reads captures from anything that gives bytes.
    ///
    /// # Errors
    /// Where one of them is empty or no capture.
    pub fn from_readers(readers: Vec<NamedReader>) -> Result<Self, CaptureError> {
        let capacity = (BUFFERS / readers.len().max(1)).clamp(MIN_BUFFER, MAX_BUFFER);
        let read = Arc::new(AtomicU64::new(0));
        let mut stats = CaptureStats::default();
        let mut inputs = Vec::with_capacity(readers.len());
        for (name, reader) in readers {
            let counted = Box::new(Counted {
                reader,
                read: Arc::clone(&read),
            });
            inputs.extend(Input::open(name, counted, capacity, &mut stats)?);
        }
        let heads = BinaryHeap::with_capacity(inputs.len());
        Ok(Self {
            inputs,
            heads,
            current: Current::All,
            stats,
            read,
            total: None,
        })
    }

    /// How far it has come, to be asked from another thread while it is read.
    pub fn position(&self) -> Position {
        Position {
            read: Arc::clone(&self.read),
            total: self.total,
        }
    }

    /// Finds the next packet of the file whose packet was handed out last.
    fn advance(&mut self, index: usize) {
        if let Some(input) = self.inputs.get_mut(index)
            && let Some(time) = input.advance(&mut self.stats)
        {
            self.heads.push(Reverse((time, index)));
        }
    }
}

impl PacketSource for FileSource {
    fn next(&mut self) -> Result<Next<'_>, CaptureError> {
        match self.current {
            Current::One(index) => self.advance(index),
            Current::All => (0..self.inputs.len()).for_each(|index| self.advance(index)),
        }
        let Some(Reverse((_, index))) = self.heads.pop() else {
            self.current = Current::One(usize::MAX);
            return Ok(Next::End);
        };
        self.current = Current::One(index);
        let Some(packet) = self.inputs.get(index).and_then(|input| input.packet(index)) else {
            return Ok(Next::End);
        };
        self.stats.packets += 1;
        self.stats.bytes += packet.data.len() as u64;
        Ok(Next::Packet(packet))
    }

    fn stats(&mut self) -> CaptureStats {
        let mut stats = self.stats.clone();
        for lost in self.inputs.iter().map(Input::lost) {
            stats.dropped_ring = stats.dropped_ring.saturating_add(lost.ring);
            stats.dropped_interface = stats.dropped_interface.saturating_add(lost.interface);
        }
        stats
    }
}

/// Where a packet lies in the buffer, and what is known of it.
#[derive(Clone, Copy, Debug)]
struct Head {
    time: Timestamp,
    /// Its link type's number; `None` where the file does not describe its interface.
    link: Option<u16>,
    /// Bytes of the record before the packet.
    skip: usize,
    captured: usize,
    /// Bytes of the whole record.
    total: usize,
    wire_len: u32,
    /// The number of its interface within the file; 0 in formats without such.
    interface: u16,
}

/// A packet's bytes in a record and on the wire, its frame check sequence of `fcs` bytes left out: it is
/// at the end of the frame, so it may have been captured whole, in part or not at all.
fn without_fcs(captured: u32, original: u32, fcs: u8) -> (usize, u32) {
    let wire_len = original.max(captured).saturating_sub(u32::from(fcs));
    (captured.min(wire_len) as usize, wire_len)
}

/// What reading a record came to.
#[derive(Debug)]
enum Step {
    Packet(Head),
    /// A sentence about the file (without its name), said once; there is more to read.
    Note(String),
    End,
    Broken(Damage),
}

/// Why a file is read no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// It ends inside a record.
    Cut,
    /// A length that no record has.
    Length(u64),
    /// A block's two lengths differ.
    Trailer,
    /// A block is too short for its fields.
    Block,
    /// The mark of the byte order is none.
    ByteOrder,
    /// A major version that is not known.
    Version(u16),
}

/// Counts what is read through it.
struct Counted {
    reader: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(into)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

const STANDARD_INPUT: &str = "standard input";

/// Opens one path; with its length where it is a regular file.
fn open_path(
    path: &Path,
    before: &[NamedReader],
) -> Result<(NamedReader, Option<u64>), CaptureError> {
    if path.as_os_str() == "-" {
        let stdin = std::io::stdin();
        if before.iter().any(|(name, _)| name == STANDARD_INPUT) {
            return Err(CaptureError(
                "standard input (-) is named twice, but it can be read only once: name it once"
                    .into(),
            ));
        }
        if stdin.is_terminal() {
            return Err(CaptureError(
                "standard input (-) is a terminal: pipe a capture into it (tcpdump -w - … | llmtap replay -) or name a file".into(),
            ));
        }
        return Ok(((STANDARD_INPUT.into(), Box::new(stdin)), None));
    }
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| refusal(&name, &error))?;
    let metadata = file.metadata().map_err(|error| refusal(&name, &error))?;
    if metadata.is_dir() {
        return Err(CaptureError(format!(
            "{name} is a directory: name the capture files in it ({name}/*.pcap)"
        )));
    }
    let length = metadata.is_file().then_some(metadata.len());
    Ok(((name, Box::new(file)), length))
}

fn refusal(name: &str, error: &std::io::Error) -> CaptureError {
    /// EMFILE of Linux, for which the standard library has no kind.
    const TOO_MANY_OPEN_FILES: i32 = 24;
    CaptureError(match error.kind() {
        ErrorKind::NotFound => format!("{name} does not exist: check the path"),
        ErrorKind::PermissionDenied => format!(
            "{name} may not be read by this user: run as its owner or as root, or change its mode (chmod +r)"
        ),
        _ if error.raw_os_error() == Some(TOO_MANY_OPEN_FILES) => format!(
            "{name} could not be opened: too many files are open at once; raise the limit (ulimit -n) or name fewer"
        ),
        _ => format!("{name} could not be opened: {error}"),
    })
}
