//! The view on the screen. Every text passes [`human::left`] or [`human::right`]: nothing off the wire drives the
//! terminal, and a column is as wide as it should be whatever stands in it.

use analyzer::time::Timestamp;
use ratatui::{
    Frame,
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};

use super::{
    picture::{Call, Model, UnderWay},
    view::{Pane, View},
};
use crate::cli::{
    human,
    table::Side::{self, Left, Right},
};

/// Lines above the panes, and below them.
const HEADER: u16 = 4;
const FOOTER: u16 = 1;

/// Lines of a pane that are no rows: its title, and its columns' titles.
const HEADING: u16 = 2;

/// With less than this, what is shown is that it is too little.
const LEAST: (u16, u16) = (40, 10);

/// A client's column appears from this width on.
const WIDE: u16 = 100;

const HELP: &str = "\
q  Ctrl-C   leave
?  h        this help; any key closes it
p  space    pause and go on
/           filter by model, client, operation or outcome; Enter keeps it, Esc clears it
s           calls under way by age, tokens, model, client
m           models by calls, not ok, input, output, name
r           turn the order around
Tab         the next pane alone; Esc shows all again
1 2 3 4 5   in flight, models, last calls, errors, losses alone; 0 all
j k  ↓ ↑    scroll a pane that is alone
Ctrl-Z      suspend

tokens      output so far: the server's figure, or ~ the events of the stream
ttft        time to first token; above, of the last calls shown";

/// Where what is shown comes from, and how.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) title: String,
    /// Whether there are colours.
    pub(super) coloured: bool,
}

/// A column: title, cells (0: what is left), side.
type Column = (&'static str, u16, Side);

/// A row: its cells, and whether it stands out.
type Row = (Vec<String>, bool);

impl Look {
    fn alarm(&self) -> Style {
        if self.coloured {
            Style::new().fg(Color::Red)
        } else {
            Style::new().add_modifier(Modifier::BOLD)
        }
    }

    fn heading(&self) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        if self.coloured {
            style.fg(Color::Cyan)
        } else {
            style
        }
    }
}

/// Draws all.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View, look: &Look) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("llmtap top needs {} columns and {} lines", LEAST.0, LEAST.1);
        put(buffer, area, 0, &text, Style::new());
        return;
    }
    header(buffer, area, view, look);
    footer(buffer, area, view);
    let panes = Rect {
        y: area.y + HEADER,
        height: area.height - HEADER - FOOTER,
        ..area
    };
    if view.help {
        for (line, text) in (0..panes.height).zip(HELP.lines()) {
            put(buffer, panes, line, text, Style::new());
        }
        return;
    }
    let scroll = view.scroll;
    match view.pane {
        Pane::All => all(buffer, panes, view, look),
        Pane::UnderWay => under_way(buffer, panes, view, look, scroll),
        Pane::Models => models(buffer, panes, view, look, scroll),
        Pane::Last => last(buffer, panes, view, look, scroll),
        Pane::Errors => errors(buffer, panes, view, look, scroll),
        Pane::Losses => losses(buffer, panes, view, look, scroll),
    }
}

/// The panes one below the other: the first two as high as their rows need, within bounds.
fn all(buffer: &mut Buffer, area: Rect, view: &View, look: &Look) {
    let needs = |rows: usize| {
        u16::try_from(rows.max(1))
            .unwrap_or(u16::MAX)
            .saturating_add(HEADING)
    };
    let third = area.height / 3;
    let under_way_lines = needs(view.under_way().len()).min(third);
    let models_lines = needs(view.models().len()).min(third);
    let part = |y, height| Rect { y, height, ..area };
    under_way(buffer, part(area.y, under_way_lines), view, look, 0);
    let y = area.y + under_way_lines;
    models(buffer, part(y, models_lines), view, look, 0);
    let y = y + models_lines;
    last(buffer, part(y, area.y + area.height - y), view, look, 0);
}

