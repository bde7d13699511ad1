//! Uploads: of a `multipart/form-data` body, the fields stay and files give way to their type, length and
//! SHA-256: `[file audio/wav 18342 bytes sha256:ab12…]`. Files are sounds and pictures, and no text. Of a file
//! with a hole in it, the figures are of what was seen.

use sha2::{Digest as _, Sha256};

use super::hexadecimal;
use crate::multipart::{Part, Reader, Sink};

/// Rewrites the form of one body. Parts have a boundary of ours, and of their heads only what tells them apart.
#[derive(Debug)]
pub(crate) struct Form {
    reader: Reader,
    file: Option<File>,
    parts: u64,
}

#[derive(Debug)]
struct File {
    media: String,
    hash: Sha256,
    length: u64,
}

struct Rewrite<'f, F> {
    file: &'f mut Option<File>,
    parts: &'f mut u64,
    out: F,
}

impl Form {
    /// For a body of this Content-Type; `None` where that is no form.
    pub(crate) fn for_type(content_type: &str) -> Option<Self> {
        Some(Self {
            reader: Reader::for_type(content_type)?,
            file: None,
            parts: 0,
        })
    }

    /// Takes the next bytes and hands on what is left of them.
    pub(crate) fn push(&mut self, bytes: &[u8], out: impl FnMut(&[u8])) {
        let mut rewrite = Rewrite {
            file: &mut self.file,
            parts: &mut self.parts,
            out,
        };
        self.reader.push(bytes, &mut rewrite);
    }

    /// The body ends here: a file that has begun is told as far as it came.
    pub(crate) fn end(&mut self, mut out: impl FnMut(&[u8])) {
        if let Some(file) = self.file.take() {
            out(file.marker().as_bytes());
        }
    }

    /// Whether any part was found. If not, the body was no form after all.
    pub(crate) const fn has_parts(&self) -> bool {
        self.parts > 0
    }
}

impl<F: FnMut(&[u8])> Sink for Rewrite<'_, F> {
    fn begin(&mut self, part: &Part<'_>) {
        *self.parts += 1;
        let name = format!(
            "--form\r\nContent-Disposition: form-data; name=\"{}\"\r\n",
            part.name
        );
        (self.out)(name.as_bytes());
        if part.is_file {
            *self.file = Some(File {
                media: part.content_type.unwrap_or_default().to_owned(),
                hash: Sha256::new(),
                length: 0,
            });
        }
        (self.out)(b"\r\n");
    }

    fn data(&mut self, piece: &[u8]) {
        match self.file {
            Some(file) => {
                file.hash.update(piece);
                file.length += piece.len() as u64;
            }
            None => (self.out)(piece),
        }
    }

    fn end(&mut self) {
        if let Some(file) = self.file.take() {
            (self.out)(file.marker().as_bytes());
        }
        (self.out)(b"\r\n");
    }
}

impl File {
    fn marker(self) -> String {
        let space = if self.media.is_empty() { "" } else { " " };
        let hash = hexadecimal(&self.hash.finalize());
        format!(
            "[file{space}{} {} bytes sha256:{hash}]",
            self.media, self.length
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=b";

    fn rewritten(body: &[u8], size: usize) -> String {
        let mut form = Form::for_type(TYPE).unwrap();
        let mut left = Vec::new();
        for piece in body.chunks(size) {
            form.push(piece, |bytes| left.extend_from_slice(bytes));
        }
        form.end(|bytes| left.extend_from_slice(bytes));
        String::from_utf8(left).unwrap()
    }

    #[test]
    fn fields_stay_and_files_give_way() {
        let body =
            b"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b\r\n\
            Content-Disposition: form-data; name=\"file\"; filename=\"my secret.wav\"\r\n\
            Content-Type: audio/wav\r\n\r\nabc\r\n--b--\r\n";
        // SHA-256 of "abc", FIPS 180-2, B.1.
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let expected = format!(
            "--form\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
             --form\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n[file audio/wav 3 bytes sha256:{hash}]\r\n"
        );
        for size in 1..=body.len() {
            assert_eq!(rewritten(body, size), expected, "{size}");
        }
        let cut = rewritten(&body[..body.len() - 12], 7);
        assert!(cut.contains("[file audio/wav "), "{cut}");
    }

    #[test]
    fn other_bodies_are_no_forms() {
        assert!(Form::for_type("application/json").is_none());
        let mut form = Form::for_type(TYPE).unwrap();
        form.push(b"no parts here", |_| panic!("nothing to hand on"));
        form.end(|_| panic!("nothing to hand on"));
        assert!(!form.has_parts());
    }
}
