//! Qwen 3.5 and later: ChatML whose thoughts are begun, and whose calls are tags.

use serde_json::Value;

use super::{Chat, Role, Sink, Turn, chatml, python};
use crate::dialect::prompt::Opening;

const TOOLS_BEFORE: &str =
    "<|im_start|>system\n# Tools\n\nYou have access to the following functions:\n\n<tools>";

const TOOLS_AFTER: &str = "\n</tools>\n\nIf you choose to call a function ONLY reply in the following format with NO \
    suffix:\n\n<tool_call>\n<function=example_function_name>\n<parameter=example_parameter_1>\nvalue_1\n</parameter>\n\
    <parameter=example_parameter_2>\nThis is the value for the second parameter\nthat can span\nmultiple lines\n\
    </parameter>\n</function>\n</tool_call>\n\n<IMPORTANT>\nReminder:\n- Function calls MUST follow the specified format: \
    an inner <function=...></function> block must be nested within <tool_call></tool_call> XML tags\n\
    - Required parameters MUST be specified\n\
    - You may provide optional reasoning for your function call in natural language BEFORE the function call, but NOT after\n\
    - If there is no function call available, answer the question like normal with your current knowledge and do not tell \
    the user about function calls\n</IMPORTANT>";

pub(super) fn write(chat: &Chat<'_>, sink: &mut Sink<'_>) {
    let (system, rest) = chat.system();
    let system = system.as_deref().map(str::trim);
    if !chat.tools.is_empty() {
        sink.text(TOOLS_BEFORE);
        for tool in &chat.tools {
            sink.text("\n");
            sink.text(tool);
        }
        sink.text(TOOLS_AFTER);
        if let Some(system) = system.filter(|system| !system.is_empty()) {
            sink.text("\n\n");
            sink.text(system);
        }
        sink.text("<|im_end|>\n");
    } else if let Some(system) = system {
        sink.text("<|im_start|>system\n");
        sink.text(system);
        sink.text("<|im_end|>\n");
    }
    let last_query = chatml::last_query(rest);
    for (at, turn) in rest.iter().enumerate() {
        let text = turn.text_by("");
        match turn.role {
            Role::Assistant => assistant(turn, &text, at > last_query, sink),
            Role::Tool => chatml::result(rest, at, text.trim(), sink),
            // The template refuses what it does not know.
            Role::Other(_) => {}
            role => {
                sink.text("<|im_start|>");
                sink.text(role.as_str());
                sink.text("\n");
                sink.text(text.trim());
                sink.text("<|im_end|>\n");
            }
        }
        sink.look_through();
    }
    if chat.opening == Opening::Generation {
        sink.text("<|im_start|>assistant\n<think>\n");
        let thinks = chat.thinking() != Some(false);
        sink.text(if thinks { "" } else { "\n</think>\n\n" });
    }
}

fn assistant(turn: &Turn<'_>, text: &str, is_recent: bool, sink: &mut Sink<'_>) {
    let thoughts = turn.thoughts();
    let (thoughts, content) = chatml::split(&thoughts, text.trim());
    sink.text("<|im_start|>assistant\n");
    if is_recent {
        sink.text("<think>\n");
        sink.text(thoughts.trim());
        sink.text("\n</think>\n\n");
    }
    sink.text(content);
    for (n, call) in turn.calls.iter().enumerate() {
        sink.text(match (n, content.trim().is_empty()) {
            (0, true) => "",
            (0, false) => "\n\n",
            _ => "\n",
        });
        sink.text("<tool_call>\n<function=");
        sink.text(call.name);
        sink.text(">\n");
        if let Value::Object(arguments) = python::value(call.arguments) {
            for (name, value) in &arguments {
                sink.text("<parameter=");
                sink.text(name);
                sink.text(">\n");
                sink.text(&argument(value));
                sink.text("\n</parameter>\n");
            }
        }
        sink.text("</function>\n</tool_call>");
    }
    sink.text("<|im_end|>\n");
}

/// As Python's `str` writes it, but lists and objects as JSON.
fn argument(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        value => python::dumps(value, python::Style::default()),
    }
}
