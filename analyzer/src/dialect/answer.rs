//! What a dialect reads from a response.

use std::collections::BTreeMap;

use super::{
    Final,
    text::{Room, cut_to},
};

/// Choices of one answer that are told apart; text of further ones is not counted. The API allows
/// an `n` of 128, vLLM of 16,384, and people ask for ten at most.
pub const MAX_CHOICES: usize = 1_024;

/// Tool calls of one answer that are told apart, over all choices; those beyond are not counted.
pub const MAX_TOOL_CALLS: usize = 1_024;

/// Bytes of a finish reason, an error's type or its code that are kept.
pub const MAX_WORD: usize = 256;

/// Bytes of a tool's name that are kept; the API allows 64 characters.
pub const MAX_TOOL_NAME: usize = 1_024;

/// The largest token figure that is believed: 2⁵³, exact in JSON and in SQL, far above any truth.
pub const MAX_TOKENS: u64 = 1 << 53;

/// The tool-call index that stands for the old `function_call` field, which has none.
pub const FUNCTION_CALL: u32 = u32::MAX;

/// The facts of one answer.
#[derive(Debug, Default)]
pub struct AnswerFacts {
    /// The answer's own id.
    pub id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The body's own name for its kind of object.
    pub object: String,
    /// Choices by index.
    pub choices: BTreeMap<u32, Choice>,
    /// The server's token figures. While the answer is read they are the wire's own;
    /// `Answer::settle` brings them to the meaning that [`Usage`] states.
    pub usage: Usage,
    /// The wire's own figure of prompt tokens, where it means another thing than [`Usage::input`].
    pub reported_input: Option<u64>,
    /// The wire's own figure of generated tokens, where it means another thing than [`Usage::output`].
    pub reported_output: Option<u64>,
    /// Where the server says that its time went.
    pub server_times: ServerTimes,
    /// Whether the dialect's own final event was read.
    pub ended: Final,
    /// llama.cpp's figures, the last of each.
    pub timings: Timings,
    /// Whether output followed the last figure of generated tokens, which then is of a part only:
    /// some servers send a usage with the first chunk, and the last one may have been lost.
    pub usage_is_behind: bool,
    /// The server's error.
    pub error: Option<ErrorFacts>,
    /// What the current event has carried so far.
    pub event: Carried,
    /// The kind of output that the current event carried last.
    pub event_kind: OutputKind,
    pub(super) room: Room,
    /// The current event has a figure of generated tokens.
    counts_output: bool,
    /// Tool calls over all choices.
    tool_calls: usize,
    /// A choice, a tool call or a text past the bounds was left out.
    left_out: bool,
}

/// What one event (or a plain body) carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carried {
    /// No choice.
    #[default]
    Nothing,
    /// A choice, but nothing in it.
    Choice,
    /// Output.
    Output,
}

/// Kinds of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputKind {
    /// The answer itself, a refusal, a transcript.
    #[default]
    Content,
    /// Thoughts.
    Reasoning,
    /// A tool's name or arguments.
    Tool,
    /// Sound or pictures.
    Media,
}

/// A place for a piece of output in a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// [`Choice::content`]
    Content,
    /// [`Choice::reasoning`]
    Reasoning,
    /// [`Choice::refusal`]
    Refusal,
    /// [`Choice::transcript`]
    Transcript,
    /// [`Tool::name`]
    ToolName,
    /// [`Tool::arguments`]
    ToolArguments,
}

impl Text {
    /// The kind of output that it is.
    pub const fn kind(self) -> OutputKind {
        match self {
            Self::Content | Self::Refusal | Self::Transcript => OutputKind::Content,
            Self::Reasoning => OutputKind::Reasoning,
            Self::ToolName | Self::ToolArguments => OutputKind::Tool,
        }
    }
}

