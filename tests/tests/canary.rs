//! Secrets are planted in every place of every wire API, and looked for in all that llmtap leaves behind.
//!
//! Each secret has a random core of its own. A leak is any piece of seven characters of any core, so that
//! halves, and secrets that a stream spells piece by piece, are found as well. To show that the search
//! would find them, what was said around them must be there.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    http,
    pcap::{ByteOrder, Capture, Conversation, Link, Resolution},
    process::{self, Daemon, Done},
};
use serde_json::{Value, json};

const T0: u64 = 1_754_000_000_000_000;

/// The shortest piece of a core that counts as a leak.
const PIECE: usize = 7;

/// What is said around the secrets, and must be stored where bodies are.
const SAID: &str = "remember the albatross";

/// Makes secrets and remembers where each was planted.
#[derive(Default)]
struct Plants {
    state: u64,
    /// Places by core.
    places: BTreeMap<String, String>,
}

impl Plants {
    fn random(&mut self, alphabet: &[u8], length: usize) -> String {
        let mut next = || {
            self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = self.state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        (0..length)
            .map(|_| char::from(alphabet[(next() % alphabet.len() as u64) as usize]))
            .collect()
    }

    /// A core: what a secret is without its shape.
    fn core(&mut self, place: &str) -> String {
        let letters: Vec<u8> = (b'a'..=b'z')
            .chain(b'A'..=b'Z')
            .chain(b'0'..=b'9')
            .collect();
        let core = format!("7{}", self.random(&letters, 31));
        self.places.insert(core.clone(), place.to_owned());
        core
    }

    /// A secret of a well-known shape, each time of another one.
    fn secret(&mut self, place: &str) -> String {
        let number = self.places.len();
        if number % 13 == 4 {
            let capitals: Vec<u8> = (b'A'..=b'Z').chain(b'2'..=b'7').collect();
            let core = self.random(&capitals, 16);
            self.places.insert(core.clone(), place.to_owned());
            return format!("AKIA{core}");
        }
        let core = self.core(&format!("{place} (shape {})", number % 13));
        match number % 13 {
            0 => format!("sk-proj-{core}"),
            1 => format!("sk-ant-api03-{core}-AA"),
            2 => format!("ghp_{core}"),
            3 => format!("eyJhbGciOiJIUzI1NiJ9.{core}.{core}"),
            5 => format!("hf_{core}"),
            6 => format!("glpat-{core}"),
            7 => format!("xoxb-123456789012-{core}"),
            8 => format!("AIza{core}abc"),
            9 => format!("sk_live_{core}"),
            10 => format!("https://me:{core}@host/"),
            11 => format!("password={core}"),
            _ => format!("sk-{core}"),
        }
    }

    /// Whether any piece of a core is in these bytes, and which.
    fn leak(&self, bytes: &[u8]) -> Option<String> {
        let mut pieces: HashMap<&[u8], &str> = HashMap::new();
        for (core, place) in &self.places {
            for piece in core.as_bytes().windows(PIECE) {
                pieces.insert(piece, place);
            }
        }
        let found = bytes.windows(PIECE).enumerate();
        let mut leaks = found.filter_map(|(at, piece)| {
            let place = pieces.get(piece)?;
            let around = &bytes[at.saturating_sub(120)..bytes.len().min(at + 60)];
            Some(format!(
                "planted in {place}: …{}…",
                String::from_utf8_lossy(around)
            ))
        });
        leaks.next()
    }
}

/// One exchange to come: all but its times.
struct Talk {
    request: Vec<u8>,
    response: Vec<u8>,
}

fn post(target: &str, headers: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {target} HTTP/1.1\r\nHost: llm\r\n{headers}Content-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn answer(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Chunked, each piece a chunk, with a trailer.
fn chunked(content_type: &str, pieces: &[String], trailer: &str) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-Secret\r\n\r\n"
    );
    for piece in pieces {
        bytes += &format!("{:x}\r\n{piece}\r\n", piece.len());
    }
    bytes += &format!("0\r\nX-Secret: {trailer}\r\n\r\n");
    bytes.into_bytes()
}

/// A wire API: where it is asked, what is asked (the text is `$`), what a plain answer is (the text is `$`), and what
/// one event of a stream is.
struct Api {
    name: &'static str,
    path: &'static str,
    ask: Value,
    tell: Value,
    stream: Option<(&'static str, &'static str)>,
}

#[expect(clippy::too_many_lines, reason = "an API a paragraph")]
fn apis() -> Vec<Api> {
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
fn planted(plants: &mut Plants, value: &Value, place: &str) -> Value {
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
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |escaped, c| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => escaped + &format!("\\u{:04x}", u32::from(c)),
        '/' => escaped + "\\/",
        c => escaped + &c.to_string(),
    })
}

