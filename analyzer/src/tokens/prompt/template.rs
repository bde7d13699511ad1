//! A model's own chat template, rendered as transformers renders it.
//!
//! The template comes from the operator; the conversation comes off the wire and is hostile. So rendering
//! has fuel, what is written and walked through is bounded (`bounds.rs`), the output is counted as it comes, and a
//! template can neither read a file nor another template. What a template makes of its own, and never writes, is
//! not bounded everywhere: lists that it adds to themselves, and values in values that it nests without end.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use minijinja::{
    Environment, Error, ErrorKind, Value,
    syntax::SyntaxConfig,
    value::{Kwargs, Serde, ValueKind},
};
use regex::Regex;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value as Json, json};

use super::{
    bounds,
    chat::{Call, Chat, Piece, Turn},
    python::{self, Style},
    sink::{Sink, Specials, Strip},
};
use crate::{dialect::prompt::Opening, time::Timestamp};

/// Instructions that one rendering may take, and 64 bytes of text each: a turn takes some hundred, and
/// templates copy its text a few times. Some 500 MB of copies take a fraction of a second.
pub const MAX_FUEL: u64 = 8_000_000;

/// Bytes of a prompt that are rendered: templates copy texts, so that rendering takes several times as
/// much memory. A longer prompt is counted by the family's rule.
pub const MAX_TO_RENDER: usize = 16 << 20;

/// Bytes that a rendering may write besides the prompt's own text, twice which it may write anyway.
pub const MAX_RENDERED: usize = 4 << 20;

/// Bytes of a template; the longest that people publish have some thirty thousand.
const MAX_SOURCE: u64 = 1 << 20;

/// Bytes of a tokenizer's files: vocabularies of a quarter million tokens take some thirty million.
const MAX_FILE: u64 = 256 << 20;

/// After so many bytes of output what is complete is counted, so that a rendering is never held whole.
const WRITTEN_AT_A_TIME: usize = 1 << 20;

/// Why a folder has no template that could be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A file cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A file is no JSON of the kind that it should be.
    #[error("{file} is no tokenizer configuration: {source}")]
    Config {
        /// The file.
        file: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The template is none that can be read.
    #[error("the chat template cannot be read: {0}")]
    Template(#[from] Error),
}

/// Why a conversation was not rendered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("the prompt is too long to be rendered")]
    TooLong,
    #[error("{0}")]
    Rendering(#[from] Error),
}

/// One model's chat template, and what its special tokens are.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    /// bos_token and the like, as the template names them.
    tokens: Map<String, Json>,
    specials: Specials,
    /// It goes through a content's parts itself.
    takes_parts: bool,
    /// It asks whether there is a content, where others take an empty one.
    takes_null: bool,
    has_tools: bool,
    around_text: u64,
    /// What it is called where it fails.
    name: String,
    too_long: AtomicU64,
    refused: AtomicU64,
}

/// Conversations that a template could not render, so that the family's rule counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TemplateFailures {
    /// Longer than [`MAX_TO_RENDER`].
    pub too_long: u64,
    /// The template refused them, went wrong on them, or took too much.
    pub refused: u64,
}

impl std::ops::Add for TemplateFailures {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            too_long: self.too_long.saturating_add(other.too_long),
            refused: self.refused.saturating_add(other.refused),
        }
    }
}

/// What a template needs of a tokenizer.json; its vocabulary would take ten times the file's size.
#[derive(Default, Deserialize)]
#[serde(default)]
struct OfTokenizer {
    added_tokens: Json,
    post_processor: Json,
}

const CHAT: &str = "chat";
const WITH_TOOLS: &str = "tool_use";

const CONFIG: &str = "tokenizer_config.json";
const BESIDE: &str = "chat_template.jinja";
const TOKENIZER: &str = "tokenizer.json";

impl Template {
    /// The files of a folder that [`Template::read`] looks at.
    pub const FILES: [&str; 3] = [CONFIG, BESIDE, TOKENIZER];