fn header(buffer: &mut Buffer, area: Rect, view: &View, look: &Look) {
    let picture = &view.picture;
    let status = &picture.status;
    let state = match (&view.trouble, view.paused, &picture.note) {
        (Some(why), ..) => why.clone(),
        (None, true, _) => "PAUSED (p goes on)".to_owned(),
        (None, false, Some(note)) => note.clone(),
        (None, false, None) => match (&status.capture.detail, status.capture.state.as_str()) {
            (Some(detail), state) => format!("{state}: {detail}"),
            (None, "none") => "not capturing".to_owned(),
            (None, state) => state.to_owned(),
        },
    };
    let style = if view.trouble.is_some() {
        look.alarm()
    } else {
        look.heading()
    };
    put(
        buffer,
        area,
        0,
        &format!("llmtap top  {}  {state}", look.title),
        style,
    );

    let total = status.calls.total;
    let rates = view.rates.now();
    let rate = |of: fn(super::rates::Now) -> f64| {
        rates.map_or_else(|| "-".to_owned(), |now| per_second(of(now)))
    };
    let share = total.not_ok as f64 * 100.0 / total.calls.max(1) as f64;
    let line = format!(
        "calls {}  {}/s   in flight {}   not ok {} ({share:.1} %)",
        human::count(total.calls),
        rate(|now| now.calls),
        human::count(view.picture.under_way.as_ref().map_or_else(
            || u64::try_from(status.in_flight).unwrap_or(0),
            |calls| calls.len() as u64
        )),
        human::count(total.not_ok),
    );
    put(buffer, area, 1, &line, Style::new());
    let mut ttft: Vec<_> = status
        .calls
        .last_calls
        .iter()
        .filter_map(|call| call.ttft)
        .collect();
    ttft.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let rank = ((share * ttft.len() as f64).ceil() as usize).max(1) - 1;
        seconds(ttft.get(rank).copied())
    };
    let line = format!(
        "tokens {} in  {}/s   {} out  {}/s   ttft p50 {}  p95 {}",
        human::count(total.input_tokens),
        rate(|now| now.input),
        human::count(total.output_tokens),
        rate(|now| now.output),
        at(0.5),
        at(0.95),
    );
    put(buffer, area, 2, &line, Style::new());
    let (line, style) = trouble(view, look);
    put(buffer, area, 3, &line, style);
}

/// What keeps it from working, else what was lost.
fn trouble(view: &View, look: &Look) -> (String, Style) {
    let status = &view.picture.status;
    if !status.obstacles.is_empty() {
        return (
            format!("not ready: {}", status.obstacles.join("; ")),
            look.alarm(),
        );
    }
    let mut losses: Vec<_> = status.losses.iter().filter(|loss| loss.count > 0).collect();
    losses.sort_by_key(|loss| std::cmp::Reverse(loss.count));
    if losses.is_empty() {
        return ("losses none".to_owned(), Style::new());
    }
    let losses = losses
        .iter()
        .map(|loss| format!("{} {}", human::count(loss.count), loss.reason));
    (
        format!(
            "losses {} (5 shows all)",
            losses.collect::<Vec<_>>().join(", ")
        ),
        look.alarm(),
    )
}

fn footer(buffer: &mut Buffer, area: Rect, view: &View) {
    let text = if view.typing {
        format!("filter: {}_   Enter keeps it, Esc clears it", view.filter)
    } else if view.filter.is_empty() {
        "q quit  ? help  p pause  / filter  s sort  m models' order  r reverse  Tab pane  e errors"
            .to_owned()
    } else {
        format!("filter: {}   / changes it, Esc clears it", view.filter)
    };
    let style = Style::new().add_modifier(Modifier::REVERSED);
    put(buffer, area, area.height - 1, &text, style);
}

