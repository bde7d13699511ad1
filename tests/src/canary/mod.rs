//! Secrets with a core of their own, planted in every wire API, and the search for them.

mod apis;

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, ensure};

pub use apis::{Api, apis, escaped, escaped_strings, planted, streamed};

/// The shortest piece of a core that counts as a leak.
const PIECE: usize = 7;

/// What is said around the secrets, and must be stored where bodies are.
pub const SAID: &str = "remember the albatross";

/// Makes secrets and remembers where each was planted.
#[derive(Debug, Default)]
pub struct Plants {
    state: u64,
    /// Places by core.
    places: BTreeMap<String, String>,
}

impl Plants {
    fn random(&mut self, alphabet: &[u8], length: usize) -> String {
        let mut next = || {
            self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = self.state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        (0..length)
            .map(|_| char::from(alphabet[(next() % alphabet.len() as u64) as usize]))
            .collect()
    }

    /// A core: what a secret is without its shape.
    pub fn core(&mut self, place: &str) -> String {
        let letters: Vec<u8> = (b'a'..=b'z')
            .chain(b'A'..=b'Z')
            .chain(b'0'..=b'9')
            .collect();
        let core = format!("7{}", self.random(&letters, 31));
        self.places.insert(core.clone(), place.to_owned());
        core
    }

    /// A secret of a well-known shape, each time of another one.
    pub fn secret(&mut self, place: &str) -> String {
        let number = self.places.len();
        if number % 13 == 4 {
            let capitals: Vec<u8> = (b'A'..=b'Z').chain(b'2'..=b'7').collect();
            let core = self.random(&capitals, 16);
            self.places.insert(core.clone(), place.to_owned());
            return format!("AKIA{core}");
        }
        let core = self.core(&format!("{place} (shape {})", number % 13));
        match number % 13 {
            0 => format!("sk-proj-{core}"),
            1 => format!("sk-ant-api03-{core}-AA"),
            2 => format!("ghp_{core}"),
            3 => format!("eyJhbGciOiJIUzI1NiJ9.{core}.{core}"),
            5 => format!("hf_{core}"),
            6 => format!("glpat-{core}"),
            7 => format!("xoxb-123456789012-{core}"),
            8 => format!("AIza{core}abc"),
            9 => format!("sk_live_{core}"),
            10 => format!("https://me:{core}@host/"),
            11 => format!("password={core}"),
            _ => format!("sk-{core}"),
        }
    }

    /// Knows every piece of every core.
    pub fn search(&self) -> Search<'_> {
        let mut pieces = HashMap::new();
        for (core, place) in &self.places {
            for piece in core.as_bytes().windows(PIECE) {
                pieces.insert(piece, place.as_str());
            }
        }
        Search { pieces }
    }
}

/// Looks for pieces of secrets.
#[derive(Debug)]
pub struct Search<'p> {
    /// Places by piece.
    pieces: HashMap<&'p [u8], &'p str>,
}

impl Search<'_> {
    /// Whether any piece of a core is in these bytes, and which.
    pub fn leak(&self, bytes: &[u8]) -> Option<String> {
        let found = bytes.windows(PIECE).enumerate();
        let mut leaks = found.filter_map(|(at, piece)| {
            let place = self.pieces.get(piece)?;
            let around = &bytes[at.saturating_sub(120)..bytes.len().min(at + 60)];
            let around = String::from_utf8_lossy(around);
            Some(format!("planted in {place}: …{around}…"))
        });
        leaks.next()
    }

    /// No piece of a core is in this text.
    ///
    /// # Errors
    /// Where one is; the error says where it was planted, and shows it.
    pub fn clean(&self, what: &str, text: &str) -> Result<()> {
        let leak = self.leak(text.as_bytes());
        ensure!(leak.is_none(), "{what}: {}", leak.unwrap_or_default());
        Ok(())
    }
}

/// Fields whose strings are the pieces of a stream's text.
pub const PIECES: [&str; 9] = [
    "content",
    "reasoning_content",
    "arguments",
    "text",
    "delta",
    "partial_json",
    "response",
    "text_output",
    "completion",
];

/// The strings of this field, one after the other.
pub fn spelt(body: &str, key: &str) -> String {
    let start = format!("\"{key}\":\"");
    let fields = body.split(&start).skip(1);
    fields.filter_map(|rest| rest.split('"').next()).collect()
}

/// Characters written as `\\u00…` as they are.
pub fn unescaped(text: &str) -> String {
    let mut parts = text.split("\\u00");
    let mut read = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(code) => {
                read.push(char::from(code));
                read += part.get(2..).unwrap_or_default();
            }
            None => read += part,
        }
    }
    read
}

/// Standard base64.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let sextet = (bits >> (18 - 6 * place)) & 63;
            let padding = place as usize > group.len();
            text.push(if padding {
                '='
            } else {
                char::from(ALPHABET[sextet as usize])
            });
        }
    }
    text
}
