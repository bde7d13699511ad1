//! Mistral with the tekken vocabulary, v3 to v13, as mistral-common encodes it.
//!
//! Texts are encoded one by one between control tokens, and no text becomes a control token.

use serde_json::{Value, json};

use super::{Chat, Role, Sink, Turn, python};

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The system's text stands before the user's last, and a call is JSON with its id.
    V3,
    /// The system has control tokens of its own.
    V7,
    /// Each call has its own, too: its name, id and arguments stand between them.
    V11,
    /// Calls and results have no ids, and the tools stand before the user's first.
    V13,
}

pub(super) fn write(kind: Kind, chat: &Chat<'_>, sink: &mut Sink<'_>) {
    sink.special("<s>");
    let systems: Vec<_> = chat
        .turns
        .iter()
        .filter(|turn| turn.role.instructs())
        .map(|turn| turn.text_by("\n\n"))
        .collect();
    let system = systems.join("\n\n");
    let is_user = |turn: &Turn<'_>| {
        matches!(turn.role, Role::User | Role::Other(_)) && !turn.role.instructs()
    };
    let last_user = chat.turns.iter().rposition(is_user);
    let with_tools = if kind == Kind::V13 {
        chat.turns.iter().position(is_user)
    } else {
        last_user
    };
    for (at, turn) in chat.turns.iter().enumerate() {
        match turn.role {
            role if role.instructs() && kind == Kind::V3 => {}
            role if role.instructs() => {
                sink.special("[SYSTEM_PROMPT]");
                sink.text(&turn.text_by("\n\n"));
                sink.special("[/SYSTEM_PROMPT]");
            }
            Role::System | Role::User | Role::Other(_) => {
                if with_tools == Some(at) {
                    tools(chat, sink);
                }
                sink.special("[INST]");
                if last_user == Some(at) && kind == Kind::V3 && !system.is_empty() {
                    sink.text(&system);
                    sink.text("\n\n");
                }
                sink.text(&turn.text_by("\n\n"));
                sink.special("[/INST]");
            }
            Role::Assistant => {
                // mistral-common takes away the spaces at an answer's end.
                sink.text(turn.text_by("\n\n").trim_end_matches(' '));
                calls(kind, turn, sink);
                // The end of the answer.
                if at + 1 < chat.turns.len() {
                    sink.special("</s>");
                }
            }
            Role::Tool => {
                let text = turn.text_by("\n\n");
                let content = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(&*text));
                sink.special("[TOOL_RESULTS]");
                match kind {
                    Kind::V3 => {
                        let result =
                            json!({"content": content, "call_id": turn.result_of.unwrap_or("")});
                        sink.text(&python::dumps(&result, python::Style::default()));
                    }
                    // The id, a control token, and the content as it stands.
                    Kind::V7 | Kind::V11 => {
                        sink.text(turn.result_of.unwrap_or(""));
                        sink.special("[TOOL_CONTENT]");
                        sink.text(&text);
                    }
                    Kind::V13 => sink.text(&text),
                }
                sink.special("[/TOOL_RESULTS]");
            }
        }
    }
}

fn tools(chat: &Chat<'_>, sink: &mut Sink<'_>) {
    if chat.tools.is_empty() {
        return;
    }
    let tools = chat.tools.iter().map(|tool| {
        let tool = super::function(tool);
        json!({"type": "function", "function": {
            "name": tool.name,
            "description": tool.description.unwrap_or_default(),
            "parameters": tool.parameters.unwrap_or(Value::Null),
        }})
    });
    sink.special("[AVAILABLE_TOOLS]");
    let tools = python::dumps(&Value::Array(tools.collect()), python::Style::default());
    sink.text(&tools);
    sink.special("[/AVAILABLE_TOOLS]");
}

fn calls(kind: Kind, turn: &Turn<'_>, sink: &mut Sink<'_>) {
    if turn.calls.is_empty() {
        return;
    }
    if kind <= Kind::V7 {
        sink.special("[TOOL_CALLS]");
        sink.text(&python::dumps(&list(turn), python::Style::default()));
        return;
    }
    for call in &turn.calls {
        sink.special("[TOOL_CALLS]");
        sink.text(call.name);
        if let (Kind::V11, Some(id)) = (kind, call.id) {
            sink.special("[CALL_ID]");
            sink.text(id);
        }
        sink.special("[ARGS]");
        sink.text(&python::arguments(call.arguments));
    }
}

fn list(turn: &Turn<'_>) -> Value {
    let calls = turn.calls.iter().map(|call| {
        let mut value = json!({
            "name": call.name,
            "arguments": serde_json::from_str(call.arguments)
                .unwrap_or_else(|_| Value::from(call.arguments)),
        });
        if let Some(id) = call.id {
            value["id"] = id.into();
        }
        value
    });
    Value::Array(calls.collect())
}