    /// The template of a folder as hubs publish them: `tokenizer_config.json` with or beside
    /// `chat_template.jinja`; `None` where it has none.
    ///
    /// # Errors
    /// A file is there and cannot be read or understood.
    pub fn read(folder: &Path) -> Result<Option<Self>, TemplateError> {
        let config: Json = json_of(folder, CONFIG)?.unwrap_or(Json::Null);
        let beside = text_of(folder, BESIDE, MAX_SOURCE)?;
        if beside.is_none() && config.get("chat_template").is_none() {
            return Ok(None);
        }
        let tokenizer: OfTokenizer = json_of(folder, TOKENIZER)?.unwrap_or_default();
        let tokenizer = json!({
            "added_tokens": tokenizer.added_tokens,
            "post_processor": tokenizer.post_processor,
        });
        let name = folder.display().to_string();
        Self::new(&name, beside, &config, &tokenizer).map(Some)
    }

    /// A template of its own text (or the configuration's), with what the configuration and the tokenizer
    /// say of special tokens.
    pub(super) fn new(
        name: &str,
        source: Option<String>,
        config: &Json,
        tokenizer: &Json,
    ) -> Result<Self, TemplateError> {
        let mut environment = environment()?;
        let mut sources = Vec::new();
        match (source, config.get("chat_template")) {
            (Some(source), _) => bounds::add(&mut environment, CHAT, readable(&source))?,
            (None, Some(Json::Array(named))) => {
                for one in named {
                    let text = |key: &str| one.get(key).and_then(Json::as_str).unwrap_or_default();
                    let name = match text("name") {
                        WITH_TOOLS => WITH_TOOLS,
                        "default" => CHAT,
                        _ => continue,
                    };
                    bounds::add(&mut environment, name, readable(text("template")))?;
                }
            }
            (None, source) => {
                let source = source.and_then(Json::as_str).unwrap_or_default();
                bounds::add(&mut environment, CHAT, readable(source))?;
            }
        }
        for (_, template) in environment.templates() {
            sources.push(template.source().to_owned());
        }
        let has_tools = environment.get_template(WITH_TOOLS).is_ok();
        environment.get_template(CHAT)?;
        let tokens = config.as_object().into_iter().flatten();
        let tokens = tokens.filter_map(|(name, value)| {
            let text = value.get("content").unwrap_or(value);
            (name.ends_with("_token") && text.is_string()).then(|| (name.clone(), text.clone()))
        });
        Ok(Self {
            environment,
            tokens: tokens.collect(),
            specials: specials(config, tokenizer),
            takes_parts: sources.iter().any(|source| goes_through_parts(source)),
            takes_null: sources.iter().any(|source| asks_for_null(source)),
            has_tools,
            around_text: around_text(config, tokenizer),
            name: name.to_owned(),
            too_long: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// How many tokens the conversation has, rendered. Where no file told the special tokens, those of the
    /// model's family stand in.
    pub(super) fn count(
        &self,
        chat: &Chat<'_>,
        time: Timestamp,
        familys: &Specials,
        text: &dyn Fn(&str) -> u64,
    ) -> Result<u64, Failed> {
        match self.render(chat, time, familys, text) {
            Ok(sink) => Ok(sink.finish()),
            Err(failed) => {
                let counter = match failed {
                    Failed::TooLong => &self.too_long,
                    Failed::Rendering(_) => &self.refused,
                };
                // Once a template and reason: whoever sends prompts must not fill the log.
                if counter.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(
                        "{}: the chat template failed: {failed}; such prompts are counted by the rule of \
                         the model's family (said once)",
                        self.name
                    );
                }
                Err(failed)
            }
        }
    }

    /// What its vocabulary takes for one token; where no file told, what the model's family does.
    pub(super) const fn specials<'a>(&'a self, familys: &'a Specials) -> &'a Specials {
        if self.specials.is_empty() {
            familys
        } else {
            &self.specials
        }
    }

    /// Special tokens that the tokenizer puts around a plain text.
    pub(super) const fn around_text(&self) -> u64 {
        self.around_text
    }

    /// Conversations that it could not render so far.
    pub fn failures(&self) -> TemplateFailures {
        TemplateFailures {
            too_long: self.too_long.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    pub(super) fn render<'a>(
        &'a self,
        chat: &Chat<'_>,
        time: Timestamp,
        familys: &'a Specials,
        text: &'a dyn Fn(&str) -> u64,
    ) -> Result<Sink<'a>, Failed> {
        let length = chat.length();
        if length > MAX_TO_RENDER {
            return Err(Failed::TooLong);
        }
        let name = if self.has_tools && !chat.tools.is_empty() {
            WITH_TOOLS
        } else {
            CHAT
        };
        let template = self.environment.get_template(name)?;
        let specials = self.specials(familys);
        let render = |arguments| {
            let mut output = Output {
                sink: Sink::for_chat(chat, text, specials),
                left: length.saturating_mul(2).saturating_add(MAX_RENDERED),
                unseen: 0,
            };
            let context = self.context(chat, arguments, time);
            bounds::begin();
            template.render_captured_to(context, &mut output)?;
            Ok(output.sink)
        };
        let has_calls = chat.turns.iter().any(|turn| !turn.calls.is_empty());
        match render(Arguments::Values) {
            // Some templates add the arguments of a call to a text.
            Err(_) if has_calls => render(Arguments::Texts),
            rendered => rendered,
        }
    }

    fn context(&self, chat: &Chat<'_>, arguments: Arguments, time: Timestamp) -> Value {
        let goes_on = chat.opening == Opening::LastMessage;
        let mut context = self.tokens.clone();
        let turns = chat.turns.iter().map(|turn| self.message(turn, arguments));
        context.insert("messages".to_owned(), turns.collect());
        context.insert(
            "add_generation_prompt".to_owned(),
            (chat.opening == Opening::Generation).into(),
        );
        context.insert("continue_final_message".to_owned(), goes_on.into());
        let tools = chat.tools.iter();
        let tools = tools.map(|tool| as_function(python::value(tool)));
        let tools: Vec<Json> = tools.collect();
        // Templates ask whether there are any, and null is none.
        let tools = if tools.is_empty() {
            Json::Null
        } else {
            tools.into()
        };
        context.insert("tools".to_owned(), tools);
        context.insert("documents".to_owned(), Json::Null);
        if let Some(effort) = chat.effort {
            context.insert("reasoning_effort".to_owned(), effort.into());
        }
        if let Some(thinking) = chat.thinking {
            context.insert("enable_thinking".to_owned(), thinking.into());
        }
        if let Some(Json::Object(settings)) = chat.settings.map(python::value) {
            context.extend(settings);
        }
        let now = Value::from_function(move |format: &str| strftime(time, format));
        let context = Value::from(Serde(context));
        minijinja::context! { strftime_now => now, ..context }
    }

    /// A turn as servers hand it to a template: arguments as values, and texts joined where the template
    /// expects one.
    fn message(&self, turn: &Turn<'_>, arguments: Arguments) -> Json {
        let mut message = Map::new();
        message.insert(
            "role".to_owned(),
            turn.word.unwrap_or(turn.role.as_str()).into(),
        );
        let content = if self.takes_parts && (turn.content.len() > 1 || turn.has_media()) {
            turn.content.iter().map(part).collect()
        } else if self.takes_null && turn.says_nothing() {
            Json::Null
        } else {
            turn.text().into()
        };
        message.insert("content".to_owned(), content);
        if !turn.reasoning.is_empty() {
            message.insert("reasoning_content".to_owned(), turn.thoughts().into());
        }
        if let Some(name) = turn.name {
            message.insert("name".to_owned(), name.into());
        }
        if let Some(id) = turn.result_of {
            message.insert("tool_call_id".to_owned(), id.into());
        }
        if !turn.calls.is_empty() {
            message.insert(
                "tool_calls".to_owned(),
                turn.calls
                    .iter()
                    .map(|call| as_call(call, arguments))
                    .collect(),
            );
        }
        Json::Object(message)
    }
}

fn part(piece: &Piece<'_>) -> Json {
    match piece {
        Piece::Text(text) => json!({"type": "text", "text": text}),
        // Counted apart: the template's placeholder is not.
        Piece::Picture | Piece::Other => json!({"type": "left_out"}),
    }
}

/// How a template gets the arguments of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arguments {
    Values,
    Texts,
}

fn as_call(call: &Call<'_>, arguments: Arguments) -> Json {
    let arguments = match serde_json::from_str(call.arguments) {
        Ok(Json::Object(values)) if arguments == Arguments::Values => Json::Object(values),
        _ => call.arguments.into(),
    };
    let mut value = json!({
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    });
    if let Some(id) = call.id {
        value["id"] = id.into();
    }
    value
}

/// A definition as chat templates expect it: a bare one, and Anthropic's, are wrapped as OpenAI's.
fn as_function(mut tool: Json) -> Json {
    if tool.get("function").is_some() || tool.get("name").is_none() {
        return tool;
    }
    if let Some(fields) = tool.as_object_mut() {
        fields.shift_remove("type");
        if let Some(schema) = fields.shift_remove("input_schema") {
            fields.insert("parameters".to_owned(), schema);
        }
    }
    json!({"type": "function", "function": tool})
}

/// Takes a rendering as it is written, up to a bound.
struct Output<'a> {
    sink: Sink<'a>,
    left: usize,
    /// Bytes that were written since the sink looked through them.
    unseen: usize,
}