fn under_way(buffer: &mut Buffer, area: Rect, view: &View, look: &Look, scroll: usize) {
    let calls = view.under_way();
    let title = match &view.picture.under_way {
        None => format!(
            "in flight: {} (which ones is not told)",
            view.picture.status.in_flight
        ),
        Some(all) => format!(
            "in flight: {} by {}",
            shown(calls.len(), all.len()),
            view.calls_by.as_str()
        ),
    };
    let mut columns: Vec<Column> = vec![
        ("age", 8, Right),
        ("stage", 9, Left),
        ("tokens", 8, Right),
        ("ttft", 8, Right),
        ("model", 0, Left),
        ("client", 16, Left),
    ];
    if area.width >= WIDE {
        columns.push(("operation", 20, Left));
    }
    let row = |call: &&UnderWay| {
        let tokens = match (call.output_tokens, call.tokens()) {
            (_, 0) => "-".to_owned(),
            (Some(_), n) => human::count(n),
            (None, n) => format!("~{}", human::count(n)),
        };
        let texts = vec![
            seconds(call.age),
            call.stage().to_owned(),
            tokens,
            seconds(call.ttft),
            call.model().to_owned(),
            call.client().to_owned(),
            call.operation.clone().unwrap_or_default(),
        ];
        (texts, false)
    };
    let rows: Vec<Row> = calls.iter().map(row).collect();
    pane(buffer, area, (&title, look), &columns, &rows, scroll);
}

fn models(buffer: &mut Buffer, area: Rect, view: &View, look: &Look, scroll: usize) {
    let models = view.models();
    let all = view.picture.status.calls.models.len();
    let title = format!(
        "models: {} by {}",
        shown(models.len(), all),
        view.models_by.as_str()
    );
    let columns = [
        ("model", 0, Left),
        ("calls", 9, Right),
        ("not ok", 9, Right),
        ("input", 9, Right),
        ("output", 9, Right),
    ];
    let row = |model: &&Model| {
        let totals = &model.totals;
        let texts = vec![
            model.model.clone(),
            human::count(totals.calls),
            human::count(totals.not_ok),
            human::count(totals.input_tokens),
            human::count(totals.output_tokens),
        ];
        (texts, false)
    };
    let rows: Vec<Row> = models.iter().map(row).collect();
    pane(buffer, area, (&title, look), &columns, &rows, scroll);
}

fn last(buffer: &mut Buffer, area: Rect, view: &View, look: &Look, scroll: usize) {
    let calls = view.last(false);
    let title = format!(
        "last calls: {}",
        shown(calls.len(), view.picture.status.calls.last_calls.len())
    );
    finished(buffer, area, (&title, look), &calls, scroll);
}

fn errors(buffer: &mut Buffer, area: Rect, view: &View, look: &Look, scroll: usize) {
    let calls = view.last(true);
    let title = format!(
        "last calls not ok: {}",
        shown(calls.len(), view.picture.status.calls.last_errors.len())
    );
    finished(buffer, area, (&title, look), &calls, scroll);
}

fn finished(buffer: &mut Buffer, area: Rect, title: (&str, &Look), calls: &[&Call], scroll: usize) {
    let mut columns: Vec<Column> = vec![
        ("ended", 8, Right),
        ("model", 0, Left),
        ("outcome", 12, Left),
        ("st", 3, Right),
        ("input", 8, Right),
        ("output", 8, Right),
        ("ttft", 8, Right),
        ("elapsed", 8, Right),
    ];
    if area.width >= WIDE {
        columns.push(("client", 20, Left));
    }
    let row = |call: &&Call| {
        let count = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), human::count);
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let ended = call
            .ended
            .map(|ended| Timestamp::from_micros((ended * 1e6) as i64));
        let ended = ended.map_or_else(|| "-".to_owned(), human::time_of_day);
        let texts = vec![
            ended.chars().take(8).collect(),
            text(&call.model),
            call.outcome.clone(),
            call.status
                .map_or_else(|| "-".to_owned(), |status| status.to_string()),
            count(call.input_tokens),
            count(call.output_tokens),
            seconds(call.ttft),
            seconds(call.elapsed),
            text(&call.client),
        ];
        (texts, call.outcome != "ok")
    };
    let rows: Vec<Row> = calls.iter().map(row).collect();
    pane(buffer, area, title, &columns, &rows, scroll);
}

