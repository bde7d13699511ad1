//! Tokenizers from files: a tokenizer.json, a tekken.json, or a tiktoken file.

mod growth;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, io};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;

use super::{
    engine::{Engine, MOST_TOKENS, split::Splitter},
    family::Family,
    loaded::Loaded,
    models,
    special::{Special, Specials},
};

/// A file does not make a tokenizer.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    /// It is none of the forms.
    #[error("it is no tokenizer.json, no tekken.json and no tiktoken file")]
    Form,
    /// It begins as one and is damaged.
    #[error("it is a damaged {form}, or one of a kind that is not known: {reason}")]
    Damaged {
        /// The form that it begins as.
        form: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// How it splits a text is not known.
    #[error(
        "a tiktoken file does not say how its model splits a text, and neither the pattern nor the file's name tells a \
         model that is known (such as 'llama-3*'); give the model's tokenizer.json"
    )]
    Splitter,
    /// Its expression is one that our engine does not know, and no other engine reads the form.
    #[error(
        "its expression for splitting a text is not known: {0}; give the model's tokenizer.json"
    )]
    Expression(String),
    /// It has more tokens than our engine has numbers for.
    #[error("it has {0} tokens, more than {MOST_TOKENS}; give the model's tokenizer.json")]
    Tokens(usize),
    /// It makes so much of a text that counting would not end.
    #[error("its normalizer may make a text {0} times as long, more than {most} times", most = growth::MOST)]
    Growth(usize),
    /// It cannot be kept.
    #[error("it cannot be packed: {0}")]
    Packing(#[from] io::Error),
}

/// A file's bytes that make a tokenizer, packed until the first count: ready to count it takes five to ten times as
/// much memory as the file, and many a daemon never counts a prompt of the model.
pub(super) struct Packed {
    bytes: Vec<u8>,
    /// Of the file.
    length: usize,
    names: Vec<String>,
}

impl Packed {
    /// Makes sure that [`read`] makes a tokenizer of them.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn new(data: &[u8], names: &[&str]) -> Result<Self, GivenError> {
        // The least effort: vocabularies shrink to a third.
        const LEVEL: i32 = 1;
        // On a thread of its own: what it took goes back to the system with the thread's heap, where the main one would
        // keep most of it.
        std::thread::scope(|scope| {
            let check = || read(data, names).map(drop);
            let checking = std::thread::Builder::new().spawn_scoped(scope, check)?;
            checking.join().unwrap_or(Err(GivenError::Form))
        })?;
        Ok(Self {
            bytes: zstd::bulk::compress(data, LEVEL)?,
            length: data.len(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        })
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// The same as [`read`]'s, though the same bytes were read before.
    pub(super) fn load(&self) -> Result<Loaded, GivenError> {
        let data = zstd::bulk::decompress(&self.bytes, self.length)?;
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        read(&data, &names)
    }
}

/// Makes a tokenizer of a file's bytes. `names` may tell the model that it is of: the pattern, then the names of
/// the file and its folder.
///
/// # Errors
/// The bytes are no tokenizer that can be read.
pub(super) fn read(data: &[u8], names: &[&str]) -> Result<Loaded, GivenError> {
    if data.trim_ascii_start().first() != Some(&b'{') {
        return tiktoken(data, names);
    }
    let damaged = |form, error: serde_json::Error| GivenError::Damaged {
        form,
        reason: error.to_string(),
    };
    if let Ok(Shape { config: Some(_) }) = serde_json::from_slice(data) {
        return tekken(
            serde_json::from_slice(data).map_err(|error| damaged("tekken.json", error))?,
        );
    }
    let file = serde_json::from_slice::<File>(data).ok();
    let specials = file.as_ref().map(File::specials).and_then(Specials::new);
    if let Some(known) = file.as_ref().and_then(File::known) {
        return Ok(Loaded::Own {
            engine: Box::new(known.engine),
            specials,
            composed: known.composed,
        });
    }
    let mut tokenizer =
        tokenizers::Tokenizer::from_bytes(data).map_err(|error| GivenError::Damaged {
            form: "tokenizer.json",
            reason: error.to_string(),
        })?;
    let normalizer = serde_json::from_slice(data).map(|file: Normalizing| file.normalizer);
    let growth = growth::of(&normalizer.unwrap_or_default());
    if growth > growth::MOST {
        return Err(GivenError::Growth(growth));
    }
    tokenizer.set_encode_special_tokens(true);
    // Texts are counted whole and alone, whatever the model's batches are cut or filled up to.
    tokenizer.with_padding(None);
    if let Err(error) = tokenizer.with_truncation(None) {
        return Err(GivenError::Damaged {
            form: "tokenizer.json",
            reason: error.to_string(),
        });
    }
    Ok(Loaded::Foreign {
        tokenizer: Box::new(tokenizer),
        specials,
    })
}

/// What tells a tekken.json from a tokenizer.json.
#[derive(Deserialize)]
struct Shape {
    config: Option<serde::de::IgnoredAny>,
}

/// What a tokenizer.json does with a text first.
#[derive(Deserialize)]
struct Normalizing {
    #[serde(default)]
    normalizer: serde_json::Value,
}

/// A tokenizer.json, as far as our engine understands it.
#[derive(Deserialize)]
struct File {
    model: Model,
    normalizer: Option<Step>,
    pre_tokenizer: Option<Step>,
    #[serde(default)]
    added_tokens: Vec<Added>,
}

/// Only what differs between models that are byte-level BPE; others do not come to be looked at.
#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: serde_json::Value,
    #[serde(default)]
    merges: Vec<Merge>,
    #[serde(default)]
    ignore_merges: bool,
    #[serde(default)]
    byte_fallback: bool,
    dropout: Option<f32>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Line(String),
}

