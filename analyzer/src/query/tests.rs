//! Every question against a brute-force reading of the rows that were written.

use std::time::Duration;

use proptest::{prelude::*, sample::Index};
use serde_json::Value as Json;

use super::{Filter, select::Selection, series::Series, summary::Summary};
use crate::{
    call::{Bodies, Call, CallKey, Label, Outcome, StoredBody},
    fixtures,
    record::Record,
    store::{Session, SqliteSettings, SqliteStore, Store as _},
    time::Timestamp,
};

const START: i64 = 1_767_225_600_000_000;
const LONG: Duration = Duration::from_mins(1);

/// A stored call beside the row that it was made from.
#[derive(Clone, Debug)]
struct Known {
    id: i64,
    record: Record,
}

/// A database with rows that a test knows.
struct Rows {
    folder: tempfile::TempDir,
    store: SqliteStore,
    known: Vec<Known>,
    written: u64,
}

impl Rows {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("llmtap.db");
        Self {
            store: SqliteStore::open(&path, SqliteSettings::default()).unwrap(),
            folder,
            known: Vec::new(),
            written: 0,
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("llmtap.db")
    }

    fn write(&mut self, records: Vec<Record>) {
        let mut batch = records;
        for record in &mut batch {
            self.written += 1;
            record.call.call_key = CallKey(u128::from(self.written).to_be_bytes());
        }
        let ids = self.store.write(&batch).unwrap().ids;
        for (id, record) in ids.into_iter().zip(batch) {
            let id = id.unwrap();
            self.known.push(Known { id, record });
        }
        // Now and then some rows are in no block, and now and then nearly all are in one.
        if !self.written.is_multiple_of(3) {
            while self.store.condense().unwrap() {}
        }
    }

    /// Takes rows away behind the store's back, as a retention does.
    fn delete(&mut self, gone: impl Fn(&Known) -> bool) {
        let db = rusqlite::Connection::open(self.path()).unwrap();
        for known in self.known.iter().filter(|known| gone(known)) {
            db.execute("DELETE FROM bodies WHERE call_id = ?1", [known.id])
                .unwrap();
            db.execute("DELETE FROM calls WHERE id = ?1", [known.id])
                .unwrap();
        }
        self.known.retain(|known| !gone(known));
    }

    fn session(&self) -> Session {
        Session::open(&self.path()).unwrap()
    }
}

fn any_record() -> impl Strategy<Value = Record> {
    let texts = (
        proptest::option::of(0..4_u8),
        proptest::option::of(0..4_u8),
        proptest::option::of(0..3_u8),
        proptest::option::of(0..3_u8),
        0..4_usize,
    );
    let figures = (
        proptest::option::of(prop_oneof![Just(0_i64), 1..3_000_000_i64]),
        proptest::option::of(1..90_000_000_i64),
        proptest::option::of(0.1..200_000.0_f64),
        proptest::option::of(0..50_000_u64),
        proptest::option::of(-3_600_000_000..3_600_000_000_i64),
    );
    let rest = (
        prop_oneof![
            Just(None),
            Just(Some(200)),
            Just(Some(404)),
            Just(Some(503))
        ],
        proptest::option::of(any::<bool>()),
        any::<bool>(),
        proptest::option::of(0..3_u8),
    );
    (texts, figures, rest).prop_map(record)
}

type Texts = (Option<u8>, Option<u8>, Option<u8>, Option<u8>, usize);
type Figures = (
    Option<i64>,
    Option<i64>,
    Option<f64>,
    Option<u64>,
    Option<i64>,
);
type Rest = (Option<u16>, Option<bool>, bool, Option<u8>);

