//! Deflate, byte by byte, in whatever it is wrapped.

use flate2::{Decompress, FlushDecompress, Status};

use super::codec::{Fault, Next, Round};

/// Deflate in its wrappings: gzip (RFC 1952, any number of members), zlib (RFC 1950), none.
pub(super) struct Inflate {
    raw: Decompress,
    wrap: Wrap,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrap {
    Gzip(Header),
    /// Header bytes that are still to be passed over.
    Zlib(u8),
    Raw,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Header,
    Data,
    /// Bytes of the trailer still to come.
    Trailer(u8),
    /// After a gzip member: another may follow.
    Between,
}

impl Inflate {
    /// gzip, any number of members.
    pub(super) fn gzip() -> Self {
        Self::new(Wrap::Gzip(Header::START))
    }

    /// Deflate with a header and a checksum.
    pub(super) fn zlib() -> Self {
        Self::new(Wrap::Zlib(2))
    }

    /// Deflate and nothing else.
    pub(super) fn bare() -> Self {
        Self::new(Wrap::Raw)
    }

    /// Whether the stream came to its end, its checksum apart.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self.place, Place::Trailer(_) | Place::Between)
    }

    fn new(wrap: Wrap) -> Self {
        Self {
            raw: Decompress::new(false),
            wrap,
            place: Place::Header,
        }
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Round {
        let round = |taken, next| Round {
            taken,
            given: 0,
            next,
        };
        match self.place {
            Place::Header => self.header(input),
            Place::Data => self.data(input, output),
            Place::Trailer(left) => {
                let taken = input.len().min(usize::from(left));
                let left = left - taken as u8;
                if left > 0 {
                    self.place = Place::Trailer(left);
                    return round(taken, Next::Wait);
                }
                match self.wrap {
                    Wrap::Gzip(_) => {
                        self.place = Place::Between;
                        round(taken, Next::Go)
                    }
                    Wrap::Zlib(_) | Wrap::Raw => round(taken, Next::Over),
                }
            }
            Place::Between => match input.first() {
                None => round(0, Next::Wait),
                Some(0x1f) => {
                    self.raw.reset(false);
                    self.wrap = Wrap::Gzip(Header::START);
                    self.place = Place::Header;
                    round(0, Next::Go)
                }
                // Padding after the last member.
                Some(_) => round(input.len(), Next::Over),
            },
        }
    }

    fn header(&mut self, input: &[u8]) -> Round {
        let mut taken = 0;
        let next = loop {
            match &mut self.wrap {
                Wrap::Raw | Wrap::Zlib(0) => {
                    self.place = Place::Data;
                    break Next::Go;
                }
                Wrap::Gzip(header) if header.field == Field::Over => {
                    self.place = Place::Data;
                    break Next::Go;
                }
                wrap => {
                    let Some(&byte) = input.get(taken) else {
                        break Next::Wait;
                    };
                    taken += 1;
                    match wrap {
                        Wrap::Gzip(header) => {
                            if header.take(byte).is_err() {
                                break Next::Corrupt;
                            }
                        }
                        Wrap::Zlib(left) => *left -= 1,
                        Wrap::Raw => {}
                    }
                }
            }
        };
        Round {
            taken,
            given: 0,
            next,
        }
    }

    fn data(&mut self, input: &[u8], output: &mut [u8]) -> Round {
        let (before_in, before_out) = (self.raw.total_in(), self.raw.total_out());
        let status = self.raw.decompress(input, output, FlushDecompress::None);
        let taken = self.raw.total_in().saturating_sub(before_in) as usize;
        let given = self.raw.total_out().saturating_sub(before_out) as usize;
        let next = match status {
            Ok(Status::StreamEnd) => match self.wrap {
                Wrap::Raw => Next::Over,
                Wrap::Gzip(_) => {
                    self.place = Place::Trailer(8);
                    Next::Go
                }
                Wrap::Zlib(_) => {
                    self.place = Place::Trailer(4);
                    Next::Go
                }
            },
            // Where its window wraps, it stops with room in the output and a match half written out.
            Ok(_) if given > 0 || (taken > 0 && taken < input.len()) => Next::Go,
            Ok(_) if taken == input.len() => Next::Wait,
            // Neither took nor gave, with bytes to take and room to give: it never will.
            Ok(_) | Err(_) => Next::Corrupt,
        };
        Round { taken, given, next }
    }
}

/// A gzip member's header, byte by byte (RFC 1952 §2.3).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Header {
    field: Field,
    flags: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Fixed(u8),
    ExtraLow,
    ExtraHigh(u8),
    Extra(u16),
    Name,
    Comment,
    Crc(u8),
    Over,
}

impl Header {
    const START: Self = Self {
        field: Field::Fixed(0),
        flags: 0,
    };
    const CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const RESERVED: u8 = 0xe0;

    fn take(&mut self, byte: u8) -> Result<(), Fault> {
        self.field = match self.field {
            Field::Fixed(0) if byte != 0x1f => return Err(Fault::Corrupt),
            Field::Fixed(1) if byte != 0x8b => return Err(Fault::Corrupt),
            Field::Fixed(2) if byte != 8 => return Err(Fault::Corrupt),
            Field::Fixed(3) if byte & Self::RESERVED != 0 => return Err(Fault::Corrupt),
            Field::Fixed(9) if self.flags & Self::EXTRA != 0 => Field::ExtraLow,
            Field::Fixed(9..) | Field::Extra(..=1) => self.after_extra(),
            Field::Fixed(at) => {
                if at == 3 {
                    self.flags = byte;
                }
                Field::Fixed(at + 1)
            }
            Field::ExtraLow => Field::ExtraHigh(byte),
            Field::ExtraHigh(low) => match u16::from_le_bytes([low, byte]) {
                0 => self.after_extra(),
                left => Field::Extra(left),
            },
            Field::Extra(left) => Field::Extra(left - 1),
            Field::Name if byte == 0 => self.after_name(),
            Field::Comment if byte == 0 => self.after_comment(),
            Field::Crc(..=1) | Field::Over => Field::Over,
            Field::Crc(left) => Field::Crc(left - 1),
            field @ (Field::Name | Field::Comment) => field,
        };
        Ok(())
    }

    const fn after_extra(self) -> Field {
        if self.flags & Self::NAME != 0 {
            Field::Name
        } else {
            self.after_name()
        }
    }

    const fn after_name(self) -> Field {
        if self.flags & Self::COMMENT != 0 {
            Field::Comment
        } else {
            self.after_comment()
        }
    }

    const fn after_comment(self) -> Field {
        if self.flags & Self::CRC != 0 {
            Field::Crc(2)
        } else {
            Field::Over
        }
    }
}
