//! What is known of a model by its name: its vocabulary, and whose chat template it speaks.
//!
//! Names come as hubs write them (`Qwen/Qwen2.5-VL-7B-Instruct`), as Ollama tags
//! (`qwen2.5:7b-instruct-q4_K_M`), as files and paths (`/models/Llama-3.1-8B.Q4_K_M.gguf`), with a
//! cloud's prefix (`azure/eu/gpt-4`), as fine-tunes (`ft:gpt-4o:org::id`), or as the operator liked.

use super::{
    Fit::{Exact, Guess, Near},
    family::Family::{self, *},
    vocabulary::Vocabulary::{self, *},
};

/// What a model's name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) vocabulary: Vocabulary,
    pub(super) fit: super::Fit,
    pub(super) family: Family,
}

/// A rule: all of its patterns are in the name.
type Rule = (&'static [&'static str], Vocabulary, super::Fit, Family);

/// The table. The first rule that fits holds, so narrower ones stand first.
///
/// A pattern is a part of the name, in small letters. It begins where a word begins (with `^`, where the
/// name begins) and ends where a word or a number ends: `qwen` is in `my-qwen2-lora` and not in `qwenish`,
/// `o1` not in `o1llama`, `llama-3` not in `open_llama_3b`. A trailing `*` takes what follows. A hyphen
/// stands for any separator or none, also with a `v` before a digit, a full stop also for a `p` or a hyphen:
/// clouds write `llama-v3p1`.
#[rustfmt::skip]
const RULES: &[Rule] = &[
    (&["gpt-oss"], O200kHarmony, Exact, Harmony),
    // OpenAI's names are short and common, so that they hold at the name's beginning alone.
    (&["^chatgpt-4o"], O200kBase, Exact, OpenAi),
    (&["^gpt-4o"], O200kBase, Exact, OpenAi),
    (&["^gpt-4.1"], O200kBase, Exact, OpenAi),
    (&["^gpt-4.5"], O200kBase, Exact, OpenAi),
    (&["^gpt-5"], O200kBase, Exact, OpenAi),
    (&["^codex-mini"], O200kBase, Exact, OpenAi),
    (&["^o1"], O200kBase, Exact, OpenAi),
    (&["^o3"], O200kBase, Exact, OpenAi),
    (&["^o4"], O200kBase, Exact, OpenAi),
    (&["^gpt-4"], Cl100kBase, Exact, OpenAi),
    (&["^gpt-3.5"], Cl100kBase, Exact, OpenAi),
    (&["^gpt-35"], Cl100kBase, Exact, OpenAi),
    (&["^text-embedding-ada-002"], Cl100kBase, Exact, OpenAi),
    (&["^text-embedding-3"], Cl100kBase, Exact, OpenAi),
    (&["^davinci-002"], Cl100kBase, Exact, OpenAi),
    (&["^babbage-002"], Cl100kBase, Exact, OpenAi),
    (&["^text-davinci-003"], P50kBase, Exact, OpenAi),
    (&["^text-davinci-002"], P50kBase, Exact, OpenAi),
    (&["^text-davinci-edit"], P50kBase, Exact, OpenAi),
    (&["^code-davinci"], P50kBase, Exact, OpenAi),
    (&["^code-cushman"], P50kBase, Exact, OpenAi),
    (&["^text-davinci-001"], R50kBase, Exact, OpenAi),
    (&["^text-curie-001"], R50kBase, Exact, OpenAi),
    (&["^text-babbage-001"], R50kBase, Exact, OpenAi),
    (&["^text-ada-001"], R50kBase, Exact, OpenAi),
    (&["^davinci"], R50kBase, Exact, OpenAi),
    (&["^curie"], R50kBase, Exact, OpenAi),
    (&["^babbage"], R50kBase, Exact, OpenAi),
    (&["^gpt2"], R50kBase, Exact, OpenAi),
    // Neither vocabulary is public.
    (&["claude"], Cl100kBase, Guess, Claude),
    (&["gemini"], Cl100kBase, Guess, Gemini),
    // What was distilled from DeepSeek-R1 keeps the vocabulary of the model that learned. Ollama names
    // them by their size alone: 8b is Qwen3's since R1-0528.
    (&["deepseek", "distill", "llama*"], Cl100kBase, Near, DeepSeekR1),
    (&["deepseek", "qwen"], Cl100kBase, Near, DeepSeekR1),
    (&["deepseek-r1", "70b"], Cl100kBase, Near, DeepSeekR1),
    (&["deepseek-r1", "1.5b"], Cl100kBase, Near, DeepSeekR1),
    (&["deepseek-r1", "7b"], Cl100kBase, Near, DeepSeekR1),
    (&["deepseek-r1", "8b"], Cl100kBase, Near, DeepSeekR1),
    (&["deepseek-r1", "14b"], Cl100kBase, Near, DeepSeekR1),
    (&["deepseek-r1", "32b"], Cl100kBase, Near, DeepSeekR1),
    (&["^deepseek-r1:latest"], Cl100kBase, Near, DeepSeekR1),
    (&["deepseek-r1"], Cl100kBase, Near, DeepSeekR1),
    (&["deepseek-reasoner"], Cl100kBase, Near, DeepSeekR1),
    // V2 and the coders have vocabularies of their own.
    (&["deepseek-2*"], Cl100kBase, Near, DeepSeekV3),
    (&["deepseek-coder-2*"], Cl100kBase, Near, DeepSeekV3),
    (&["deepseek-coder"], Cl100kBase, Guess, Unknown),
    (&["deepseek-llm"], Cl100kBase, Guess, Unknown),
    (&["deepseek-3.1"], Cl100kBase, Near, DeepSeekV31),
    (&["deepseek-3.2"], Cl100kBase, Near, DeepSeekV31),
    (&["deepseek-4"], Cl100kBase, Near, DeepSeekV31),
    (&["deepseek-chat"], Cl100kBase, Near, DeepSeekV31),
    (&["deepseek"], Cl100kBase, Near, DeepSeekV3),
    (&["hermes", "llama*"], Cl100kBase, Near, ChatMl),
    (&["qwq"], Cl100kBase, Near, Qwq),
    (&["qvq"], Cl100kBase, Near, Qwen2),
    (&["qwen-3.5"], Cl100kBase, Near, Qwen35),
    (&["qwen-3.6"], Cl100kBase, Near, Qwen35),
    (&["qwen-3"], Cl100kBase, Near, Qwen3),
    (&["qwen"], Cl100kBase, Near, Qwen2),
    (&["codeqwen"], Cl100kBase, Guess, Qwen2),
    // Llama's licence forbids embedding; its splitter and its first 100 000 tokens are cl100k_base's.
    (&["llama-4"], O200kBase, Near, Llama4),
    (&["llama-3.1"], Cl100kBase, Near, Llama31),
    (&["llama-3.2"], Cl100kBase, Near, Llama31),
    (&["llama-3.3"], Cl100kBase, Near, Llama31),
    (&["llama-3"], Cl100kBase, Near, Llama3),
    (&["llama-2"], Cl100kBase, Guess, Llama2),
    (&["codellama"], Cl100kBase, Guess, Llama2),
    (&["mistral-nemo"], Cl100kBase, Near, MistralTekken),
    (&["ministral"], Cl100kBase, Near, MistralTekken),
    (&["pixtral"], Cl100kBase, Near, MistralTekken),
    (&["mistral-small"], Cl100kBase, Near, MistralV7),
    (&["mistral-medium"], Cl100kBase, Near, MistralV7),
    (&["mistral-large"], Cl100kBase, Near, MistralV7),
    (&["devstral"], Cl100kBase, Near, MistralV7),
    (&["magistral"], Cl100kBase, Near, MistralV7),
    (&["voxtral"], Cl100kBase, Near, MistralV7),
    (&["codestral"], Cl100kBase, Near, MistralV7),
    (&["mixtral"], Cl100kBase, Guess, Mistral),
    (&["mistral"], Cl100kBase, Guess, Mistral),
    (&["glm-4.5*"], Cl100kBase, Near, Glm45),
    (&["glm-4.6*"], Cl100kBase, Near, Glm45),
    (&["glm-4.7*"], Cl100kBase, Near, Glm45),
    (&["glm-5*"], Cl100kBase, Near, Glm45),
    (&["glm-4*"], Cl100kBase, Near, Glm4),
    (&["glm-z1"], Cl100kBase, Near, Glm4),
    (&["kimi"], Cl100kBase, Near, Kimi),
    (&["moonlight"], Cl100kBase, Near, Kimi),
    (&["gemma"], Cl100kBase, Guess, Gemma),
    // Phi-4 has cl100k_base with special tokens of its own, its small ones o200k_base.
    (&["phi-4-mini"], O200kBase, Exact, Phi4Mini),
    (&["phi-4-multimodal"], O200kBase, Exact, Phi4Mini),
    (&["phi-4"], Cl100kBase, Exact, Phi4),
    (&["phi-3"], Cl100kBase, Guess, Phi3),
];