#[derive(Deserialize)]
struct Added {
    content: String,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

/// A normalizer or pre-tokenizer. Unknown fields are another's concern: what is not understood here goes to the
/// library.
#[derive(Deserialize)]
struct Step {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    normalizers: Vec<Step>,
    #[serde(default)]
    pretokenizers: Vec<Step>,
    pattern: Option<Pattern>,
    behavior: Option<String>,
    #[serde(default)]
    invert: bool,
    #[serde(default)]
    add_prefix_space: bool,
    use_regex: Option<bool>,
}

#[derive(Deserialize)]
struct Pattern {
    #[serde(rename = "Regex")]
    regex: Option<String>,
}

/// A file that our own engine counts for.
struct Known {
    engine: Engine,
    composed: bool,
}

impl File {
    fn specials(&self) -> Vec<Special> {
        let special = |added: &Added| Special {
            text: added.content.clone(),
            takes_before: added.lstrip,
            takes_after: added.rstrip,
        };
        self.added_tokens.iter().map(special).collect()
    }

    /// The same tokenizer in our own engine, where that surely counts the same.
    fn known(&self) -> Option<Known> {
        let composed = self.composed()?;
        let splitter = self.splitter()?;
        let tokens = self.tokens()?;
        let tokens: Vec<&[u8]> = tokens.iter().map(Vec::as_slice).collect();
        let engine = Engine::new(splitter, &tokens)?;
        let whole = self.model.ignore_merges;
        let engine = if whole {
            engine
        } else {
            engine.merging_alone()
        };
        Some(Known { engine, composed })
    }

    fn composed(&self) -> Option<bool> {
        let Some(step) = &self.normalizer else {
            return Some(false);
        };
        match (step.kind.as_str(), step.normalizers.as_slice()) {
            ("NFC", []) => Some(true),
            ("Sequence", []) => Some(false),
            ("Sequence", [one]) if one.kind == "NFC" => Some(true),
            _ => None,
        }
    }

    fn splitter(&self) -> Option<Splitter> {
        let (last, splits) = self.pre_tokenizer.as_ref()?.pretokenizers.split_last()?;
        if last.kind != "ByteLevel" || last.add_prefix_space || last.use_regex != Some(false) {
            return None;
        }
        let expressions: Vec<&str> = splits
            .iter()
            .map(|step| {
                let plain = step.kind == "Split"
                    && step.behavior.as_deref() == Some("Isolated")
                    && !step.invert;
                step.pattern.as_ref()?.regex.as_deref().filter(|_| plain)
            })
            .collect::<Option<_>>()?;
        Splitter::of_expressions(&expressions)
    }

    /// The tokens in the order in which they are merged; `None` where the merges are not all that makes them.
    fn tokens(&self) -> Option<Vec<Vec<u8>>> {
        let model = &self.model;
        let unused = |affix: &Option<String>| affix.as_deref().unwrap_or_default().is_empty();
        let plain = model.kind.as_deref() == Some("BPE")
            && !model.byte_fallback
            && model.dropout.is_none()
            && unused(&model.continuing_subword_prefix)
            && unused(&model.end_of_word_suffix);
        if !plain {
            return None;
        }
        let letters = bytes_of_letters();
        let bytes = |token: &str| -> Option<Vec<u8>> {
            token
                .chars()
                .map(|letter| letters.get(&letter).copied())
                .collect()
        };
        let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        let mut merged = std::collections::HashSet::new();
        let mut last: Option<String> = None;
        for merge in &model.merges {
            let token = match merge {
                Merge::Pair(left, right) => format!("{left}{right}"),
                Merge::Line(line) => {
                    let (left, right) = line.split_once(' ')?;
                    format!("{left}{right}")
                }
            };
            // All ways to make one token stand together, so that its rank is one.
            if last.as_ref() == Some(&token) {
                continue;
            }
            tokens.push(bytes(&token)?);
            if !merged.insert(token.clone()) {
                return None;
            }
            last = Some(token);
        }
        let vocabulary = model.vocab.as_object()?;
        let added = |token: &str| self.added_tokens.iter().any(|added| added.content == token);
        let single = |token: &str| token.chars().nth(1).is_none();
        let made = vocabulary
            .keys()
            .all(|t| single(t) || merged.contains(t) || added(t));
        let singles = letters
            .keys()
            .all(|l| vocabulary.contains_key(l.encode_utf8(&mut [0; 4]) as &str));
        (made && singles).then_some(tokens)
    }
}

/// The letters that stand for bytes in a byte-level vocabulary: printable ones for themselves, the others from
/// U+0100 on.
fn bytes_of_letters() -> HashMap<char, u8> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..=255).filter(|byte| !printable(byte));
    let others = others.zip('\u{100}'..).map(|(byte, letter)| (letter, byte));
    let plain = (0..=255u8)
        .filter(printable)
        .map(|byte| (char::from(byte), byte));
    plain.chain(others).collect()
}

