//! All that is known of one call.

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::{
    call::CallKey,
    columns::StoredRow,
    store::{Snapshot, StoreError, StoredTexts},
};

/// Columns that say what was not seen, or not read, of a call.
const LOSSES: [&str; 5] = [
    "missing_request_bytes",
    "missing_response_bytes",
    "truncated",
    "output_partial",
    "confidence",
];

/// How a call is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// By the store's number.
    Id(i64),
    /// By its key.
    Key(CallKey),
}

impl Name {
    /// A number, or the 32 hexadecimal digits of a key.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            let key = u128::from_str_radix(text, 16).ok()?;
            return Some(Self::Key(CallKey(key.to_be_bytes())));
        }
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if digits {
            text.parse().ok().map(Self::Id)
        } else {
            None
        }
    }
}

/// Whether the texts of a call are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// They are, where they are stored.
    Shown,
    /// They are not.
    Hidden,
}

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct Details {
    /// Its row.
    pub call: StoredRow,
    /// The stream's events, `[wait, span, kind, events, bytes]` each, times in microseconds.
    pub timeline: Json,
    /// What was not seen, or not read, of it.
    pub losses: Json,
    /// Its texts; `None` where they are not stored, or not shown.
    pub bodies: Option<StoredTexts>,
}

impl Details {
    /// Reads all of a call; `None` where there is no such.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn read(
        snapshot: &Snapshot<'_>,
        name: Name,
        texts: Texts,
    ) -> Result<Option<Self>, StoreError> {
        let id = match name {
            Name::Id(id) => Some(id),
            Name::Key(key) => snapshot.id_of(key)?,
        };
        let Some(call) = id.map(|id| snapshot.row(id)).transpose()?.flatten() else {
            return Ok(None);
        };
        let losses: serde_json::Map<_, _> = LOSSES
            .iter()
            .map(|name| ((*name).to_owned(), call.get(name)))
            .collect();
        Ok(Some(Self {
            timeline: call.get("timeline"),
            losses: json!(losses),
            bodies: match texts {
                Texts::Shown => snapshot.texts(call.id)?,
                Texts::Hidden => None,
            },
            call,
        }))
    }
}
