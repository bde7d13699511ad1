//! A prompt's tape as a conversation: turns that a chat template goes through.

use std::borrow::Cow;

use super::sink::GOES_ON;
use crate::dialect::prompt::{Opening, Part, Prompt, Wrapping};

/// Turns that are told apart; a turn takes some two hundred bytes. A prompt with more is counted by the
/// plain rule.
pub const MAX_TURNS: usize = 1 << 16;

/// A conversation, its texts borrowed from the tape.
#[derive(Debug, Default)]
pub(super) struct Chat<'a> {
    pub(super) turns: Vec<Turn<'a>>,
    /// Definitions of tools, JSON as `json.dumps` writes it.
    pub(super) tools: Vec<&'a str>,
    /// Documents to read from, likewise or as text.
    pub(super) documents: Vec<&'a str>,
    /// Settings for the template, a JSON object.
    pub(super) settings: Option<&'a str>,
    pub(super) opening: Opening,
    /// Its last text ends with [`GOES_ON`].
    pub(super) goes_on: bool,
    pub(super) thinking: Option<bool>,
    pub(super) effort: Option<&'a str>,
}

/// Whose a turn is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role<'a> {
    System,
    #[default]
    User,
    Assistant,
    Tool,
    /// As the wire has it.
    Other(&'a str),
}

impl<'a> Role<'a> {
    fn of(word: &'a str) -> Self {
        match word {
            "system" | "SYSTEM" => Self::System,
            "user" | "USER" => Self::User,
            "assistant" | "model" | "CHATBOT" => Self::Assistant,
            "tool" | "TOOL" => Self::Tool,
            other => Self::Other(other),
        }
    }

    /// Whether it instructs the model: OpenAI's newer word for the system is the developer. Most templates know only
    /// the older one.
    pub(super) fn instructs(self) -> bool {
        matches!(self, Self::System | Self::Other("developer"))
    }

    pub(super) const fn as_str(self) -> &'a str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Other(word) => word,
        }
    }
}

/// One turn.
#[derive(Debug, Default)]
pub(super) struct Turn<'a> {
    pub(super) role: Role<'a>,
    /// The role's own word, where the request has one.
    pub(super) word: Option<&'a str>,
    pub(super) content: Vec<Piece<'a>>,
    pub(super) reasoning: Vec<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) calls: Vec<Call<'a>>,
    /// The id of the call that it answers.
    pub(super) result_of: Option<&'a str>,
}

/// A piece of a turn's content.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    /// A picture, by its number in the prompt.
    Picture,
    /// A sound, a file, a video.
    Other,
}

/// A call of a tool.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Call<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) name: &'a str,
    /// JSON, or what the model made of it.
    pub(super) arguments: &'a str,
}

impl<'a> Turn<'a> {
    fn of(role: Role<'a>) -> Self {
        Self {
            role,
            ..Self::default()
        }
    }

    fn is_empty(&self) -> bool {
        self.content.is_empty() && self.calls.is_empty() && self.reasoning.is_empty()
    }

    /// The text of its content: several are joined by line ends, as servers do for templates that expect
    /// one text.
    pub(super) fn text(&self) -> Cow<'a, str> {
        joined(self.texts(), "\n")
    }

    /// The text of its content, several that are not empty joined by this.
    pub(super) fn text_by(&self, between: &str) -> Cow<'a, str> {
        joined(self.texts().filter(|text| !text.is_empty()), between)
    }

    fn texts(&self) -> impl Iterator<Item = &'a str> {
        self.content.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(*text),
            Piece::Picture | Piece::Other => None,
        })
    }

    /// Whether its content is null: none at all, or an empty one beside calls, which servers take for none.
    pub(super) fn says_nothing(&self) -> bool {
        let is_empty = |piece: &Piece<'_>| matches!(piece, Piece::Text(text) if text.is_empty());
        self.content.is_empty() || !self.calls.is_empty() && self.content.iter().all(is_empty)
    }

    /// Whether it has more than text.
    pub(super) fn has_media(&self) -> bool {
        let mut pieces = self.content.iter();
        pieces.any(|piece| !matches!(piece, Piece::Text(_)))
    }

    /// What the model thought.
    pub(super) fn thoughts(&self) -> Cow<'a, str> {
        joined(self.reasoning.iter().copied(), "\n")
    }
}

