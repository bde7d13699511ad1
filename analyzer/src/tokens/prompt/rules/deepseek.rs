//! DeepSeek V3, V3.1 and R1, and R1's distillations.

use super::{Chat, Role, Sink, Turn};
use crate::dialect::prompt::Opening;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    V3,
    /// Thinks before each answer, and forgets what it thought.
    R1,
}

/// V3's template, in its first form, and R1's: what it makes of calls (a single one has no end, content
/// hides them) is its own doing.
pub(super) fn write(kind: Kind, chat: &Chat<'_>, sink: &mut Sink<'_>) {
    begin(chat, sink);
    let mut in_results = false;
    let mut any_result = false;
    let mut any_call = false;
    for turn in &chat.turns {
        let text = turn.text();
        match turn.role {
            // The template leaves out what it does not know.
            Role::System | Role::Other(_) => {}
            Role::User => {
                in_results = false;
                sink.text("<｜User｜>");
                sink.text(&text);
            }
            // A content of null has no turn of its own.
            Role::Assistant if turn.content.is_empty() && turn.calls.is_empty() => {
                in_results = false;
            }
            Role::Assistant if text.is_empty() && !turn.calls.is_empty() => {
                in_results = false;
                for call in &turn.calls {
                    let first = !std::mem::replace(&mut any_call, true);
                    sink.text(if first {
                        "<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>"
                    } else {
                        "\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>"
                    });
                    sink.text(call.name);
                    sink.text("\n```json\n");
                    sink.text(call.arguments);
                    sink.text("\n```<｜tool▁call▁end｜>");
                    if !first {
                        sink.text("<｜tool▁calls▁end｜><｜end▁of▁sentence｜>");
                    }
                }
            }
            Role::Assistant => {
                sink.text(if std::mem::take(&mut in_results) {
                    "<｜tool▁outputs▁end｜>"
                } else {
                    "<｜Assistant｜>"
                });
                let answer = text.rsplit("</think>").next().unwrap_or_default();
                sink.text(if kind == Kind::R1 { answer } else { &text });
                sink.text("<｜end▁of▁sentence｜>");
            }
            Role::Tool => {
                in_results = true;
                sink.text(if std::mem::replace(&mut any_result, true) {
                    "\n<｜tool▁output▁begin｜>"
                } else {
                    "<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>"
                });
                sink.text(&text);
                sink.text("<｜tool▁output▁end｜>");
            }
        }
        sink.look_through();
    }
    if in_results {
        sink.text("<｜tool▁outputs▁end｜>");
    } else if chat.opening == Opening::Generation {
        sink.text(match kind {
            Kind::V3 => "<｜Assistant｜>",
            Kind::R1 => "<｜Assistant｜><think>\n",
        });
    }
}

/// V3.1 and later: the answer says first whether it thinks.
pub(super) fn write_31(chat: &Chat<'_>, sink: &mut Sink<'_>) {
    begin(chat, sink);
    let mut after_user = false;
    for turn in &chat.turns {
        let text = turn.text();
        match turn.role {
            // The template leaves out what it does not know.
            Role::System | Role::Other(_) => {}
            Role::User => {
                after_user = true;
                sink.text("<｜User｜>");
                sink.text(&text);
            }
            Role::Assistant => {
                if std::mem::take(&mut after_user) {
                    sink.text("<｜Assistant｜></think>");
                }
                if turn.calls.is_empty() {
                    let answer = text
                        .split_once("</think>")
                        .map_or(&*text, |(_, answer)| answer);
                    sink.text(answer);
                } else {
                    sink.text(&text);
                    calls_31(turn, sink);
                }
                sink.text("<｜end▁of▁sentence｜>");
            }
            Role::Tool => {
                after_user = false;
                sink.text("<｜tool▁output▁begin｜>");
                sink.text(&text);
                sink.text("<｜tool▁output▁end｜>");
            }
        }
        sink.look_through();
    }
    if chat.opening == Opening::Generation && after_user {
        sink.text(if chat.thinking() == Some(true) {
            "<｜Assistant｜><think>"
        } else {
            "<｜Assistant｜></think>"
        });
    }
}

fn calls_31(turn: &Turn<'_>, sink: &mut Sink<'_>) {
    sink.text("<｜tool▁calls▁begin｜>");
    for call in &turn.calls {
        sink.text("<｜tool▁call▁begin｜>");
        sink.text(call.name);
        sink.text("<｜tool▁sep｜>");
        sink.text(call.arguments);
        sink.text("<｜tool▁call▁end｜>");
    }
    sink.text("<｜tool▁calls▁end｜>");
}

/// What the system says comes first, wherever it stood.
fn begin(chat: &Chat<'_>, sink: &mut Sink<'_>) {
    sink.text("<｜begin▁of▁sentence｜>");
    let systems = chat.turns.iter().filter(|turn| turn.role == Role::System);
    for (n, turn) in systems.enumerate() {
        sink.text(if n == 0 { "" } else { "\n\n" });
        sink.text(&turn.text());
    }
}