/// The secret in pieces of this size, each in an event of its own, each event in a chunk.
fn streamed(
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

const OK: &str = "200 OK";
const JSON: &str = "application/json";

/// Every API, asked and answered, with a secret in each field.
fn api_talks(plants: &mut Plants) -> Vec<Talk> {
    let mut talks = Vec::new();
    for api in apis() {
        let ask = planted(plants, &api.ask, &format!("{} asked", api.name)).to_string();
        let mut talk = |ask: &str, response: Vec<u8>| {
            talks.push(Talk {
                request: post(api.path, "", JSON, ask),
                response,
            });
        };
        for status in [OK, "400 Bad Request", "500 Oh"] {
            let tell = planted(plants, &api.tell, &format!("{} told", api.name)).to_string();
            talk(&ask, answer(status, JSON, &tell));
        }
        let tell = planted(plants, &api.tell, &format!("{} escaped", api.name));
        talk(
            &escaped_strings(&ask),
            answer(OK, JSON, &escaped_strings(&tell.to_string())),
        );
        for (size, write) in [
            (1, str::to_owned as fn(&str) -> String),
            (3, str::to_owned),
            (8, escaped),
            (64, str::to_owned),
        ] {
            if let Some(stream) = streamed(plants, &api, size, write) {
                talk(&ask, stream);
            }
        }
        // Cut off in the midst of a secret.
        if let Some(stream) = streamed(plants, &api, 5, str::to_owned) {
            let half = stream.len() / 2;
            talk(&ask[..ask.len() / 2], stream[..half].to_vec());
        }
    }
    talks
}

/// The strings of a JSON text in escapes.
fn escaped_strings(text: &str) -> String {
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

/// Places outside of the dialects' bodies.
fn other_talks(plants: &mut Plants) -> Vec<Talk> {
    let plain =
        format!("{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"{SAID}\"}}]}}");
    let tell = format!(
        "{{\"object\":\"chat.completion\",\"choices\":[{{\"index\":0,\"message\":{{\"content\":\"{SAID}\"}}}}]}}"
    );
    let ok = answer(OK, JSON, &tell);
    let chat = "/v1/chat/completions";
    let mut talks = Vec::new();
    let mut talk = |request: Vec<u8>, response: &[u8]| {
        talks.push(Talk {
            request,
            response: response.to_vec(),
        });
    };

    // Credentials in headers need no shape to go.
    let mut headers = String::new();
    for (name, before) in [
        ("Authorization", "Bearer "),
        ("Proxy-Authorization", "Basic "),
        ("api-key", ""),
        ("X-Api-Key", ""),
        ("x-goog-api-key", ""),
        ("Ocp-Apim-Subscription-Key", ""),
        ("Cookie", "session="),
        ("X-Auth-Token", ""),
        ("X-Amz-Security-Token", ""),
        ("Referer", "https://a/?token="),
        ("X-Forwarded-Uri", "/x?key="),
        ("Forwarded", "for="),
        ("X-Unknown", ""),
    ] {
        headers += &format!("{name}: {before}{}\r\n", plants.core(name));
    }
    talk(post(chat, &headers, JSON, &plain), &ok);
    let set_cookie = format!(
        "HTTP/1.1 200 OK\r\nSet-Cookie: s={}\r\nX-Api-Key: {}\r\nContent-Length: {}\r\n\r\n{tell}",
        plants.core("Set-Cookie"),
        plants.core("an answer's key"),
        tell.len()
    );
    talk(post(chat, "", JSON, &plain), set_cookie.as_bytes());

    // What is kept of headers, by its shape.
    let mut headers = String::new();
    for name in [
        "User-Agent",
        "X-Request-Id",
        "X-Model",
        "X-Team",
        "X-User",
        "traceparent",
    ] {
        headers += &format!("{name}: it is {} \r\n", plants.secret(name));
    }
    talk(
        post(chat, &headers, JSON, &plain.replace("\"model\":\"m\",", "")),
        &ok,
    );
    let id = format!(
        "HTTP/1.1 200 OK\r\nX-Request-Id: {}\r\nContent-Length: {}\r\n\r\n{tell}",
        plants.secret("an answer's id"),
        tell.len()
    );
    talk(post(chat, "", JSON, &plain), id.as_bytes());

    // Targets.
    for target in [
        format!(
            "{chat}?key={}&a={}#{}",
            plants.core("key in a query"),
            plants.core("a query"),
            plants.core("a fragment")
        ),
        format!(
            "http://me:{}@llm{chat}?sig={}",
            plants.core("user of a target"),
            plants.core("a query's sig")
        ),
        format!("/proxy/{}{chat}", plants.secret("a path")),
        format!(
            "/openai/deployments/{}/chat/completions",
            plants.secret("a deployment")
        ),
        format!(
            "/v1beta/models/g:generateContent?key={}",
            plants.core("Gemini's key")
        ),
        format!("/unknown?token={}", plants.core("an unknown path's query")),
    ] {
        talk(post(&target, "", JSON, &plain), &ok);
    }

    // Images and forms.
    let png = base64(
        &[
            b"\x89PNG\r\n\x1a\n".to_vec(),
            plants.core("an image").into_bytes().repeat(20),
        ]
        .concat(),
    );
    let image = plain.replace(
        SAID,
        &format!(
            "{SAID} data:image/png;base64,{png} {}",
            plants.secret("beside an image")
        ),
    );
    talk(post(chat, "", JSON, &image), &ok);
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{}\r\n--b\r\n\
         Content-Disposition: form-data; name=\"prompt\"\r\n\r\n{SAID} {}\r\n--b\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"{}.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF{}\r\n--b--\r\n",
        plants.secret("a form's model"),
        plants.secret("a form's prompt"),
        plants.secret("a file's name"),
        plants.secret("a file")
    );
    let text = format!("{{\"text\":\"{SAID} {}\"}}", plants.secret("a transcript"));
    talk(
        post(
            "/v1/audio/transcriptions",
            "",
            "multipart/form-data; boundary=b",
            &form,
        ),
        &answer(OK, JSON, &text),
    );

    // A body longer than what is stored, with a secret on each border of it.
    let filler = "albatross. ".repeat(60_000);
    let mut long: String = filler;
    for border in [
        256 << 10,
        (256 << 10) + (16 << 10),
        long.len() - (64 << 10),
        long.len() - (80 << 10),
    ] {
        let secret = plants.secret("a border");
        long.replace_range(
            border - 40..border - 40 + secret.len() + 2,
            &format!(" {secret} "),
        );
    }
    talk(post(chat, "", JSON, &plain.replace(SAID, &long)), &ok);

    // What is no answer, and no HTTP.
    for junk in [
        format!(
            "HTTP/1.0 nonsense {}\r\n\r\n",
            plants.secret("a bad status line")
        ),
        format!("{}\r\n\r\n", plants.secret("an answer that is no HTTP")),
        format!(
            "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<p>{SAID} {}</p>",
            plants.secret("an error page")
        ),
        String::new(),
    ] {
        talk(post(chat, "", JSON, &plain), junk.as_bytes());
    }
    talk(
        format!("GET /{}\r\n", plants.secret("HTTP/0.9")).into_bytes(),
        plants.secret("an answer of HTTP/0.9").as_bytes(),
    );
    talk(
        format!(
            "POST {chat}?key={} HTTP/1.1\r\nAuthorization: Bearer {}",
            plants.core("a cut head's query"),
            plants.core("a cut head")
        )
        .into_bytes(),
        b"",
    );
    talks
}

/// Standard base64.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let sextet = (bits >> (18 - 6 * place)) & 63;
            let padding = place as usize > group.len();
            text.push(if padding {
                '='
            } else {
                char::from(ALPHABET[sextet as usize])
            });
        }
    }
    text
}

