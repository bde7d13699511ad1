//! A push reader of `multipart/form-data` bodies (RFC 7578, RFC 2046 §5.1).
//!
//! Fields and files are handed on piece by piece; nothing is kept but the heads of parts and the few
//! bytes that may be the beginning of a boundary.

use memchr::memmem;

/// Bytes of one part's head that are read; those of browsers and client libraries have about 200.
/// What is longer is passed over, and its part has no name.
pub const MAX_PART_HEAD: usize = 4_096;

/// The longest boundary (RFC 2046 §5.1.1).
pub const MAX_BOUNDARY: usize = 70;

/// Takes what the reader finds.
pub trait Sink {
    /// A part begins.
    fn begin(&mut self, part: &Part<'_>);
    /// A piece of the part's content, never empty.
    fn data(&mut self, piece: &[u8]);
    /// The part is complete.
    fn end(&mut self);
}

/// What a part's head says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part<'a> {
    /// The field's name.
    pub name: &'a str,
    /// Whether it is a file: its head names one.
    pub is_file: bool,
    /// Its Content-Type, where it has one, without parameters.
    pub content_type: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary, or in a part: looking for the next boundary.
    Content,
    /// Right after a boundary: `--` ends the form, a line end begins a part.
    AfterBoundary,
    Head,
    Done,
}

/// The reader of one body.
#[derive(Debug)]
pub struct Reader {
    /// CR LF, two dashes and the boundary.
    delimiter: Vec<u8>,
    state: State,
    in_part: bool,
    /// Bytes that may begin a delimiter, or a part's head.
    kept: Vec<u8>,
    overflow: bool,
}

impl Reader {
    /// A reader for a body of this Content-Type; `None` where that is no form or names no boundary.
    pub fn for_type(content_type: &str) -> Option<Self> {
        let (kind, parameters) = content_type.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameter(parameters, "boundary")?;
        if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
            return None;
        }
        Some(Self {
            delimiter: [b"\r\n--", boundary.as_bytes()].concat(),
            state: State::Content,
            in_part: false,
            // The first delimiter may stand at the very beginning, without a line end before it.
            kept: b"\r\n".to_vec(),
            overflow: false,
        })
    }

    /// Whether the form's end was read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads the next bytes.
    pub fn push(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.state {
                State::Content => self.content(rest, sink),
                State::AfterBoundary => self.after_boundary(rest),
                State::Head => self.head(rest, sink),
                State::Done => return,
            };
        }
    }

    fn content<'b>(&mut self, bytes: &'b [u8], sink: &mut impl Sink) -> &'b [u8] {
        if !self.kept.is_empty() {
            return self.content_behind_kept(bytes, sink);
        }
        if let Some(at) = memmem::find(bytes, &self.delimiter) {
            let (content, rest) = bytes.split_at(at);
            self.hand_on(content, sink);
            self.end_part(sink);
            return rest.get(self.delimiter.len()..).unwrap_or_default();
        }
        let sure = bytes.len() - overlap(bytes, &self.delimiter);
        let (content, kept) = bytes.split_at(sure);
        self.hand_on(content, sink);
        self.kept.extend_from_slice(kept);
        &[]
    }

    /// `kept` is a beginning of the delimiter: goes on, a byte at a time, until it is whole or is none.
    fn content_behind_kept<'b>(&mut self, bytes: &'b [u8], sink: &mut impl Sink) -> &'b [u8] {
        let Some((&byte, rest)) = bytes.split_first() else {
            return bytes;
        };
        self.kept.push(byte);
        if self.kept == self.delimiter {
            self.kept.clear();
            self.end_part(sink);
            return rest;
        }
        let still = overlap(&self.kept, &self.delimiter);
        let kept = std::mem::take(&mut self.kept);
        let (content, kept) = kept.split_at(kept.len() - still);
        self.hand_on(content, sink);
        self.kept = kept.to_vec();
        rest
    }

    fn hand_on(&self, content: &[u8], sink: &mut impl Sink) {
        if self.in_part && !content.is_empty() {
            sink.data(content);
        }
    }

    fn end_part(&mut self, sink: &mut impl Sink) {
        if std::mem::take(&mut self.in_part) {
            sink.end();
        }
        self.state = State::AfterBoundary;
        self.kept.clear();
    }

    fn after_boundary<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let Some((&byte, rest)) = bytes.split_first() else {
            return bytes;
        };
        match byte {
            b'-' if self.kept == b"-" => self.state = State::Done,
            b'-' => self.kept.push(byte),
            b'\n' => {
                self.state = State::Head;
                self.kept.clear();
                self.overflow = false;
            }
            // Padding, and the line end's first half.
            _ => self.kept.clear(),
        }
        rest
    }

    fn head<'b>(&mut self, bytes: &'b [u8], sink: &mut impl Sink) -> &'b [u8] {
        /// The longest end of a head: two line ends.
        const ENDING: usize = 4;
        let end = memchr::memchr(b'\n', bytes);
        let (line, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
        if self.kept.len() + line.len() <= MAX_PART_HEAD {
            self.kept.extend_from_slice(line);
        } else {
            self.overflow = true;
            // The last bytes tell where the head ends.
            let tail = line.len().saturating_sub(ENDING);
            self.kept
                .extend_from_slice(line.get(tail..).unwrap_or_default());
            let before = self.kept.len().saturating_sub(ENDING);
            self.kept.drain(..before);
        }
        let is_over = self.kept.ends_with(b"\n\r\n")
            || self.kept.ends_with(b"\n\n")
            || matches!(self.kept.as_slice(), b"\r\n" | b"\n");
        if end.is_some() && is_over {
            let head = std::mem::take(&mut self.kept);
            let head = if self.overflow { Vec::new() } else { head };
            let head = String::from_utf8_lossy(&head);
            sink.begin(&part(&head));
            self.in_part = true;
            self.state = State::Content;
        }
        rest
    }
}

