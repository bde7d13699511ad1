//! Kimi K2: each turn says whose it is twice, in a token and by name.

use super::{Chat, Role, Sink, Turn, python};
use crate::dialect::prompt::Opening;

pub(super) fn write(chat: &Chat<'_>, sink: &mut Sink<'_>) {
    if !chat.tools.is_empty() {
        let tools = chat.tools.iter().map(|tool| python::value(tool)).collect();
        sink.text("<|im_system|>tool_declare<|im_middle|>");
        sink.text(&python::dumps(
            &serde_json::Value::Array(tools),
            python::Style::COMPACT,
        ));
        sink.text("<|im_end|>");
    }
    let (system, _) = chat.system();
    if system.is_none() {
        sink.text("<|im_system|>system<|im_middle|>You are a helpful assistant<|im_end|>");
    }
    for turn in &chat.turns {
        let (token, role) = match turn.role {
            Role::System => ("<|im_system|>", "system"),
            Role::User => ("<|im_user|>", "user"),
            Role::Assistant => ("<|im_assistant|>", "assistant"),
            Role::Tool => ("<|im_system|>", "tool"),
            Role::Other(role) => ("<|im_system|>", role),
        };
        sink.text(token);
        sink.text(turn.name.unwrap_or(role));
        sink.text("<|im_middle|>");
        if turn.role == Role::Tool {
            sink.text("## Return of ");
            sink.text(turn.result_of.unwrap_or_default());
            sink.text("\n");
        }
        sink.text(&turn.text());
        calls(turn, sink);
        sink.text("<|im_end|>");
        sink.look_through();
    }
    if chat.opening == Opening::Generation {
        sink.text("<|im_assistant|>assistant<|im_middle|>");
    }
}

fn calls(turn: &Turn<'_>, sink: &mut Sink<'_>) {
    if turn.calls.is_empty() {
        return;
    }
    sink.text("<|tool_calls_section_begin|>");
    for call in &turn.calls {
        // Its ids name the function: functions.get_weather:0.
        sink.text("<|tool_call_begin|>");
        sink.text(call.id.unwrap_or(call.name));
        sink.text("<|tool_call_argument_begin|>");
        sink.text(&python::arguments(call.arguments));
        sink.text("<|tool_call_end|>");
    }
    sink.text("<|tool_calls_section_end|>");
}