fn capture(talks: &[Talk]) -> Capture {
    let mut capture = Capture::new(Link::Ethernet);
    for (number, talk) in (0_u16..).zip(talks) {
        let client = ([10, 1, 0, 9], 20_000 + number).into();
        let mut conversation = Conversation::new(client, ([10, 0, 0, 1], 8000).into());
        let at = T0 + u64::from(number) * 10_000;
        conversation.handshake(at).client(at + 10, &talk.request);
        if !talk.response.is_empty() {
            conversation.server_spaced(at + 20, 1, &talk.response);
        }
        conversation.close(at + 9_000);
        capture.add(&conversation);
    }
    capture
}

fn replay(file: &Path, store: &Path, arguments: &[&str]) -> Result<Done> {
    let mut command = process::llmtap(&["replay"])?;
    command.args(arguments).arg("--db").arg(store).arg(file);
    // Names of headers that are kept, and the most that it may ever log.
    command.args(["--label", "team=X-Team", "--user-header", "X-User"]);
    command.env("LLMTAP_LOG", "trace");
    process::run(&mut command)
}

/// Every file in a folder has no leak; gives all their bytes.
fn search_files(plants: &Plants, folder: &Path) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let bytes = fs::read(&path)?;
        let leak = plants.leak(&bytes);
        ensure!(
            leak.is_none(),
            "{}: {}",
            path.display(),
            leak.unwrap_or_default()
        );
        all.extend(bytes);
    }
    Ok(all)
}