/// A tekken.json, as mistral-common has it.
#[derive(Deserialize)]
struct Tekken {
    config: TekkenConfig,
    vocab: Vec<TekkenToken>,
    special_tokens: Option<Vec<TekkenSpecial>>,
}

#[derive(Deserialize)]
struct TekkenConfig {
    pattern: String,
    default_vocab_size: usize,
    default_num_special_tokens: usize,
}

#[derive(Deserialize)]
struct TekkenToken {
    token_bytes: String,
}

#[derive(Deserialize)]
struct TekkenSpecial {
    token_str: String,
}

fn tekken(file: Tekken) -> Result<Loaded, GivenError> {
    let damaged = |reason: String| GivenError::Damaged {
        form: "tekken.json",
        reason,
    };
    let Some(splitter) = Splitter::of_expression(&file.config.pattern) else {
        return Err(GivenError::Expression(file.config.pattern));
    };
    // Of the vocabulary, only as many tokens are in use as the special ones leave.
    let used =
        (file.config.default_vocab_size).saturating_sub(file.config.default_num_special_tokens);
    let tokens: Vec<Vec<u8>> = file
        .vocab
        .iter()
        .take(used)
        .map(|token| BASE64_STANDARD.decode(&token.token_bytes))
        .collect::<Result<_, _>>()
        .map_err(|error| damaged(error.to_string()))?;
    let specials = file.special_tokens.unwrap_or_default();
    let specials = specials.into_iter().map(|special| special.token_str);
    own(splitter, &tokens, specials.collect())
}

fn own(
    splitter: Splitter,
    tokens: &[Vec<u8>],
    specials: Vec<String>,
) -> Result<Loaded, GivenError> {
    let tokens: Vec<&[u8]> = tokens.iter().map(Vec::as_slice).collect();
    let engine = Engine::new(splitter, &tokens).ok_or(GivenError::Tokens(tokens.len()))?;
    let special = |text| Special {
        text,
        takes_before: false,
        takes_after: false,
    };
    Ok(Loaded::Own {
        engine: Box::new(engine),
        specials: Specials::new(specials.into_iter().map(special).collect()),
        composed: false,
    })
}

/// Lines of a token in base64 and its rank.
fn tiktoken(data: &[u8], names: &[&str]) -> Result<Loaded, GivenError> {
    let damaged = |line: usize| GivenError::Damaged {
        form: "tiktoken file",
        reason: format!("line {line} is no token in base64 and its rank"),
    };
    let mut ranked = Vec::new();
    for (number, line) in data.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let parsed = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.split_once(' '))
            .and_then(|(token, rank)| {
                Some((
                    rank.parse::<u32>().ok()?,
                    BASE64_STANDARD.decode(token).ok()?,
                ))
            });
        match parsed {
            Some(parsed) => ranked.push(parsed),
            None if ranked.is_empty() => return Err(GivenError::Form),
            None => return Err(damaged(number + 1)),
        }
    }
    if ranked.is_empty() {
        return Err(GivenError::Form);
    }
    ranked.sort_unstable();
    let (splitter, specials) = names
        .iter()
        .find_map(|name| model(name))
        .ok_or(GivenError::Splitter)?;
    let tokens: Vec<Vec<u8>> = ranked.into_iter().map(|(_, token)| token).collect();
    own(splitter, &tokens, specials)
}

/// The special tokens of Llama 3's templates; its tiktoken file has none.
const LLAMA3: [&str; 8] = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|python_tag|>",
    "<|finetune_right_pad_id|>",
];

/// How the model of a name, which may be a pattern, splits a text, and what special tokens it has.
fn model(name: &str) -> Option<(Splitter, Vec<String>)> {
    let name = name.trim_matches(['*', '?']).trim_end_matches('-');
    // A pattern for all Llamas is one for those of today.
    let name = if name.eq_ignore_ascii_case("llama") {
        "llama-3"
    } else {
        name
    };
    let known = models::known(name)?;
    match known.family {
        Family::Llama3 | Family::Llama31 => {
            Some((Splitter::Llama3, LLAMA3.map(str::to_owned).to_vec()))
        }
        Family::Llama4 => Some((Splitter::O200k, Vec::new())),
        _ if known.fit == super::Fit::Exact => known.vocabulary.splitter_and_specials(),
        _ => None,
    }
}
