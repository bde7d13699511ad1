//! Wire APIs with a place for a secret in each of their fields.

use serde_json::{Value, json};

use super::{Plants, SAID};

/// A wire API: where it is asked, what is asked (the text is `$`), what a plain answer is (the text is `$`), and what
/// one event of a stream is.
#[derive(Debug)]
pub struct Api {
    /// Its name.
    pub name: &'static str,
    /// Where it is asked.
    pub path: &'static str,
    /// What is asked; each `$` is a place for a secret.
    pub ask: Value,
    /// A plain answer, likewise.
    pub tell: Value,
    /// A stream's Content-Type, and one event with a piece of its text.
    pub stream: Option<(&'static str, &'static str)>,
}

/// All of them.
#[expect(clippy::too_many_lines, reason = "an API a paragraph")]
pub fn apis() -> Vec<Api> {
    const SSE: &str = "text/event-stream";
    const LINES: &str = "application/x-ndjson";
    vec![
        Api {
            name: "openai_chat",
            path: "/v1/chat/completions",
            ask: json!({"model": "$", "user": "$", "metadata": {"session": "$"}, "messages": [
                {"role": "system", "content": "$"},
                {"role": "user", "name": "$", "content": [{"type": "text", "text": "$"}]},
                {"role": "assistant", "tool_calls": [{"id": "$", "type": "function",
                    "function": {"name": "f", "arguments": "{\"token\":\"$\"}"}}]},
                {"role": "tool", "tool_call_id": "$", "content": "$"}],
                "tools": [{"type": "function", "function": {"name": "$", "description": "$"}}]}),
            tell: json!({"object": "chat.completion", "id": "$", "model": "$", "choices": [{"index": 0,
                "message": {"role": "assistant", "content": "$", "reasoning_content": "$",
                    "tool_calls": [{"index": 0, "function": {"name": "$", "arguments": "{\"a\":\"$\"}"}}]},
                "logprobs": {"content": [{"token": "$", "bytes": [1]}]},
                "finish_reason": "$"}]}),
            stream: Some((
                SSE,
                "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"$\"}}]}\n\n",
            )),
        },
        Api {
            name: "openai_chat reasoning",
            path: "/v1/chat/completions",
            ask: json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "$"}]}),
            tell: json!({"error": {"message": "$", "type": "$", "code": "$", "param": "$"}}),
            stream: Some((
                SSE,
                "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"delta\":{\"reasoning_content\":\"$\"},\"index\":0}]}\r\n\r\n",
            )),
        },
        Api {
            name: "openai_chat tools",
            path: "/v1/chat/completions",
            ask: json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "$"}]}),
            tell: json!({"detail": [{"type": "$", "msg": "$"}]}),
            stream: Some((
                SSE,
                "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"$\"}}]}}]}\n\n",
            )),
        },
        Api {
            name: "openai_completions",
            path: "/v1/completions",
            ask: json!({"model": "m", "prompt": ["$", "$"], "suffix": "$"}),
            tell: json!({"object": "text_completion", "choices": [{"index": 0, "text": "$"}]}),
            stream: Some((
                SSE,
                "data: {\"object\":\"text_completion\",\"choices\":[{\"index\":0,\"text\":\"$\"}]}\n\n",
            )),
        },
        Api {
            name: "openai_responses",
            path: "/v1/responses",
            ask: json!({"model": "m", "instructions": "$", "input": [{"role": "user", "content": [{"type": "input_text", "text": "$"}]}],
                "safety_identifier": "$"}),
            tell: json!({"object": "response", "id": "$", "output": [{"type": "message", "content": [{"type": "output_text", "text": "$"}]}]}),
            stream: Some((
                SSE,
                "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"i\",\"output_index\":0,\"content_index\":0,\"delta\":\"$\"}\n\n",
            )),
        },
        Api {
            name: "openai_embeddings",
            path: "/v1/embeddings",
            ask: json!({"model": "m", "input": ["$", "$"], "user": "$"}),
            tell: json!({"object": "list", "model": "$", "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]}),
            stream: None,
        },
        Api {
            name: "rerank",
            path: "/v1/rerank",
            ask: json!({"model": "m", "query": "$", "documents": ["$", {"text": "$"}]}),
            tell: json!({"id": "$", "results": [{"index": 0, "relevance_score": 0.5, "document": {"text": "$"}}]}),
            stream: None,
        },
        Api {
            name: "images",
            path: "/v1/images/generations",
            ask: json!({"model": "m", "prompt": "$"}),
            tell: json!({"created": 1, "data": [{"url": "$", "revised_prompt": "$"}]}),
            stream: None,
        },
        Api {
            name: "speech",
            path: "/v1/audio/speech",
            ask: json!({"model": "m", "input": "$", "instructions": "$", "voice": "$"}),
            tell: json!({"error": {"message": "$"}}),
            stream: None,
        },
        Api {
            name: "cohere chat",
            path: "/v2/chat",
            ask: json!({"model": "$", "stream": true, "messages": [{"role": "user", "content": "$"}],
                "tools": [{"type": "function", "function": {"name": "$", "description": "$"}}]}),
            tell: json!({"id": "$", "message": {"role": "assistant", "tool_plan": "$",
                "content": [{"type": "thinking", "thinking": "$"}, {"type": "text", "text": "$"}],
                "tool_calls": [{"id": "$", "type": "function", "function": {"name": "$", "arguments": "{\"a\":\"$\"}"}}]},
                "finish_reason": "$", "usage": {"tokens": {"input_tokens": 1, "output_tokens": 1}}}),
            stream: Some((
                SSE,
                "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"$\"}}}}\n\n",
            )),
        },
        Api {
            name: "cohere chat, first version",
            path: "/v1/chat",
            ask: json!({"model": "$", "message": "$", "preamble": "$", "chat_history": [{"role": "USER", "message": "$"}]}),
            tell: json!({"response_id": "$", "text": "$", "generation_id": "$", "finish_reason": "$",
                "tool_calls": [{"name": "$", "parameters": {"a": "$"}}]}),
            stream: Some((
                LINES,
                "{\"is_finished\":false,\"event_type\":\"text-generation\",\"text\":\"$\"}\n",
            )),
        },
        Api {
            name: "tei",
            path: "/embed",
            ask: json!({"inputs": ["$", "$"], "truncate": true}),
            tell: json!({"error": "$", "error_type": "$"}),
            stream: None,
        },
        Api {
            name: "anthropic complete",
            path: "/v1/complete",
            ask: json!({"model": "$", "prompt": "$", "max_tokens_to_sample": 9}),
            tell: json!({"type": "completion", "id": "$", "completion": "$", "stop_reason": "$", "model": "$", "log_id": "$"}),
            stream: Some((
                SSE,
                "event: completion\ndata: {\"type\":\"completion\",\"completion\":\"$\",\"stop_reason\":null,\"log_id\":\"i\"}\n\n",
            )),
        },
        Api {
            name: "moderations",
            path: "/v1/moderations",
            ask: json!({"model": "m", "input": "$"}),
            tell: json!({"id": "$", "model": "$", "results": [{"flagged": false, "categories": {}}]}),
            stream: None,
        },
        Api {
            name: "anthropic_messages",
            path: "/v1/messages",
            ask: json!({"model": "$", "max_tokens": 5, "system": [{"type": "text", "text": "$"}], "metadata": {"user_id": "$"},
                "messages": [{"role": "user", "content": [{"type": "text", "text": "$"},
                    {"type": "tool_result", "tool_use_id": "$", "content": "$"}]}]}),
            tell: json!({"type": "message", "id": "$", "role": "assistant", "model": "$", "content": [{"type": "thinking", "thinking": "$"},
                {"type": "text", "text": "$"}, {"type": "tool_use", "id": "$", "name": "$", "input": {"deep": {"a": "$"}}}], "stop_reason": "$",
                "usage": {"input_tokens": 1, "output_tokens": 1}}),
            stream: Some((
                SSE,
                "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"$\"}}\n\n",
            )),
        },
        Api {
            name: "anthropic_messages tools",
            path: "/anthropic/v1/messages",
            ask: json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "$"}]}),
            tell: json!({"type": "error", "error": {"type": "$", "message": "$"}}),
            stream: Some((
                SSE,
                "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"$\"}}\n\n",
            )),
        },
        Api {
            name: "ollama_chat",
            path: "/api/chat",
            ask: json!({"model": "m", "messages": [{"role": "user", "content": "$"}], "options": {"stop": ["$"]}}),
            tell: json!({"model": "$", "message": {"role": "assistant", "content": "$", "thinking": "$"}, "done": true, "done_reason": "$"}),
            stream: Some((
                LINES,
                "{\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"role\":\"assistant\",\"content\":\"$\"},\"done\":false}\n",
            )),
        },
        Api {
            name: "ollama_generate",
            path: "/api/generate",
            ask: json!({"model": "m", "prompt": "$", "system": "$"}),
            tell: json!({"model": "m", "response": "$", "done": true}),
            stream: Some((
                LINES,
                "{\"model\":\"m\",\"created_at\":\"t\",\"response\":\"$\",\"done\":false}\n",
            )),
        },
        Api {
            name: "gemini",
            path: "/v1beta/models/gemini:streamGenerateContent",
            ask: json!({"contents": [{"role": "user", "parts": [{"text": "$"}, {"functionResponse": {"name": "f", "response": {"a": "$"}}}]}],
                "systemInstruction": {"parts": [{"text": "$"}]}}),
            tell: json!({"candidates": [{"content": {"parts": [{"text": "$"}, {"functionCall": {"name": "$", "args": {"a": "$"}}}]}, "finishReason": "$"}],
                "modelVersion": "$", "responseId": "$"}),
            stream: Some((
                SSE,
                "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"$\"}],\"role\":\"model\"}}]}\r\n\r\n",
            )),
        },
        Api {
            name: "tgi",
            path: "/generate_stream",
            ask: json!({"inputs": "$", "parameters": {"stop": ["$"]}}),
            tell: json!({"generated_text": "$", "details": {"finish_reason": "length", "tokens": []}}),
            stream: Some((
                SSE,
                "data:{\"index\":1,\"token\":{\"id\":1,\"text\":\"$\",\"logprob\":-0.1,\"special\":false},\"generated_text\":null,\"details\":null}\n\n",
            )),
        },
        Api {
            name: "llamacpp",
            path: "/completion",
            ask: json!({"prompt": "$", "n_predict": 5}),
            tell: json!({"content": "$", "stop": true, "model": "$", "timings": {"prompt_n": 1, "predicted_n": 1}}),
            stream: Some((
                SSE,
                "data: {\"index\":0,\"content\":\"$\",\"tokens\":[],\"stop\":false}\n\n",
            )),
        },
        Api {
            name: "triton",
            path: "/v2/models/m/generate_stream",
            ask: json!({"text_input": "$", "parameters": {"stop_words": "$"}}),
            tell: json!({"model_name": "$", "model_version": "1", "text_output": "$"}),
            stream: Some((
                SSE,
                "data: {\"model_name\":\"m\",\"model_version\":\"1\",\"text_output\":\"$\"}\n\n",
            )),
        },
    ]
}