/// Fields whose strings are the pieces of a stream's text.
const PIECES: [&str; 8] = [
    "content",
    "reasoning_content",
    "arguments",
    "text",
    "delta",
    "partial_json",
    "response",
    "text_output",
];

/// No stored body spells a secret, in escapes or piece by piece; gives how many bodies there are.
fn search_bodies(plants: &Plants, store: &Path) -> Result<usize> {
    let database = rusqlite::Connection::open(store)?;
    let mut bodies = database.prepare(
        "SELECT request_head || ' ' || request_tail FROM bodies
         UNION ALL SELECT response_head || ' ' || response_tail FROM bodies",
    )?;
    let bodies: Vec<String> = bodies
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for body in &bodies {
        let read = unescaped(body);
        clean(plants, "a body with its escapes resolved", &read)?;
        for key in PIECES {
            clean(
                plants,
                &format!("the {key} of a body: {body}"),
                &spelt(&read, key),
            )?;
        }
    }
    Ok(bodies.len())
}

/// The strings of this field, one after the other.
fn spelt(body: &str, key: &str) -> String {
    let start = format!("\"{key}\":\"");
    let fields = body.split(&start).skip(1);
    fields.filter_map(|rest| rest.split('"').next()).collect()
}

fn unescaped(text: &str) -> String {
    let mut parts = text.split("\\u00");
    let mut read = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(code) => {
                read.push(char::from(code));
                read += part.get(2..).unwrap_or_default();
            }
            None => read += part,
        }
    }
    read
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn clean(plants: &Plants, what: &str, text: &str) -> Result<()> {
    let leak = plants.leak(text.as_bytes());
    ensure!(leak.is_none(), "{what}: {}", leak.unwrap_or_default());
    Ok(())
}

