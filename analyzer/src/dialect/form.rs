//! Requests that are forms: each field is handed to the dialect's visitor as if it were a value at the
//! root of a JSON object. So a dialect reads both alike.

use super::{request::Files, text::Utf8};
use crate::{
    json::{Kind, Scalar, Step, Visitor},
    multipart::{Part, Reader, Sink},
};

/// Bytes of a field that may still be a number or a word such as `true`.
const MAX_SCALAR: usize = 32;

/// Bytes of a file's type that are kept.
const MAX_TYPE: usize = 128;

/// Reads one form. No node of a visitor is kept: the fields lie flat at the root.
#[derive(Debug)]
pub(super) struct FormRequest {
    reader: Reader,
    field: Field,
    pub(super) files: Files,
}

/// The field that is being read.
#[derive(Debug, Default)]
struct Field {
    name: String,
    is_file: bool,
    utf8: Utf8,
    /// The value, while it is short.
    value: String,
}

impl FormRequest {
    /// A reader for a body of this Content-Type; `None` where that is no form.
    pub(super) fn for_type(content_type: &str) -> Option<Self> {
        Some(Self {
            reader: Reader::for_type(content_type)?,
            field: Field::default(),
            files: Files::default(),
        })
    }

    pub(super) fn is_done(&self) -> bool {
        self.reader.is_done()
    }

    pub(super) fn push<V: Visitor>(&mut self, bytes: &[u8], visitor: &mut V) {
        let mut fields = Fields {
            field: &mut self.field,
            files: &mut self.files,
            visitor,
        };
        self.reader.push(bytes, &mut fields);
    }
}

struct Fields<'a, V> {
    field: &'a mut Field,
    files: &'a mut Files,
    visitor: &'a mut V,
}

impl<V: Visitor> Fields<'_, V> {
    /// The visitor's place for the field. A list's name may end in `[]`.
    fn node(&mut self) -> Option<V::Node> {
        let root = self.visitor.root()?;
        match self.field.name.strip_suffix("[]") {
            Some(name) => {
                let list = self.visitor.child(root, Step::Key(name))?;
                self.visitor.child(list, Step::Index(0))
            }
            None => self.visitor.child(root, Step::Key(&self.field.name)),
        }
    }

    fn text(&mut self, piece: &str) {
        let room = MAX_SCALAR.saturating_sub(self.field.value.len());
        let end = piece.floor_char_boundary(room);
        self.field
            .value
            .push_str(piece.get(..end).unwrap_or_default());
        if !piece.is_empty()
            && let Some(node) = self.node()
        {
            self.visitor.text(node, piece);
        }
    }
}

impl<V: Visitor> Sink for Fields<'_, V> {
    fn begin(&mut self, part: &Part<'_>) {
        *self.field = Field {
            name: part.name.to_owned(),
            is_file: part.is_file,
            ..Field::default()
        };
        if part.is_file {
            self.files.count = self.files.count.saturating_add(1);
            let kind = part.content_type.unwrap_or_default();
            let kind = kind.get(..kind.floor_char_boundary(MAX_TYPE));
            self.files
                .kind
                .get_or_insert_with(|| kind.unwrap_or_default().to_owned());
        } else if let Some(node) = self.node() {
            self.visitor.begin(node, Kind::String);
        }
    }

    fn data(&mut self, piece: &[u8]) {
        if self.field.is_file {
            self.files.bytes = self.files.bytes.saturating_add(piece.len() as u64);
            return;
        }
        let text = self.field.utf8.push(piece);
        self.text(&text);
    }

    fn end(&mut self) {
        if self.field.is_file {
            return;
        }
        let rest = self.field.utf8.finish();
        self.text(rest);
        let Some(node) = self.node() else {
            return;
        };
        self.visitor.end(node, Kind::String);
        match self.field.value.trim() {
            "true" | "True" => self.visitor.scalar(node, Scalar::Bool(true)),
            "false" | "False" => self.visitor.scalar(node, Scalar::Bool(false)),
            number if number.len() < MAX_SCALAR && number.parse::<f64>().is_ok() => {
                self.visitor.scalar(node, Scalar::Number(number));
            }
            _ => {}
        }
    }
}
