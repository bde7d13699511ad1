//! What is known of a model by its name: its vocabulary, and whose chat template it speaks.
//!
//! Names come as hubs write them (`Qwen/Qwen2.5-VL-7B-Instruct`), as Ollama tags
//! (`qwen2.5:7b-instruct-q4_K_M`), as files and paths (`/models/Llama-3.1-8B.Q4_K_M.gguf`), with a
//! cloud's prefix (`azure/eu/gpt-4`), as fine-tunes (`ft:gpt-4o:org::id`), or as the operator liked.

use super::{
    Fit::{Exact, Guess, Near},
    family::Family as F,
    vocabulary::Vocabulary as V,
};

/// What a model's name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) vocabulary: V,
    pub(super) fit: super::Fit,
    pub(super) family: F,
}

/// A rule: all of its patterns are in the name.
type Rule = (&'static [&'static str], V, super::Fit, F);

/// The table. The first rule that fits holds, so narrower ones stand first.
///
/// A pattern is a part of the name, in small letters. It begins where a word begins (with `^`, where the
/// name begins) and ends where a word or a number ends: `qwen` is in `my-qwen2-lora` and not in `qwenish`,
/// `o1` not in `o1llama`, `llama-3` not in `open_llama_3b`. A trailing `*` takes what follows. A hyphen
/// stands for any separator or none, also with a `v` before a digit, a full stop also for a `p` or a hyphen:
/// clouds write `llama-v3p1`.
#[rustfmt::skip]
const RULES: &[Rule] = &[
    (&["gpt-oss"], V::O200kHarmony, Exact, F::Harmony),
    // OpenAI's names are short and common, so that they hold at the name's beginning alone.
    (&["^chatgpt-4o"], V::O200kBase, Exact, F::OpenAi),
    (&["^gpt-4o"], V::O200kBase, Exact, F::OpenAi),
    (&["^gpt-4.1"], V::O200kBase, Exact, F::OpenAi),
    (&["^gpt-4.5"], V::O200kBase, Exact, F::OpenAi),
    (&["^gpt-5"], V::O200kBase, Exact, F::OpenAi),
    (&["^codex-mini"], V::O200kBase, Exact, F::OpenAi),
    (&["^o1"], V::O200kBase, Exact, F::OpenAi),
    (&["^o3"], V::O200kBase, Exact, F::OpenAi),
    (&["^o4"], V::O200kBase, Exact, F::OpenAi),
    (&["^gpt-4"], V::Cl100kBase, Exact, F::OpenAi),
    (&["^gpt-3.5"], V::Cl100kBase, Exact, F::OpenAi),
    (&["^gpt-35"], V::Cl100kBase, Exact, F::OpenAi),
    (&["^text-embedding-ada-002"], V::Cl100kBase, Exact, F::OpenAi),
    (&["^text-embedding-3"], V::Cl100kBase, Exact, F::OpenAi),
    (&["^davinci-002"], V::Cl100kBase, Exact, F::OpenAi),
    (&["^babbage-002"], V::Cl100kBase, Exact, F::OpenAi),
    (&["^text-davinci-003"], V::P50kBase, Exact, F::OpenAi),
    (&["^text-davinci-002"], V::P50kBase, Exact, F::OpenAi),
    (&["^text-davinci-edit"], V::P50kBase, Exact, F::OpenAi),
    (&["^code-davinci"], V::P50kBase, Exact, F::OpenAi),
    (&["^code-cushman"], V::P50kBase, Exact, F::OpenAi),
    (&["^text-davinci-001"], V::R50kBase, Exact, F::OpenAi),
    (&["^text-curie-001"], V::R50kBase, Exact, F::OpenAi),
    (&["^text-babbage-001"], V::R50kBase, Exact, F::OpenAi),
    (&["^text-ada-001"], V::R50kBase, Exact, F::OpenAi),
    (&["^davinci"], V::R50kBase, Exact, F::OpenAi),
    (&["^curie"], V::R50kBase, Exact, F::OpenAi),
    (&["^babbage"], V::R50kBase, Exact, F::OpenAi),
    (&["^gpt2"], V::R50kBase, Exact, F::OpenAi),
    // Neither vocabulary is public.
    (&["claude"], V::Cl100kBase, Guess, F::Claude),
    (&["gemini"], V::Cl100kBase, Guess, F::Gemini),
    // What was distilled from DeepSeek-R1 keeps the vocabulary of the model that learned. Ollama names
    // them by their size alone: 8b is Qwen3's since R1-0528.
    (&["deepseek", "distill", "llama*"], V::Cl100kBase, Near, F::DeepSeekR1),
    (&["deepseek", "qwen"], V::Qwen2, Exact, F::DeepSeekR1),
    (&["deepseek-r1", "70b"], V::Cl100kBase, Near, F::DeepSeekR1),
    (&["deepseek-r1", "1.5b"], V::Qwen2, Exact, F::DeepSeekR1),
    (&["deepseek-r1", "7b"], V::Qwen2, Exact, F::DeepSeekR1),
    (&["deepseek-r1", "8b"], V::Qwen2, Exact, F::DeepSeekR1),
    (&["deepseek-r1", "14b"], V::Qwen2, Exact, F::DeepSeekR1),
    (&["deepseek-r1", "32b"], V::Qwen2, Exact, F::DeepSeekR1),
    (&["^deepseek-r1:latest"], V::Qwen2, Exact, F::DeepSeekR1),
    (&["deepseek-r1"], V::DeepSeekV3, Exact, F::DeepSeekR1),
    (&["deepseek-reasoner"], V::DeepSeekV3, Exact, F::DeepSeekR1),
    // V2 and the coders have vocabularies of their own.
    (&["deepseek-2*"], V::DeepSeekV3, Near, F::DeepSeekV3),
    (&["deepseek-coder-2*"], V::DeepSeekV3, Near, F::DeepSeekV3),
    (&["deepseek-coder"], V::Cl100kBase, Guess, F::Unknown),
    (&["deepseek-llm"], V::Cl100kBase, Guess, F::Unknown),
    (&["deepseek-moe"], V::Cl100kBase, Guess, F::Unknown),
    (&["deepseek-math-2*"], V::DeepSeekV3, Near, F::DeepSeekV31),
    (&["deepseek-math"], V::Cl100kBase, Guess, F::Unknown),
    (&["deepseek-vl*"], V::Cl100kBase, Guess, F::Unknown),
    (&["deepseek-prover-2", "671b"], V::DeepSeekV3, Exact, F::DeepSeekV3),
    (&["deepseek-prover"], V::Cl100kBase, Guess, F::Unknown),
    (&["deepseek-ocr*"], V::DeepSeekV3, Near, F::Unknown),
    (&["deepseek", "7b"], V::Cl100kBase, Guess, F::Unknown),
    (&["deepseek", "67b"], V::Cl100kBase, Guess, F::Unknown),
    (&["deepseek-3.1"], V::DeepSeekV3, Exact, F::DeepSeekV31),
    (&["deepseek-3.2"], V::DeepSeekV3, Exact, F::DeepSeekV31),
    (&["deepseek-4"], V::DeepSeekV3, Exact, F::DeepSeekV31),
    (&["deepseek-chat"], V::DeepSeekV3, Exact, F::DeepSeekV31),
    (&["deepseek"], V::DeepSeekV3, Exact, F::DeepSeekV3),
    (&["hermes", "llama*"], V::Cl100kBase, Near, F::ChatMl),
    (&["qwq"], V::Qwen2, Exact, F::Qwq),
    (&["qvq"], V::Qwen2, Exact, F::Qwen2Old),
    (&["qwen-3.5"], V::Qwen35, Exact, F::Qwen35),
    (&["qwen-3.6"], V::Qwen35, Exact, F::Qwen35),
    (&["qwen-3", "thinking"], V::Qwen2, Exact, F::Qwen3Thinking),
    (&["qwen-3-vl", "thinking"], V::Qwen2, Exact, F::Qwen3Thinking),
    (&["qwen-3", "instruct"], V::Qwen2, Exact, F::Qwen3Instruct),
    (&["qwen-3-vl", "instruct"], V::Qwen2, Exact, F::Qwen3Instruct),
    (&["qwen-3", "2507"], V::Qwen2, Exact, F::Qwen3Instruct),
    (&["qwen-3", "coder"], V::Qwen2, Exact, F::Qwen3Instruct),
    (&["qwen-3-coder"], V::Qwen2, Exact, F::Qwen3Instruct),
    (&["qwen-3-guard"], V::Qwen2, Exact, F::Unknown),
    (&["qwen-3-vl"], V::Qwen2, Exact, F::Qwen3),
    (&["qwen-3"], V::Qwen2, Exact, F::Qwen3),
    (&["qwen-2.5", "math"], V::Qwen2, Exact, F::Qwen2Math),
    (&["qwen-2.5", "vl"], V::Qwen2, Exact, F::Qwen2Old),
    (&["qwen-2.5-vl"], V::Qwen2, Exact, F::Qwen2Old),
    (&["qwen-2.5", "omni"], V::Qwen2, Exact, F::Qwen2Old),
    (&["qwen-2.5"], V::Qwen2, Exact, F::Qwen2),
    (&["qwen-2-vl"], V::Qwen2, Exact, F::Qwen2Old),
    (&["qwen-2"], V::Qwen2, Exact, F::Qwen2Old),
    (&["qwen-1.5"], V::Qwen2, Exact, F::Qwen2Old),
    (&["qwen-vl"], V::Qwen2, Exact, F::Qwen2Old),
    (&["qwen"], V::Qwen2, Exact, F::Qwen2),
    (&["codeqwen"], V::Cl100kBase, Guess, F::Qwen2),
    // Llama's licence forbids embedding; its splitter and its first 100 000 tokens are cl100k_base's.
    // The guards' templates are no conversations.
    (&["llama-guard-4"], V::O200kBase, Near, F::Unknown),
    (&["llama-guard-3"], V::Cl100kBase, Near, F::Unknown),
    (&["llama-guard-2"], V::Cl100kBase, Near, F::Unknown),
    (&["llama-4"], V::O200kBase, Near, F::Llama4),
    (&["llama-3.1"], V::Cl100kBase, Near, F::Llama31),
    (&["llama-3.2"], V::Cl100kBase, Near, F::Llama31),
    (&["llama-3.3"], V::Cl100kBase, Near, F::Llama31),
    (&["llama-3"], V::Cl100kBase, Near, F::Llama3),
    (&["llama-2"], V::Cl100kBase, Guess, F::Llama2),
    (&["codellama"], V::Cl100kBase, Guess, F::Llama2),
    (&["mistral-nemo"], V::Tekken, Exact, F::MistralTekken),
    (&["ministral-3"], V::Tekken, Exact, F::MistralV13),
    (&["ministral"], V::Tekken, Exact, F::MistralTekken),
    (&["pixtral"], V::Tekken, Exact, F::MistralTekken),
    // The first ones of these names still had SentencePiece vocabularies.
    (&["mistral-small", "2402"], V::Cl100kBase, Guess, F::Mistral),
    (&["mistral-small", "2409"], V::Cl100kBase, Guess, F::Mistral),
    (&["mistral-large", "2402"], V::Cl100kBase, Guess, F::Mistral),
    (&["mistral-large", "2407"], V::Cl100kBase, Guess, F::Mistral),
    (&["mistral-large", "2411"], V::Cl100kBase, Guess, F::Mistral),
    (&["codestral-22b"], V::Cl100kBase, Guess, F::Mistral),
    (&["codestral:22b"], V::Cl100kBase, Guess, F::Mistral),
    (&["mistral-small-3.2"], V::Tekken, Exact, F::MistralV11),
    (&["mistral-small", "2506"], V::Tekken, Exact, F::MistralV11),
    (&["mistral-small"], V::Tekken, Exact, F::MistralV7),
    (&["mistral-medium"], V::Tekken, Exact, F::MistralV13),
    (&["mistral-large"], V::Tekken, Exact, F::MistralV13),
    (&["devstral", "2505"], V::Tekken, Exact, F::MistralV7),
    (&["devstral"], V::Tekken, Exact, F::MistralV13),
    (&["magistral", "2506"], V::Tekken, Exact, F::MistralV11),
    (&["magistral"], V::Tekken, Exact, F::MistralV13),
    (&["voxtral"], V::Tekken, Exact, F::MistralV7),
    (&["codestral"], V::Tekken, Exact, F::MistralV7),
    (&["mixtral"], V::Cl100kBase, Guess, F::Mistral),
    (&["mistral"], V::Cl100kBase, Guess, F::Mistral),
    (&["glm-4.5*"], V::Glm4, Exact, F::Glm45),
    (&["glm-4.6*"], V::Glm4, Exact, F::Glm45),
    (&["glm-4.7*"], V::Glm4, Exact, F::Glm47),
    (&["glm-5*"], V::Glm5, Exact, F::Glm47),
    (&["glm-4*"], V::Glm4, Exact, F::Glm4),
    (&["glm-z1"], V::Glm4, Exact, F::Glm4),
    // Both were trained on from Qwen 2.5.
    (&["kimi-dev"], V::Qwen2, Exact, F::Qwen2Old),
    (&["kimi-audio"], V::Qwen2, Near, F::Unknown),
    (&["kimi", "thinking"], V::KimiK2, Exact, F::KimiThinking),
    (&["kimi-k2.5"], V::KimiK2, Exact, F::KimiThinking),
    (&["kimi"], V::KimiK2, Exact, F::Kimi),
    (&["moonlight"], V::KimiK2, Exact, F::Kimi),
    (&["gemma"], V::Cl100kBase, Guess, F::Gemma),
    // Phi-4 has cl100k_base with special tokens of its own, its small ones o200k_base.
    (&["phi-4-mini"], V::O200kBase, Exact, F::Phi4Mini),
    (&["phi-4-multimodal"], V::O200kBase, Exact, F::Phi4Mini),
    (&["phi-4"], V::Cl100kBase, Exact, F::Phi4),
    (&["minimax-m2*"], V::MiniMaxM2, Exact, F::Unknown),
    (&["phi-3"], V::Cl100kBase, Guess, F::Phi3),
];

