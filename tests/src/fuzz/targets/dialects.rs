//! The readers of every dialect: request bodies, and answers.
//!
//! The first bytes choose the dialect, what the head promised, and whether a part is missing; the rest is
//! the body. In other pieces of the same time it must read the same.

use analyzer::{
    dialect::{
        AnswerHead, AnswerReader, DIALECTS, Dialect, Expected, KeptHeaders, MAX_TEXT,
        RequestReader, request::RequestFacts,
    },
    time::Timestamp,
};

use super::words;
use crate::fuzz::{
    Features, Target,
    choices::{Choices, cutting, pieces},
};

pub(super) const REQUESTS: Target = Target {
    name: "requests",
    check: request,
    seeds: request_seeds,
    words: words::BODIES,
    longest: 2_048,
    mutations: 10_000,
};

pub(super) const ANSWERS: Target = Target {
    name: "answers",
    check: answer,
    seeds: answer_seeds,
    words: words::BODIES,
    longest: 2_048,
    mutations: 10_000,
};

const STALL: i64 = 1_000_000;

/// What the first bytes say.
struct Setting<'b> {
    dialect: &'static Dialect,
    expected: Expected,
    /// The request is a form.
    is_form: bool,
    /// The body around what is missing, if anything is.
    parts: Vec<&'b [u8]>,
    /// Microseconds between lines of the body.
    pace: i64,
}

impl<'b> Setting<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        let mut choices = Choices::new(bytes);
        let (which, form) = (choices.byte(), choices.byte());
        let body = choices.rest();
        let at = usize::from(form >> 3).min(body.len());
        let parts = if form & 1 > 0 {
            // One byte in eight of the body, and at least one, is missing.
            let end = (at + body.len() / 8 + 1).min(body.len());
            vec![&body[..at], &body[end..]]
        } else {
            vec![body]
        };
        let (round, place) = (
            usize::from(which) / DIALECTS.len(),
            usize::from(which) % DIALECTS.len(),
        );
        Self {
            dialect: DIALECTS[place],
            expected: match round {
                _ if form & 2 > 0 => Expected::Events,
                1 => Expected::Lines,
                2 => Expected::Text,
                3 => Expected::Binary,
                _ => Expected::Anything,
            },
            is_form: round == 1,
            parts,
            pace: if form & 4 > 0 { 1_100_000 } else { 0 },
        }
    }

    /// The request's facts, and what it held.
    fn request(&self, cut: Option<(u64, u64)>) -> (RequestFacts, usize) {
        let mut reader: Box<dyn RequestReader> = (self.dialect.request)();
        reader.begin(self.is_form.then_some("multipart/form-data; boundary=b"));
        for (number, part) in self.parts.iter().enumerate() {
            if number > 0 {
                reader.hole();
            }
            for piece in cut_as(part, cut) {
                reader.push(piece);
            }
        }
        let held = reader.held();
        (reader.finish(), held)
    }

    /// The answer as text, and what it held.
    fn answer(&self, asked: &RequestFacts, cut: Option<(u64, u64)>) -> (String, usize) {
        let mut reader: Box<dyn AnswerReader> = (self.dialect.answer)();
        reader.begin(&AnswerHead {
            expected: self.expected,
            headers: &KeptHeaders::default(),
            stall_threshold: STALL,
        });
        let mut time = Timestamp::from_micros(1_000_000);
        for (number, part) in self.parts.iter().enumerate() {
            if number > 0 {
                reader.hole();
            }
            for line in part.split_inclusive(|byte| *byte == b'\n') {
                for piece in cut_as(line, cut) {
                    reader.push(piece, time);
                }
                time = time.plus_micros(self.pace);
            }
        }
        let held = reader.held();
        (format!("{:?}", reader.finish(asked)), held)
    }
}

fn cut_as(bytes: &[u8], cut: Option<(u64, u64)>) -> Vec<&[u8]> {
    match cut {
        Some((seed, most)) => pieces(bytes, seed, most),
        None if bytes.is_empty() => Vec::new(),
        None => vec![bytes],
    }
}

fn request(bytes: &[u8]) -> Features {
    let setting = Setting::new(bytes);
    let (facts, held) = setting.request(None);
    let (other, _) = setting.request(Some(cutting(bytes)));
    let text = format!("{facts:?}");
    assert_eq!(text, format!("{other:?}"), "in other pieces");
    assert!(
        held <= MAX_TEXT.min(bytes.len() * 3 + 4_096),
        "{held} bytes are held"
    );

    let mut features = shape(setting.dialect.name, &text);
    features.count("prompts", u64::from(facts.prompt.prompts));
    features.count("ids", facts.prompt.token_ids);
    features.count("choices", u64::from(facts.expected_choices()));
    features
}

