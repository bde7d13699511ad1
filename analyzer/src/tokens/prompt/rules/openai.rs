//! OpenAI's published rule for its hosted models: three tokens a message, one for a name, three for the
//! beginning of the answer, and a table for functions (OpenAI Cookbook, "How to count tokens with tiktoken").

use serde_json::Value;

use super::{Chat, Sink};

/// Tokens of a function besides its texts, in gpt-4o and what came after it.
const FUNCTION: u64 = 7;

/// In gpt-4 and gpt-3.5.
const FUNCTION_BEFORE: u64 = 10;

/// Tokens of a list of properties, of each property, and of each value of an enum after its first.
const PROPERTIES: u64 = 3;
const PROPERTY: u64 = 3;
const VALUE: u64 = 3;

/// Tokens after all functions.
const END: u64 = 12;

/// Whether the model has the newer vocabulary, and so the newer table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Old,
    New,
}

pub(super) fn write(age: Age, chat: &Chat<'_>, sink: &mut Sink<'_>) {
    for turn in &chat.turns {
        // Each value of a message is counted apart from the others.
        sink.tokens(3);
        sink.text(turn.word.unwrap_or_else(|| turn.role.as_str()));
        sink.cut();
        for piece in &turn.content {
            if let super::Piece::Text(text) = piece {
                sink.text(text);
                sink.cut();
            }
        }
        if let Some(name) = turn.name {
            sink.text(name);
            sink.tokens(1);
        }
        for call in &turn.calls {
            sink.text(call.name);
            sink.cut();
            sink.text(call.arguments);
            // A call is framed as a message is.
            sink.tokens(3);
        }
    }
    sink.tokens(3);
    if !chat.tools.is_empty() {
        let function = if age == Age::Old {
            FUNCTION_BEFORE
        } else {
            FUNCTION
        };
        functions(function, chat, sink);
    }
}

fn functions(each: u64, chat: &Chat<'_>, sink: &mut Sink<'_>) {
    for tool in &chat.tools {
        let function = super::function(tool);
        let description = function.description.unwrap_or_default();
        sink.tokens(each);
        sink.text(&format!("{}:{}", function.name, without_stop(&description)));
        sink.cut();
        let parameters = function.parameters.unwrap_or_default();
        let properties = parameters.get("properties").and_then(Value::as_object);
        let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
            continue;
        };
        sink.tokens(PROPERTIES);
        for (name, field) in properties {
            sink.tokens(PROPERTY);
            let values = field.get("enum").and_then(Value::as_array);
            for (n, value) in values.into_iter().flatten().enumerate() {
                sink.tokens(if n == 0 { 0 } else { VALUE });
                sink.text(value.as_str().unwrap_or_default());
            }
            sink.cut();
            let text = |key: &str| field.get(key).and_then(Value::as_str).unwrap_or_default();
            let description = without_stop(text("description"));
            sink.text(&format!("{name}:{}:{description}", text("type")));
            sink.cut();
        }
    }
    sink.tokens(END);
}

fn without_stop(text: &str) -> &str {
    text.strip_suffix('.').unwrap_or(text)
}