/// Where the server says that its time went, in microseconds; the last of each figure holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerTimes {
    /// Waiting for its turn.
    pub queue: Option<i64>,
    /// Computing the prompt.
    pub prefill: Option<i64>,
    /// Generating.
    pub decode: Option<i64>,
    /// Loading the model.
    pub load: Option<i64>,
    /// All of it.
    pub total: Option<i64>,
}

impl ServerTimes {
    /// A figure of this unit as microseconds, rounded: `None` for what is no span of time, and for
    /// one above 30 years, which nobody waits for.
    pub fn micros(number: &str, unit: Unit) -> Option<i64> {
        const LONGEST: f64 = 1e15;
        let micros = number.trim().parse::<f64>().ok()? * unit.in_micros();
        (0.0..LONGEST)
            .contains(&micros)
            .then_some(micros.round() as i64)
    }
}

/// Units of time on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Ollama's.
    Nanoseconds,
    /// Those of most others.
    Milliseconds,
    /// Groq's and SGLang's.
    Seconds,
}

impl Unit {
    const fn in_micros(self) -> f64 {
        match self {
            Self::Nanoseconds => 1e-3,
            Self::Milliseconds => 1e3,
            Self::Seconds => 1e6,
        }
    }
}

/// One choice's text by kind, pieces joined.
#[derive(Debug, Default)]
pub struct Choice {
    /// The answer itself.
    pub content: String,
    /// The thoughts before it.
    pub reasoning: String,
    /// A refusal.
    pub refusal: String,
    /// What generated audio says.
    pub transcript: String,
    /// Tool calls by index.
    pub tools: BTreeMap<u32, Tool>,
    /// Why it ended.
    pub finish_reason: Option<String>,
}

/// One tool call.
#[derive(Debug, Default)]
pub struct Tool {
    /// The function's name.
    pub name: String,
    /// Its arguments, as text.
    pub arguments: String,
}

impl Tool {
    /// Takes a piece of its name or arguments.
    pub fn append(&mut self, text: Text, piece: &str) {
        match text {
            Text::ToolName => cut_to(&mut self.name, piece, MAX_TOOL_NAME),
            _ => self.arguments.push_str(piece),
        }
    }
}

impl Choice {
    /// Takes a piece of text; those of tool calls have their own place.
    pub fn append(&mut self, text: Text, piece: &str) {
        match text {
            Text::Content => self.content.push_str(piece),
            Text::Reasoning => self.reasoning.push_str(piece),
            Text::Refusal => self.refusal.push_str(piece),
            Text::Transcript => self.transcript.push_str(piece),
            Text::ToolName | Text::ToolArguments => {}
        }
    }

    /// Takes a piece of its finish reason.
    pub fn finish_piece(&mut self, piece: &str) {
        cut_to(self.finish_reason.get_or_insert_default(), piece, MAX_WORD);
    }

    /// Every text that is counted on its own.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        [
            &self.content,
            &self.reasoning,
            &self.refusal,
            &self.transcript,
        ]
        .into_iter()
        .chain(self.tools.values().flat_map(|t| [&t.name, &t.arguments]))
        .map(String::as_str)
        .filter(|text| !text.is_empty())
    }
}

/// The server's own token figures, the last of each.
///
/// By the design's definition: `input` is all of the prompt, `cached` and `cache_write` included;
/// `output` is all that was generated, `reasoning` included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens.
    pub input: Option<u64>,
    /// Generated tokens.
    pub output: Option<u64>,
    /// Prompt tokens from a cache.
    pub cached: Option<u64>,
    /// Prompt tokens written to a cache.
    pub cache_write: Option<u64>,
    /// Generated tokens that were reasoning.
    pub reasoning: Option<u64>,
    /// Audio tokens of the prompt.
    pub audio_input: Option<u64>,
    /// Generated audio tokens.
    pub audio_output: Option<u64>,
}

/// llama.cpp's own figures, which its last chunk has without being asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Prompt tokens that were computed.
    pub prompt: Option<u64>,
    /// Prompt tokens from the cache; older servers do not say.
    pub cache: Option<u64>,
    /// Generated tokens.
    pub predicted: Option<u64>,
}