/// Bytes of a name that are looked at: longer than any, and each rule walks over them.
const MAX_NAME: usize = 512;

/// What is known of the model of this name. The last part of a path tells first, then the whole, since a
/// hub's folder of snapshots ends in a hash.
pub(super) fn known(model: &str) -> Option<Known> {
    let name = &model[..model.floor_char_boundary(MAX_NAME)];
    let name = name.trim_end_matches('/').to_ascii_lowercase();
    let whole = name.strip_prefix("ft:").unwrap_or(&name);
    let last = whole.rsplit('/').next().unwrap_or(whole);
    let last = last.strip_prefix("ft:").unwrap_or(last);
    by_rules(last).or_else(|| by_rules(whole))
}

fn by_rules(name: &str) -> Option<Known> {
    RULES
        .iter()
        .find(|(patterns, ..)| patterns.iter().all(|pattern| is_in(pattern, name)))
        .map(|(_, vocabulary, fit, family)| Known {
            vocabulary: *vocabulary,
            fit: *fit,
            family: *family,
        })
}

/// Whether the pattern stands somewhere in the name, as whole words.
fn is_in(pattern: &str, name: &str) -> bool {
    let (name, pattern) = (name.as_bytes(), pattern.as_bytes());
    if let [b'^', pattern @ ..] = pattern {
        return stands_at(pattern, name);
    }
    (0..name.len())
        .filter(|at| *at == 0 || !name[at - 1].is_ascii_alphanumeric())
        .any(|at| stands_at(pattern, &name[at..]))
}

