//! A message's body: framing and codings taken off together.

use analyzer::exchange::Transfer;

use super::chunked::{Chunked, Step};
use super::coding::{Decoder, Reading};

/// One body as it is read.
pub(super) struct Body {
    frame: Frame,
    decoder: Decoder,
}

/// What is left of the framing.
#[derive(Debug)]
pub(super) enum Frame {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunked),
    /// All bytes until the connection's end.
    UntilClose,
    /// The same, or until a segment begins like the next message.
    Guess,
}

/// How far a body came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More bytes are to come.
    More,
    /// It ended.
    Done,
    /// Its framing broke.
    Broken,
}

/// What a hole did to a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hole {
    /// It lies within; the framing goes on after it.
    Within,
    /// It took the body's last bytes: `inside` of them, and `beyond` after the body.
    Past { inside: u64, beyond: u64 },
    /// Nobody knows where in the framing the stream goes on.
    Unsure,
}

impl Body {
    pub(super) const fn new(frame: Frame, decoder: Decoder) -> Self {
        Self { frame, decoder }
    }

    pub(super) const fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Reads what belongs to the body. Gives how many bytes did.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        transfer: &mut Transfer,
        emit: &mut dyn FnMut(&[u8]),
    ) -> (usize, Progress) {
        let (used, progress) = match &mut self.frame {
            Frame::Length(left) => {
                let take = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let piece = bytes.get(..take).unwrap_or_default();
                *left = left.saturating_sub(take as u64);
                let progress = if *left == 0 {
                    Progress::Done
                } else {
                    Progress::More
                };
                piece_of(&mut self.decoder, piece, transfer, emit);
                (take, progress)
            }
            Frame::UntilClose | Frame::Guess => {
                piece_of(&mut self.decoder, bytes, transfer, emit);
                (bytes.len(), Progress::More)
            }
            Frame::Chunked(chunked) => {
                let mut used = 0;
                let progress = loop {
                    let rest = bytes.get(used..).unwrap_or_default();
                    let (taken, step) = chunked.next(rest);
                    used += taken;
                    match step {
                        Step::Data(piece) => piece_of(&mut self.decoder, piece, transfer, emit),
                        Step::More => break Progress::More,
                        Step::End => break Progress::Done,
                        Step::Invalid => break Progress::Broken,
                    }
                };
                (used, progress)
            }
        };
        if progress != Progress::More {
            self.decoder.finish(transfer, emit);
        }
        (used, progress)
    }

    /// No more will come: hands on what was held back.
    pub(super) fn finish(&mut self, transfer: &mut Transfer, emit: &mut dyn FnMut(&[u8])) {
        self.decoder.finish(transfer, emit);
    }

    /// `length` bytes of the stream are missing here.
    pub(super) fn gap(&mut self, length: u64) -> Hole {
        self.decoder.gap();
        match &mut self.frame {
            Frame::Length(left) if length < *left => {
                *left -= length;
                Hole::Within
            }
            Frame::Length(left) => Hole::Past {
                inside: *left,
                beyond: length - *left,
            },
            Frame::UntilClose | Frame::Guess => Hole::Within,
            Frame::Chunked(chunked) => match chunked.left_in_chunk() {
                Some(left) if length <= left => {
                    chunked.pass(length);
                    Hole::Within
                }
                _ => Hole::Unsure,
            },
        }
    }

    /// Takes the framing up where a chunk begins.
    pub(super) const fn resume(&mut self) {
        self.frame = Frame::Chunked(Chunked::new());
    }

    /// How far the body was read.
    pub(super) const fn reading(&self) -> Reading {
        self.decoder.reading()
    }

    /// Whether it ended within its coding; told once.
    pub(super) const fn take_cut(&mut self) -> bool {
        self.decoder.take_cut()
    }

    /// Coded bytes that could not be decoded; told once.
    pub(super) fn take_undecoded(&mut self) -> u64 {
        self.decoder.take_undecoded()
    }
}

fn piece_of(
    decoder: &mut Decoder,
    piece: &[u8],
    transfer: &mut Transfer,
    emit: &mut dyn FnMut(&[u8]),
) {
    if piece.is_empty() {
        return;
    }
    transfer.body_bytes = transfer.body_bytes.saturating_add(piece.len() as u64);
    decoder.push(piece, transfer, emit);
}
