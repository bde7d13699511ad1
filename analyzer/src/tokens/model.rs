//! Which tokenizer a model has, by its name.

use super::Tokenizer;

/// Names by their beginnings; the first that fits holds, so longer ones stand first.
const FAMILIES: [(&str, Tokenizer); 30] = [
    ("gpt-oss", Tokenizer::O200kHarmony),
    ("chatgpt-4o", Tokenizer::O200kBase),
    ("gpt-4o", Tokenizer::O200kBase),
    ("gpt-4.1", Tokenizer::O200kBase),
    ("gpt-4.5", Tokenizer::O200kBase),
    ("gpt-5", Tokenizer::O200kBase),
    ("codex-mini", Tokenizer::O200kBase),
    ("o1", Tokenizer::O200kBase),
    ("o3", Tokenizer::O200kBase),
    ("o4", Tokenizer::O200kBase),
    ("gpt-4", Tokenizer::Cl100kBase),
    ("gpt-3.5", Tokenizer::Cl100kBase),
    ("gpt-35", Tokenizer::Cl100kBase),
    ("text-embedding-ada-002", Tokenizer::Cl100kBase),
    ("text-embedding-3", Tokenizer::Cl100kBase),
    ("davinci-002", Tokenizer::Cl100kBase),
    ("babbage-002", Tokenizer::Cl100kBase),
    ("text-davinci-003", Tokenizer::P50kBase),
    ("text-davinci-002", Tokenizer::P50kBase),
    ("text-davinci-edit", Tokenizer::P50kBase),
    ("code-davinci", Tokenizer::P50kBase),
    ("code-cushman", Tokenizer::P50kBase),
    ("text-davinci-001", Tokenizer::R50kBase),
    ("text-curie-001", Tokenizer::R50kBase),
    ("text-babbage-001", Tokenizer::R50kBase),
    ("text-ada-001", Tokenizer::R50kBase),
    ("davinci", Tokenizer::R50kBase),
    ("curie", Tokenizer::R50kBase),
    ("babbage", Tokenizer::R50kBase),
    ("gpt2", Tokenizer::R50kBase),
];

/// The tokenizer of the model of this name; `None` where the name is not known. A vendor before a
/// slash (`openai/gpt-4o`) and the `ft:` of a fine-tune (`ft:gpt-4o:org::id`) change nothing.
pub(super) fn tokenizer_of(model: &str) -> Option<Tokenizer> {
    let name = model.rsplit('/').next().unwrap_or(model);
    let name = name
        .get(..3)
        .filter(|start| start.eq_ignore_ascii_case("ft:"))
        .and_then(|_| name.get(3..))
        .unwrap_or(name);
    FAMILIES
        .iter()
        .find(|(family, _)| is_of(name, family))
        .map(|(_, tokenizer)| *tokenizer)
}

/// Whether the name begins with the family's and goes on, if it does, with no letter or digit of
/// another name: `o1-mini` is of `o1`, `o1llama` is not.
fn is_of(name: &str, family: &str) -> bool {
    let Some((start, rest)) = name.split_at_checked(family.len()) else {
        return false;
    };
    start.eq_ignore_ascii_case(family) && !rest.starts_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_their_tokenizers() {
        for (model, expected) in [
            ("gpt-4o", Some("o200k_base")),
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
            ("openai/gpt-oss-20b", Some("o200k_harmony")),
            ("openai/gpt-4o", Some("o200k_base")),
            ("azure/eu/gpt-4", Some("cl100k_base")),
            ("ft:gpt-4o-mini:acme::a1b2", Some("o200k_base")),
            ("ft:gpt-3.5-turbo-0125:acme::a1b2", Some("cl100k_base")),
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
            ("qwen2.5-7b-instruct", None),
            ("Qwen/Qwen3-32B", None),
            ("ft:", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(
                tokenizer_of(model).map(Tokenizer::name),
                expected,
                "{model}"
            );
        }
    }
}