fn joined<'a>(mut texts: impl Iterator<Item = &'a str>, between: &str) -> Cow<'a, str> {
    let mut all = Cow::Borrowed(texts.next().unwrap_or_default());
    for text in texts {
        let all = all.to_mut();
        all.push_str(between);
        all.push_str(text);
    }
    all
}

impl<'a> Chat<'a> {
    /// The prompt as a conversation; `None` where it is none, or where its structure was given up.
    pub(super) fn of(prompt: &'a Prompt) -> Option<Self> {
        if prompt.overfull() || prompt.wrapping == Wrapping::Nothing {
            return None;
        }
        let mut builder = Builder::default();
        for (part, text) in prompt.tape() {
            builder.take(part, text, prompt.wrapping);
            if builder.turns.len() > MAX_TURNS {
                return None;
            }
        }
        let mut chat = builder.finish();
        if chat.turns.is_empty() {
            return None;
        }
        chat.opening = prompt.opening;
        chat.thinking = prompt.thinking;
        chat.effort = prompt.effort.as_deref();
        Some(chat)
    }

    /// Bytes of its texts.
    pub(super) fn length(&self) -> usize {
        let turns = self.turns.iter().map(|turn| {
            let content = turn.content.iter().map(|piece| match piece {
                Piece::Text(text) => text.len(),
                Piece::Picture | Piece::Other => 0,
            });
            let calls = turn.calls.iter().map(|call| call.arguments.len());
            let thoughts = turn.reasoning.iter().map(|text| text.len());
            content.chain(calls).chain(thoughts).sum::<usize>()
        });
        let tools = self.tools.iter().map(|tool| tool.len());
        turns.chain(tools).sum()
    }

    /// The text of the system's first turn, and the turns after it.
    pub(super) fn system(&self) -> (Option<Cow<'a, str>>, &[Turn<'a>]) {
        self.first_of(|role| role == Role::System)
    }

    /// The same, where templates take the developer for the system.
    pub(super) fn instructions(&self) -> (Option<Cow<'a, str>>, &[Turn<'a>]) {
        self.first_of(Role::instructs)
    }

    fn first_of(&self, is_it: impl Fn(Role<'a>) -> bool) -> (Option<Cow<'a, str>>, &[Turn<'a>]) {
        match self.turns.split_first() {
            Some((first, rest)) if is_it(first.role) => (Some(first.text()), rest),
            _ => (None, &self.turns),
        }
    }

    /// Where the last message is to be gone on with, says so behind its last text; `room` holds that text then.
    pub(super) fn mark_where_it_goes_on(&mut self, room: &'a mut String) {
        if self.opening != Opening::LastMessage {
            return;
        }
        let pieces = self.turns.last_mut().map(|turn| turn.content.iter_mut());
        let last = pieces
            .into_iter()
            .flatten()
            .rev()
            .find_map(|piece| match piece {
                Piece::Text(text) => Some(text),
                Piece::Picture | Piece::Other => None,
            });
        if let Some(last) = last {
            *room = format!("{last}{GOES_ON}");
            *last = room;
            self.goes_on = true;
        }
    }
}

/// Where the tape's parts belong.
#[derive(Debug, Default)]
struct Builder<'a> {
    chat: Chat<'a>,
    system: Vec<Turn<'a>>,
    turns: Vec<Turn<'a>>,
    /// The system's turn that stands apart is being read.
    in_system: bool,
    /// The turn around the result that is being read.
    host: Option<Role<'a>>,
    /// The id of a result or a call that has not begun.
    pending: Option<&'a str>,
}