fn losses(buffer: &mut Buffer, area: Rect, view: &View, look: &Look, scroll: usize) {
    let mut losses: Vec<_> = view
        .picture
        .status
        .losses
        .iter()
        .filter(|loss| loss.count > 0)
        .collect();
    losses.sort_by_key(|loss| std::cmp::Reverse(loss.count));
    let columns = [
        ("count", 12, Right),
        ("reason", 32, Left),
        ("counter", 0, Left),
    ];
    let rows: Vec<Row> = losses
        .iter()
        .map(|loss| {
            let texts = vec![
                human::count(loss.count),
                loss.reason.clone(),
                loss.family.clone(),
            ];
            (texts, false)
        })
        .collect();
    let title = format!("losses: {} kinds", rows.len());
    pane(buffer, area, (&title, look), &columns, &rows, scroll);
}

/// A title, the columns' titles, and as many rows as there is room for.
fn pane(
    buffer: &mut Buffer,
    area: Rect,
    (title, look): (&str, &Look),
    columns: &[Column],
    rows: &[Row],
    scroll: usize,
) {
    let rule = format!("── {title} {}", "─".repeat(usize::from(area.width)));
    put_cut(buffer, area, 0, &rule, look.heading());
    let gaps = u16::try_from(columns.len().saturating_sub(1)).unwrap_or(u16::MAX);
    let fixed: u16 = columns.iter().map(|(_, width, _)| width).sum();
    let left_over = area.width.saturating_sub(fixed.saturating_add(gaps));
    let titles: Vec<_> = columns
        .iter()
        .map(|(title, ..)| (*title).to_owned())
        .collect();
    let visible = usize::from(area.height.saturating_sub(HEADING));
    let scroll = scroll.min(rows.len().saturating_sub(visible));
    let titles = (titles, false);
    let lines = std::iter::once(&titles).chain(rows.iter().skip(scroll).take(visible));
    for (line, (cells, stands_out)) in (1..area.height).zip(lines) {
        let style = match (line, stands_out) {
            (1, _) => Style::new().add_modifier(Modifier::DIM),
            (_, true) => look.alarm(),
            (_, false) => Style::new(),
        };
        let mut x = area.x;
        for (cell, (_, width, side)) in cells.iter().zip(columns) {
            let width = if *width == 0 { left_over } else { *width };
            let width = width.min((area.x + area.width).saturating_sub(x));
            let text = match side {
                Left => human::left(cell, width.into()),
                Right => human::right(cell, width.into()),
            };
            buffer.set_stringn(x, area.y + line, text, width.into(), style);
            x = x.saturating_add(width + 1);
        }
    }
}

/// A line of the area, as wide as it.
fn put(buffer: &mut Buffer, area: Rect, line: u16, text: &str, style: Style) {
    if line < area.height {
        let text = human::left(text, area.width.into());
        buffer.set_stringn(area.x, area.y + line, text, area.width.into(), style);
    }
}

/// The same of a text that is too long on purpose.
fn put_cut(buffer: &mut Buffer, area: Rect, line: u16, text: &str, style: Style) {
    if line < area.height {
        buffer.set_stringn(area.x, area.y + line, text, area.width.into(), style);
    }
}

/// `7`, or `2 of 7` where a filter leaves some out.
fn shown(shown: usize, all: usize) -> String {
    if shown == all {
        all.to_string()
    } else {
        format!("{shown} of {all}")
    }
}

fn seconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |s| human::duration((s * 1e6) as i64))
}

fn per_second(rate: f64) -> String {
    if rate < 100.0 {
        format!("{rate:.1}")
    } else {
        human::count(rate as u64)
    }
}
