use std::collections::HashMap;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::{
    dialect::{PathSays, RequestReader as _, by_path, request::RequestFacts},
    tokens::{Tokenizers, Vocabulary},
};

/// The facts of a request's body, read in pieces of so many bytes.
fn read(path: &str, body: &[u8], piece: usize) -> (&'static Dialect, RequestFacts) {
    let PathSays::Dialect(dialect) = by_path(path) else {
        panic!("{path} names no dialect");
    };
    let mut reader = (dialect.request)();
    reader.begin(Some("application/json"));
    for piece in body.chunks(piece.max(1)) {
        reader.push(piece);
    }
    (dialect, reader.finish())
}

/// A case's body as a client sends it for this model.
fn body(model: &str, request: &Value) -> Vec<u8> {
    let mut request = request.clone();
    request["model"] = model.into();
    serde_json::to_vec(&request).unwrap()
}

/// What a reference says of a case.
#[derive(Debug, Deserialize)]
struct Reference {
    case: String,
    tokens: Option<u64>,
    sha256: Option<String>,
}

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/prompts");

fn cases() -> HashMap<String, Value> {
    let text = std::fs::read_to_string(format!("{DATA}/cases.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn references(name: &str) -> Vec<Reference> {
    let text = std::fs::read_to_string(format!("{DATA}/{name}.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn choice(model: &str) -> Choice {
    Tokenizers::by_model().choose([model])
}

/// What the family's rule writes for a request.
fn written(model: &str, body: &[u8]) -> String {
    let (_, facts) = read("/v1/chat/completions", body, body.len());
    let chat = Chat::of(&facts.prompt).unwrap();
    let choice = choice(model);
    let nothing = |_: &str| 0;
    let mut sink = Sink::new(&nothing, rules::specials(choice.family));
    assert!(rules::write(&choice, &chat, &mut sink), "{model} has a rule");
    sink.written
}

/// The rules of families whose templates are the ones that the references have.
#[test]
fn the_families_rules_write_what_the_reference_writes() {
    let cases = cases();
    for (name, model) in [
        ("qwen2_5", "Qwen2.5-7B-Instruct"),
        ("qwen3", "Qwen3-8B"),
        ("llama3_1", "Meta-Llama-3-8B-Instruct"),
        ("deepseek_v3", "DeepSeek-V3"),
        ("gemma3", "gemma-3-27b-it"),
    ] {
        let mut compared = 0;
        for reference in references(name) {
            let Some(expected) = reference.sha256 else {
                continue;
            };
            let text = written(model, &body(model, &cases[&reference.case]));
            assert_eq!(sha256(&text), expected, "{name}, {}:\n{text}", reference.case);
            compared += 1;
        }
        assert!(compared >= 18, "{name}: {compared} cases");
    }
}
