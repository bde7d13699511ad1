//! The JSON reader, in pieces and against serde_json.

use analyzer::json::{Damage, Kind, MAX_BARE, MAX_KEY, Reader, Scalar, State, Step, Visitor};
use serde_json::{Map, Value};

use super::words;
use crate::fuzz::{
    Features, Target,
    choices::{cutting, pieces},
};

pub(super) const TARGET: Target = Target {
    name: "json",
    check,
    seeds,
    words: words::BODIES,
    longest: 2_048,
    mutations: 60_000,
};

/// A value as it was read.
#[derive(Debug, Default, PartialEq)]
struct Node {
    form: Form,
    text: String,
    children: Vec<(String, usize)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// Named, but no value of it was read.
    #[default]
    Nothing,
    Open(Kind),
    Closed(Kind),
    Null,
    True,
    False,
    Number,
}

/// Builds the document.
#[derive(Debug, Default, PartialEq)]
struct Tree(Vec<Node>);

impl Tree {
    fn add(&mut self) -> usize {
        self.0.push(Node::default());
        self.0.len() - 1
    }

    fn value(&self, at: usize) -> Option<Value> {
        let node = &self.0[at];
        let children = || {
            node.children
                .iter()
                .filter_map(|(name, at)| Some((name.clone(), self.value(*at)?)))
        };
        Some(match node.form {
            Form::Nothing | Form::Open(_) => return None,
            Form::Closed(Kind::Object) => Value::Object(children().collect::<Map<_, _>>()),
            Form::Closed(Kind::Array) => Value::Array(children().map(|(_, value)| value).collect()),
            Form::Closed(Kind::String) => Value::String(node.text.clone()),
            Form::Null => Value::Null,
            Form::True => Value::Bool(true),
            Form::False => Value::Bool(false),
            Form::Number => serde_json::from_str(&node.text).ok()?,
        })
    }
}

impl Visitor for Tree {
    type Node = usize;

    fn root(&mut self) -> Option<usize> {
        Some(self.add())
    }

    fn child(&mut self, node: usize, step: Step<'_>) -> Option<usize> {
        let at = self.add();
        let name = match step {
            Step::Key(key) => {
                assert!(matches!(self.0[node].form, Form::Open(Kind::Object)));
                assert!(key.len() <= MAX_KEY, "a key of {} bytes", key.len());
                key.to_owned()
            }
            Step::Index(index) => {
                assert!(matches!(self.0[node].form, Form::Open(Kind::Array)));
                index.to_string()
            }
        };
        self.0[node].children.push((name, at));
        Some(at)
    }

    fn begin(&mut self, node: usize, kind: Kind) {
        assert_eq!(self.0[node].form, Form::Nothing, "begun twice");
        self.0[node].form = Form::Open(kind);
    }

    fn text(&mut self, node: usize, piece: &str) {
        assert!(!piece.is_empty(), "an empty piece");
        assert_eq!(self.0[node].form, Form::Open(Kind::String));
        self.0[node].text.push_str(piece);
    }

    fn scalar(&mut self, node: usize, scalar: Scalar<'_>) {
        assert_eq!(self.0[node].form, Form::Nothing, "two values");
        self.0[node].form = match scalar {
            Scalar::Null => Form::Null,
            Scalar::Bool(true) => Form::True,
            Scalar::Bool(false) => Form::False,
            Scalar::Number(text) => {
                assert!(text.len() <= MAX_BARE, "{text}");
                text.clone_into(&mut self.0[node].text);
                Form::Number
            }
        };
    }

    fn end(&mut self, node: usize, kind: Kind) {
        assert_eq!(self.0[node].form, Form::Open(kind), "ended before it began");
        self.0[node].form = Form::Closed(kind);
    }
}

fn read<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> (Tree, State, Damage) {
    let mut tree = Tree::default();
    let mut reader = Reader::new();
    for piece in pieces {
        reader.push(piece, &mut tree);
    }
    let state = reader.finish(&mut tree);
    (tree, state, reader.damage())
}

fn check(bytes: &[u8]) -> Features {
    let whole = read([bytes]);
    let (seed, most) = cutting(bytes);
    assert_eq!(whole, read(pieces(bytes, seed, most)), "in other pieces");
    let (tree, state, damage) = whole;
    if let Ok(value) = serde_json::from_slice::<Value>(bytes)
        && is_kept(&value)
        && !has_long_number(bytes)
    {
        assert_eq!(state, State::Done, "serde_json reads it");
        assert_eq!(tree.value(0), Some(value), "serde_json reads it otherwise");
        assert_eq!(damage, Damage::default());
    }
    let mut features = Features::default();
    features.seen(match state {
        State::Incomplete => "incomplete",
        State::Done => "done",
        State::Invalid => "invalid",
    });
    features.count("replaced", damage.replaced);
    features.count("too deep", damage.too_deep);
    features.count("nodes", tree.0.len() as u64);
    for node in &tree.0 {
        let form = format!("{:?}", node.form);
        features.followed(&form, &format!("{state:?}"));
        for (_, child) in &node.children {
            features.followed(&form, &format!("{:?}", tree.0[*child].form));
        }
        if node.text.contains('\u{fffd}') {
            features.seen("replaced text");
        }
        features.count(&form, node.text.len() as u64);
    }
    features
}

/// Whether every key is short enough to be kept.
fn is_kept(value: &Value) -> bool {
    match value {
        Value::Object(map) => map
            .iter()
            .all(|(key, value)| key.len() <= MAX_KEY && is_kept(value)),
        Value::Array(list) => list.iter().all(is_kept),
        _ => true,
    }
}

/// Whether there may be a number past the bound, which is not read as one.
fn has_long_number(bytes: &[u8]) -> bool {
    let number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    bytes
        .split(|byte| !number(byte))
        .any(|word| word.len() > MAX_BARE)
}

fn seeds() -> Vec<Vec<u8>> {
    let deep = "[".repeat(200);
    let key = format!("{{\"{}\":1}}", "k".repeat(300));
    let number = "1".repeat(80);
    [
        r#"{"a":[1,-2.5e3,true,false,null,"b"],"c":{"d":{}},"e":[]}"#,
        r#""\u00e9\ud83d\ude00\n\t\"\\\/ \ud800x""#,
        "\u{feff} [NaN,Infinity,-Infinity,1,]",
        r#"{"a":1,"a":2,}"#,
        "{\"caf\u{e9}\":\"模型\"}",
        "[1 2]",
        "12",
        "{\"a\"",
        &deep,
        &key,
        &number,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into_iter()
    .chain([b"\"\xff\xc3(\xe4\xb8\"".to_vec()])
    .collect()
}
