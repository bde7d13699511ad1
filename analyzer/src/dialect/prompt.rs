//! A prompt as a request brought it, with the structure that a chat template needs.
//!
//! It is a tape: one string that holds each text once, and a mark at the end of each part that says what
//! the part was. Places without text (a turn, a call, a picture) are marks alone. So a prompt of a million
//! pieces takes its text and eight bytes a piece, and bytes of pictures and sounds are never kept.

use super::{picture::Sniffer, rewrite::Rewriter, text::Room};
use crate::json::{Kind, Scalar, Step};

pub use super::picture::{Detail, Picture};

/// Marks of one prompt. From there on texts are joined, which changes the count by less than a token a
/// string, and the structure is given up. More than a million is no prompt that people write.
pub const MAX_PARTS: usize = 1 << 20;

/// Pictures of one prompt whose sizes are kept; servers take a few dozen. Those that follow are counted
/// as left out.
pub const MAX_PICTURES: usize = 4_096;

/// What a part of the tape is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A turn of the conversation begins.
    Turn,
    /// The system's turn begins, where it stands outside the list of messages.
    System,
    /// What a tool gave begins, within a turn or for the turn.
    Result,
    /// It is over: what follows is the turn's again.
    ResultEnd,
    /// A tool call begins.
    Call,
    /// A picture; its size stands in [`Prompt::pictures`].
    Picture,
    /// A sound, a file, a video.
    Other,
    /// Text of no turn: a plain prompt, or one of a list.
    Text,
    /// What comes after the gap that is to be filled in.
    Suffix,
    /// A turn's role.
    Role,
    /// A text of a turn's content, or of what a tool gave.
    Content,
    /// What the model thought, as the client sends it back.
    Reasoning,
    /// A participant's name.
    Name,
    /// The id of a call.
    CallId,
    /// The id of the call that a turn answers, in a string of the message's own.
    ResultId,
    /// The same, within a part of the message.
    ResultRef,
    /// The function that is called.
    CallName,
    /// Its arguments, JSON as the client wrote it into a string.
    Arguments,
    /// Its arguments, a JSON value written anew as Python's `json.dumps` would.
    ArgumentsValue,
    /// What a tool gave, a JSON value written anew.
    ContentValue,
    /// A document that the model is to read from.
    Document,
    /// A tool's definition, a JSON value written anew.
    Tool,
    /// Settings for the template, a JSON object written anew.
    Settings,
    /// A string that has no place in a template.
    Loose,
}

impl Part {
    /// Whether this is a place without text.
    const fn is_place(self) -> bool {
        matches!(
            self,
            Self::Turn
                | Self::System
                | Self::Result
                | Self::ResultEnd
                | Self::Call
                | Self::Picture
                | Self::Other
        )
    }
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    end: u32,
    part: Part,
}

/// Whether a generated turn is opened at the prompt's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Opening {
    /// The assistant's turn is opened, unless the last message is to be gone on with.
    #[default]
    Generation,
    /// Nothing is opened.
    Nothing,
    /// The last message is left open, to be gone on with.
    LastMessage,
}

/// Around what a server puts a chat template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wrapping {
    /// Around conversations.
    #[default]
    Turns,
    /// Around plain texts, too, as Ollama does.
    Texts,
    /// Around nothing, as Ollama can be asked.
    Nothing,
}

/// The prompt of one request.
#[derive(Debug, Default)]
pub struct Prompt {
    text: String,
    marks: Vec<Mark>,
    pub(super) room: Room,
    writer: Rewriter,
    sniffer: Option<Sniffer>,
    pictures: Vec<Picture>,
    /// Marks were given up.
    overfull: bool,
    /// Tokens that were given as ids.
    pub token_ids: u64,
    /// Messages, where the prompt has such; `None` where it has none.
    pub messages: Option<u64>,
    /// Prompts of a list of them; 0 where it is no list.
    pub prompts: u32,
    /// Whether there was a prompt at all.
    pub present: bool,
    /// Around what a server puts a template.
    pub wrapping: Wrapping,
    /// What is opened at its end.
    pub opening: Opening,
    /// Whether the model is to think, where the request says so.
    pub thinking: Option<bool>,
    /// How long, by the wire's word.
    pub effort: Option<String>,
    /// Pictures, sounds and files past [`MAX_PICTURES`] or [`MAX_PARTS`].
    pub more_media: u64,
}