impl<'a> Builder<'a> {
    fn turn(&mut self) -> &mut Turn<'a> {
        let turns = if self.in_system {
            &mut self.system
        } else {
            &mut self.turns
        };
        if turns.is_empty() {
            turns.push(Turn::default());
        }
        let last = turns.len() - 1;
        &mut turns[last]
    }

    fn begin(&mut self, turn: Turn<'a>) {
        self.settle();
        self.in_system = false;
        self.pending = None;
        self.turns.push(turn);
    }

    fn take(&mut self, part: Part, text: &'a str, wrapping: Wrapping) {
        match part {
            Part::Turn => {
                self.host = None;
                self.begin(Turn::default());
            }
            Part::System => {
                self.settle();
                self.in_system = true;
                self.system.push(Turn::of(Role::System));
            }
            Part::Result => {
                let id = self.pending.take();
                let role = self.turn().role;
                self.host = Some(role);
                self.begin(Turn {
                    result_of: id,
                    ..Turn::of(Role::Tool)
                });
            }
            Part::ResultEnd => {
                let role = self.host.unwrap_or_default();
                self.begin(Turn::of(role));
            }
            Part::Call => {
                let id = self.pending.take();
                self.turn().calls.push(Call {
                    id,
                    ..Call::default()
                });
            }
            Part::Picture => self.turn().content.push(Piece::Picture),
            Part::Other => self.turn().content.push(Piece::Other),
            Part::Text if wrapping == Wrapping::Texts => self.begin(Turn {
                content: vec![Piece::Text(text)],
                ..Turn::default()
            }),
            Part::Text | Part::Suffix | Part::Loose => {}
            Part::Role => {
                let turn = self.turn();
                turn.role = Role::of(text);
                turn.word = Some(text);
            }
            Part::Content | Part::ContentValue => self.turn().content.push(Piece::Text(text)),
            Part::Reasoning => self.turn().reasoning.push(text),
            Part::Name => self.turn().name = Some(text),
            Part::ResultId => self.turn().result_of = Some(text),
            Part::CallId | Part::ResultRef => self.id(text),
            Part::CallName => {
                if let Some(call) = self.turn().calls.last_mut() {
                    call.name = text;
                }
            }
            Part::Arguments | Part::ArgumentsValue => {
                if let Some(call) = self.turn().calls.last_mut() {
                    call.arguments = text;
                }
            }
            Part::Document => self.chat.documents.push(text),
            Part::Tool => self.chat.tools.push(text),
            Part::Settings => self.chat.settings = Some(text),
        }
    }

    /// An id is that of the call or result just before it, or of the one that follows.
    fn id(&mut self, text: &'a str) {
        if let Some(call) = self.turn().calls.last_mut()
            && call.id.is_none()
        {
            call.id = Some(text);
            return;
        }
        if self.host.is_some()
            && self.turn().is_empty()
            && let Some(tool) = self.turns.iter_mut().rev().nth(1)
            && tool.role == Role::Tool
            && tool.result_of.is_none()
        {
            tool.result_of = Some(text);
            return;
        }
        self.pending = Some(text);
    }

    /// The last turn is over. Without a role it is whose its content tells; an item of the assistant's is
    /// one turn with those before it.
    fn settle(&mut self) {
        if self.in_system {
            return;
        }
        let Some(mut turn) = self.turns.pop() else {
            return;
        };
        if turn.word.is_none() && turn.role == Role::User {
            if turn.is_empty() {
                return;
            }
            if !turn.calls.is_empty() || !turn.reasoning.is_empty() {
                turn.role = Role::Assistant;
                if let Some(before) = self.turns.last_mut()
                    && before.role == Role::Assistant
                {
                    before.calls.append(&mut turn.calls);
                    before.reasoning.append(&mut turn.reasoning);
                    before.content.append(&mut turn.content);
                    return;
                }
            }
        }
        // Around results alone, nothing is left of a turn.
        if self.host.is_some() && turn.role != Role::Tool && turn.is_empty() {
            return;
        }
        self.turns.push(turn);
    }

    fn finish(mut self) -> Chat<'a> {
        self.in_system = false;
        self.settle();
        let mut chat = self.chat;
        chat.turns = self.system;
        chat.turns.append(&mut self.turns);
        chat
    }
}

impl Chat<'_> {
    /// Whether the model is to think, by the request's own field or a setting of the template's.
    pub(super) fn thinking(&self) -> Option<bool> {
        let setting = || {
            let settings = super::python::value(self.settings?);
            let set = |key: &str| settings.get(key).and_then(serde_json::Value::as_bool);
            set("enable_thinking").or_else(|| set("thinking"))
        };
        self.thinking.or_else(setting)
    }
}
