//! What the person chose to see, and the keys by which.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    picture::{Call, Model, Picture, UnderWay},
    rates::Rates,
};

/// Characters of a filter: more fit no line.
const FILTER: usize = 64;

/// Lines of a page: it fits the smallest terminal, and a few pages go through all that is shown.
const PAGE: usize = 10;

/// The state of the view.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, turned by a key of its own"
)]
pub(super) struct View {
    pub(super) picture: Picture,
    pub(super) rates: Rates,
    /// Why the picture is not the newest.
    pub(super) trouble: Option<String>,
    pub(super) pane: Pane,
    pub(super) calls_by: CallsBy,
    pub(super) models_by: ModelsBy,
    pub(super) reversed: bool,
    pub(super) filter: String,
    /// The filter is being written.
    pub(super) typing: bool,
    pub(super) paused: bool,
    pub(super) help: bool,
    /// Lines that the pane that is alone is scrolled down by.
    pub(super) scroll: usize,
    /// Rows that it has room for.
    pub(super) room: usize,
}

/// Which part is shown: all, or one with the whole screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    All,
    UnderWay,
    Models,
    Last,
    Errors,
    Losses,
}

/// The order of calls under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CallsBy {
    #[default]
    Age,
    Tokens,
    Model,
    Client,
}

/// The order of models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ModelsBy {
    #[default]
    Calls,
    NotOk,
    Input,
    Output,
    Name,
}

/// What a key asks of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Nothing,
    Quit,
    Suspend,
}

impl View {
    /// Takes a newer picture, unless the view is paused.
    pub(super) fn take(&mut self, picture: Picture) {
        self.trouble = None;
        self.rates.take(&picture);
        if !self.paused {
            self.picture = picture;
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Ask {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Ask::Quit,
                KeyCode::Char('z') => Ask::Suspend,
                _ => Ask::Nothing,
            };
        }
        if self.typing {
            self.type_key(key.code);
            return Ask::Nothing;
        }
        if self.help {
            self.help = false;
            return Ask::Nothing;
        }
        match key.code {
            KeyCode::Char('q') => return Ask::Quit,
            KeyCode::Esc if self.pane != Pane::All => self.show(Pane::All),
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char('s') => self.next_order(),
            KeyCode::Char('m') => self.models_by = self.models_by.next(),
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Tab => self.show(self.pane.next()),
            KeyCode::Char('0') => self.show(Pane::All),
            KeyCode::Char('1') => self.show(Pane::UnderWay),
            KeyCode::Char('2') => self.show(Pane::Models),
            KeyCode::Char('3') => self.show(Pane::Last),
            KeyCode::Char('4' | 'e') => self.show(Pane::Errors),
            KeyCode::Char('5' | 'l') => self.show(Pane::Losses),
            KeyCode::Down | KeyCode::Char('j') => self.scroll += 1,
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll += PAGE,
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(PAGE),
            KeyCode::Home => self.scroll = 0,
            KeyCode::End => self.scroll = usize::MAX,
            _ => {}
        }
        // Else the way back would be as long as the way beyond the end.
        self.scroll = self.scroll.min(self.rows().saturating_sub(self.room));
        Ask::Nothing
    }

    /// Rows of the pane that is alone.
    fn rows(&self) -> usize {
        match self.pane {
            Pane::All => 0,
            Pane::UnderWay => self.under_way().len(),
            Pane::Models => self.models().len(),
            Pane::Last => self.last(false).len(),
            Pane::Errors => self.last(true).len(),
            Pane::Losses => self.picture.status.losses.len(),
        }
    }

