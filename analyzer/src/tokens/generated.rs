//! What a model generated for an answer, of which the wire shows a part: servers take off the end of
//! the turn, the tags around thoughts, and the notation of tool calls, and report them all the same.
//!
//! vLLM (`len(output.token_ids)`), SGLang (`len(req.output_ids)`), llama.cpp (`n_decoded`), Ollama
//! (`numPredicted`) and TGI (`current_tokens`) each count a sampled token before they look whether it ends
//! the turn: the end is in their figure, unless a limit came first. Tags and notation are sampled like any
//! other text. So the text that was generated is put together again by the family's chat template,
//! which is what the model learned to write; the tests hold it to what the templates give.
//!
//! Hosted models whose notation is not public (OpenAI's, Claude, Gemini), and those that nothing is known of,
//! have no rule: their texts are counted as they stand.

use std::{borrow::Cow, fmt::Write as _};

use super::family::Family;

/// The parts of one choice as the wire shows them.
#[derive(Clone, Debug, Default)]
pub struct Shown<'a> {
    /// Its thoughts.
    pub reasoning: &'a str,
    /// What it says: content, refusal, transcript.
    pub content: Vec<&'a str>,
    /// Its tool calls: name and arguments.
    pub tools: Vec<(&'a str, &'a str)>,
    /// How it ended.
    pub end: TurnEnd,
}

/// How the generation of one choice ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TurnEnd {
    /// The model ended its turn, or wrote a stop string, which is counted and not shown either.
    Model,
    /// It was cut off: by a limit, or with its connection.
    #[default]
    Cut,
}

impl TurnEnd {
    /// By the finish reason, in the words of all dialects.
    pub fn of(finish_reason: Option<&str>) -> Self {
        const BY_MODEL: &[&str] = &[
            "stop",
            "tool_calls",
            "function_call",
            // Anthropic's.
            "end_turn",
            "tool_use",
            "stop_sequence",
            // OpenAI's Responses.
            "completed",
            // TGI's and llama.cpp's own.
            "eos_token",
            "eos",
            "word",
        ];
        match finish_reason {
            Some(reason) if BY_MODEL.contains(&reason) => Self::Model,
            _ => Self::Cut,
        }
    }
}

/// What was generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The rule's name, for rows.
    pub rule: &'static str,
    /// All of the text.
    pub text: String,
    /// What in it is one token wherever it stands.
    pub tags: &'static [&'static str],
    /// Tokens that have no text: the end of the turn.
    pub more: u64,
}

impl Generated {
    /// Counts it with this counter of plain texts: each tag is one token, and what stands between is
    /// counted in one piece.
    pub fn count(&self, mut plain: impl FnMut(&str) -> u64) -> u64 {
        let mut tokens = self.more;
        let (mut rest, mut from) = (self.text.as_str(), 0);
        // Every tag begins with one of these.
        while let Some(next) = rest.get(from..).and_then(|text| text.find(['<', '['])) {
            let at = from + next;
            let (before, after) = rest.split_at(at);
            if let Some(tag) = self.tags.iter().find(|tag| after.starts_with(**tag)) {
                tokens += 1 + piece(before, &mut plain);
                (rest, from) = (&after[tag.len()..], 0);
            } else {
                from = at + 1;
            }
        }
        tokens + piece(rest, &mut plain)
    }
}

fn piece(text: &str, plain: &mut impl FnMut(&str) -> u64) -> u64 {
    if text.is_empty() { 0 } else { plain(text) }
}

/// How a family writes its answers.
struct Rule {
    name: &'static str,
    tags: &'static [&'static str],
    think: Option<Think>,
    tools: Option<&'static Tools>,
}

/// The thoughts, before everything else. What the prompt's template wrote already is not generated.
#[derive(Clone, Copy)]
struct Think {
    open: &'static str,
    close: &'static str,
}

/// Tool calls, after what is said.
struct Tools {
    /// Where something was said before.
    after_content: &'static str,
    open: &'static str,
    before_name: &'static str,
    after_name: &'static str,
    arguments: Arguments,
    after_call: &'static str,
    between: &'static str,
    close: &'static str,
}