impl io::Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.left = self
            .left
            .checked_sub(text.len())
            .ok_or_else(|| io::Error::other("the template wrote too much"))?;
        self.sink.text(text);
        self.unseen += text.len();
        if self.unseen >= WRITTEN_AT_A_TIME {
            self.unseen = 0;
            self.sink.look_through();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Jinja as transformers sets it up.
fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?,
    );
    environment.set_fuel(Some(MAX_FUEL));
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function(
        "raise_exception",
        |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        },
    );
    environment.add_filter("tojson", tojson);
    environment.add_filter("length", bounds::length);
    environment.add_filter("count", bounds::length);
    // Python's names for what has no text of its own.
    environment.set_formatter(|out, state, value| match value.kind() {
        ValueKind::None => out.write_str("None").map_err(Error::from),
        ValueKind::Bool if value.is_true() => out.write_str("True").map_err(Error::from),
        ValueKind::Bool => out.write_str("False").map_err(Error::from),
        _ => {
            bounds::charge(value)?;
            minijinja::escape_formatter(out, state, value)
        }
    });
    Ok(environment)
}

/// `json.dumps` with the arguments that transformers' filter has.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a filter takes its arguments so"
)]
fn tojson(value: &Value, arguments: Kwargs) -> Result<String, Error> {
    // Text is never escaped to ASCII: the filter's own default, and what all callers ask for.
    let _: Option<bool> = arguments.get("ensure_ascii")?;
    let indent: Option<usize> = arguments.get("indent")?;
    let separators: Option<Vec<String>> = arguments.get("separators")?;
    let sorted: Option<bool> = arguments.get("sort_keys")?;
    arguments.assert_all_used()?;
    bounds::charge(value)?;
    let json = serde_json::to_value(value)
        .map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))?;
    let mut style = indent.map_or(Style::default(), |indent| {
        Style::indented(indent.min(MAX_INDENT))
    });
    if let Some([item, key]) = separators.as_deref() {
        style.item = item;
        style.key = key;
    }
    style.sorted = sorted.unwrap_or(false);
    Ok(python::dumps(&json, style))
}

