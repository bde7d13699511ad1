//! gpt-oss: the harmony format. The system's message is the server's own; what the client calls system is
//! the developer's.

use super::{Chat, Role, Sink, Turn, typescript};
use crate::dialect::prompt::Opening;

/// The server writes today's date; every date has as many tokens.
const SYSTEM: &str = "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\n\
    Knowledge cutoff: 2024-06\nCurrent date: 2025-08-05\n\nReasoning: ";

const CHANNELS: &str = "\n\n# Valid channels: analysis, commentary, final. Channel must be included for every message.";

const CALLS: &str = "\nCalls to these tools must go to the commentary channel: 'functions'.";

pub(super) fn write(chat: &Chat<'_>, sink: &mut Sink<'_>) {
    let (system, rest) = chat.instructions();
    sink.text(SYSTEM);
    sink.text(
        chat.effort
            .filter(|effort| !effort.is_empty())
            .unwrap_or("medium"),
    );
    sink.text(CHANNELS);
    sink.text(if chat.tools.is_empty() { "" } else { CALLS });
    sink.text("<|end|>");
    if system.is_some() || !chat.tools.is_empty() {
        sink.text("<|start|>developer<|message|>");
        if let Some(system) = &system {
            sink.text("# Instructions\n\n");
            sink.text(system);
            sink.text(if chat.tools.is_empty() { "" } else { "\n\n" });
        }
        if !chat.tools.is_empty() {
            sink.text("# Tools\n\n## functions\n\n");
            let tools = chat.tools.iter().map(|tool| super::function(tool));
            sink.text(&typescript::namespace(tools));
        }
        sink.text("<|end|>");
    }
    let mut called = "";
    let last_final = rest
        .iter()
        .rposition(|turn| turn.role == Role::Assistant && turn.calls.is_empty());
    for (at, turn) in rest.iter().enumerate() {
        match turn.role {
            Role::Assistant => {
                // Thoughts before the last answer are dropped.
                let is_recent =
                    last_final.is_none_or(|last| at >= last && !turn.calls.is_empty() || at > last);
                assistant(turn, is_recent, sink);
                called = turn.calls.last().map_or("", |call| call.name);
            }
            Role::Tool => {
                sink.text("<|start|>functions.");
                sink.text(turn.name.unwrap_or(called));
                sink.text(" to=assistant<|channel|>commentary<|message|>");
                sink.text(&turn.text());
                sink.text("<|end|>");
            }
            role => {
                sink.text("<|start|>");
                sink.text(role.as_str());
                sink.text("<|message|>");
                sink.text(&turn.text());
                sink.text("<|end|>");
            }
        }
        sink.look_through();
    }
    if chat.opening == Opening::Generation {
        sink.text("<|start|>assistant");
    }
}

fn assistant(turn: &Turn<'_>, is_recent: bool, sink: &mut Sink<'_>) {
    let text = turn.text();
    let thoughts = turn.thoughts();
    let thoughts = if thoughts.is_empty() && !turn.calls.is_empty() {
        &text
    } else {
        &thoughts
    };
    if is_recent && !thoughts.is_empty() {
        sink.text("<|start|>assistant<|channel|>analysis<|message|>");
        sink.text(thoughts);
        sink.text("<|end|>");
    }
    for call in &turn.calls {
        sink.text("<|start|>assistant to=functions.");
        sink.text(call.name);
        sink.text("<|channel|>commentary json<|message|>");
        sink.text(call.arguments);
        sink.text("<|call|>");
    }
    if turn.calls.is_empty() {
        sink.text("<|start|>assistant<|channel|>final<|message|>");
        sink.text(&text);
        sink.text("<|end|>");
    }
}
