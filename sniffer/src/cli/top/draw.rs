//! The view on the screen. Every text passes [`human::left`] or [`human::right`]: nothing off the wire drives the
//! terminal, and a column is as wide as it should be whatever stands in it.

use analyzer::{query::sketch::nearest_rank, time::Timestamp};
use ratatui::{
    Frame,
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};

use super::{
    columns::{Column, LEAST_TEXT, Row, column, fit},
    picture::{Call, Model, UnderWay},
    view::{Pane, View},
};
use crate::cli::{
    human,
    table::Side::{Left, Right},
};

/// Lines above the panes, and below them.
const HEADER: u16 = 4;
const FOOTER: u16 = 1;

/// Lines of a pane that are no rows: its title, and its columns' titles.
const HEADING: u16 = 2;

/// With less than this, what is shown is that it is too little.
const LEAST: (u16, u16) = (40, 10);

/// With more than this, calls under way have their operation's column, and ended ones their client's.
const WIDE: u16 = 100;

/// What keys do, in the order in which it matters.
const KEYS: [&str; 9] = [
    "q quit",
    "? help",
    "p pause",
    "/ filter",
    "s sort",
    "Tab pane",
    "e errors",
    "m models' order",
    "r reverse",
];

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
j k  ↓ ↑    scroll a pane that is alone, as PgUp, PgDn, Home and End do
Ctrl-Z      suspend

tokens      output so far: the server's figure, or ~ the events of the stream
ttft        time to first token; above, of the last calls shown
ended       time of day, UTC";

/// Where what is shown comes from, and how.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) title: String,
    /// Whether there are colours.
    pub(super) coloured: bool,
}

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

/// Rows of a pane that is alone.
pub(super) fn room(area: Rect) -> usize {
    area.height.saturating_sub(HEADER + FOOTER + HEADING).into()
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
    // What is wrong says by itself where. Else the state is seen whole, and of the title what there is room for.
    let taken = human::width("llmtap top    ") + human::width(&state);
    let room = usize::from(area.width).saturating_sub(taken);
    let line = if view.trouble.is_some() || room < usize::from(LEAST_TEXT) {
        format!("llmtap top  {state}")
    } else {
        format!("llmtap top  {}  {state}", human::cell(&look.title, room))
    };
    put(buffer, area, 0, &line, style);

    let total = status.calls.total;
    let rates = view.rates.now();
    let rate = |of: fn(super::rates::Now) -> f64| {
        rates.map_or_else(|| "-".to_owned(), |now| per_second(of(now)))
    };
    let share = total.not_ok as f64 * 100.0 / total.calls.max(1) as f64;
    let line = format!(
        "calls {}  {}/s   in flight {}   not ok {} ({share:.1} %)   packets {}",
        human::count(total.calls),
        rate(|now| now.calls),
        human::count(view.picture.under_way.as_ref().map_or_else(
            || u64::try_from(status.in_flight).unwrap_or(0),
            |calls| calls.len() as u64
        )),
        human::count(total.not_ok),
        human::count(status.packets),
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
        let rank = nearest_rank(ttft.len() as u64, share);
        seconds(rank.and_then(|rank| ttft.get(rank as usize).copied()))
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
        keys(area.width.into())
    } else {
        format!("filter: {}   / changes it, Esc clears it", view.filter)
    };
    let style = Style::new().add_modifier(Modifier::REVERSED);
    put(buffer, area, area.height - 1, &text, style);
}