/// Bytes of a name that are looked at: longer than any, and each rule walks over them.
pub(super) const MAX_NAME: usize = 512;

/// What is known of the model of this name. The last part of a path tells first, then the whole, since a
/// hub's folder of snapshots ends in a hash.
pub(super) fn known(model: &str) -> Option<Known> {
    let name = &model[..model.floor_char_boundary(MAX_NAME)];
    let name = name.trim_end_matches('/').to_ascii_lowercase();
    let whole = of_tuned(&name);
    let last = of_tuned(whole.rsplit('/').next().unwrap_or(whole));
    by_rules(last).or_else(|| by_rules(whole))
}

/// The model that one was tuned from, where OpenAI's form tells: `ft:gpt-4o:org::id`, and once `curie:ft-org`.
fn of_tuned(name: &str) -> &str {
    match (name.strip_prefix("ft:"), name.split_once(":ft-")) {
        (Some(tuned), _) => tuned.split(':').next().unwrap_or_default(),
        (None, Some((tuned, _))) => tuned,
        (None, None) => name,
    }
}

fn by_rules(name: &str) -> Option<Known> {
    let known = |(_, vocabulary, fit, family): &Rule| Known {
        vocabulary: *vocabulary,
        fit: *fit,
        family: *family,
    };
    let mut fitting = RULES
        .iter()
        .filter(|(patterns, ..)| patterns.iter().all(|pattern| is_in(pattern, name)));
    let first = known(fitting.next()?);
    if first.family != F::OpenAi || has_openais_words_alone(name) {
        return Some(first);
    }
    // Others name their models after OpenAI's, and deployments are named so: what else the name tells is surer.
    let other = fitting.map(known).find(|other| other.family != F::OpenAi);
    Some(other.unwrap_or(Known {
        fit: Guess,
        ..first
    }))
}