impl Prompt {
    /// One more message.
    pub fn one_message(&mut self) {
        self.present = true;
        let messages = self.messages.get_or_insert_default();
        *messages = messages.saturating_add(1);
    }

    /// Adds text to the current part.
    pub fn push(&mut self, piece: &str) {
        self.text.push_str(self.room.take(piece));
    }

    /// A place without text. What was read before it without an end is a part of its own.
    pub fn place(&mut self, part: Part) {
        debug_assert!(part.is_place(), "{part:?} has text");
        self.end_part(Part::Loose);
        let is_media = matches!(part, Part::Picture | Part::Other);
        if self.marks.len() >= MAX_PARTS {
            self.overfull = true;
            self.more_media = self.more_media.saturating_add(u64::from(is_media));
        } else {
            let end = self.end();
            self.marks.push(Mark { end, part });
        }
    }

    /// Ends the current part; an empty one leaves no trace, but for a content: templates tell an empty one from none.
    pub fn end_part(&mut self, part: Part) {
        let end = self.end();
        let is_empty = self.marks.last().map_or(0, |mark| mark.end) == end;
        if is_empty && part != Part::Content {
            return;
        }
        if self.marks.len() >= MAX_PARTS {
            self.overfull = true;
            if is_empty {
                return;
            }
            // A place at the end has no text that could be joined.
            self.marks.pop();
        }
        self.marks.push(Mark { end, part });
    }

    /// A list of a content's parts is over; an empty one is an empty content, not none.
    pub fn end_contents(&mut self) {
        let has_any =
            |mark: &Mark| matches!(mark.part, Part::Content | Part::Picture | Part::Other);
        if !self.marks.last().is_some_and(has_any) {
            self.end_part(Part::Content);
        }
    }

    /// The end of the text so far. The room is below 4 GiB, so it always fits.
    fn end(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }

    /// A picture's bytes begin, if they are there at all.
    pub fn begin_picture(&mut self) {
        self.sniffer = Some(Sniffer::default());
    }

    /// A piece of a picture's address or of its bytes in base64: only what tells its size is looked at.
    pub fn picture_piece(&mut self, piece: &str) {
        if let Some(sniffer) = &mut self.sniffer {
            sniffer.push(piece);
        }
    }

    /// How closely the picture is to be looked at.
    pub fn picture_detail(&mut self, word: &str) {
        self.sniffer.get_or_insert_default().detail = Detail::of(word);
    }

    /// The picture is over.
    pub fn end_picture(&mut self) {
        let picture = self.sniffer.take().unwrap_or_default().finish();
        if self.pictures.len() >= MAX_PICTURES {
            self.more_media = self.more_media.saturating_add(1);
            return;
        }
        self.pictures.push(picture);
        self.place(Part::Picture);
    }

    /// The parts in order, with what they are; an unfinished last one too. Places have no text.
    pub fn tape(&self) -> impl Iterator<Item = (Part, &str)> {
        let end = self.end();
        let unfinished = (self.marks.last().map_or(0, |mark| mark.end) < end).then_some(Mark {
            end,
            part: Part::Loose,
        });
        let marks = self.marks.iter().copied().chain(unfinished);
        marks.scan(0usize, |start, mark| {
            let part = self.text.get(*start..mark.end as usize)?;
            *start = mark.end as usize;
            Some((mark.part, part))
        })
    }

    /// The texts of plain prompts, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let texts = self.tape().filter(|(part, _)| *part == Part::Text);
        texts.map(|(_, text)| text)
    }

    /// The pictures, in order.
    pub fn pictures(&self) -> &[Picture] {
        &self.pictures
    }

    /// Bytes of memory that it holds, about.
    pub(crate) fn held(&self) -> usize {
        let marks = self.marks.len().saturating_mul(size_of::<Mark>());
        self.room.used().saturating_add(marks)
    }

    /// Bytes of its text.
    pub const fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether it has no text.
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether text was left out for want of room.
    pub const fn cut(&self) -> bool {
        self.room.cut()
    }

    /// Whether the structure was given up.
    pub const fn overfull(&self) -> bool {
        self.overfull
    }
}

