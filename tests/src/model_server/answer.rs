//! What the server says: made from the request alone.

use serde_json::{Value, json};

/// Every one is one token of cl100k_base and of o200k_base.
const WORDS: [&str; 40] = [
    " the", " of", " and", " to", " in", " is", " that", " for", " it", " was", " with", " be",
    " by", " on", " not", " he", " this", " are", " or", " his", " from", " at", " which", " but",
    " have", " an", " had", " they", " you", " were", " there", " one", " all", " we", " can",
    " her", " has", " would", " what", " will",
];

/// The wire API that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Chat,
    Completions,
}

/// One kind of output of one choice, in the order in which it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Reasoning(&'static str),
    Content(&'static str),
    ToolName(&'static str),
    ToolArguments(&'static str),
}

/// A whole answer, ready to be sent in pieces or at once.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) api: Api,
    pub(super) id: String,
    pub(super) model: String,
    pub(super) choices: u64,
    pub(super) pieces: Vec<Piece>,
    pub(super) prompt_tokens: u64,
}

const TOOL_NAME: &str = "get_weather";
const TOOL_ARGUMENTS: [&str; 4] = ["{\"city\"", ": \"Par", "is\"", "}"];

impl Answer {
    /// The answer to this body.
    pub(super) fn to(api: Api, number: u64, body: &Value) -> Self {
        let model = body.get("model").and_then(Value::as_str).unwrap_or("m");
        let prompt = prompt_text(body);
        let seed = prompt
            .bytes()
            .fold(7_u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(byte));
        let length = ["max_completion_tokens", "max_tokens"]
            .iter()
            .find_map(|name| body.get(*name)?.as_u64())
            .unwrap_or(5 + seed % 40);
        let word = |index: u64| {
            let place = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9)) % WORDS.len() as u64;
            WORDS[place as usize]
        };
        let pieces = if body.get("tools").is_some() {
            let arguments = TOOL_ARGUMENTS.into_iter().map(Piece::ToolArguments);
            std::iter::once(Piece::ToolName(TOOL_NAME))
                .chain(arguments)
                .collect()
        } else {
            let reasoning = if model.contains("reason") {
                length / 2
            } else {
                0
            };
            (0..length)
                .map(|index| {
                    if index < reasoning {
                        Piece::Reasoning(word(index))
                    } else {
                        Piece::Content(word(index))
                    }
                })
                .collect()
        };
        Self {
            api,
            id: format!("chatcmpl-{number:08x}"),
            model: model.to_owned(),
            choices: body
                .get("n")
                .and_then(Value::as_u64)
                .unwrap_or(1)
                .clamp(1, 16),
            pieces,
            prompt_tokens: prompt.split_whitespace().count() as u64,
        }
    }

    pub(super) fn finish_reason(&self) -> &'static str {
        if self.is_tool_call() {
            "tool_calls"
        } else {
            "stop"
        }
    }

    /// Output tokens of all choices, as `usage` has them.
    pub(super) fn output_tokens(&self) -> u64 {
        self.pieces.len() as u64 * self.choices
    }

    pub(super) fn usage(&self) -> Value {
        let output = self.output_tokens();
        let is_reasoning = |piece: &&Piece| matches!(piece, Piece::Reasoning(_));
        let reasoning = self.pieces.iter().filter(is_reasoning).count() as u64 * self.choices;
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": output,
            "total_tokens": self.prompt_tokens + output,
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        })
    }

    /// An event with these choices.
    pub(super) fn chunk(&self, choices: &Value) -> Value {
        let object = match self.api {
            Api::Chat => "chat.completion.chunk",
            Api::Completions => "text_completion",
        };
        self.envelope(object, choices)
    }

    /// The first event of a chat choice, which carries no token.
    pub(super) fn role_choice(index: u64) -> Value {
        json!([{"index": index, "delta": {"role": "assistant", "content": ""},
                "logprobs": null, "finish_reason": null}])
    }

    /// The event of one piece.
    pub(super) fn piece_choice(&self, index: u64, piece: &Piece) -> Value {
        if let (Api::Completions, Piece::Content(text) | Piece::Reasoning(text)) = (self.api, piece)
        {
            return json!([{"index": index, "text": text, "logprobs": null, "finish_reason": null}]);
        }
        let delta = match piece {
            Piece::Reasoning(text) => json!({"reasoning_content": text}),
            Piece::Content(text) => json!({"content": text}),
            Piece::ToolName(name) => json!({"tool_calls": [{"index": 0, "id": "call_0",
                "type": "function", "function": {"name": name, "arguments": ""}}]}),
            Piece::ToolArguments(text) => {
                json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})
            }
        };
        json!([{"index": index, "delta": delta, "logprobs": null, "finish_reason": null}])
    }

    /// The last event of a choice.
    pub(super) fn finish_choice(&self, index: u64) -> Value {
        let reason = self.finish_reason();
        match self.api {
            Api::Chat => {
                json!([{"index": index, "delta": {}, "logprobs": null, "finish_reason": reason}])
            }
            Api::Completions => {
                json!([{"index": index, "text": "", "logprobs": null, "finish_reason": reason}])
            }
        }
    }

    /// The answer in one JSON object.
    pub(super) fn whole(&self) -> Value {
        let choices: Vec<Value> = (0..self.choices)
            .map(|index| self.whole_choice(index))
            .collect();
        let object = match self.api {
            Api::Chat => "chat.completion",
            Api::Completions => "text_completion",
        };
        let mut answer = self.envelope(object, &Value::Array(choices));
        answer["usage"] = self.usage();
        answer
    }

    fn whole_choice(&self, index: u64) -> Value {
        let (mut content, mut reasoning, mut arguments) =
            (String::new(), String::new(), String::new());
        for piece in &self.pieces {
            match piece {
                Piece::Reasoning(text) => reasoning.push_str(text),
                Piece::Content(text) => content.push_str(text),
                Piece::ToolArguments(text) => arguments.push_str(text),
                Piece::ToolName(_) => {}
            }
        }
        let reason = self.finish_reason();
        if self.api == Api::Completions {
            return json!({"index": index, "text": content, "logprobs": null, "finish_reason": reason});
        }
        let mut message = json!({"role": "assistant", "content": content});
        if !reasoning.is_empty() {
            message["reasoning_content"] = reasoning.into();
        }
        if self.is_tool_call() {
            message["content"] = Value::Null;
            message["tool_calls"] = json!([{"id": "call_0", "type": "function",
                "function": {"name": TOOL_NAME, "arguments": arguments}}]);
        }
        json!({"index": index, "message": message, "logprobs": null, "finish_reason": reason})
    }

    fn envelope(&self, object: &str, choices: &Value) -> Value {
        json!({"id": self.id, "object": object, "created": 1_754_000_000, "model": self.model,
               "choices": choices})
    }

    fn is_tool_call(&self) -> bool {
        matches!(self.pieces.first(), Some(Piece::ToolName(_)))
    }
}

/// The text of a prompt in every form that the API allows, joined by spaces.
fn prompt_text(body: &Value) -> String {
    let mut text = String::new();
    if let Some(prompt) = body.get("prompt") {
        collect(prompt, &mut text);
    }
    for message in body
        .get("messages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if let Some(content) = message.get("content") {
            collect(content, &mut text);
        }
    }
    text
}

fn collect(value: &Value, text: &mut String) {
    match value {
        Value::String(string) => {
            text.push_str(string);
            text.push(' ');
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, text)),
        Value::Object(fields) => fields
            .get("text")
            .into_iter()
            .for_each(|part| collect(part, text)),
        _ => {}
    }
}