#[test]
fn no_planted_secret_is_left_anywhere() -> Result<()> {
    let mut plants = Plants::default();
    let mut talks = api_talks(&mut plants);
    talks.extend(other_talks(&mut plants));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("secrets.pcap");
    fs::write(
        &file,
        capture(&talks).to_pcap(ByteOrder::Little, Resolution::Micro),
    )?;
    ensure!(
        plants.leak(&fs::read(&file)?).is_some(),
        "the secrets are there to be found"
    );

    for talk in &talks {
        // Those too that a stream spells.
        let told = unescaped(&String::from_utf8_lossy(&talk.response));
        let spelt = PIECES.map(|key| spelt(&told, key)).concat();
        let found = plants.leak(spelt.as_bytes()).is_some();
        ensure!(
            found || !told.contains("chunked") || spelt.len() < 30,
            "{told}"
        );
    }

    for bodies in ["full", "text", "none"] {
        let state = folder.path().join(bodies);
        let store = state.join("llmtap.db");
        for arguments in [
            ["--format", "ndjson"],
            ["--format", "table"],
            ["--format", "csv"],
            ["--rows", "exchanges"],
        ] {
            let done = replay(
                &file,
                &store,
                &[&arguments[..], &["--bodies", bodies]].concat(),
            )?;
            ensure!(done.code == Some(0), "{done:?}");
            clean(&plants, &format!("stdout of {arguments:?}"), &done.stdout)?;
            clean(&plants, &format!("log of {arguments:?}"), &done.stderr)?;
        }
        let bytes = search_files(&plants, &state)?;
        // The search finds what is there.
        assert_eq!(holds(&bytes, SAID), bodies != "none", "{bodies}");
        assert!(holds(&bytes, "[redacted:openai_key]"), "{bodies}");
        let searched = search_bodies(&plants, &store)?;
        assert_eq!(searched > 200, bodies != "none", "{bodies}: {searched}");
        search_api(&plants, &store)?;
    }
    Ok(())
}

/// All that the API says of a store.
fn search_api(plants: &Plants, store: &Path) -> Result<()> {
    let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
    command.arg(store).env("LLMTAP_LOG", "trace");
    let daemon = Daemon::start(command)?;
    let api = daemon.ready()?;
    let mut paths = [
        "/",
        "/metrics",
        "/api/metrics",
        "/api/status",
        "/live",
        "/ready",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.extend((0..400).map(|offset| format!("/api/metrics?offset={offset}")));
    let mut records = 0;
    for path in paths {
        let response = http::get(api, &path)?;
        clean(plants, &path, &response.text())?;
        records += usize::from(response.status == 200);
    }
    ensure!(records > 100, "{records} answers");
    clean(plants, "the log", &daemon.stop("TERM")?.stderr)
}

/// Reports of the old plugin come by another door.
#[test]
fn no_secret_of_a_report_is_left_anywhere() -> Result<()> {
    let mut plants = Plants::default();
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
    command
        .arg(state.join("llmtap.db"))
        .env("LLMTAP_LOG", "trace");
    let daemon = Daemon::start(command)?;
    let api = daemon.ready()?;
    let mut planted_here = 0;
    for one in apis() {
        let report = json!({
            "request_body": planted(&mut plants, &one.ask, one.name).to_string(),
            "response_body": planted(&mut plants, &one.tell, one.name).to_string(),
            "elapsed_time": 0.5,
            "path": format!("{}?key={}", one.path, plants.core("a report's query")),
            "timestamp": format!("now {}", plants.secret("a report's timestamp")),
            "model": plants.secret("a report's model"),
        });
        let response = http::post(api, "/api/report", &report.to_string())?;
        ensure!(response.status == 200, "{}", response.text());
        clean(&plants, "the report's answer", &response.text())?;
        planted_here += 1;
    }
    let text = format!("{SAID} {} thanks", plants.secret("a body that is no JSON"));
    let report = json!({"request_body": text, "response_body": text, "elapsed_time": 1, "path": plants.secret("a path")});
    ensure!(
        http::post(api, "/api/report", &report.to_string())?.status == 200,
        "taken"
    );
    // As it lies there while it is written to: with its log and its index.
    let bytes = search_files(&plants, &state)?;
    assert!(holds(&bytes, SAID) && holds(&bytes, "[redacted:"));
    let mut paths = vec!["/metrics".to_owned(), "/api/status".to_owned()];
    paths.extend((0..=planted_here).map(|offset| format!("/api/metrics?offset={offset}")));
    for path in paths {
        clean(&plants, &path, &http::get(api, &path)?.text())?;
    }
    let scrape = http::get(api, "/metrics")?.text();
    let counted = scrape
        .lines()
        .find_map(|line| line.strip_prefix("llmtap_redactions_total{kind=\"openai_key\"} "));
    let counted: u64 = counted.context("redactions are counted")?.parse()?;
    assert!(counted > 0);
    let done = daemon.stop("TERM")?;
    clean(&plants, "the log", &done.stderr)?;
    search_bodies(&plants, &state.join("llmtap.db"))?;
    search_files(&plants, &state).map(|_| ())
}