/// How arguments are written.
enum Arguments {
    /// As JSON.
    Json,
    /// The same, the number of the call before it: `:0`.
    Numbered,
    /// One by one: before the name, between name and value, after the value.
    Each([&'static str; 3]),
}

const THINK_TAGS: &[&str] = &["<think>", "</think>"];
const QWEN_TAGS: &[&str] = &["<think>", "</think>", "<tool_call>", "</tool_call>"];
const GLM_TAGS: &[&str] = &[
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<arg_key>",
    "</arg_key>",
    "<arg_value>",
    "</arg_value>",
];
const DEEPSEEK_TAGS: &[&str] = &[
    "<think>",
    "</think>",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁sep｜>",
];
const KIMI_TAGS: &[&str] = &[
    "<think>",
    "</think>",
    "<|tool_calls_section_begin|>",
    "<|tool_calls_section_end|>",
    "<|tool_call_begin|>",
    "<|tool_call_argument_begin|>",
    "<|tool_call_end|>",
];
const MISTRAL_TAGS: &[&str] = &["[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]"];
const PHI_TAGS: &[&str] = &["<|tool_call|>", "<|/tool_call|>", "<think>", "</think>"];
const HARMONY_TAGS: &[&str] = &[
    "<|start|>",
    "<|channel|>",
    "<|message|>",
    "<|constrain|>",
    "<|end|>",
    "<|call|>",
    "<|return|>",
];

/// The calls of [`HERMES`] and its kin: an object a call.
const OBJECT: Tools = Tools {
    after_content: "",
    open: "",
    before_name: "{\"name\": \"",
    after_name: "\", \"arguments\": ",
    arguments: Arguments::Json,
    after_call: "}",
    between: ", ",
    close: "",
};

/// Qwen 2.5 and 3, Hermes.
const HERMES: Tools = Tools {
    after_content: "\n",
    before_name: "<tool_call>\n{\"name\": \"",
    after_call: "}\n</tool_call>",
    between: "\n",
    ..OBJECT
};

/// Qwen 3.5 (and Qwen3-Coder, whose name does not tell it apart).
const QWEN_XML: Tools = Tools {
    after_content: "\n\n",
    before_name: "<tool_call>\n<function=",
    after_name: ">\n",
    arguments: Arguments::Each(["<parameter=", ">\n", "\n</parameter>\n"]),
    after_call: "</function>\n</tool_call>",
    between: "\n",
    ..OBJECT
};

const GLM_XML: Tools = Tools {
    after_content: "\n",
    before_name: "<tool_call>",
    after_name: "\n",
    arguments: Arguments::Each(["<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n"]),
    after_call: "</tool_call>",
    between: "\n",
    ..OBJECT
};

/// The same without line ends, from GLM-4.7 on.
const GLM_XML_47: Tools = Tools {
    before_name: "<tool_call>",
    arguments: Arguments::Each(["<arg_key>", "</arg_key><arg_value>", "</arg_value>"]),
    after_name: "",
    after_call: "</tool_call>",
    between: "",
    ..OBJECT
};

/// GLM-4: name and arguments, a line each.
const GLM_LINES: Tools = Tools {
    before_name: "",
    after_name: "\n",
    after_call: "",
    between: "\n",
    ..OBJECT
};

/// Llama 3.1 and later, whose word for arguments is another one.
const LLAMA: Tools = Tools {
    after_name: "\", \"parameters\": ",
    between: "; ",
    ..OBJECT
};

const DEEPSEEK_V3: Tools = Tools {
    open: "<｜tool▁calls▁begin｜>",
    before_name: "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
    after_name: "\n```json\n",
    after_call: "\n```<｜tool▁call▁end｜>",
    between: "\n",
    close: "<｜tool▁calls▁end｜>",
    ..OBJECT
};

const DEEPSEEK_V31: Tools = Tools {
    open: "<｜tool▁calls▁begin｜>",
    before_name: "<｜tool▁call▁begin｜>",
    after_name: "<｜tool▁sep｜>",
    after_call: "<｜tool▁call▁end｜>",
    between: "",
    close: "<｜tool▁calls▁end｜>",
    ..OBJECT
};

const KIMI: Tools = Tools {
    open: "<|tool_calls_section_begin|>",
    before_name: "<|tool_call_begin|>functions.",
    after_name: "<|tool_call_argument_begin|>",
    arguments: Arguments::Numbered,
    after_call: "<|tool_call_end|>",
    between: "",
    close: "<|tool_calls_section_end|>",
    ..OBJECT
};

/// Mistral up to v7: one list.
const MISTRAL_LIST: Tools = Tools {
    open: "[TOOL_CALLS][",
    close: "]",
    ..OBJECT
};

/// Mistral from v11 on. v11 writes an id of nine letters into each call, too; servers make up ids of their own, so
/// that it is not known whether the model wrote one, and it is left out.
const MISTRAL_ARGS: Tools = Tools {
    before_name: "[TOOL_CALLS]",
    after_name: "[ARGS]",
    after_call: "",
    between: "",
    ..OBJECT
};

const PHI_LIST: Tools = Tools {
    open: "<|tool_call|>[",
    close: "]<|/tool_call|>",
    ..OBJECT
};

/// The table; `None`: texts are counted as they stand. [`Family::Harmony`] has a room of its own.
#[rustfmt::skip]
const fn rule(family: Family) -> Option<Rule> {
    const fn think(open: &'static str, close: &'static str) -> Think {
        Think { open, close }
    }
    use Family as F;
    // Thoughts that the prompt began.
    const BEGUN: Option<Think> = Some(think("", "\n</think>\n\n"));
    let (name, tags, think, tools) = match family {
        F::ChatMl => ("chatml", QWEN_TAGS, Some(think("<think>\n", "\n</think>\n\n")), Some(&HERMES)),
        F::Qwen2 | F::Qwen2Old | F::Qwen2Math => ("qwen2", QWEN_TAGS, BEGUN, Some(&HERMES)),
        F::Qwen3 => ("qwen3", QWEN_TAGS, Some(think("<think>\n", "\n</think>\n\n")), Some(&HERMES)),
        F::Qwen3Instruct => ("qwen3_instruct", QWEN_TAGS, BEGUN, Some(&HERMES)),
        F::Qwen3Thinking => ("qwen3_thinking", QWEN_TAGS, BEGUN, Some(&HERMES)),
        F::Qwen35 => ("qwen3.5", QWEN_TAGS, BEGUN, Some(&QWEN_XML)),
        F::Qwq => ("qwq", QWEN_TAGS, BEGUN, Some(&HERMES)),
        F::Llama2 => ("llama2", &[] as &[&str], None, None),
        F::Llama3 => ("llama3", &[] as &[&str], None, None),
        F::Llama31 => ("llama3.1", &["<|python_tag|>"] as &[&str], None, Some(&LLAMA)),
        F::Llama4 => ("llama4", &["<|python_start|>", "<|python_end|>"] as &[&str], None, Some(&LLAMA)),
        F::DeepSeekV3 => ("deepseek_v3", DEEPSEEK_TAGS, BEGUN, Some(&DEEPSEEK_V3)),
        F::DeepSeekV31 => ("deepseek_v3.1", DEEPSEEK_TAGS, Some(think("", "</think>")), Some(&DEEPSEEK_V31)),
        F::DeepSeekR1 => ("deepseek_r1", DEEPSEEK_TAGS, BEGUN, Some(&DEEPSEEK_V3)),
        F::Mistral => ("mistral", MISTRAL_TAGS, None, Some(&MISTRAL_LIST)),
        F::MistralTekken => ("mistral_tekken", MISTRAL_TAGS, None, Some(&MISTRAL_LIST)),
        F::MistralV7 => ("mistral_v7", MISTRAL_TAGS, None, Some(&MISTRAL_LIST)),
        F::MistralV11 => ("mistral_v11", MISTRAL_TAGS, None, Some(&MISTRAL_ARGS)),
        F::MistralV13 => ("mistral_v13", MISTRAL_TAGS, Some(think("[THINK]", "[/THINK]")), Some(&MISTRAL_ARGS)),
        F::Glm4 => ("glm4", THINK_TAGS, Some(think("<think>", "</think>\n")), Some(&GLM_LINES)),
        F::Glm45 => ("glm4.5", GLM_TAGS, Some(think("\n<think>", "</think>\n")), Some(&GLM_XML)),
        F::Glm47 => ("glm4.7", GLM_TAGS, Some(think("", "</think>")), Some(&GLM_XML_47)),
        F::KimiThinking => ("kimi_thinking", KIMI_TAGS, Some(think("<think>", "</think>")), Some(&KIMI)),
        F::Kimi => ("kimi", KIMI_TAGS, Some(think("<think>", "</think>")), Some(&KIMI)),
        F::Gemma => ("gemma", &[] as &[&str], None, None),
        F::Phi3 => ("phi3", &[] as &[&str], None, None),
        F::Phi4 => ("phi4", PHI_TAGS, Some(think("<think>", "</think>")), None),
        F::Phi4Mini => ("phi4_mini", PHI_TAGS, Some(think("<think>", "</think>")), Some(&PHI_LIST)),
        F::Harmony | F::OpenAi | F::Claude | F::Gemini | F::Unknown => return None,
    };
    Some(Rule { name, tags, think, tools })
}

/// What a model of this family generated, where the family has a rule.
pub fn generated(family: Family, shown: &Shown<'_>) -> Option<Generated> {
    if family == Family::Harmony {
        return Some(harmony(shown));
    }
    let rule = rule(family)?;
    let over = shown.end == TurnEnd::Model;
    let mut text = String::new();
    let mut trimmed = false;
    if let Some(think) = rule.think.filter(|_| !shown.reasoning.is_empty()) {
        // Some servers hand the line ends around thoughts on, and some do not.
        trimmed = think.close.ends_with('\n');
        let reasoning = if think.close.starts_with('\n') {
            shown.reasoning.trim_matches('\n')
        } else {
            shown.reasoning
        };
        text.push_str(think.open);
        text.push_str(reasoning);
        if over || shown.says_something() {
            text.push_str(think.close);
        }
    } else {
        text.push_str(shown.reasoning);
    }
    for (place, said) in shown.content.iter().enumerate() {
        let said = if trimmed && place == 0 {
            said.trim_start_matches('\n')
        } else {
            said
        };
        text.push_str(said);
    }
    match rule.tools {
        Some(tools) => tools.write(&mut text, shown),
        None => {
            for (name, arguments) in &shown.tools {
                let _ = write!(text, "\n{name}\n{arguments}");
            }
        }
    }
    Some(Generated {
        rule: rule.name,
        text,
        tags: rule.tags,
        more: u64::from(over),
    })
}

impl Shown<'_> {
    /// Each text on its own.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let tools = self
            .tools
            .iter()
            .flat_map(|(name, arguments)| [*name, *arguments]);
        let texts = [self.reasoning]
            .into_iter()
            .chain(self.content.iter().copied())
            .chain(tools);
        texts.filter(|text| !text.is_empty())
    }