fn record((texts, figures, rest): (Texts, Figures, Rest)) -> Record {
    let (model, answered, user, team, outcome) = texts;
    let (ttft, elapsed, tpot, tokens, time) = figures;
    let (status, stream, outer, said) = rest;
    let mut call = fixtures::call(0);
    call.request_model = model.map(|n| format!("model-{n}"));
    call.response_model = answered.map(|n| format!("model-{n}"));
    call.client = user.map(|n| format!("192.0.2.{n}"));
    call.user = user.map(|n| format!("user {n}"));
    call.outcome = [
        Outcome::Ok,
        Outcome::ClientAbort,
        Outcome::ServerError,
        Outcome::ErrorIn200,
    ][outcome];
    call.status = status;
    call.stream = stream;
    call.ttft = ttft;
    call.elapsed = elapsed;
    call.tpot = tpot;
    call.input_tokens = tokens;
    call.output_tokens = tokens.map(|tokens| tokens / 7);
    call.total_tokens = tokens.map(|tokens| tokens + tokens / 7);
    call.cost.nanos = tokens.map(|tokens| tokens as i64 * 1_000_003);
    call.cost.currency = tokens.map(|_| "EUR".into());
    call.outer_of = outer.then_some(CallKey([9; 16]));
    call.marks.request_start = time.map(|time| Timestamp::from_micros(START + time));
    call.marks.response_head = None;
    if time.is_none() && ttft.is_none() {
        call.marks.ended = None;
    }
    call.whose.labels = team.map_or_else(Vec::new, |n| {
        vec![Label {
            name: "team".to_owned(),
            value: format!("team{n}"),
        }]
    });
    let body = |text: String| StoredBody {
        head: text.into_bytes(),
        ..StoredBody::default()
    };
    let bodies = said.map(|n| Bodies {
        request: body(format!("{{\"prompt\": \"Say Word{n}\"}}")),
        response: body(format!("said {n}%_")),
    });
    Record { call, bodies }
}

/// A filter beside its meaning.
type Meaning = Box<dyn Fn(&Record) -> bool>;

#[derive(Clone, Debug)]
struct Asked {
    kind: usize,
    number: u8,
    not: bool,
}

fn any_asked() -> impl Strategy<Value = Asked> {
    (0..14_usize, 0..5_u8, any::<bool>()).prop_map(|(kind, number, not)| Asked {
        kind,
        number,
        not,
    })
}

fn model(call: &Call) -> Option<&str> {
    call.request_model
        .as_deref()
        .or(call.response_model.as_deref())
}

fn client(call: &Call) -> Option<&str> {
    call.client.as_deref().or(call.peer.as_deref())
}

fn time(call: &Call) -> Option<i64> {
    let marks = &call.marks;
    let time = marks.request_start.or(marks.response_head).or(marks.ended);
    time.map(Timestamp::as_micros)
}

fn team(call: &Call) -> Option<&str> {
    let mut labels = call.whose.labels.iter();
    let label = labels.find(|label| label.name == "team");
    label.map(|label| label.value.as_str())
}

/// The text of a parameter, and what it lets through.
fn parameter(asked: &Asked) -> (String, String, Meaning) {
    let n = i64::from(asked.number);
    let not = asked.not;
    let sign = if not { "!" } else { "" };
    let text = |name: &str, value: &str, meaning: Meaning| {
        let meaning: Meaning = Box::new(move |record| meaning(record) != not);
        (name.to_owned(), format!("{sign}{value}"), meaning)
    };
    let plain = |name: &str, value: String, meaning: Meaning| (name.to_owned(), value, meaning);
    match asked.kind {
        0 => {
            let wanted = format!("model-{n}");
            text(
                "model",
                &wanted.clone(),
                Box::new(move |r| model(&r.call) == Some(&wanted)),
            )
        }
        1 => text("model", "~none", Box::new(|r| model(&r.call).is_none())),
        2 => {
            let end = format!("-{n}");
            let fits = move |r: &Record| model(&r.call).is_some_and(|model| model.ends_with(&end));
            text("model", &format!("m*l-{n}"), Box::new(fits))
        }
        3 => text("status", "4xx", Box::new(|r| r.call.status == Some(404))),
        4 => text("status", "503", Box::new(|r| r.call.status == Some(503))),
        5 => {
            let wanted = format!("192.0.2.{n}");
            text(
                "client",
                &wanted.clone(),
                Box::new(move |r| client(&r.call) == Some(&wanted)),
            )
        }
        6 => text(
            "outcome",
            "client_abort",
            Box::new(|r| r.call.outcome == Outcome::ClientAbort),
        ),
        7 => {
            let wanted = format!("team{n}");
            text(
                "label.team",
                &wanted.clone(),
                Box::new(move |r| team(&r.call) == Some(&wanted)),
            )
        }
        8 => {
            let said = move |r: &Record| {
                let texts = r
                    .bodies
                    .as_ref()
                    .map(|b| [&b.request.head, &b.response.head]);
                let texts = texts.into_iter().flatten();
                let word = format!("Word{n}");
                let mut texts = texts.map(|text| String::from_utf8_lossy(text).into_owned());
                texts.any(|text| text.contains(&word))
            };
            text("q", &format!("WORD{n}"), Box::new(said))
        }
        9 => plain(
            "stream",
            not.to_string(),
            Box::new(move |r| r.call.stream == Some(not)),
        ),
        10 => plain(
            "min_ttft",
            format!("{n}00ms"),
            Box::new(move |r| r.call.ttft.is_some_and(|ttft| ttft >= n * 100_000)),
        ),
        11 => plain(
            "min_elapsed",
            format!("{}", n * 20),
            Box::new(move |r| r.call.elapsed.is_some_and(|t| t >= n * 20_000_000)),
        ),
        12 => plain(
            "from",
            format!("-{n}0m"),
            Box::new(move |r| time(&r.call).is_some_and(|t| t >= START - n * 600_000_000)),
        ),
        _ => plain(
            "to",
            format!("+{n}0m"),
            Box::new(move |r| time(&r.call).is_some_and(|t| t < START + n * 600_000_000)),
        ),
    }
}