/// Spaces a level of written JSON.
const MAX_INDENT: usize = 16;

/// The request's time as the template asks for it, in UTC: the server's own zone is not known.
fn strftime(time: Timestamp, format: &str) -> Result<String, Error> {
    let failed = |e: jiff::Error| Error::new(ErrorKind::InvalidOperation, e.to_string());
    let time = jiff::Timestamp::from_microsecond(time.as_micros()).map_err(failed)?;
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC);
    jiff::fmt::strtime::format(format, &zoned).map_err(failed)
}

/// The template without what transformers adds to Jinja: marks around what the assistant generated, which
/// write nothing.
fn readable(source: &str) -> String {
    static MARKS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").ok());
    let Some(marks) = &*MARKS else {
        return source.to_owned();
    };
    marks
        .replace_all(source, |found: &regex::Captures<'_>| {
            let word = if found.get(2).is_some() {
                "endif"
            } else {
                "if true"
            };
            let (left, right) = (&found[1], &found[3]);
            format!("{{%{left} {word} {right}%}}")
        })
        .into_owned()
}

/// Whether the template goes through the parts of a content itself, as servers find out.
fn goes_through_parts(source: &str) -> bool {
    static LOOP: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"for\s+\w+\s+in\s+(\w+\.content\b|\w+\[['"]content['"]\]|content\b)"#).ok()
    });
    LOOP.as_ref()
        .is_some_and(|pattern| pattern.is_match(source))
}