    fn says_something(&self) -> bool {
        !self.tools.is_empty() || self.content.iter().any(|text| !text.is_empty())
    }
}

impl Tools {
    fn write(&self, text: &mut String, shown: &Shown<'_>) {
        let Some(last) = shown.tools.len().checked_sub(1) else {
            return;
        };
        if shown.content.iter().any(|text| !text.is_empty()) {
            text.push_str(self.after_content);
        }
        text.push_str(self.open);
        for (number, (name, arguments)) in shown.tools.iter().enumerate() {
            // What was cut off has no end; with no arguments yet, it is cut off in its name.
            let cut = number == last && shown.end == TurnEnd::Cut;
            text.push_str(self.before_name);
            text.push_str(name);
            if cut && arguments.is_empty() {
                return;
            }
            if matches!(self.arguments, Arguments::Numbered) {
                let _ = write!(text, ":{number}");
            }
            text.push_str(self.after_name);
            self.arguments.write(text, arguments);
            if cut {
                return;
            }
            text.push_str(self.after_call);
            if number < last {
                text.push_str(self.between);
            }
        }
        text.push_str(self.close);
    }
}

impl Arguments {
    fn write(&self, text: &mut String, arguments: &str) {
        if let Self::Each([before, between, after]) = self {
            type Object = serde_json::Map<String, serde_json::Value>;
            if let Ok(object) = serde_json::from_str::<Object>(arguments) {
                for (name, value) in object {
                    text.push_str(before);
                    text.push_str(&name);
                    text.push_str(between);
                    match value {
                        serde_json::Value::String(value) => text.push_str(&value),
                        value => text.push_str(&spaced(&value.to_string())),
                    }
                    text.push_str(after);
                }
                return;
            }
        }
        text.push_str(&spaced(arguments));
    }
}

