//! Kimi K2: each turn says whose it is twice, in a token and by name. Those that think have tags around their thoughts.

use super::{Chat, Role, Sink, Turn, python};
use crate::dialect::prompt::Opening;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// K2.
    Plain,
    /// K2 Thinking.
    Thinks,
}

pub(super) fn write(kind: Kind, chat: &Chat<'_>, sink: &mut Sink<'_>) {
    if !chat.tools.is_empty() {
        let tools = chat.tools.iter().map(|tool| python::value(tool)).collect();
        sink.text("<|im_system|>tool_declare<|im_middle|>");
        sink.text(&python::dumps(
            &serde_json::Value::Array(tools),
            python::Style::default(),
        ));
        sink.text("<|im_end|>");
    }
    let (system, _) = chat.system();
    if system.is_none() {
        sink.text("<|im_system|>system<|im_middle|>You are Kimi, an AI assistant created by Moonshot AI.<|im_end|>");
        // What K2's template writes there, since its text goes on in the next line.
        sink.text(if kind == Kind::Plain { "\n" } else { "" });
    }
    let is_answer = |turn: &Turn<'_>| turn.role == Role::Assistant && turn.calls.is_empty();
    let last_answer = chat.turns.iter().rposition(is_answer);
    for (at, turn) in chat.turns.iter().enumerate() {
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
        if kind == Kind::Thinks && turn.role == Role::Assistant {
            // Thoughts up to the last answer are dropped, their tags are not.
            let is_recent = last_answer.is_none_or(|last| at > last);
            let thoughts = turn.thoughts();
            sink.text("<think>");
            sink.text(if is_recent { &thoughts } else { "" });
            sink.text("</think>");
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