fn answer(bytes: &[u8]) -> Features {
    let setting = Setting::new(bytes);
    let asked = RequestFacts::default();
    let (text, held) = setting.answer(&asked, None);
    let (other, _) = setting.answer(&asked, Some(cutting(bytes)));
    assert_eq!(text, other, "in other pieces");
    assert!(
        held <= MAX_TEXT.min(bytes.len() * 3 + 4_096),
        "{held} bytes are held"
    );
    shape(setting.dialect.name, &text)
}

/// Which fields have a value: the field names of the text, with whether they are empty.
fn shape(dialect: &str, text: &str) -> Features {
    let mut features = Features::default();
    for field in without_strings(text).split([',', '{', '[', '(']) {
        let Some((name, value)) = field.split_once(':') else {
            continue;
        };
        let kind = match value.trim() {
            "None" | "0" | "false" | "" => "no",
            "true" => "true",
            _ => "some",
        };
        if name
            .trim()
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            features.followed(&format!("{dialect} {}", name.trim()), kind);
        }
    }
    features
}

/// A value as text, with an x for each string that is not empty.
fn without_strings(text: &str) -> String {
    let (mut kept, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        if c != '"' {
            kept.push(c);
            continue;
        }
        let mut empty = true;
        while let Some(c) = chars.next().filter(|c| *c != '"') {
            empty = false;
            if c == '\\' {
                chars.next();
            }
        }
        kept.push_str(if empty { "" } else { "x" });
    }
    kept
}

fn request_seeds() -> Vec<Vec<u8>> {
    of_every_dialect(&[
        r#"{"model":"m","stream":true,"n":2,"user":"u","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:"}}]},{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}],"tools":[{"function":{"name":"f"}}]}"#,
        r#"{"model":"m","prompt":["one","two"],"echo":true,"suffix":"s"}"#,
        r#"{"prompt":[[1,2,3],[4]]}"#,
        r#"{"prompt":[1,2,3],"max_tokens":5}"#,
        r#"{"contents":[{"role":"user","parts":[{"text":"a"},{"functionResponse":{"name":"f","response":{"x":["y",1]}}}]}],"generationConfig":{"temperature":0.5,"maxOutputTokens":9}}"#,
        r#"{"input":["a",[1,2]],"inputs":"b","text":["c"],"text_input":"d","query":"e","documents":["f",{"text":"g"}],"options":{"num_predict":3},"sampling_params":{"n":2},"parameters":{"max_new_tokens":4}}"#,
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--b--\r\n",
    ])
}

fn answer_seeds() -> Vec<Vec<u8>> {
    of_every_dialect(&[
        r#"{"object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a","reasoning_content":"r","refusal":"x","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}"#,
        "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\",\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\"}}]}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
        "data: {\"object\":\"text_completion\",\"choices\":[{\"index\":1,\"text\":\"a\",\"finish_reason\":null}],\"timings\":{\"prompt_n\":1,\"predicted_n\":2,\"cache_n\":3}}\n\n: ping\n\nevent: error\ndata: {\"error\":{\"message\":\"m\",\"type\":\"t\",\"code\":429}}\n\n",
        r#"{"detail":[{"loc":["body"],"msg":"m","type":"t"}]}"#,
        r#"{"error":{"message":"m","type":"t","code":"c"}}"#,
        "<html>502 Bad Gateway</html>",
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"role\":\"assistant\",\"usage\":{\"input_tokens\":2,\"cache_read_input_tokens\":3,\"output_tokens\":1}}}\n\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"name\":\"f\",\"input\":{}}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"partial_json\":\"{\"}}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\n",
        "{\"model\":\"m\",\"created_at\":\"x\",\"message\":{\"role\":\"assistant\",\"content\":\"a\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":[1,null]}}}]},\"done\":false}\n{\"done\":true,\"eval_count\":3,\"prompt_eval_count\":2,\"load_duration\":5}\n",
        "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\",\"thought\":true},{\"functionCall\":{\"name\":\"f\",\"args\":{}}}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":1,\"thoughtsTokenCount\":2}}\n,{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}]",
        r#"{"generated_text":"a","text_output":"b","text":"c","results":[{"relevance_score":1}],"data":[{"b64_json":"A"}],"embedding":[1],"meta_info":{"prompt_tokens":1,"completion_tokens":2,"finish_reason":{"type":"stop"}},"content":"d","stop":true,"tokens_predicted":4}"#,
    ])
}

fn of_every_dialect(bodies: &[&str]) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for dialect in 0..DIALECTS.len() as u8 {
        for (body, form) in bodies
            .iter()
            .zip([0, 6, 4, 0x49, 2, 0x29].into_iter().cycle())
        {
            seeds.push([&[dialect, form][..], body.as_bytes()].concat());
        }
    }
    seeds
}
