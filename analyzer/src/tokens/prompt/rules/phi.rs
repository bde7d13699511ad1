//! Phi 3, Phi 4 and Phi 4 mini.

use serde_json::Value;

use super::{Chat, Role, Sink, python};
use crate::dialect::prompt::Opening;

/// Phi-3 and 3.5: its tokens take in the line ends after them.
pub(super) fn write_3(chat: &Chat<'_>, sink: &mut Sink<'_>) {
    for turn in &chat.turns {
        let text = turn.text();
        // It knows of no tools, and leaves out what it does not know.
        match turn.role {
            Role::Tool | Role::Other(_) => continue,
            Role::System if text.is_empty() => continue,
            _ => {}
        }
        open(turn.role, sink);
        sink.text(text.trim_start());
        sink.text("<|end|>");
        sink.look_through();
    }
    if chat.opening == Opening::Generation {
        sink.text("<|assistant|>");
    }
}

/// Phi-4: ChatML with a separator of its own.
pub(super) fn write_4(chat: &Chat<'_>, sink: &mut Sink<'_>) {
    for turn in &chat.turns {
        // Like its elder, it leaves out what it does not know.
        if matches!(turn.role, Role::Tool | Role::Other(_)) {
            continue;
        }
        sink.text("<|im_start|>");
        sink.text(turn.role.as_str());
        sink.text("<|im_sep|>");
        sink.text(&turn.text());
        sink.text("<|im_end|>");
        sink.look_through();
    }
    if chat.opening == Opening::Generation {
        sink.text("<|im_start|>assistant<|im_sep|>");
    }
}

/// Phi-4-mini: tools stand in the system's turn.
pub(super) fn write_4_mini(chat: &Chat<'_>, sink: &mut Sink<'_>) {
    let (system, rest) = chat.system();
    if system.is_some() || !chat.tools.is_empty() {
        sink.text("<|system|>");
        sink.text(&system.unwrap_or_default());
        if !chat.tools.is_empty() {
            let tools = chat.tools.iter().map(|tool| {
                let tool = python::value(tool);
                tool.get("function").cloned().unwrap_or(tool)
            });
            sink.text("<|tool|>");
            let tools = Value::Array(tools.collect());
            sink.text(&python::dumps(&tools, python::Style::default()));
            sink.text("<|/tool|>");
        }
        sink.text("<|end|>");
    }
    for turn in rest {
        open(turn.role, sink);
        sink.text(&turn.text());
        for call in &turn.calls {
            sink.text("<|tool_call|>{\"name\": \"");
            sink.text(call.name);
            sink.text("\", \"arguments\": ");
            sink.text(&python::arguments(call.arguments));
            sink.text("}<|/tool_call|>");
        }
        sink.text("<|end|>");
        sink.look_through();
    }
    if chat.opening == Opening::Generation {
        sink.text("<|assistant|>");
    }
}

fn open(role: Role<'_>, sink: &mut Sink<'_>) {
    sink.text("<|");
    sink.text(match role {
        Role::Tool => "tool_response",
        role => role.as_str(),
    });
    sink.text("|>");
}