/// Words of OpenAI's names, besides numbers.
#[rustfmt::skip]
const OPENAIS_WORDS: &[&str] = &[
    "16k", "32k", "3.5", "4.1", "4.5", "4o", "ada", "api", "audio", "babbage", "beta", "chat", "chatgpt", "code", "codex",
    "curie", "cushman", "davinci", "deep", "diarize", "doc", "edit", "embedding", "gpt", "gpt2", "high", "insert", "instruct",
    "large", "latest", "low", "max", "medium", "mini", "nano", "o1", "o3", "o4", "preview", "pro", "query", "realtime",
    "research", "search", "similarity", "small", "text", "transcribe", "tts", "turbo", "vision", "xl",
];

/// Whether a name that begins as one of OpenAI's goes on as one.
fn has_openais_words_alone(name: &str) -> bool {
    let is_number = |word: &str| {
        word.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    name.split(['-', '_', ':', '@', ' '])
        .all(|word| is_number(word) || OPENAIS_WORDS.contains(&word))
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

    /// Names, and what they tell.
    #[rustfmt::skip]
    const OPEN: &[(&str, V, super::super::Fit, F)] = &[
        // Hubs.
        ("Qwen/Qwen2.5-VL-7B-Instruct", V::Qwen2, Exact, F::Qwen2Old),
        ("Qwen/Qwen2-VL-7B-Instruct", V::Qwen2, Exact, F::Qwen2Old),
        ("Qwen/Qwen2-7B-Instruct", V::Qwen2, Exact, F::Qwen2Old),
        ("Qwen/Qwen2-57B-A14B-Instruct", V::Qwen2, Exact, F::Qwen2Old),
        ("Qwen/Qwen1.5-7B-Chat", V::Qwen2, Exact, F::Qwen2Old),
        ("Qwen/Qwen2.5-Omni-7B", V::Qwen2, Exact, F::Qwen2Old),
        ("Qwen/Qwen2.5-Math-7B-Instruct", V::Qwen2, Exact, F::Qwen2Math),
        ("Qwen/Qwen2.5-Coder-32B-Instruct", V::Qwen2, Exact, F::Qwen2),
        ("Qwen/Qwen3-4B-Thinking-2507", V::Qwen2, Exact, F::Qwen3Thinking),
        ("Qwen/Qwen3-Next-80B-A3B-Thinking", V::Qwen2, Exact, F::Qwen3Thinking),
        ("Qwen/Qwen3-VL-8B-Thinking", V::Qwen2, Exact, F::Qwen3Thinking),
        ("Qwen/Qwen3-4B-Instruct-2507", V::Qwen2, Exact, F::Qwen3Instruct),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", V::Qwen2, Exact, F::Qwen3Instruct),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", V::Qwen2, Exact, F::Qwen3Instruct),
        ("qwen3:4b-thinking-2507-q4_K_M", V::Qwen2, Exact, F::Qwen3Thinking),
        ("qwen2.5vl:7b", V::Qwen2, Exact, F::Qwen2Old),
        ("qwen2:7b", V::Qwen2, Exact, F::Qwen2Old),
        ("Qwen3Guard-Gen-8B", V::Qwen2, Exact, F::Unknown),
        ("moonshotai/Kimi-Dev-72B", V::Qwen2, Exact, F::Qwen2Old),
        ("moonshotai/Kimi-Audio-7B-Instruct", V::Qwen2, Near, F::Unknown),
        ("deepseek-ai/deepseek-moe-16b-chat", V::Cl100kBase, Guess, F::Unknown),
        ("deepseek-ai/deepseek-math-7b-instruct", V::Cl100kBase, Guess, F::Unknown),
        ("deepseek-ai/deepseek-vl-7b-chat", V::Cl100kBase, Guess, F::Unknown),
        ("deepseek-ai/deepseek-vl2-small", V::Cl100kBase, Guess, F::Unknown),
        ("deepseek-ai/DeepSeek-Prover-V1.5-RL", V::Cl100kBase, Guess, F::Unknown),
        ("deepseek-ai/DeepSeek-Prover-V2-7B", V::Cl100kBase, Guess, F::Unknown),
        ("deepseek-ai/DeepSeek-Prover-V2-671B", V::DeepSeekV3, Exact, F::DeepSeekV3),
        ("deepseek-ai/deepseek-llm-67b-chat", V::Cl100kBase, Guess, F::Unknown),
        ("deepseek-llm:7b", V::Cl100kBase, Guess, F::Unknown),
        ("deepseek-ai/deepseek-coder-6.7b-instruct", V::Cl100kBase, Guess, F::Unknown),
        ("deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct", V::DeepSeekV3, Near, F::DeepSeekV3),
        ("deepseek-ai/DeepSeek-OCR", V::DeepSeekV3, Near, F::Unknown),
        ("meta-llama/Llama-Guard-3-8B", V::Cl100kBase, Near, F::Unknown),
        ("meta-llama/Llama-Guard-4-12B", V::O200kBase, Near, F::Unknown),
        // Others' models that are named after OpenAI's.
        ("gpt-4-x-alpaca-13b", V::Cl100kBase, Guess, F::OpenAi),
        ("davinci-coder-7b", V::R50kBase, Guess, F::OpenAi),
        ("o1-mini-distill-llama-8b", V::O200kBase, Guess, F::OpenAi),
        ("o3-clone", V::O200kBase, Guess, F::OpenAi),
        ("curie-lora", V::R50kBase, Guess, F::OpenAi),
        ("gpt-4o-distill-qwen2.5-7b", V::Qwen2, Exact, F::Qwen2),
        ("gpt-4o-prod", V::O200kBase, Guess, F::OpenAi),
        ("gpt-4.1-mini-2025-04-14", V::O200kBase, Exact, F::OpenAi),
        ("gpt-4-1106-preview", V::Cl100kBase, Exact, F::OpenAi),
        ("gpt-5.1-codex-max", V::O200kBase, Exact, F::OpenAi),
        ("gpt-4o-mini-search-preview-2025-03-11", V::O200kBase, Exact, F::OpenAi),
        ("o4-mini-deep-research", V::O200kBase, Exact, F::OpenAi),
        ("gpt-3.5-turbo-instruct-0914", V::Cl100kBase, Exact, F::OpenAi),
        ("curie:ft-acme-2022-01-01-00-00-00", V::R50kBase, Exact, F::OpenAi),
        ("ft:gpt-4o-mini:acme:any-name:a1b2", V::O200kBase, Exact, F::OpenAi),
        ("Qwen/Qwen3-32B", V::Qwen2, Exact, F::Qwen3),
        ("Qwen/Qwen3.5-27B", V::Qwen35, Exact, F::Qwen35),
        ("Qwen/QwQ-32B", V::Qwen2, Exact, F::Qwq),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", V::Qwen2, Exact, F::DeepSeekR1),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", V::Cl100kBase, Near, F::DeepSeekR1),
        ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", V::Qwen2, Exact, F::DeepSeekR1),
        ("deepseek-ai/DeepSeek-R1", V::DeepSeekV3, Exact, F::DeepSeekR1),
        ("deepseek-ai/DeepSeek-V3-0324", V::DeepSeekV3, Exact, F::DeepSeekV3),
        ("deepseek-ai/DeepSeek-V3.1", V::DeepSeekV3, Exact, F::DeepSeekV31),
        ("deepseek-ai/DeepSeek-V2.5", V::DeepSeekV3, Near, F::DeepSeekV3),
        ("meta-llama/Llama-3.1-8B-Instruct", V::Cl100kBase, Near, F::Llama31),
        ("meta-llama/Meta-Llama-3-8B-Instruct", V::Cl100kBase, Near, F::Llama3),
        ("nvidia/Llama-3.1-Nemotron-70B-Instruct-HF", V::Cl100kBase, Near, F::Llama31),
        ("NousResearch/Hermes-3-Llama-3.1-8B", V::Cl100kBase, Near, F::ChatMl),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", V::O200kBase, Near, F::Llama4),
        ("mistralai/Mistral-Nemo-Instruct-2407", V::Tekken, Exact, F::MistralTekken),
        ("mistralai/Mistral-Small-3.2-24B-Instruct-2506", V::Tekken, Exact, F::MistralV11),
        ("mistralai/Mistral-7B-Instruct-v0.3", V::Cl100kBase, Guess, F::Mistral),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", V::Cl100kBase, Guess, F::Mistral),
        ("zai-org/GLM-4.5-Air", V::Glm4, Exact, F::Glm45),
        ("zai-org/GLM-4.5V", V::Glm4, Exact, F::Glm45),
        ("zai-org/GLM-4.7-Flash", V::Glm4, Exact, F::Glm47),
        ("kimi-k2-thinking", V::KimiK2, Exact, F::KimiThinking),
        ("zai-org/GLM-5", V::Glm5, Exact, F::Glm47),
        ("THUDM/glm-4-9b-chat", V::Glm4, Exact, F::Glm4),
        ("moonshotai/Kimi-K2-Instruct", V::KimiK2, Exact, F::Kimi),
        ("google/gemma-3-27b-it", V::Cl100kBase, Guess, F::Gemma),
        ("microsoft/phi-4", V::Cl100kBase, Exact, F::Phi4),
        ("microsoft/Phi-4-mini-instruct", V::O200kBase, Exact, F::Phi4Mini),
        ("MiniMaxAI/MiniMax-M2", V::MiniMaxM2, Exact, F::Unknown),
        // Ollama.
        ("qwen2.5:7b-instruct-q4_K_M", V::Qwen2, Exact, F::Qwen2),
        ("qwen3:latest", V::Qwen2, Exact, F::Qwen3),
        ("qwen", V::Qwen2, Exact, F::Qwen2),
        ("library/qwen2.5-coder:32b", V::Qwen2, Exact, F::Qwen2),
        ("deepseek-r1:7b", V::Qwen2, Exact, F::DeepSeekR1),
        ("deepseek-r1:1.5b", V::Qwen2, Exact, F::DeepSeekR1),
        ("deepseek-r1:70b", V::Cl100kBase, Near, F::DeepSeekR1),
        ("deepseek-r1:671b", V::DeepSeekV3, Exact, F::DeepSeekR1),
        ("deepseek-r1:latest", V::Qwen2, Exact, F::DeepSeekR1),
        ("llama3.2:3b", V::Cl100kBase, Near, F::Llama31),
        ("llama3:8b", V::Cl100kBase, Near, F::Llama3),
        ("hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", V::Cl100kBase, Near, F::Llama31),
        ("glm4:9b", V::Glm4, Exact, F::Glm4),
        ("mistral-small:24b", V::Tekken, Exact, F::MistralV7),
        ("mistral-small3.1:24b", V::Tekken, Exact, F::MistralV7),
        ("mistral-small3.2:24b", V::Tekken, Exact, F::MistralV11),
        ("Devstral-Small-2505", V::Tekken, Exact, F::MistralV7),
        ("devstral:24b", V::Tekken, Exact, F::MistralV13),
        ("Magistral-Small-2506", V::Tekken, Exact, F::MistralV11),
        ("Magistral-Small-2509", V::Tekken, Exact, F::MistralV13),
        ("Ministral-3-14B-Reasoning-2512", V::Tekken, Exact, F::MistralV13),
        ("ministral-3b-2410", V::Tekken, Exact, F::MistralTekken),
        ("mistral-nemo", V::Tekken, Exact, F::MistralTekken),
        ("phi4", V::Cl100kBase, Exact, F::Phi4),
        ("phi4-mini:3.8b", V::O200kBase, Exact, F::Phi4Mini),
        // Files, paths and clouds.
        ("Qwen2.5-7B-Instruct-Q4_K_M.gguf", V::Qwen2, Exact, F::Qwen2),
        ("/models/Qwen2.5-7B", V::Qwen2, Exact, F::Qwen2),
        ("/models/Qwen2.5-7B/", V::Qwen2, Exact, F::Qwen2),
        ("/models/qwen/Meta-Llama-3.1-8B.Q4_K_M.gguf", V::Cl100kBase, Near, F::Llama31),
        ("models--Qwen--Qwen3-8B/snapshots/9c925d64d72725edaf899c6cb9c377fd0709d9c5", V::Qwen2, Exact, F::Qwen3),
        ("accounts/fireworks/models/llama-v3p1-8b-instruct", V::Cl100kBase, Near, F::Llama31),
        ("accounts/fireworks/models/qwen2p5-72b-instruct", V::Qwen2, Exact, F::Qwen2),
        ("openrouter/deepseek/deepseek-chat-v3.1", V::DeepSeekV3, Exact, F::DeepSeekV31),
        ("together_ai/Qwen/Qwen3-235B-A22B-fp8", V::Qwen2, Exact, F::Qwen3),
        // Adapters.
        ("qwen2.5-7b-sql-lora", V::Qwen2, Exact, F::Qwen2),
        ("my-qwen3-lora", V::Qwen2, Exact, F::Qwen3),
        ("acme/llama-3.1-8b-support_v2", V::Cl100kBase, Near, F::Llama31),
        // Nothing public.
        ("anthropic/claude-sonnet-4-5", V::Cl100kBase, Guess, F::Claude),
        ("google/gemini-2.5-pro", V::Cl100kBase, Guess, F::Gemini),
    ];

    #[test]
    fn open_models_have_their_vocabularies_and_templates() {
        for (model, vocabulary, fit, family) in OPEN {
            let known = known(model).map(|known| (known.vocabulary, known.fit, known.family));
            assert_eq!(known, Some((*vocabulary, *fit, *family)), "{model}");
            assert_ne!(*fit, super::super::Fit::Set);
        }
    }

    #[test]
    fn a_part_of_a_word_tells_nothing() {
        for model in [
            "my-qwenish",
            "sqwen",
            "open_llama_3b",
            "kimiko",
            "glmr",
            "my-alias",
            "sql-lora",
            "model",
            "phi",
            "mistralish",
            "deepseeker",
            "phi-40",
            "llama",
            "o1llama",
        ] {
            assert_eq!(known(model), None, "{model}");
        }
    }

    #[test]
    fn a_name_of_any_length_is_read_in_bounded_time() {
        for name in [
            "qwen-".repeat(100_000),
            "-".repeat(1_000_000),
            "é".repeat(600),
            "/".repeat(9_999),
        ] {
            known(&name);
        }
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