/// Whether the template asks if a content is null, as it is beside calls.
fn asks_for_null(source: &str) -> bool {
    static QUESTION: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"\bcontent(['"]\])?\s+is\s+(not\s+)?none\b"#).ok());
    QUESTION
        .as_ref()
        .is_some_and(|pattern| pattern.is_match(source))
}

/// What a vocabulary takes for one token, whatever stands around it: by the tokenizer's own list, else the
/// configuration's.
fn specials(config: &Json, tokenizer: &Json) -> Specials {
    let listed = tokenizer.get("added_tokens").and_then(Json::as_array);
    let decoder = config.get("added_tokens_decoder").and_then(Json::as_object);
    let tokens: Vec<&Json> = match (listed, decoder) {
        (Some(tokens), _) => tokens.iter().collect(),
        (None, Some(tokens)) => tokens.values().collect(),
        (None, None) => Vec::new(),
    };
    Specials::with_strips(tokens.into_iter().filter_map(|token| {
        let is = |key: &str| token.get(key).and_then(Json::as_bool) == Some(true);
        let strip = Strip {
            left: is("lstrip"),
            right: is("rstrip"),
        };
        Some((token.get("content")?.as_str()?, strip))
    }))
}

/// What a tokenizer puts around a text: by the configuration, else by the tokenizer's own step after splitting.
fn around_text(config: &Json, tokenizer: &Json) -> u64 {
    let said = |key: &str| config.get(key).and_then(Json::as_bool);
    if let Some(begins) = said("add_bos_token") {
        return u64::from(begins) + u64::from(said("add_eos_token") == Some(true));
    }
    let Some(step) = tokenizer.get("post_processor") else {
        return 0;
    };
    let steps = step.get("processors").and_then(Json::as_array);
    let steps = steps.map_or(std::slice::from_ref(step), Vec::as_slice);
    let parts = steps
        .iter()
        .filter_map(|step| step.get("single")?.as_array())
        .flatten();
    parts
        .filter(|part| part.get("SpecialToken").is_some())
        .count() as u64
}

/// A file of the folder, where it is there.
fn text_of(folder: &Path, name: &str, most: u64) -> Result<Option<String>, TemplateError> {
    let path = folder.join(name);
    let failed = |source| TemplateError::Read {
        file: path.display().to_string(),
        source,
    };
    // A pipe would be waited for.
    match fs::metadata(&path) {
        Ok(data) if data.is_file() => {}
        Ok(_) => return Err(failed(io::Error::other("it is no regular file"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let file = fs::File::open(&path).map_err(failed)?;
    let mut text = String::new();
    file.take(most).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 == most {
        return Err(failed(io::Error::other(format!(
            "it has {most} bytes or more"
        ))));
    }
    Ok(Some(text))
}

fn json_of<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>, TemplateError> {
    let Some(text) = text_of(folder, name, MAX_FILE)? else {
        return Ok(None);
    };
    let config = serde_json::from_str(&text).map_err(|source| TemplateError::Config {
        file: folder.join(name).display().to_string(),
        source,
    })?;
    Ok(Some(config))
}