/// The keys that there is room for.
fn keys(width: usize) -> String {
    let mut line = KEYS[0].to_owned();
    for key in &KEYS[1..] {
        if line.len() + 2 + key.len() > width {
            break;
        }
        line.push_str("  ");
        line.push_str(key);
    }
    line
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
    let mut columns = vec![
        column("age", 8, Right, 0),
        column("stage", 9, Left, 1),
        column("tokens", 8, Right, 0),
        column("ttft", 8, Right, 2),
        column("model", 0, Left, 0),
        column("client", 16, Left, 3),
    ];
    if area.width >= WIDE {
        columns.push(column("operation", 20, Left, 4));
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
    pane(buffer, area, (&title, look), columns, &rows, scroll);
}

fn models(buffer: &mut Buffer, area: Rect, view: &View, look: &Look, scroll: usize) {
    let models = view.models();
    let all = view.picture.status.calls.models.len();
    let title = format!(
        "models: {} by {}",
        shown(models.len(), all),
        view.models_by.as_str()
    );
    let columns = vec![
        column("model", 0, Left, 0),
        column("calls", 9, Right, 0),
        column("not ok", 9, Right, 1),
        column("input", 9, Right, 3),
        column("output", 9, Right, 2),
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
    pane(buffer, area, (&title, look), columns, &rows, scroll);
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
    let mut columns = vec![
        column("ended", 8, Right, 2),
        column("model", 0, Left, 0),
        column("outcome", 12, Left, 0),
        column("code", 4, Right, 5),
        column("input", 8, Right, 4),
        column("output", 8, Right, 1),
        column("ttft", 8, Right, 3),
        column("elapsed", 8, Right, 0),
    ];
    if area.width >= WIDE {
        columns.push(column("client", 20, Left, 6));
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
    pane(buffer, area, title, columns, &rows, scroll);
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
    let columns = vec![
        column("count", 12, Right, 0),
        column("reason", 0, Left, 0),
        column("counter", 32, Left, 1),
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
    pane(buffer, area, (&title, look), columns, &rows, scroll);
}

/// A title, the columns' titles, and as many rows as there is room for.
fn pane(
    buffer: &mut Buffer,
    area: Rect,
    (title, look): (&str, &Look),
    columns: Vec<Column>,
    rows: &[Row],
    scroll: usize,
) {
    let rule = format!("── {title} {}", "─".repeat(usize::from(area.width)));
    put_cut(buffer, area, 0, &rule, look.heading());
    let columns = fit(columns, rows, area.width);
    let titles = columns.iter().map(|(_, column)| column.title.to_owned());
    let titles: Vec<_> = titles.collect();
    let dim = Style::new().add_modifier(Modifier::DIM);
    line(buffer, area, 1, (&columns, dim), |place| titles.get(place));
    if rows.is_empty() {
        put(buffer, area, HEADING, "(none)", dim);
    }
    let visible = usize::from(area.height.saturating_sub(HEADING));
    let scroll = scroll.min(rows.len().saturating_sub(visible));
    for (number, (cells, stands_out)) in (HEADING..area.height).zip(rows.iter().skip(scroll)) {
        let style = if *stands_out {
            look.alarm()
        } else {
            Style::new()
        };
        line(buffer, area, number, (&columns, style), |place| {
            cells.get(columns.get(place)?.0)
        });
    }
}

/// One line of a table.
fn line<'t>(
    buffer: &mut Buffer,
    area: Rect,
    number: u16,
    (columns, style): (&[(usize, Column)], Style),
    cell: impl Fn(usize) -> Option<&'t String>,
) {
    if number >= area.height {
        return;
    }
    let mut x = area.x;
    for (place, (_, column)) in columns.iter().enumerate() {
        let width = column.width.min((area.x + area.width).saturating_sub(x));
        let cell = cell(place).map_or("", String::as_str);
        let text = match column.side {
            Left => human::left(cell, width.into()),
            Right => human::right(cell, width.into()),
        };
        buffer.set_stringn(x, area.y + number, text, width.into(), style);
        x = x.saturating_add(width + 1);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_whole_whatever_the_width() {
        for width in 40..120 {
            let line = keys(width);
            assert!(line.len() <= width);
            assert!(line.split("  ").all(|key| KEYS.contains(&key)), "{line}");
        }
        assert!(keys(80).ends_with("m models' order"));
    }
}
