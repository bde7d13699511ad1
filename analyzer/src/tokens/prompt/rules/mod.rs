//! What the well-known families' chat templates add to a conversation: roles, separators, the beginning of
//! the answer, defaults of the system's, tools, thoughts. A file a family.
//!
//! Each writes what its template would. Templates of a family differ from release to release; these are the
//! ones that most servers run; docs/tokens.md says which of them are held to a reference, and by what. Where
//! exactness matters, the operator gives the model's own template.

mod chatml;
mod deepseek;
mod gemma;
mod glm;
mod harmony;
mod kimi;
mod llama;
mod mistral;
mod openai;
mod phi;
mod qwen35;
mod typescript;

use std::sync::LazyLock;

use serde_json::Value;

use super::{
    chat::{Chat, Piece, Role, Turn},
    python,
    sink::{Sink, Specials},
};
use crate::tokens::{Choice, Family, Vocabulary};

/// Writes the conversation as the family's template does. False where the family has no rule.
pub(super) fn write(choice: &Choice, chat: &Chat<'_>, sink: &mut Sink<'_>) -> bool {
    match choice.family {
        Family::ChatMl => chatml::write(chatml::Kind::Plain, chat, sink),
        Family::Qwen2 => chatml::write(chatml::Kind::Qwen2, chat, sink),
        Family::Qwen2Old => chatml::write(chatml::Kind::Qwen2Old, chat, sink),
        Family::Qwen2Math => chatml::write(chatml::Kind::Qwen2Math, chat, sink),
        Family::Qwen3 => chatml::write(chatml::Kind::Qwen3, chat, sink),
        Family::Qwen3Instruct => chatml::write(chatml::Kind::Qwen3Instruct, chat, sink),
        Family::Qwen3Thinking => chatml::write(chatml::Kind::Qwen3Thinking, chat, sink),
        Family::Qwen35 => qwen35::write(chat, sink),
        Family::Qwq => chatml::write(chatml::Kind::Qwq, chat, sink),
        Family::Llama3 => llama::write_3(chat, sink),
        Family::Llama31 => llama::write_31(chat, sink),
        Family::DeepSeekV3 => deepseek::write(deepseek::Kind::V3, chat, sink),
        Family::DeepSeekV31 => deepseek::write_31(chat, sink),
        Family::DeepSeekR1 => deepseek::write(deepseek::Kind::R1, chat, sink),
        Family::MistralTekken => mistral::write(mistral::Kind::V3, chat, sink),
        Family::MistralV7 => mistral::write(mistral::Kind::V7, chat, sink),
        Family::MistralV11 => mistral::write(mistral::Kind::V11, chat, sink),
        Family::MistralV13 => mistral::write(mistral::Kind::V13, chat, sink),
        Family::Gemma => gemma::write(chat, sink),
        Family::Glm4 => glm::write_4(chat, sink),
        Family::Glm45 => glm::write_45(glm::Kind::V45, chat, sink),
        Family::Glm47 => glm::write_45(glm::Kind::V47, chat, sink),
        Family::Kimi => kimi::write(kimi::Kind::Plain, chat, sink),
        Family::KimiThinking => kimi::write(kimi::Kind::Thinks, chat, sink),
        Family::Phi3 => phi::write_3(chat, sink),
        Family::Phi4 => phi::write_4(chat, sink),
        Family::Phi4Mini => phi::write_4_mini(chat, sink),
        Family::Harmony => harmony::write(chat, sink),
        Family::OpenAi => {
            let is_old = choice.tokenizer == Vocabulary::Cl100kBase.tokenizer();
            let age = if is_old {
                openai::Age::Old
            } else {
                openai::Age::New
            };
            openai::write(age, chat, sink);
        }
        Family::Llama2
        | Family::Llama4
        | Family::Mistral
        | Family::Claude
        | Family::Gemini
        | Family::Unknown => return false,
    }
    true
}