fn part(head: &str) -> Part<'_> {
    let mut part = Part::default();
    for line in head.lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.trim().eq_ignore_ascii_case("content-disposition") {
            part.name = parameter(value, "name").unwrap_or_default();
            part.is_file =
                parameter(value, "filename").is_some() || parameter(value, "filename*").is_some();
        } else if name.trim().eq_ignore_ascii_case("content-type") {
            let kind = value.split(';').next().unwrap_or_default().trim();
            part.content_type = (!kind.is_empty()).then_some(kind);
        }
    }
    part
}

/// A parameter's value, without its quotes. Names of fields have no quotes in them.
fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"'))
    })
}

/// How many of the last bytes are a beginning of the delimiter.
fn overlap(bytes: &[u8], delimiter: &[u8]) -> usize {
    let most = bytes.len().min(delimiter.len() - 1);
    (1..=most)
        .rev()
        .find(|n| bytes.ends_with(delimiter.get(..*n).unwrap_or_default()))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Parts {
        done: Vec<(String, bool, Option<String>, Vec<u8>)>,
        open: Option<(String, bool, Option<String>, Vec<u8>)>,
    }

    impl Sink for Parts {
        fn begin(&mut self, part: &Part<'_>) {
            assert!(self.open.is_none());
            let kind = part.content_type.map(str::to_owned);
            self.open = Some((part.name.to_owned(), part.is_file, kind, Vec::new()));
        }
        fn data(&mut self, piece: &[u8]) {
            assert!(!piece.is_empty());
            self.open.as_mut().unwrap().3.extend_from_slice(piece);
        }
        fn end(&mut self) {
            self.done.push(self.open.take().unwrap());
        }
    }

    const TYPE: &str = "multipart/form-data; boundary=\"-x-\"";

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Parts, bool) {
        let mut reader = Reader::for_type(TYPE).unwrap();
        let mut parts = Parts::default();
        for piece in pieces {
            reader.push(piece, &mut parts);
        }
        (parts, reader.is_done())
    }

    const FORM: &[u8] = b"a preamble\r\n---x-\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n---x- \t\r\ncontent-type: audio/wav; codec=1\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a;b.wav\"\r\n\r\n\r\n---x\r\n--\r\n---x\0\xff\r\n\r\n---x-\r\nContent-Disposition: form-data; name=empty\r\n\r\n\r\n---x---\r\nepilogue\r\n---x-\r\n";

    #[test]
    fn parts_come_out_however_the_body_is_cut() {
        let (whole, done) = read([FORM]);
        assert!(done);
        let names: Vec<_> = whole
            .done
            .iter()
            .map(|(name, file, kind, data)| (name.as_str(), *file, kind.as_deref(), &data[..]))
            .collect();
        assert_eq!(
            names,
            [
                ("model", false, None, &b"whisper-1"[..]),
                (
                    "file",
                    true,
                    Some("audio/wav"),
                    b"\r\n---x\r\n--\r\n---x\0\xff\r\n"
                ),
                ("empty", false, None, b""),
            ]
        );
        for size in 1..=FORM.len() {
            assert_eq!(read(FORM.chunks(size)).0, whole, "in pieces of {size}");
        }
        for at in 0..=FORM.len() {
            let (a, b) = FORM.split_at(at);
            assert_eq!(read([a, b]).0, whole, "cut at {at}");
        }
    }

    #[test]
    fn a_boundary_may_open_the_body_and_the_end_may_be_missing() {
        let (parts, done) = read([&b"---x-\r\n\r\nvalue"[..]]);
        assert_eq!(parts.open.unwrap().3, b"value");
        assert!(!done);
    }

    #[test]
    fn a_head_without_end_is_passed_over_in_bounded_memory() {
        let long = [
            b"---x-\r\nA: ".as_slice(),
            &vec![b'a'; 1 << 20],
            b"\r\n\r\nv\r\n---x---",
        ]
        .concat();
        for size in [1_000, long.len()] {
            let mut reader = Reader::for_type(TYPE).unwrap();
            let mut parts = Parts::default();
            for piece in long.chunks(size) {
                reader.push(piece, &mut parts);
                assert!(reader.kept.len() <= MAX_PART_HEAD);
            }
            assert_eq!(parts.done, [(String::new(), false, None, b"v".to_vec())]);
        }
    }

    #[test]
    fn only_forms_with_a_boundary_are_read() {
        for other in [
            "application/json",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/mixed; boundary=x",
        ] {
            assert!(Reader::for_type(other).is_none(), "{other}");
        }
        let mut long = "multipart/form-data; boundary=".to_owned();
        long.push_str(&"b".repeat(MAX_BOUNDARY));
        assert!(Reader::for_type(&long).is_some());
        long.push('b');
        assert!(Reader::for_type(&long).is_none());
    }
}
