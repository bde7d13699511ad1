//! Gemma: the system's text stands before the user's first, and the model's turns are the model's.

use super::{Chat, Piece, Role, Sink};
use crate::dialect::prompt::Opening;

pub(super) fn write(chat: &Chat<'_>, sink: &mut Sink<'_>) {
    let (system, rest) = chat.system();
    sink.text("<bos>");
    for (at, turn) in rest.iter().enumerate() {
        sink.text("<start_of_turn>");
        sink.text(match turn.role {
            Role::Assistant => "model",
            role => role.as_str(),
        });
        sink.text("\n");
        if let (0, Some(system)) = (at, &system) {
            sink.text(system);
            sink.text("\n\n");
        }
        for piece in &turn.content {
            // Pictures are counted apart.
            if let Piece::Text(text) = piece {
                sink.text(text.trim());
            }
        }
        sink.text("<end_of_turn>\n");
        sink.look_through();
    }
    if chat.opening == Opening::Generation {
        sink.text("<start_of_turn>model\n");
    }
}