impl Timings {
    /// The usage that they amount to. What was computed alone is not the whole prompt.
    pub fn usage(&self) -> Usage {
        Usage {
            input: self
                .prompt
                .zip(self.cache)
                .map(|(a, b)| a.saturating_add(b)),
            output: self.predicted,
            cached: self.cache,
            ..Usage::default()
        }
    }
}

/// The server's error object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorFacts {
    /// Its `type`.
    pub kind: Option<String>,
    /// Its `code`.
    pub code: Option<String>,
}

/// One choice of one event, until its index is known: some servers write `delta` before `index`.
#[derive(Debug, Default)]
pub struct Staged {
    /// The choice's index, where it was given.
    pub index: Option<u32>,
    /// Its position in the array, which stands in for a missing index.
    pub position: u32,
    /// Its text.
    pub choice: Choice,
    /// The tool call that is being read, until its index is known.
    pub tool: StagedTool,
    /// The finish reason that is being read: only a whole one counts.
    pub reason: String,
    open: bool,
    left_out: bool,
}

/// One tool call of one event.
#[derive(Debug, Default)]
pub struct StagedTool {
    /// Its index, where it was given.
    pub index: Option<u32>,
    /// Its position in the array, which stands in for a missing index.
    pub position: u32,
    /// Its text.
    pub tool: Tool,
    open: bool,
}

impl AnswerFacts {
    /// Text was left out for want of room.
    pub const fn cut(&self) -> bool {
        self.room.cut() || self.left_out
    }

    /// Text past a bound was left out.
    pub const fn leave_out(&mut self) {
        self.left_out = true;
    }

    /// Begins the current event.
    pub fn begin_event(&mut self) {
        self.event = Carried::Nothing;
        self.event_kind = OutputKind::default();
    }

    /// The current event is over: its figures hold for its own output too, wherever they stand in it.
    pub fn end_event(&mut self) {
        if std::mem::take(&mut self.counts_output) {
            self.usage_is_behind = false;
        } else if self.event == Carried::Output {
            self.usage_is_behind = true;
        }
    }

    /// A figure of generated tokens in llama.cpp's timings.
    pub fn predicted_figure(&mut self, figure: u64) {
        self.timings.predicted = Some(figure);
        self.counts_output = true;
    }

    /// A figure of generated tokens.
    pub fn output_figure(&mut self, figure: u64) {
        // Figures are cumulative where they repeat: the last one wins. A zero behind another figure
        // is some proxy's filling.
        if figure > 0 || self.usage.output.is_none() {
            self.usage.output = Some(figure);
        }
        self.counts_output = true;
    }

    /// The current event carries this at least.
    pub fn carries(&mut self, what: Carried) {
        self.event = self.event.max(what);
    }

    /// The current event carries output of this kind.
    pub fn carries_output(&mut self, kind: OutputKind) {
        self.event = Carried::Output;
        self.event_kind = kind;
    }