/// Puts a secret, and what is said around it, into each `$`.
pub fn planted(plants: &mut Plants, value: &Value, place: &str) -> Value {
    match value {
        Value::String(text) if text.contains('$') => {
            let said = format!("{SAID} {} thanks", plants.secret(place));
            Value::from(text.replace('$', &said))
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| planted(plants, item, place));
            Value::Array(items.collect())
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| {
                (
                    key.clone(),
                    planted(plants, value, &format!("{place}.{key}")),
                )
            });
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

/// Every character that can be, as an escape.
pub fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |escaped, c| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => escaped + &format!("\\u{:04x}", u32::from(c)),
        '/' => escaped + "\\/",
        c => escaped + &c.to_string(),
    })
}

/// The secret in pieces of this size, each in an event of its own, each event in a chunk.
pub fn streamed(
    plants: &mut Plants,
    api: &Api,
    size: usize,
    write: fn(&str) -> String,
) -> Option<Vec<u8>> {
    let (content_type, event) = api.stream?;
    let text = format!(
        "{SAID} {} thanks",
        plants.secret(&format!("{} stream by {size}", api.name))
    );
    let pieces = text
        .as_bytes()
        .chunks(size)
        .map(|piece| event.replace('$', &write(&String::from_utf8_lossy(piece))));
    let trailer = plants.core("a trailer");
    Some(chunked(content_type, &pieces.collect::<Vec<_>>(), &trailer))
}

/// The strings of a JSON text in escapes.
pub fn escaped_strings(text: &str) -> String {
    let value: Result<Value, _> = serde_json::from_str(text);
    match value {
        Ok(value) => write_escaped(&value),
        Err(_) => text.to_owned(),
    }
}

fn write_escaped(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let json = Value::from(text.as_str()).to_string();
            // What is an escape already stays one.
            if json.contains('\\') {
                json
            } else {
                escaped(&json)
            }
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(write_escaped).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(key, value)| {
                    format!("{}:{}", Value::from(key.as_str()), write_escaped(value))
                })
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        other => other.to_string(),
    }
}

/// Chunked, each piece a chunk, with a trailer.
fn chunked(content_type: &str, pieces: &[String], trailer: &str) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-Secret\r\n\r\n"
    );
    for piece in pieces {
        bytes += &[&format!("{:x}", piece.len()), "\r\n", piece, "\r\n"].concat();
    }
    bytes += &["0\r\nX-Secret: ", trailer, "\r\n\r\n"].concat();
    bytes.into_bytes()
}
