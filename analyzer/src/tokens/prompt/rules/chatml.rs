//! ChatML: Qwen and those who took it over.

use super::{Chat, Role, Sink, Turn, python};
use crate::dialect::prompt::Opening;

/// What a ChatML dialect has of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Nothing.
    Plain,
    /// A default for the system.
    Qwen2,
    /// Another default, and neither tools nor calls.
    Qwen2Old,
    /// A default that asks for steps.
    Qwen2Math,
    /// Thoughts in tags, kept where they belong to what is being worked on.
    Qwen3,
    /// No thoughts.
    Qwen3Instruct,
    /// As [`Self::Qwen3`], and those of the answer are begun.
    Qwen3Thinking,
    /// The thoughts of the answer are begun.
    Qwq,
}

const QWEN2_SYSTEM: &str = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";

const QWEN2_OLD_SYSTEM: &str = "You are a helpful assistant.";

const QWEN2_MATH_SYSTEM: &str =
    "Please reason step by step, and put your final answer within \\boxed{}.";

impl Kind {
    /// What the system says where nobody says anything else.
    const fn system(self) -> Option<&'static str> {
        match self {
            Self::Qwen2 => Some(QWEN2_SYSTEM),
            Self::Qwen2Old => Some(QWEN2_OLD_SYSTEM),
            Self::Qwen2Math => Some(QWEN2_MATH_SYSTEM),
            Self::Plain | Self::Qwen3 | Self::Qwen3Instruct | Self::Qwen3Thinking | Self::Qwq => {
                None
            }
        }
    }

    /// Whether the template writes definitions of tools.
    const fn has_tools(self) -> bool {
        !matches!(self, Self::Plain | Self::Qwen2Old)
    }
}

const TOOLS_BEFORE: &str = "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n\
    You are provided with function signatures within <tools></tools> XML tags:\n<tools>";

const TOOLS_AFTER: &str = "\n</tools>\n\nFor each function call, return a json object with function name and \
    arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n\
    {\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n";

pub(super) fn write(kind: Kind, chat: &Chat<'_>, sink: &mut Sink<'_>) {
    let (system, rest) = chat.system();
    let has_system = system.is_some();
    let system = system.as_deref().or(kind.system());
    if !chat.tools.is_empty() && kind.has_tools() {
        sink.text("<|im_start|>system\n");
        if let Some(system) = system {
            sink.text(system);
        }
        // QwQ's template leaves the room for one.
        if system.is_some() || matches!(kind, Kind::Qwq) {
            sink.text("\n\n");
        }
        sink.text(TOOLS_BEFORE);
        for tool in &chat.tools {
            sink.text("\n");
            sink.text(tool);
        }
        sink.text(TOOLS_AFTER);
    } else if let Some(system) = system {
        sink.text("<|im_start|>system\n");
        sink.text(system);
        sink.text("<|im_end|>\n");
    }
    debug_assert!(has_system || rest.len() == chat.turns.len());
    let last_query = last_query(rest);
    for (at, turn) in rest.iter().enumerate() {
        match turn.role {
            Role::Assistant => assistant(kind, turn, at, last_query, rest.len(), sink),
            Role::Tool if !matches!(kind, Kind::Qwen2Old) => result(rest, at, &turn.text(), sink),
            // Qwen's templates leave out what they do not know; the first one writes any name.
            Role::Other(_) if !matches!(kind, Kind::Plain | Kind::Qwen2Old) => {}
            role => {
                sink.text("<|im_start|>");
                sink.text(role.as_str());
                sink.text("\n");
                sink.text(&turn.text());
                sink.text("<|im_end|>\n");
            }
        }
        sink.look_through();
    }
    if chat.opening == Opening::Generation {
        sink.text("<|im_start|>assistant\n");
        match (kind, chat.thinking()) {
            (Kind::Qwen3, Some(false)) => sink.text("<think>\n\n</think>\n\n"),
            (Kind::Qwq | Kind::Qwen3Thinking, _) => sink.text("<think>\n"),
            _ => {}
        }
    }
}