    /// A non-empty piece of output, to be kept where there is room.
    pub fn output<'a>(&mut self, text: Text, piece: &'a str) -> &'a str {
        self.carries_output(text.kind());
        self.room.take(piece)
    }

    /// Adds a non-empty piece of output to the choice (and tool call) of this index: for dialects
    /// that say the index before the text. Others stage it: see [`Staged`].
    pub fn add(&mut self, choice: u32, tool: u32, text: Text, piece: &str) {
        let kept = self.output(text, piece);
        match text {
            Text::ToolName | Text::ToolArguments => {
                if let Some(into) = self.tool(choice, tool) {
                    into.append(text, kept);
                }
            }
            _ => {
                if let Some(into) = self.choice(choice) {
                    into.append(text, kept);
                }
            }
        }
    }

    /// The choice of this index, made where it is new; `None` past [`MAX_CHOICES`].
    pub fn choice(&mut self, index: u32) -> Option<&mut Choice> {
        if self.choices.len() >= MAX_CHOICES && !self.choices.contains_key(&index) {
            self.left_out = true;
            return None;
        }
        Some(self.choices.entry(index).or_default())
    }

    /// The tool call of this index, made where it is new; `None` past [`MAX_TOOL_CALLS`].
    pub fn tool(&mut self, choice: u32, index: u32) -> Option<&mut Tool> {
        let known = self
            .choices
            .get(&choice)
            .is_some_and(|choice| choice.tools.contains_key(&index));
        if !known {
            if self.tool_calls >= MAX_TOOL_CALLS {
                self.left_out = true;
                return None;
            }
            self.tool_calls += 1;
        }
        Some(self.choice(choice)?.tools.entry(index).or_default())
    }

    /// Takes a piece of the answer's id.
    pub fn id_piece(&mut self, piece: &str) {
        cut_to(self.id.get_or_insert_default(), piece, MAX_WORD);
    }

    /// Takes a piece of the model's name.
    pub fn model_piece(&mut self, piece: &str) {
        cut_to(
            self.model.get_or_insert_default(),
            piece,
            super::request::MAX_MODEL,
        );
    }

    /// Moves a staged choice, whole or cut off, to where it belongs.
    pub fn commit(&mut self, staged: &mut Staged) {
        staged.commit_tool();
        self.left_out |= std::mem::take(&mut staged.left_out);
        if !std::mem::take(&mut staged.open) {
            return;
        }
        let index = staged.index.take().unwrap_or(staged.position);
        if self.choices.len() >= MAX_CHOICES && !self.choices.contains_key(&index) {
            self.left_out = true;
            staged.choice = Choice::default();
            return;
        }
        let into = self.choices.entry(index).or_default();
        let from = &mut staged.choice;
        append(&mut into.content, &mut from.content);
        append(&mut into.reasoning, &mut from.reasoning);
        append(&mut into.refusal, &mut from.refusal);
        append(&mut into.transcript, &mut from.transcript);
        while let Some((index, mut tool)) = from.tools.pop_first() {
            if !into.tools.contains_key(&index) {
                if self.tool_calls >= MAX_TOOL_CALLS {
                    self.left_out = true;
                    continue;
                }
                self.tool_calls += 1;
            }
            let known = into.tools.entry(index).or_default();
            // Some servers repeat the name with every piece of the arguments.
            if known.name.is_empty() {
                known.name = tool.name;
            }
            append(&mut known.arguments, &mut tool.arguments);
        }
        if let Some(reason) = from.finish_reason.take() {
            into.finish_reason = Some(reason);
        }
    }

    /// Whether every choice seen has ended, and as many were seen as were expected.
    pub fn all_finished(&self, expected: u32) -> bool {
        let finished = self
            .choices
            .values()
            .filter(|choice| choice.finish_reason.is_some())
            .count();
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        finished >= expected.clamp(1, MAX_CHOICES) && finished == self.choices.len()
    }

    /// Finish reasons in the order of the choices.
    pub fn finish_reasons(&self) -> Vec<String> {
        self.choices
            .values()
            .filter_map(|choice| choice.finish_reason.clone())
            .collect()
    }
}

impl Staged {
    /// Takes a piece of output that there was room for.
    pub fn append(&mut self, text: Text, kept: &str) {
        self.choice.append(text, kept);
        if matches!(text, Text::ToolName | Text::ToolArguments) {
            self.tool.tool.append(text, kept);
        }
    }

    /// Begins the choice at this position of its array.
    pub fn begin(&mut self, position: u32) {
        self.index = None;
        self.position = position;
        self.reason.clear();
        self.open = true;
    }

    /// The finish reason is whole. Some servers write an empty one, or the text `null`, into every
    /// chunk of a choice that goes on: that is none.
    pub fn end_reason(&mut self) {
        let reason = std::mem::take(&mut self.reason);
        if !matches!(reason.as_str(), "" | "null") {
            self.choice.finish_reason = Some(reason);
        }
    }