/// The parameters, and whether a row is let through by all of them: values of one filter are alternatives
/// unless they are negated.
fn question(asked: &[Asked]) -> (Vec<(String, String)>, Meaning) {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut meanings: Vec<(String, bool, Meaning)> = Vec::new();
    for asked in asked {
        let (name, value, meaning) = parameter(asked);
        let single = ["stream", "min_ttft", "min_elapsed", "from", "to"].contains(&name.as_str());
        if single && pairs.iter().any(|(known, _)| *known == name) {
            continue;
        }
        meanings.push((name.clone(), !single && asked.not, meaning));
        pairs.push((name, value));
    }
    let meaning: Meaning = Box::new(move |record| {
        let negated = meanings.iter().filter(|(_, not, _)| *not);
        let wanted = || meanings.iter().filter(|(_, not, _)| !*not);
        record.call.outer_of.is_none()
            && negated.into_iter().all(|(.., meaning)| meaning(record))
            && wanted().all(|(name, ..)| {
                wanted().any(|(other, _, meaning)| other == name && meaning(record))
            })
    });
    (pairs, meaning)
}

fn now() -> Timestamp {
    Timestamp::from_micros(START)
}

fn given(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// All pages of a question, one after the other; `between` happens between two of them.
fn all_pages(
    rows: &mut Rows,
    pairs: &[(String, String)],
    limit: usize,
    mut between: impl FnMut(&mut Rows),
) -> Vec<i64> {
    let mut others = super::select::ORDERING.to_vec();
    others.extend(super::select::PAGING);
    let mut ids = Vec::new();
    let mut cursor: Option<String> = None;
    let mut session = rows.session();
    for page in 0.. {
        assert!(page < 1_000, "the pages have no end");
        let mut pairs = pairs.to_vec();
        pairs.push(("limit".to_owned(), limit.to_string()));
        pairs.extend(cursor.map(|cursor| ("cursor".to_owned(), cursor)));
        let clock = now().plus_micros(page * 60_000_000);
        let filter = Filter::parse(&pairs, &others, clock).unwrap();
        let selection = Selection::parse(&pairs, filter).unwrap();
        let snapshot = session.snapshot(LONG).unwrap();
        let page = selection.page(&snapshot).unwrap();
        drop(snapshot);
        assert!(page.ids.len() <= limit);
        ids.extend(page.ids);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
        between(rows);
    }
    ids
}

/// What a page is ordered by, as a number.
fn sort_value(known: &Known, sort: &str) -> Option<i128> {
    let call = &known.record.call;
    match sort {
        "time" => time(call).map(i128::from),
        "id" => Some(known.id.into()),
        "ttft" => call.ttft.map(i128::from),
        "tpot" => call.tpot.map(|tpot| (tpot * 1000.0).round() as i128),
        _ => call.output_tokens.map(i128::from),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn filters_sorting_and_paging_are_those_of_a_plain_reading(
        records in proptest::collection::vec(any_record(), 1..180),
        batches in 1..6_usize,
        gone in proptest::collection::vec(any::<Index>(), 0..12),
        asked in proptest::collection::vec(any_asked(), 0..4),
        sort in proptest::sample::select(vec!["time", "id", "ttft", "tpot", "output_tokens"]),
        order in proptest::sample::select(vec!["asc", "desc"]),
        limit in 1..50_usize,
    ) {
        let mut rows = Rows::new();
        let size = records.len().div_ceil(batches);
        for batch in records.chunks(size) {
            rows.write(batch.to_vec());
        }
        let gone: Vec<i64> = gone.iter().map(|index| index.get(&rows.known).id).collect();
        rows.delete(|known| gone.contains(&known.id));
        let (mut pairs, meaning) = question(&asked);
        let mut expected: Vec<&Known> = rows
            .known
            .iter()
            .filter(|known| meaning(&known.record))
            .collect();
        expected.sort_by_key(|known| {
            let value = sort_value(known, sort);
            let sign = if order == "asc" { 1 } else { -1 };
            let id = sign * i128::from(known.id);
            (value.is_none(), value.map(|value| sign * value), id)
        });
        let expected: Vec<i64> = expected.iter().map(|known| known.id).collect();
        pairs.extend(given(&[("sort", sort), ("order", order)]));
        prop_assert_eq!(all_pages(&mut rows, &pairs, limit, |_| {}), expected);
    }

    #[test]
    fn groups_are_those_of_a_plain_reading(
        records in proptest::collection::vec(any_record(), 1..180),
        gone in proptest::collection::vec(any::<Index>(), 0..12),
        asked in proptest::collection::vec(any_asked(), 0..3),
        keys in proptest::sample::subsequence(vec!["model", "status", "label.team", "stream"], 0..=4),
    ) {
        let mut rows = Rows::new();
        for batch in records.chunks(40) {
            rows.write(batch.to_vec());
        }
        let gone: Vec<i64> = gone.iter().map(|index| index.get(&rows.known).id).collect();
        rows.delete(|known| gone.contains(&known.id));
        let (mut pairs, meaning) = question(&asked);
        let matching: Vec<&Call> = rows
            .known
            .iter()
            .filter(|known| meaning(&known.record))
            .map(|known| &known.record.call)
            .collect();
        if !keys.is_empty() {
            pairs.push(("group_by".to_owned(), keys.join(",")));
        }
        let filter = Filter::parse(&pairs, super::summary::PARAMETERS, now()).unwrap();
        let mut session = rows.session();
        let snapshot = session.snapshot(LONG).unwrap();
        let summary = Summary::parse(&pairs, filter.clone()).unwrap();
        let answer = summary.answer(&snapshot).unwrap();
        check(&answer["total"], &matching)?;

        let groups = answer["groups"].as_array().unwrap();
        let names: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
        let mut shown = 0;
        for group in groups {
            if is_other(group, &names) {
                shown += group["calls"].as_u64().unwrap() as usize;
                continue;
            }
            let of_group: Vec<&Call> = matching
                .iter()
                .filter(|call| names.iter().all(|key| group[key] == value(call, key)))
                .copied()
                .collect();
            prop_assert!(!of_group.is_empty());
            check(group, &of_group)?;
            shown += of_group.len();
        }
        prop_assert_eq!(shown, if keys.is_empty() { 0 } else { matching.len() });

        // The same over time: what has a time stands in the point that holds it.
        let pairs: Vec<_> = pairs.into_iter().chain(given(&[("limit", "50")])).collect();
        let series = Series::parse(&pairs, filter).unwrap();
        let answer = series.answer(&snapshot, now()).unwrap().unwrap();
        let (from, step) = (answer["from"].as_f64().unwrap(), answer["step"].as_f64().unwrap());
        let mut shown = 0;
        for series in answer["series"].as_array().unwrap() {
            for (place, point) in series["points"].as_array().unwrap().iter().enumerate() {
                if is_other(series, &names) {
                    shown += point["calls"].as_u64().unwrap_or(0) as usize;
                    continue;
                }
                let begin = ((from + place as f64 * step) * 1e6) as i64;
                let end = ((from + (place + 1) as f64 * step) * 1e6) as i64;
                let of_point: Vec<&Call> = matching
                    .iter()
                    .filter(|call| names.iter().all(|key| series[key] == value(call, key)))
                    .filter(|call| time(call).is_some_and(|time| time >= begin && time < end))
                    .copied()
                    .collect();
                shown += of_point.len();
                if of_point.is_empty() {
                    prop_assert!(point.is_null());
                } else {
                    check(point, &of_point)?;
                }
            }
        }
        let with_time = matching.iter().filter(|call| time(call).is_some()).count();
        prop_assert_eq!(shown, with_time);
    }

    #[test]
    fn what_was_there_at_the_start_is_paged_exactly_once(
        records in proptest::collection::vec(any_record(), 30..120),
        later in proptest::collection::vec(any_record(), 200),
        sort in proptest::sample::select(vec!["time", "id", "ttft", "output_tokens"]),
        order in proptest::sample::select(vec!["asc", "desc"]),
        limit in 1..20_usize,
    ) {
        let mut rows = Rows::new();
        rows.write(records);
        // The end of the time asked for moves with the clock, and must not from page to page.
        let pairs = given(&[("from", "-50m"), ("outer", "yes"), ("sort", sort), ("order", order)]);
        let first = |known: &&Known| {
            let since = START - 3_000_000_000;
            time(&known.record.call).is_some_and(|time| time >= since)
        };
        let there: Vec<i64> = rows.known.iter().filter(first).map(|known| known.id).collect();
        let last = rows.known.last().map_or(0, |known| known.id);
        let mut later = later.into_iter();
        let ids = all_pages(&mut rows, &pairs, limit, |rows| {
            rows.write(later.by_ref().take(3).collect());
        });
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        prop_assert_eq!(unique.len(), ids.len(), "a call came twice");
        let mut old: Vec<i64> = ids.into_iter().filter(|id| *id <= last).collect();
        old.sort_unstable();
        prop_assert_eq!(old, there);
    }
}

/// Whether it stands for the groups that are too many.
fn is_other(group: &Json, names: &[String]) -> bool {
    !names.is_empty() && names.iter().all(|name| group[name] == "~other")
}

/// A call's value of a key, as a group shows it.
fn value(call: &Call, key: &str) -> Json {
    match key {
        "model" => model(call).into(),
        "status" => call.status.map(|status| status.to_string()).into(),
        "stream" => call.stream.map(|stream| stream.to_string()).into(),
        _ => team(call).into(),
    }
}

fn check(figures: &Json, calls: &[&Call]) -> Result<(), TestCaseError> {
    prop_assert_eq!(&figures["calls"], calls.len());
    let errors = calls
        .iter()
        .filter(|call| call.outcome != Outcome::Ok)
        .count();
    prop_assert_eq!(&figures["errors"], errors);
    let tokens: u64 = calls.iter().filter_map(|call| call.input_tokens).sum();
    prop_assert_eq!(&figures["input_tokens"], tokens);
    let nanos = calls.iter().filter_map(|call| call.cost.nanos);
    let cost = nanos
        .reduce(|sum, more| sum + more)
        .map(|sum| sum as f64 / 1e9);
    prop_assert_eq!(&figures["cost"], &Json::from(cost));
    prop_assert_eq!(&figures["currency"], &Json::from(cost.map(|_| "EUR")));
    let ttft: Vec<f64> = calls
        .iter()
        .filter_map(|c| c.ttft)
        .map(|t| t as f64 / 1e6)
        .collect();
    percentiles(&figures["ttft"], ttft)?;
    percentiles(
        &figures["tpot"],
        calls
            .iter()
            .filter_map(|c| c.tpot)
            .map(|t| t / 1e6)
            .collect(),
    )?;
    let elapsed = calls.iter().filter_map(|c| c.elapsed);
    percentiles(
        &figures["elapsed"],
        elapsed.map(|t| t as f64 / 1e6).collect(),
    )
}

fn percentiles(shown: &Json, mut exact: Vec<f64>) -> Result<(), TestCaseError> {
    exact.sort_by(f64::total_cmp);
    prop_assert_eq!(&shown["count"], exact.len());
    for (name, q) in [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)] {
        let at_least = |place: usize| (place + 1) as f64 >= q * exact.len() as f64 * (1.0 - 1e-9);
        let Some(place) = (0..exact.len()).find(|place| at_least(*place)) else {
            prop_assert!(shown[name].is_null());
            continue;
        };
        let exact = exact[place];
        let shown = shown[name].as_f64().unwrap();
        // Four digits are shown of a figure within 1 %.
        prop_assert!(
            (shown - exact).abs() <= exact * 0.0106,
            "{shown} for {exact}"
        );
    }
    Ok(())
}

#[test]
fn rows_come_back_as_they_were_shown() {
    let mut rows = Rows::new();
    let mut record = fixtures::record(1);
    record.call.whose.labels = vec![Label {
        name: "team".to_owned(),
        value: "blue".to_owned(),
    }];
    rows.write(vec![record]);
    let known = rows.known[0].clone();
    let mut session = rows.session();
    let snapshot = session.snapshot(LONG).unwrap();
    let row = snapshot.row(known.id).unwrap().unwrap();
    let shown = crate::columns::Row::call(&known.record.call, Some(known.id));
    assert_eq!(row.to_json(), shown.to_json());
    assert_eq!(row.csv_fields(), shown.csv_fields());
    assert_eq!(
        serde_json::to_string(&row).unwrap(),
        serde_json::to_string(&shown).unwrap()
    );
    assert_eq!(
        snapshot.id_of(known.record.call.call_key).unwrap(),
        Some(known.id)
    );
    assert_eq!(snapshot.row(99).unwrap(), None);
}

#[test]
fn a_damaged_block_hides_no_row() {
    let mut rows = Rows::new();
    rows.write((0..100).map(|_| fixtures::record(1)).collect());
    while rows.store.condense().unwrap() {}
    let db = rusqlite::Connection::open(rows.path()).unwrap();
    for columns in ["x'ff00ff'", "zeroblob(length(columns))"] {
        let sql = format!("UPDATE call_blocks SET columns = {columns}");
        let damaged = db.execute(&sql, []).unwrap();
        assert!(damaged > 1, "there are blocks to damage");
        // The second asks for no column but the ids and the times.
        for outer in ["no", "yes"] {
            let pairs = [("outer".to_owned(), outer.to_owned())];
            let ids = all_pages(&mut rows, &pairs, 1_000, |_| {});
            assert_eq!(ids.len(), 100, "{columns} {outer}");
        }
    }
}

#[test]
fn blocks_cover_the_rows_and_go_with_them() {
    let mut rows = Rows::new();
    rows.write((0..100).map(|_| fixtures::record(1)).collect());
    while rows.store.condense().unwrap() {}
    let db = rusqlite::Connection::open(rows.path()).unwrap();
    let blocks = || -> Vec<(i64, i64)> {
        let mut select = db
            .prepare("SELECT first_id, last_id FROM call_blocks ORDER BY first_id")
            .unwrap();
        let rows = select.query_map([], |row| row.try_into()).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(blocks(), [(1, 32), (33, 64), (65, 96)]);
    rows.delete(|known| known.id <= 40);
    assert_eq!(blocks(), [(65, 96)]);
    while rows.store.condense().unwrap() {}
    // What is left of the second is enough for one of its own.
    assert_eq!(blocks(), [(41, 64), (65, 96)]);
    db.execute("UPDATE call_blocks SET format = 1 WHERE first_id = 65", [])
        .unwrap();
    assert_eq!(all_pages(&mut rows, &[], 1_000, |_| {}).len(), 60);
    while rows.store.condense().unwrap() {}
    assert_eq!(blocks(), [(41, 64), (65, 96)]);
}

#[test]
fn a_question_ends_at_its_time() {
    let mut rows = Rows::new();
    rows.write((0..100).map(|_| fixtures::record(1)).collect());
    let mut session = rows.session();
    let error = session.snapshot(Duration::ZERO).and_then(|snapshot| {
        let selection = Selection::parse(&[], Filter::default()).unwrap();
        selection.page(&snapshot)
    });
    assert_eq!(error.unwrap_err().kind(), "slow");
    let snapshot = session.snapshot(LONG).unwrap();
    assert!(
        snapshot.row(1).unwrap().is_some(),
        "the next one has its own"
    );
}

#[test]
fn too_many_groups_are_put_together() {
    let mut rows = Rows::new();
    let records = (0..60).map(|n| {
        let mut record = fixtures::record(1);
        record.call.user = Some(format!("user {}", n % 20));
        record
    });
    rows.write(records.collect());
    let pairs = given(&[("group_by", "user"), ("limit", "5")]);
    let filter = Filter::parse(&pairs, super::summary::PARAMETERS, now()).unwrap();
    let mut session = rows.session();
    let snapshot = session.snapshot(LONG).unwrap();
    let answer = Summary::parse(&pairs, filter)
        .unwrap()
        .answer(&snapshot)
        .unwrap();
    let groups = answer["groups"].as_array().unwrap();
    assert_eq!((groups.len(), &answer["folded"]), (6, &15.into()));
    assert_eq!(
        (&groups[5]["user"], &groups[5]["calls"]),
        (&"~other".into(), &45.into())
    );
    assert_eq!(answer["total"]["calls"], 60);
}