/// The user's last turn that is no tool's answer: the thoughts before it are dropped.
pub(super) fn last_query(turns: &[Turn<'_>]) -> usize {
    let is_query = |turn: &Turn<'_>| {
        let text = turn.text();
        let is_answer = text.starts_with("<tool_response>") && text.ends_with("</tool_response>");
        turn.role == Role::User && !is_answer
    };
    turns
        .iter()
        .rposition(is_query)
        .unwrap_or(turns.len().saturating_sub(1))
}

fn assistant(
    kind: Kind,
    turn: &Turn<'_>,
    at: usize,
    last_query: usize,
    turns: usize,
    sink: &mut Sink<'_>,
) {
    let text = turn.text();
    let thoughts = turn.thoughts();
    let mut content: &str = &text;
    sink.text("<|im_start|>assistant");
    match kind {
        Kind::Qwen3 | Kind::Qwen3Thinking | Kind::Qwq => {
            let (thoughts, after) = split(&thoughts, &text);
            content = after;
            sink.text("\n");
            let is_kept = at > last_query && (at + 1 == turns || !thoughts.is_empty());
            if is_kept && !matches!(kind, Kind::Qwq) {
                sink.text("<think>\n");
                sink.text(thoughts.trim_matches('\n'));
                sink.text("\n</think>\n\n");
                sink.text(content.trim_start_matches('\n'));
            } else {
                sink.text(content);
            }
        }
        Kind::Qwen3Instruct | Kind::Qwen2Old => {
            sink.text("\n");
            sink.text(content);
        }
        Kind::Plain | Kind::Qwen2 | Kind::Qwen2Math => {
            if turn.calls.is_empty() || !content.is_empty() {
                sink.text("\n");
                sink.text(content);
            }
        }
    }
    let calls = if matches!(kind, Kind::Qwen2Old) {
        &[]
    } else {
        turn.calls.as_slice()
    };
    for (n, call) in calls.iter().enumerate() {
        // Qwen 2.5 has no line end before its calls but this one.
        let is_25 = matches!(kind, Kind::Plain | Kind::Qwen2 | Kind::Qwen2Math);
        if n > 0 || !content.is_empty() || is_25 {
            sink.text("\n");
        }
        sink.text("<tool_call>\n{\"name\": \"");
        sink.text(call.name);
        sink.text("\", \"arguments\": ");
        sink.text(&python::arguments(call.arguments));
        sink.text("}\n</tool_call>");
    }
    sink.text("<|im_end|>\n");
}

/// The thoughts of an answer, and what it says: where it has none of their own, they may stand in its text.
pub(super) fn split<'a>(thoughts: &'a str, text: &'a str) -> (&'a str, &'a str) {
    match text.split_once("</think>") {
        Some((before, _)) if thoughts.is_empty() => {
            let content = text.rsplit("</think>").next().unwrap_or_default();
            let thoughts = before.trim_end_matches('\n');
            let thoughts = thoughts.rsplit("<think>").next().unwrap_or_default();
            (
                thoughts.trim_start_matches('\n'),
                content.trim_start_matches('\n'),
            )
        }
        _ => (thoughts, text),
    }
}

/// What tools gave: those that follow one another share a user's turn.
pub(super) fn result(turns: &[Turn<'_>], at: usize, text: &str, sink: &mut Sink<'_>) {
    let is_tool = |turn: Option<&Turn<'_>>| turn.is_some_and(|turn| turn.role == Role::Tool);
    if at == 0 || !is_tool(turns.get(at - 1)) {
        sink.text("<|im_start|>user");
    }
    sink.text("\n<tool_response>\n");
    sink.text(text);
    sink.text("\n</tool_response>");
    if !is_tool(turns.get(at + 1)) {
        sink.text("<|im_end|>\n");
    }
}