    /// Begins a tool call.
    pub fn begin_tool(&mut self, position: u32) {
        self.tool.index = None;
        self.tool.position = position;
        self.tool.open = true;
    }

    /// Moves the staged tool call, whole or cut off, into the staged choice.
    pub fn commit_tool(&mut self) {
        if !std::mem::take(&mut self.tool.open) {
            return;
        }
        let index = self.tool.index.take().unwrap_or(self.tool.position);
        let tools = &mut self.choice.tools;
        if tools.len() >= MAX_TOOL_CALLS && !tools.contains_key(&index) {
            self.tool.tool = Tool::default();
            self.left_out = true;
            return;
        }
        let into = tools.entry(index).or_default();
        append(&mut into.name, &mut self.tool.tool.name);
        append(&mut into.arguments, &mut self.tool.tool.arguments);
    }
}

impl Usage {
    /// A token figure as the wire writes it; `None` for what is no count.
    pub fn figure(number: &str) -> Option<u64> {
        let figure = number.parse::<u64>().ok().or_else(|| {
            let float = number.parse::<f64>().ok()?;
            (float >= 0.0 && float.fract() == 0.0 && float <= MAX_TOKENS as f64)
                .then_some(float as u64)
        })?;
        (figure <= MAX_TOKENS).then_some(figure)
    }

    /// These figures, and those of `other` where one is missing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            input: self.input.or(other.input),
            output: self.output.or(other.output),
            cached: self.cached.or(other.cached),
            cache_write: self.cache_write.or(other.cache_write),
            reasoning: self.reasoning.or(other.reasoning),
            audio_input: self.audio_input.or(other.audio_input),
            audio_output: self.audio_output.or(other.audio_output),
        }
    }

    /// Audio tokens in both directions.
    pub fn audio(&self) -> Option<u64> {
        sum(self.audio_input, self.audio_output)
    }
}

/// The sum of what is known; `None` where nothing is.
pub fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (None, None) => None,
        _ => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
    }
}

/// Moves text behind other text, without copying where that is empty and the move is worth it.
fn append(into: &mut String, from: &mut String) {
    // Below this, keeping the staging buffer's capacity saves an allocation for each event.
    const SMALL: usize = 4_096;
    if into.is_empty() && from.len() > SMALL {
        std::mem::swap(into, from);
    } else {
        into.push_str(from);
        from.clear();
    }
    if from.capacity() > 2 * SMALL {
        *from = String::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_counts_or_nothing() {
        for (text, expected) in [
            ("0", Some(0)),
            ("12", Some(12)),
            ("12.0", Some(12)),
            ("1e3", Some(1_000)),
            ("-1", None),
            ("1.5", None),
            ("9007199254740992", Some(1 << 53)),
            ("9007199254740993", None),
            ("99999999999999999999999", None),
            ("1e999", None),
            ("-", None),
        ] {
            assert_eq!(Usage::figure(text), expected, "{text}");
        }
    }

    #[test]
    fn the_number_of_choices_is_bounded() {
        let mut facts = AnswerFacts::default();
        let mut staged = Staged::default();
        for index in 0..=MAX_CHOICES as u32 {
            staged.begin(0);
            staged.index = Some(index);
            staged.choice.content.push('x');
            facts.commit(&mut staged);
        }
        assert_eq!(facts.choices.len(), MAX_CHOICES);
        assert!(facts.cut());
        assert!(staged.choice.content.is_empty());
    }

    #[test]
    fn the_number_of_tool_calls_is_bounded_over_all_choices() {
        let mut facts = AnswerFacts::default();
        let mut staged = Staged::default();
        for index in 0..=MAX_TOOL_CALLS as u32 {
            staged.begin(index % 2);
            staged.begin_tool(index);
            facts.commit(&mut staged);
            assert_eq!(facts.cut(), index as usize >= MAX_TOOL_CALLS);
        }
        let tools: usize = facts.choices.values().map(|c| c.tools.len()).sum();
        assert_eq!(tools, MAX_TOOL_CALLS);
    }
}