/// A node for a JSON value that goes onto the tape as text, and for all that is within it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Written {
    /// The value: what it is where it is no string, and where it is one.
    Root(Part, Part),
    Inside,
}

impl Written {
    pub(super) fn child(prompt: &mut Prompt, step: Step<'_>) -> Self {
        let text = prompt.writer.step(step);
        prompt.push(&text);
        Self::Inside
    }

    pub(super) fn begin(self, prompt: &mut Prompt, kind: Kind) {
        if let (Self::Root(..), Kind::String) = (self, kind) {
            return;
        }
        if let Self::Root(..) = self {
            prompt.end_part(Part::Loose);
            prompt.writer = Rewriter::spaced();
        }
        let text = prompt.writer.begin(kind);
        prompt.push(text);
    }

    pub(super) fn text(self, prompt: &mut Prompt, piece: &str) {
        match self {
            Self::Root(..) => prompt.push(piece),
            Self::Inside => prompt.push(&Rewriter::text(piece)),
        }
    }

    pub(super) fn scalar(self, prompt: &mut Prompt, scalar: Scalar<'_>) {
        match (self, scalar) {
            (Self::Root(..), Scalar::Null) => {}
            (Self::Root(value, _), _) => {
                prompt.end_part(Part::Loose);
                prompt.push(Rewriter::spaced().scalar(scalar));
                prompt.end_part(value);
            }
            (Self::Inside, _) => {
                let text = prompt.writer.scalar(scalar);
                prompt.push(text);
            }
        }
    }

    pub(super) fn end(self, prompt: &mut Prompt, kind: Kind) {
        if let (Self::Root(_, string), Kind::String) = (self, kind) {
            return prompt.end_part(string);
        }
        let text = prompt.writer.end(kind);
        prompt.push(text);
        if let Self::Root(value, _) = self {
            prompt.end_part(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_as_they_went_in() {
        let mut prompt = Prompt::default();
        prompt.place(Part::Turn);
        for (part, text) in [
            (Part::Role, "user"),
            (Part::Name, ""),
            (Part::Content, ""),
            (Part::Content, "Grüße"),
            (Part::Content, "x"),
        ] {
            for c in text.chars() {
                prompt.push(c.encode_utf8(&mut [0; 4]));
            }
            prompt.end_part(part);
        }
        prompt.place(Part::Call);
        prompt.push("cut off");
        assert_eq!(
            prompt.tape().collect::<Vec<_>>(),
            [
                (Part::Turn, ""),
                (Part::Role, "user"),
                (Part::Content, ""),
                (Part::Content, "Grüße"),
                (Part::Content, "x"),
                (Part::Call, ""),
                (Part::Loose, "cut off"),
            ]
        );
        assert!(!prompt.cut() && !prompt.overfull());
    }

    #[test]
    fn the_number_of_parts_is_bounded_and_no_text_is_lost() {
        let mut prompt = Prompt::default();
        for _ in 0..MAX_PARTS + 5 {
            prompt.push("a");
            prompt.end_part(Part::Text);
            prompt.place(Part::Other);
        }
        assert_eq!(prompt.tape().count(), MAX_PARTS);
        assert_eq!(prompt.text.len(), MAX_PARTS + 5);
        let texts: usize = prompt.tape().map(|(_, text)| text.len()).sum();
        assert_eq!(texts, MAX_PARTS + 5);
        assert!(prompt.overfull());
        assert!(prompt.held() < 16 << 20);
    }

    #[test]
    fn the_number_of_pictures_is_bounded_and_those_that_follow_are_told() {
        let mut prompt = Prompt::default();
        for _ in 0..MAX_PICTURES + 5 {
            prompt.begin_picture();
            prompt.picture_piece("https://example.org/cat.png");
            prompt.end_picture();
        }
        assert_eq!(prompt.pictures().len(), MAX_PICTURES);
        assert_eq!(prompt.more_media, 5);
    }
}
