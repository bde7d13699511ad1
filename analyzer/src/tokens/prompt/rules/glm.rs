//! GLM-4, and 4.5 and later with thoughts and tools in tags. From 4.7 on, no line ends stand between them.

use serde_json::Value;

use super::{Chat, Role, Sink, Turn, python};
use crate::dialect::prompt::Opening;

const TOOLS_BEFORE: &str = "<|system|>\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n\
    You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n";

const TOOLS_AFTER: &str = "</tools>\n\nFor each function call, output the function name and arguments within the \
    following XML format:\n<tool_call>{function-name}\n<arg_key>{arg-key-1}</arg_key>\n<arg_value>{arg-value-1}</arg_value>\n\
    <arg_key>{arg-key-2}</arg_key>\n<arg_value>{arg-value-2}</arg_value>\n...\n</tool_call>";

const TOOLS_AFTER_47: &str = "</tools>\n\nFor each function call, output the function name and arguments within the \
    following XML format:\n<tool_call>{function-name}<arg_key>{arg-key-1}</arg_key><arg_value>{arg-value-1}</arg_value>\
    <arg_key>{arg-key-2}</arg_key><arg_value>{arg-value-2}</arg_value>...</tool_call>";

/// GLM-4.
pub(super) fn write_4(chat: &Chat<'_>, sink: &mut Sink<'_>) {
    sink.text("[gMASK]<sop>");
    for turn in &chat.turns {
        match turn.role {
            Role::Tool => sink.text("<|observation|>"),
            role => {
                sink.text("<|");
                sink.text(role.as_str());
                sink.text("|>");
            }
        }
        sink.text("\n");
        sink.text(&turn.text());
        for call in &turn.calls {
            sink.text("<|assistant|>");
            sink.text(call.name);
            sink.text("\n");
            sink.text(&python::arguments(call.arguments));
        }
        sink.look_through();
    }
    // It has no tools in its template but those of its own servers; they are text all the same.
    for tool in &chat.tools {
        sink.text("\n");
        sink.text(tool);
    }
    if chat.opening == Opening::Generation {
        sink.text("<|assistant|>");
    }
}

/// Which of those with tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// 4.5 and 4.6.
    V45,
    /// 4.7 and later: the answer's thoughts are begun.
    V47,
}

impl Kind {
    /// The line end that stands between the parts of older ones.
    const fn line(self) -> &'static str {
        match self {
            Self::V45 => "\n",
            Self::V47 => "",
        }
    }
}

/// GLM-4.5 and later.
pub(super) fn write_45(kind: Kind, chat: &Chat<'_>, sink: &mut Sink<'_>) {
    let line = kind.line();
    let no_thoughts = chat.thinking() == Some(false);
    sink.text("[gMASK]<sop>");
    if !chat.tools.is_empty() {
        sink.text(TOOLS_BEFORE);
        for tool in &chat.tools {
            sink.text(tool);
            sink.text("\n");
        }
        match kind {
            Kind::V45 => sink.text(TOOLS_AFTER),
            Kind::V47 => sink.text(TOOLS_AFTER_47),
        }
    }
    let last_user = chat.turns.iter().rposition(|turn| turn.role == Role::User);
    let mut after_tool = false;
    for (at, turn) in chat.turns.iter().enumerate() {
        let text = turn.text_by("");
        match turn.role {
            // The template leaves out what it does not know.
            Role::Other(_) => {}
            Role::System => {
                sink.text("<|system|>");
                sink.text(line);
                sink.text(&text);
            }
            Role::User => {
                sink.text("<|user|>");
                sink.text(line);
                sink.text(&text);
                if kind == Kind::V45 && no_thoughts && !text.ends_with("/nothink") {
                    sink.text("/nothink");
                }
            }
            Role::Assistant => {
                assistant(kind, turn, last_user.is_none_or(|last| at > last), sink);
            }
            Role::Tool => {
                sink.text(if after_tool { "" } else { "<|observation|>" });
                for part in [
                    line,
                    "<tool_response>",
                    line,
                    &text,
                    line,
                    "</tool_response>",
                ] {
                    sink.text(part);
                }
            }
        }
        after_tool = turn.role == Role::Tool;
        sink.look_through();
    }
    if chat.opening == Opening::Generation {
        sink.text("<|assistant|>");
        sink.text(match (kind, no_thoughts) {
            (Kind::V45, false) => "",
            (Kind::V45, true) => "\n<think></think>",
            (Kind::V47, false) => "<think>",
            (Kind::V47, true) => "</think>",
        });
    }
}

fn assistant(kind: Kind, turn: &Turn<'_>, is_recent: bool, sink: &mut Sink<'_>) {
    let line = kind.line();
    let text = turn.text_by("");
    let thoughts = turn.thoughts();
    let (thoughts, content) = match text.rsplit_once("</think>") {
        Some((before, after)) if thoughts.is_empty() => {
            (before.rsplit("<think>").next().unwrap_or_default(), after)
        }
        _ => (&*thoughts, &*text),
    };
    let kept = if is_recent { thoughts.trim() } else { "" };
    sink.text("<|assistant|>");
    sink.text(line);
    // Without thoughts, a later one only ends them.
    let begins = kind == Kind::V45 || (is_recent && !thoughts.is_empty());
    sink.text(if begins { "<think>" } else { "" });
    sink.text(kept);
    sink.text("</think>");
    if !content.trim().is_empty() {
        sink.text(line);
        sink.text(content.trim());
    }
    for call in &turn.calls {
        sink.text(line);
        sink.text("<tool_call>");
        sink.text(call.name);
        sink.text(line);
        if let Value::Object(arguments) = python::value(call.arguments) {
            for (key, value) in &arguments {
                sink.text("<arg_key>");
                sink.text(key);
                sink.text("</arg_key>");
                sink.text(line);
                sink.text("<arg_value>");
                match value {
                    Value::String(text) => sink.text(text),
                    value => sink.text(&python::dumps(value, python::Style::default())),
                }
                sink.text("</arg_value>");
                sink.text(line);
            }
        }
        sink.text("</tool_call>");
    }
}