/// Tokens that servers put before a plain prompt: the beginning of a text, where the vocabulary has such.
pub(super) const fn before_text(family: Family) -> u64 {
    match family {
        Family::Llama2
        | Family::Llama3
        | Family::Llama31
        | Family::Llama4
        | Family::DeepSeekV3
        | Family::DeepSeekV31
        | Family::DeepSeekR1
        | Family::Mistral
        | Family::MistralTekken
        | Family::MistralV7
        | Family::MistralV11
        | Family::MistralV13
        | Family::Gemma => 1,
        Family::Glm4 | Family::Glm45 | Family::Glm47 => 2,
        Family::OpenAi
        | Family::Harmony
        | Family::Claude
        | Family::Gemini
        | Family::ChatMl
        | Family::Qwen2
        | Family::Qwen2Old
        | Family::Qwen2Math
        | Family::Qwen3
        | Family::Qwen3Instruct
        | Family::Qwen3Thinking
        | Family::Qwen35
        | Family::Qwq
        | Family::Kimi
        | Family::KimiThinking
        | Family::Phi3
        | Family::Phi4
        | Family::Phi4Mini
        | Family::Unknown => 0,
    }
}

/// Tokens that frame the parts of a text with a gap: a beginning, a gap and an end.
pub(super) const fn around_gap(family: Family) -> u64 {
    match family {
        Family::Qwen2
        | Family::Qwen3
        | Family::Qwen3Instruct
        | Family::Qwen35
        | Family::DeepSeekV3
        | Family::Glm4 => 3,
        Family::Mistral
        | Family::MistralTekken
        | Family::MistralV7
        | Family::MistralV11
        | Family::MistralV13 => 2,
        _ => 0,
    }
}

/// Whether the family's servers read special tokens in a plain text. Mistral's and OpenAI's take text for text.
pub(super) const fn reads_specials(family: Family) -> bool {
    !matches!(
        family,
        Family::OpenAi
            | Family::Mistral
            | Family::MistralTekken
            | Family::MistralV7
            | Family::MistralV11
            | Family::MistralV13
    )
}

/// The special tokens that the family's templates write and that texts become. Mistral's and OpenAI's
/// servers take text for text, whatever stands there.
pub(super) fn specials(family: Family) -> &'static Specials {
    static NONE: LazyLock<Specials> = LazyLock::new(|| Specials::of([]));
    static QWEN2: LazyLock<Specials> = LazyLock::new(|| Specials::of(QWEN2_TOKENS.iter().copied()));
    static QWEN3: LazyLock<Specials> =
        LazyLock::new(|| Specials::of(QWEN2_TOKENS.iter().chain(QWEN3_TOKENS).copied()));
    static LLAMA: LazyLock<Specials> = LazyLock::new(|| Specials::of(LLAMA_TOKENS.iter().copied()));
    static DEEPSEEK: LazyLock<Specials> =
        LazyLock::new(|| Specials::of(DEEPSEEK_TOKENS.iter().copied()));
    static DEEPSEEK_R1: LazyLock<Specials> =
        LazyLock::new(|| Specials::of(DEEPSEEK_TOKENS.iter().chain(THINK_TOKENS).copied()));
    static GEMMA: LazyLock<Specials> = LazyLock::new(|| Specials::of(GEMMA_TOKENS.iter().copied()));
    static GLM4: LazyLock<Specials> = LazyLock::new(|| Specials::of(GLM4_TOKENS.iter().copied()));
    static GLM45: LazyLock<Specials> =
        LazyLock::new(|| Specials::of(GLM4_TOKENS.iter().chain(GLM45_TOKENS).copied()));
    static KIMI: LazyLock<Specials> = LazyLock::new(|| Specials::of(KIMI_TOKENS.iter().copied()));
    static KIMI_THINKING: LazyLock<Specials> =
        LazyLock::new(|| Specials::of(KIMI_TOKENS.iter().chain(THINK_TOKENS).copied()));
    static PHI: LazyLock<Specials> = LazyLock::new(|| Specials::of(PHI_TOKENS.iter().copied()));
    static HARMONY: LazyLock<Specials> =
        LazyLock::new(|| Specials::of(HARMONY_TOKENS.iter().copied()));
    match family {
        Family::ChatMl | Family::Qwen2 | Family::Qwen2Old | Family::Qwen2Math => &QWEN2,
        Family::Qwen3
        | Family::Qwen3Instruct
        | Family::Qwen3Thinking
        | Family::Qwen35
        | Family::Qwq => &QWEN3,
        Family::Llama3 | Family::Llama31 => &LLAMA,
        Family::DeepSeekV3 => &DEEPSEEK,
        Family::DeepSeekV31 | Family::DeepSeekR1 => &DEEPSEEK_R1,
        Family::Gemma => &GEMMA,
        Family::Glm4 => &GLM4,
        Family::Glm45 | Family::Glm47 => &GLM45,
        Family::Kimi => &KIMI,
        Family::KimiThinking => &KIMI_THINKING,
        Family::Phi3 | Family::Phi4 | Family::Phi4Mini => &PHI,
        Family::Harmony => &HARMONY,
        _ => &NONE,
    }
}

