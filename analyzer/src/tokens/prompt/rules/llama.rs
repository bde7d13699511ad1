//! Llama 3, and 3.1 to 3.3 with their system block.

use super::{Chat, Role, Sink, python};
use crate::dialect::prompt::Opening;

/// The date that templates write where none is given. Others have as many tokens.
const DATE: &str = "26 Jul 2024";

const TOOLS: &str = "Given the following functions, please respond with a JSON for a function call \
    with its proper arguments that best answers the given prompt.\n\n\
    Respond in the format {\"name\": function name, \"parameters\": dictionary of argument name and its value}.\
    Do not use variables.\n\n";

/// Llama 3: headers alone.
pub(super) fn write_3(chat: &Chat<'_>, sink: &mut Sink<'_>) {
    sink.text("<|begin_of_text|>");
    for turn in &chat.turns {
        said(turn.role.as_str(), &turn.text(), sink);
    }
    open(chat, sink);
}

/// Llama 3.1 and later: a system block with dates; tools stand before the user's first message.
pub(super) fn write_31(chat: &Chat<'_>, sink: &mut Sink<'_>) {
    let (system, mut rest) = chat.system();
    let tools = !chat.tools.is_empty();
    sink.text("<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n");
    if tools {
        sink.text("Environment: ipython\n");
    }
    sink.text("Cutting Knowledge Date: December 2023\nToday Date: ");
    sink.text(DATE);
    sink.text("\n\n");
    sink.text(system.unwrap_or_default().trim());
    sink.text("<|eot_id|>");
    if tools && let Some((first, after)) = rest.split_first() {
        sink.text("<|start_header_id|>user<|end_header_id|>\n\n");
        sink.text(TOOLS);
        for tool in &chat.tools {
            sink.text(&python::dumps(
                &python::value(tool),
                python::Style::indented(4),
            ));
            sink.text("\n\n");
        }
        sink.text(first.text().trim());
        sink.text("<|eot_id|>");
        rest = after;
    }
    for turn in rest {
        match (turn.role, turn.calls.first()) {
            // It can make one call at a time.
            (Role::Assistant, Some(call)) => {
                sink.text("<|start_header_id|>assistant<|end_header_id|>\n\n{\"name\": \"");
                sink.text(call.name);
                sink.text("\", \"parameters\": ");
                sink.text(&python::arguments(call.arguments));
                sink.text("}<|eot_id|>");
                sink.look_through();
            }
            (Role::Tool | Role::Other("ipython"), _) => {
                sink.text("<|start_header_id|>ipython<|end_header_id|>\n\n");
                // The template writes every text as JSON, since a text can be gone through as well.
                sink.text(&serde_json::Value::from(turn.text()).to_string());
                sink.text("<|eot_id|>");
                sink.look_through();
            }
            (role, _) => said(role.as_str(), &turn.text(), sink),
        }
    }
    open(chat, sink);
}

fn said(role: &str, text: &str, sink: &mut Sink<'_>) {
    sink.text("<|start_header_id|>");
    sink.text(role);
    sink.text("<|end_header_id|>\n\n");
    sink.text(text.trim());
    sink.text("<|eot_id|>");
    sink.look_through();
}

fn open(chat: &Chat<'_>, sink: &mut Sink<'_>) {
    if chat.opening == Opening::Generation {
        sink.text("<|start_header_id|>assistant<|end_header_id|>\n\n");
    }
}