    fn type_key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(c) if self.filter.chars().count() < FILTER => self.filter.push(c),
            _ => {}
        }
        self.scroll = 0;
    }

    fn show(&mut self, pane: Pane) {
        self.pane = pane;
        self.scroll = 0;
    }

    fn next_order(&mut self) {
        if self.pane == Pane::Models {
            self.models_by = self.models_by.next();
        } else {
            self.calls_by = self.calls_by.next();
        }
    }

    /// Calls under way that the filter lets through, in order.
    pub(super) fn under_way(&self) -> Vec<&UnderWay> {
        let calls = self.picture.under_way.iter().flatten();
        let mut calls: Vec<_> = calls
            .filter(|call| {
                let operation = call.operation.as_deref().unwrap_or_default();
                self.fits(&[call.model(), call.client(), operation, call.stage()])
            })
            .collect();
        let age = |call: &UnderWay| call.age.unwrap_or(0.0);
        calls.sort_by(|a, b| age(b).total_cmp(&age(a)));
        match self.calls_by {
            CallsBy::Age => {}
            CallsBy::Tokens => calls.sort_by_key(|call| std::cmp::Reverse(call.tokens())),
            CallsBy::Model => calls.sort_by(|a, b| a.model().cmp(b.model())),
            CallsBy::Client => calls.sort_by(|a, b| a.client().cmp(b.client())),
        }
        if self.reversed {
            calls.reverse();
        }
        calls
    }

    /// Models that the filter lets through, in order.
    pub(super) fn models(&self) -> Vec<&Model> {
        let models = self.picture.status.calls.models.iter();
        let mut models: Vec<_> = models.filter(|model| self.fits(&[&model.model])).collect();
        let most = |n: u64| std::cmp::Reverse(n);
        models.sort_by(|a, b| a.model.cmp(&b.model));
        match self.models_by {
            ModelsBy::Calls => models.sort_by_key(|model| most(model.totals.calls)),
            ModelsBy::NotOk => models.sort_by_key(|model| most(model.totals.not_ok)),
            ModelsBy::Input => models.sort_by_key(|model| most(model.totals.input_tokens)),
            ModelsBy::Output => models.sort_by_key(|model| most(model.totals.output_tokens)),
            ModelsBy::Name => {}
        }
        if self.reversed {
            models.reverse();
        }
        models
    }

    /// The last calls, or errors, that the filter lets through, newest first.
    pub(super) fn last(&self, errors: bool) -> Vec<&Call> {
        let calls = &self.picture.status.calls;
        let calls = if errors {
            &calls.last_errors
        } else {
            &calls.last_calls
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        calls
            .iter()
            .filter(|call| {
                let (model, client) = (text(&call.model), text(&call.client));
                let operation = text(&call.operation);
                self.fits(&[&model, &client, &operation, &call.outcome])
            })
            .collect()
    }

    /// Whether one of the texts has the filter in it, whatever the case.
    fn fits(&self, texts: &[&str]) -> bool {
        let wanted = self.filter.to_lowercase();
        wanted.is_empty()
            || texts
                .iter()
                .any(|text| text.to_lowercase().contains(&wanted))
    }
}

impl Pane {
    const fn next(self) -> Self {
        match self {
            Self::All => Self::UnderWay,
            Self::UnderWay => Self::Models,
            Self::Models => Self::Last,
            Self::Last => Self::Errors,
            Self::Errors => Self::Losses,
            Self::Losses => Self::All,
        }
    }
}

impl CallsBy {
    const fn next(self) -> Self {
        match self {
            Self::Age => Self::Tokens,
            Self::Tokens => Self::Model,
            Self::Model => Self::Client,
            Self::Client => Self::Age,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Tokens => "tokens",
            Self::Model => "model",
            Self::Client => "client",
        }
    }
}

impl ModelsBy {
    const fn next(self) -> Self {
        match self {
            Self::Calls => Self::NotOk,
            Self::NotOk => Self::Input,
            Self::Input => Self::Output,
            Self::Output => Self::Name,
            Self::Name => Self::Calls,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::NotOk => "not ok",
            Self::Input => "input",
            Self::Output => "output",
            Self::Name => "name",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(view: &mut View, keys: &str) -> Ask {
        let mut last = Ask::Nothing;
        for c in keys.chars() {
            let code = if c == '\n' {
                KeyCode::Enter
            } else {
                KeyCode::Char(c)
            };
            last = view.key(KeyEvent::new(code, KeyModifiers::NONE));
        }
        last
    }

    fn view() -> View {
        let call = |age: f64, model: &str, events| UnderWay {
            age: Some(age),
            request_model: Some(model.to_owned()),
            events,
            ..UnderWay::default()
        };
        let mut view = View::default();
        view.take(Picture {
            under_way: Some(vec![
                call(1.0, "b", 9),
                call(5.0, "A", 2),
                call(3.0, "c", 5),
            ]),
            ..Picture::default()
        });
        view
    }

    fn shown(view: &View) -> String {
        view.under_way().iter().map(|call| call.model()).collect()
    }

    #[test]
    fn keys_sort_and_turn_around() {
        let mut view = view();
        assert_eq!(shown(&view), "Acb");
        press(&mut view, "s");
        assert_eq!(shown(&view), "bcA");
        press(&mut view, "r");
        assert_eq!(shown(&view), "Acb");
    }

    #[test]
    fn a_filter_is_typed_and_its_letters_are_no_commands() {
        let mut view = view();
        assert_eq!(press(&mut view, "/B"), Ask::Nothing);
        assert_eq!(shown(&view), "b");
        assert_eq!(press(&mut view, "q"), Ask::Nothing);
        assert_eq!(shown(&view), "");
        assert_eq!(press(&mut view, "\nq"), Ask::Quit);
    }

    #[test]
    fn scrolling_ends_at_the_last_row() {
        let mut view = view();
        view.room = 1;
        press(&mut view, "1jjjjjjjj");
        assert_eq!(view.scroll, 2);
        press(&mut view, "k");
        assert_eq!(view.scroll, 1);
        view.key(KeyEvent::new(KeyCode::End, KeyModifiers::NONE));
        view.key(KeyEvent::new(KeyCode::PageUp, KeyModifiers::NONE));
        assert_eq!(view.scroll, 0);
    }

    #[test]
    fn paused_the_picture_stays() {
        let mut view = view();
        press(&mut view, "p");
        view.take(Picture::default());
        assert_eq!(shown(&view), "Acb");
        press(&mut view, "p");
        view.take(Picture::default());
        assert_eq!(shown(&view), "");
    }
}