const QWEN2_TOKENS: &[&str] = &[
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
];

const QWEN3_TOKENS: &[&str] = &["<tool_response>", "</tool_response>", "<think>", "</think>"];

const LLAMA_TOKENS: &[&str] = &[
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|finetune_right_pad_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|python_tag|>",
];

const DEEPSEEK_TOKENS: &[&str] = &[
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜▁pad▁｜>",
    "<｜fim▁hole｜>",
    "<｜fim▁begin｜>",
    "<｜fim▁end｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "<|EOT|>",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁outputs▁begin｜>",
    "<｜tool▁outputs▁end｜>",
    "<｜tool▁output▁begin｜>",
    "<｜tool▁output▁end｜>",
    "<｜tool▁sep｜>",
];

/// R1's and V3.1's; V3 has them as text.
const THINK_TOKENS: &[&str] = &["<think>", "</think>"];

const GEMMA_TOKENS: &[&str] = &[
    "<pad>",
    "<eos>",
    "<bos>",
    "<unk>",
    "<mask>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<start_of_image>",
    "<end_of_image>",
];

const GLM4_TOKENS: &[&str] = &[
    "<|endoftext|>",
    "[MASK]",
    "[gMASK]",
    "[sMASK]",
    "<sop>",
    "<eop>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|observation|>",
];

const GLM45_TOKENS: &[&str] = &[
    "/nothink",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<arg_key>",
    "</arg_key>",
    "<arg_value>",
    "</arg_value>",
];

const KIMI_TOKENS: &[&str] = &[
    "[BOS]",
    "[EOS]",
    "<|im_end|>",
    "<|im_user|>",
    "<|im_assistant|>",
    "<|im_system|>",
    "<|im_middle|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "[EOT]",
    "<|tool_calls_section_begin|>",
    "<|tool_calls_section_end|>",
    "<|tool_call_begin|>",
    "<|tool_call_argument_begin|>",
    "<|tool_call_end|>",
];

const PHI_TOKENS: &[&str] = &[
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_sep|>",
    "<|im_end|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    "<|tool|>",
    "<|/tool|>",
    "<|tool_call|>",
    "<|/tool_call|>",
    "<|tool_response|>",
];

const HARMONY_TOKENS: &[&str] = &[
    "<|startoftext|>",
    "<|endoftext|>",
    "<|return|>",
    "<|constrain|>",
    "<|channel|>",
    "<|start|>",
    "<|end|>",
    "<|message|>",
    "<|call|>",
];

/// A function that a tool's definition describes, however the wire has it.
struct Function {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
}

/// Reads a definition: OpenAI's with a `function` within, or the bare one; Anthropic names the schema
/// `input_schema`, and Cohere had `parameter_definitions`.
fn function(tool: &str) -> Function {
    let mut tool = python::value(tool);
    if let Some(inner) = tool.get_mut("function") {
        tool = inner.take();
    }
    let text = |key: &str| tool.get(key).and_then(Value::as_str).map(str::to_owned);
    let schema = [
        "parameters",
        "input_schema",
        "parametersJsonSchema",
        "parameter_definitions",
    ];
    Function {
        name: text("name").unwrap_or_default(),
        description: text("description"),
        parameters: schema.iter().find_map(|key| tool.get(key)).cloned(),
    }
}