/// Whether the name begins with the pattern, and the word or number ends with it.
fn stands_at(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) | ([b'*'], _) => true,
        ([], [next, ..]) => !next.is_ascii_alphanumeric(),
        ([b'-', pattern @ ..], _) => separated(pattern, name),
        ([b'.', pattern @ ..], [b'.' | b'p' | b'-' | b'_', name @ ..]) => stands_at(pattern, name),
        ([last], [first, next, ..]) if last == first => {
            !next.is_ascii_alphanumeric() || (last.is_ascii_lowercase() && next.is_ascii_digit())
        }
        ([expected, pattern @ ..], [first, name @ ..]) if expected == first => {
            stands_at(pattern, name)
        }
        _ => false,
    }
}

/// The rest of the pattern after a separator, or none, and a `v` before a number.
fn separated(pattern: &[u8], name: &[u8]) -> bool {
    let name = match name {
        [b'-' | b'_' | b' ' | b'.' | b':', name @ ..] => name,
        _ => name,
    };
    let name = match (pattern, name) {
        ([b'0'..=b'9', ..], [b'v', name @ ..]) => name,
        _ => name,
    };
    stands_at(pattern, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary_of(model: &str) -> Option<&'static str> {
        known(model).map(|known| known.vocabulary.name())
    }

    #[test]
    fn openais_models_have_their_vocabularies() {
        for (model, expected) in [
            ("gpt-4o", Some("o200k_base")),
            ("gpt-4o-2024-08-06", Some("o200k_base")),
            ("gpt-4o-mini-2024-07-18", Some("o200k_base")),
            ("GPT-4o", Some("o200k_base")),
            ("chatgpt-4o-latest", Some("o200k_base")),
            ("gpt-4.1-nano", Some("o200k_base")),
            ("gpt-5", Some("o200k_base")),
            ("gpt-5.2-codex", Some("o200k_base")),
            ("o1", Some("o200k_base")),
            ("o3-mini", Some("o200k_base")),
            ("o4-mini-2025-04-16", Some("o200k_base")),
            ("gpt-oss-120b", Some("o200k_harmony")),
            ("gpt-oss:20b", Some("o200k_harmony")),
            ("openai/gpt-oss-20b", Some("o200k_harmony")),
            ("unsloth/gpt-oss-20b-GGUF", Some("o200k_harmony")),
            ("openai/gpt-4o", Some("o200k_base")),
            ("azure/eu/gpt-4", Some("cl100k_base")),
            ("ft:gpt-4o-mini:acme::a1b2", Some("o200k_base")),
            ("ft:gpt-3.5-turbo-0125:acme::a1b2", Some("cl100k_base")),
            ("FT:gpt-4o:org::id", Some("o200k_base")),
            ("gpt-4", Some("cl100k_base")),
            ("gpt-4-turbo", Some("cl100k_base")),
            ("gpt-4-32k-0314", Some("cl100k_base")),
            ("gpt-35-turbo", Some("cl100k_base")),
            ("text-embedding-3-large", Some("cl100k_base")),
            ("davinci-002", Some("cl100k_base")),
            ("text-davinci-003", Some("p50k_base")),
            ("code-davinci-002", Some("p50k_base")),
            ("text-davinci-001", Some("r50k_base")),
            ("davinci", Some("r50k_base")),
            ("gpt2", Some("r50k_base")),
            ("o1llama", None),
            ("gpt-40b", None),
            ("my-o1-mini", None),
            ("marco-o1", None),
            ("ft:", None),
            ("", None),
            ("/", None),
            ("é", None),
        ] {
            assert_eq!(vocabulary_of(model), expected, "{model}");
        }
    }
}
