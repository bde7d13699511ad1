//! JSON that stands in a body as a value, written as text again: the arguments of tool calls in the
//! dialects that do not send them as a text, and the definitions of tools. White space and the notation of escapes are not kept.

use crate::json::{Kind, Scalar, Step};

/// Writes one value, step by step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rewriter {
    /// A member stands before the next one of the object.
    follows: bool,
    /// A space stands after each comma and colon.
    spaced: bool,
}

impl Rewriter {
    /// As Python's `json.dumps` writes where `ensure_ascii` is off: so chat templates do, too.
    pub(super) fn spaced() -> Self {
        Self {
            spaced: true,
            ..Self::default()
        }
    }

    /// On the way down to a value.
    pub(super) fn step(&mut self, step: Step<'_>) -> String {
        let (comma, colon) = if self.spaced {
            (", ", ": ")
        } else {
            (",", ":")
        };
        match step {
            Step::Key(key) => {
                let comma = if self.follows { comma } else { "" };
                format!("{comma}{}{colon}", quoted(key))
            }
            Step::Index(0) => String::new(),
            Step::Index(_) => comma.to_owned(),
        }
    }

    pub(super) fn begin(&mut self, kind: Kind) -> &'static str {
        self.follows = false;
        match kind {
            Kind::Object => "{",
            Kind::Array => "[",
            Kind::String => "\"",
        }
    }

    /// A piece of a string.
    pub(super) fn text(piece: &str) -> String {
        let quoted = quoted(piece);
        quoted
            .get(1..quoted.len() - 1)
            .unwrap_or_default()
            .to_owned()
    }

    pub(super) fn scalar<'a>(&mut self, scalar: Scalar<'a>) -> &'a str {
        self.follows = true;
        match scalar {
            Scalar::Null => "null",
            Scalar::Bool(true) => "true",
            Scalar::Bool(false) => "false",
            Scalar::Number(number) => number,
        }
    }

    pub(super) fn end(&mut self, kind: Kind) -> &'static str {
        self.follows = true;
        match kind {
            Kind::Object => "}",
            Kind::Array => "]",
            Kind::String => "\"",
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Reader, Visitor};

    #[derive(Default)]
    struct Whole(Rewriter, String);

    impl Visitor for Whole {
        type Node = ();
        fn root(&mut self) -> Option<()> {
            Some(())
        }
        fn child(&mut self, (): (), step: Step<'_>) -> Option<()> {
            self.1.push_str(&self.0.step(step));
            Some(())
        }
        fn begin(&mut self, (): (), kind: Kind) {
            self.1.push_str(self.0.begin(kind));
        }
        fn text(&mut self, (): (), piece: &str) {
            self.1.push_str(&Rewriter::text(piece));
        }
        fn scalar(&mut self, (): (), scalar: Scalar<'_>) {
            self.1.push_str(self.0.scalar(scalar));
        }
        fn end(&mut self, (): (), kind: Kind) {
            self.1.push_str(self.0.end(kind));
        }
    }

    #[test]
    fn what_is_written_is_the_value() {
        for json in [
            "{}",
            "[]",
            r#"{"a":1,"b":[true,null,{"c":"d\"\\\n😀"},[],[1.5,-2]],"e":{"f":{}},"g":""}"#,
        ] {
            for size in 1..=json.len() {
                let mut whole = Whole::default();
                let mut reader = Reader::new();
                for piece in json.as_bytes().chunks(size) {
                    reader.push(piece, &mut whole);
                }
                assert_eq!(whole.1, json, "in pieces of {size}");
            }
        }
    }
}