/// JSON as models write it, which learned it from Python: a space after each colon and comma. Servers
/// that read the arguments and write them anew leave them out. What has a space already stays as it is.
fn spaced(json: &str) -> Cow<'_, str> {
    let mut spaced = String::with_capacity(json.len() + json.len() / 8);
    let (mut inside, mut escaped) = (false, false);
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        spaced.push(character);
        if inside {
            inside = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character == '"' {
            inside = true;
        } else if matches!(character, ':' | ',') {
            match characters.peek() {
                Some(next) if next.is_whitespace() => return Cow::Borrowed(json),
                _ => spaced.push(' '),
            }
        }
    }
    Cow::Owned(spaced)
}

/// gpt-oss: thoughts, what is said and each call are messages, each in a channel. The prompt ends with the
/// beginning of the first one. <https://cookbook.openai.com/articles/openai-harmony>
fn harmony(shown: &Shown<'_>) -> Generated {
    let over = shown.end == TurnEnd::Model;
    let mut messages: Vec<(String, &str)> = Vec::new();
    if !shown.reasoning.is_empty() {
        messages.push(("<|channel|>analysis".to_owned(), shown.reasoning));
    }
    // What is said before a call is a commentary on it.
    let channel = if shown.tools.is_empty() {
        "<|channel|>final"
    } else {
        "<|channel|>commentary"
    };
    for said in shown.content.iter().filter(|said| !said.is_empty()) {
        messages.push((channel.to_owned(), said));
    }
    for (name, arguments) in &shown.tools {
        let head = format!("<|channel|>commentary to=functions.{name} <|constrain|>json");
        messages.push((head, arguments));
    }
    let mut text = String::new();
    for (number, (head, body)) in messages.iter().enumerate() {
        if number > 0 {
            text.push_str("<|end|><|start|>assistant");
        }
        let _ = write!(text, "{head}<|message|>{body}");
    }
    Generated {
        rule: "harmony",
        text,
        tags: HARMONY_TAGS,
        // <|return|> or <|call|>.
        more: u64::from(over),
    }
}

#[cfg(test)]
mod tests;
