//! Families of models: whose chat template a model speaks.

/// What a model's prompts are framed with. The model's name tells it, not its vocabulary: a distilled
/// DeepSeek-R1 has Qwen's or Llama's vocabulary and DeepSeek's template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI's hosted models.
    OpenAi,
    /// gpt-oss: the harmony format.
    Harmony,
    /// Anthropic's models; neither vocabulary nor template is public.
    Claude,
    /// Google's hosted models; neither vocabulary nor template is public.
    Gemini,
    /// Plain ChatML without defaults of its own, as fine-tunes have it.
    ChatMl,
    /// Qwen 2.5: ChatML with a default system message.
    Qwen2,
    /// Qwen 1.5 and 2, and those of 2 and 2.5 that see and hear: another default, and no tools.
    Qwen2Old,
    /// Qwen 2.5 for mathematics: a default of its own.
    Qwen2Math,
    /// Qwen 3: ChatML with thoughts in tags.
    Qwen3,
    /// Qwen 3's that never think: Instruct-2507, Next-Instruct, Coder.
    Qwen3Instruct,
    /// Qwen 3's that always think: the template begins the thoughts.
    Qwen3Thinking,
    /// Qwen 3.5 and later.
    Qwen35,
    /// QwQ: the thoughts are begun by the template.
    Qwq,
    /// Llama 2 and its kin.
    Llama2,
    /// Llama 3.
    Llama3,
    /// Llama 3.1, 3.2 and 3.3: dates and tools in the system block.
    Llama31,
    /// Llama 4.
    Llama4,
    /// DeepSeek V2, V2.5 and V3.
    DeepSeekV3,
    /// DeepSeek V3.1 and later: thinking on demand.
    DeepSeekV31,
    /// DeepSeek R1 and the models distilled from it.
    DeepSeekR1,
    /// Mistral and Mixtral with a SentencePiece vocabulary (v1 to v3).
    Mistral,
    /// Mistral's v3 template with the tekken vocabulary: Nemo, Ministral, Pixtral.
    MistralTekken,
    /// Mistral's v7, with control tokens for the system: Small 3 and 3.1, Codestral, the first Devstral.
    MistralV7,
    /// Mistral's v11, which has a control token before each call: Small 3.2, the first Magistral.
    MistralV11,
    /// Mistral's v13, which leaves the calls' ids out: Devstral, Magistral, Ministral 3, Large 3.
    MistralV13,
    /// GLM-4.
    Glm4,
    /// GLM-4.5 and 4.6.
    Glm45,
    /// GLM-4.7 and later.
    Glm47,
    /// Kimi K2.
    Kimi,
    /// Kimi K2 Thinking and later.
    KimiThinking,
    /// Gemma 1, 2 and 3.
    Gemma,
    /// Phi-3 and 3.5.
    Phi3,
    /// Phi-4.
    Phi4,
    /// Phi-4-mini and -multimodal.
    Phi4Mini,
    /// A model that the table does not know.
    #[default]
    Unknown,
}
