use super::*;
use crate::{call::TokenSource, fixtures, time::Timestamp};

fn table(text: &str) -> PriceTable {
    text.parse().unwrap()
}

fn error(text: &str) -> TableError {
    text.parse::<PriceTable>().unwrap_err()
}

/// A call of so many tokens.
fn call(model: &str, input: u64, output: u64) -> Call {
    Call {
        request_model: Some(model.to_owned()),
        response_model: None,
        input_tokens: Some(input),
        output_tokens: Some(output),
        ..fixtures::call(1)
    }
}

fn nanos(table: &PriceTable, call: &Call) -> Option<i64> {
    table.cost(call, &Usage::default()).nanos
}

const KINDS: &str = "
currency = 'EUR'
[[price]]
model = 'qwen3*'
input = 1
output = 4.00
cached = 0.1
cache_write = 1.25
reasoning = 8
audio_input = 100
audio_output = '200'
";

#[test]
fn each_token_is_paid_for_once_by_its_kind() {
    let table = table(KINDS);
    let call = Call {
        cached_tokens: Some(100),
        cache_write_tokens: Some(40),
        reasoning_tokens: Some(5),
        ..call("qwen3-8b", 1_000, 20)
    };
    let usage = Usage {
        audio_input: Some(10),
        audio_output: Some(3),
        ..Usage::default()
    };
    let cost = table.cost(&call, &usage);
    // In millionths: 850 + 10 + 50 + 1,000 of the input, 40 + 600 + 48 of the output.
    assert_eq!(cost.nanos, Some(2_598_000));
    assert_eq!(cost.currency.as_deref(), Some("EUR"));
    assert_eq!(cost.unpriced, None);
}

#[test]
fn a_kind_without_a_price_has_that_of_its_side() {
    let table = table("currency = 'USD'\n[[price]]\nmodel = '*'\ninput = 2\noutput = 6");
    let call = Call {
        cached_tokens: Some(600),
        reasoning_tokens: Some(50),
        ..call("m", 1_000, 100)
    };
    assert_eq!(nanos(&table, &call), Some(2_600_000));
}

#[test]
fn parts_larger_than_the_whole_are_cut_to_it() {
    let table = table(KINDS);
    let call = Call {
        cached_tokens: Some(u64::MAX),
        cache_write_tokens: Some(u64::MAX),
        ..call("qwen3", 10, 0)
    };
    assert_eq!(nanos(&table, &call), Some(1_000), "ten cached tokens");
}

#[test]
fn sums_of_many_small_costs_do_not_drift() {
    let table = table("currency = 'USD'\n[[price]]\nmodel = '*'\ninput = 0.1\noutput = 0.3");
    let one = nanos(&table, &call("m", 1, 1)).unwrap();
    assert_eq!(one, 400);
    assert_eq!(
        one * 1_000_000,
        nanos(&table, &call("m", 1_000_000, 1_000_000)).unwrap()
    );
}

#[test]
fn a_call_is_rounded_once_half_up() {
    let table = table("currency = 'USD'\n[[price]]\nmodel = '*'\ninput = 0.0005\noutput = 0.0004");
    assert_eq!(nanos(&table, &call("m", 1, 0)), Some(1));
    assert_eq!(nanos(&table, &call("m", 0, 1)), Some(0));
    assert_eq!(nanos(&table, &call("m", 1, 1)), Some(1), "0.9 is 1");
}

#[test]
fn the_first_pattern_in_the_file_wins_whatever_the_case() {
    let table = table(
        "currency = 'USD'
[[price]]
model = 'Qwen3-?B'
input = 1
[[price]]
model = 'qwen3*'
input = 2
[[price]]
model = '*/llama.3'
currency = 'EUR'
input = 3
",
    );
    for (model, millionths) in [
        ("qwen3-8b", Some(1)),
        ("QWEN3-8B", Some(1)),
        ("qwen3-32b", Some(2)),
        ("qwen3", Some(2)),
        ("my-qwen3", None),
        ("meta/llama.3", Some(3)),
        ("meta/llamaX3", None),
        ("meta/llama.3\n", None),
    ] {
        let cost = nanos(&table, &call(model, 1_000_000, 0));
        assert_eq!(cost, millionths.map(|n: i64| n * NANOS), "{model}");
    }
}

#[test]
fn the_answering_model_is_looked_up_where_the_requested_one_has_no_price() {
    let table = table("currency = 'USD'\n[[price]]\nmodel = 'qwen3'\ninput = 1");
    let call = Call {
        response_model: Some("qwen3".to_owned()),
        ..call("auto", 1, 0)
    };
    assert_eq!(nanos(&table, &call), Some(1_000));
}

#[test]
fn the_price_that_held_when_the_call_began_is_taken() {
    let table = table(
        "currency = 'USD'
[[price]]
model = 'm'
valid_from = 2026-02-01
input = 2
[[price]]
model = 'M'
valid_from = '2026-01-01T01:00:00+01:00'
input = 1
[[price]]
model = 'm'
valid_from = 2026-03-01T00:00:00Z
input = 3
[[price]]
model = 'other'
valid_from = 2026-03-01
input = 1
",
    );
    let at = |text: &str, model: &str| {
        let time: jiff::Timestamp = text.parse().unwrap();
        let mut call = call(model, 1, 0);
        call.marks.request_start = Some(Timestamp::from_micros(time.as_microsecond()));
        table.cost(&call, &Usage::default())
    };
    assert_eq!(at("2026-01-31T23:59:59.999999Z", "m").nanos, Some(1_000));
    assert_eq!(at("2026-02-01T00:00:00Z", "m").nanos, Some(2_000));
    assert_eq!(at("2027-01-01T00:00:00Z", "m").nanos, Some(3_000));
    assert_eq!(at("2026-01-01T00:00:00Z", "m").nanos, Some(1_000));
    assert_eq!(
        at("2025-12-31T23:59:59Z", "m").unpriced,
        Some(Unpriced::Time)
    );
    assert_eq!(
        at("2026-02-01T00:00:00Z", "other").unpriced,
        Some(Unpriced::Time)
    );
}

#[test]
fn what_is_missing_in_a_cost_is_said() {
    let table = table(KINDS);
    let cost = |call: &Call| {
        let cost = table.cost(call, &Usage::default());
        (cost.nanos, cost.unpriced)
    };
    assert_eq!(cost(&call("gpt", 1, 1)), (None, Some(Unpriced::Model)));
    let nameless = Call {
        request_model: None,
        ..call("", 1, 1)
    };
    assert_eq!(cost(&nameless), (None, Some(Unpriced::Model)));
    let mut known = call("qwen3", 10, 10);
    known.output_tokens = None;
    assert_eq!(cost(&known), (Some(10_000), Some(Unpriced::OutputTokens)));
    known.input_tokens = None;
    assert_eq!(cost(&known), (None, Some(Unpriced::Tokens)));
    known.output_tokens = Some(10);
    assert_eq!(cost(&known), (Some(40_000), Some(Unpriced::InputTokens)));
    let absurd = call("qwen3", u64::MAX, u64::MAX);
    assert_eq!(cost(&absurd), (None, Some(Unpriced::TooHigh)));
    let long = call(&"qwen3".repeat(300), 1, 1);
    assert_eq!(cost(&long), (None, Some(Unpriced::Model)));
}

#[test]
fn a_side_that_is_not_charged_for_is_not_missed() {
    let table = table("currency = 'USD'\n[[price]]\nmodel = 'embed*'\ninput = 0.02");
    let call = Call {
        output_tokens: None,
        ..call("embed-1", 50, 0)
    };
    let cost = table.cost(&call, &Usage::default());
    assert_eq!((cost.nanos, cost.unpriced), (Some(1_000), None));
}

#[test]
fn a_price_a_call_is_added() {
    let table = table("currency = 'USD'\n[[price]]\nmodel = 'image*'\ncall = 0.04");
    let image = Call {
        input_tokens: None,
        output_tokens: None,
        ..call("image-1", 0, 0)
    };
    assert_eq!(nanos(&table, &image), Some(40_000_000));
}

#[test]
fn refused_calls_have_no_cost_and_lack_none() {
    let table = table(KINDS);
    for outcome in [
        Outcome::RateLimited,
        Outcome::ClientError,
        Outcome::ServerError,
    ] {
        let refused = Call {
            outcome,
            input_tokens: None,
            output_tokens: None,
            ..call("unknown", 0, 0)
        };
        assert_eq!(table.cost(&refused, &Usage::default()), Cost::default());
    }
    let failed_late = Call {
        outcome: Outcome::ServerError,
        output_source: TokenSource::Reported,
        ..call("qwen3", 100, 10)
    };
    assert_eq!(nanos(&table, &failed_late), Some(140_000));
}

#[test]
fn the_example_in_deploy_is_a_table() {
    let table = table(include_str!("../../../deploy/prices.toml"));
    assert_eq!(
        nanos(&table, &call("Qwen3-8B-Instruct", 1_000_000, 0)),
        Some(50_000_000)
    );
    assert!(nanos(&table, &call("big-lab/large", 1, 1)).is_some());
}

#[test]
fn what_is_wrong_in_a_table_is_told_with_its_line() {
    for (text, line, said) in [
        ("", 1, "no price in it"),
        ("currency = 'EUR'\n", 1, "no price in it"),
        ("[[price]]\nmodel = 'm'\ninput = 1\n", 1, "has no currency"),
        (
            "currency = 'EUR'\n\n[[price]]\nmodel = 'm'\n",
            3,
            "nothing has a price",
        ),
        (
            "currency = 'EUR'\n[[price]]\nmodel = 'm'\ninput = -1\n",
            4,
            "input: a price cannot be negative",
        ),
        (
            "currency = 'EUR'\n[[price]]\nmodel = 'm'\ninput = 0.1234567\n",
            4,
            "more than 6 decimals",
        ),
        (
            "currency = 'EUR'\n[[price]]\nmodel = 'm'\ninput = inf\n",
            4,
            "decimal number",
        ),
        (
            "currency = 'EUR'\n[[price]]\nmodel = 'm'\ninput = true\n",
            4,
            "decimal number",
        ),
        (
            "currency = 'EUR'\n[[price]]\nmodel = 'm'\ninput = '1,5'\n",
            4,
            "decimal number",
        ),
        (
            "currency = 'EUR'\n[[price]]\nmodel = 'm'\ninput = 5000000\n",
            4,
            "meant for a million tokens",
        ),
        (
            "currency = 'EUR'\n[[price]]\nmodel = 'm'\ninputs = 1\n",
            4,
            "unknown field `inputs`",
        ),
        (
            "currency = 'EUR'\n[[price]]\nmodel = 'm'\ninput = 1\ninput = 2\n",
            5,
            "duplicate key",
        ),
        (
            "currency = 'EUR'\n[[price]]\ninput = 1\n",
            2,
            "missing field `model`",
        ),
        (
            "currency = 'EUR'\n[[price]]\nmodel = ''\ninput = 1\n",
            3,
            "a name or a pattern",
        ),
        (
            "currency = 'a euro'\n[[price]]\nmodel = 'm'\ninput = 1\n",
            1,
            "a currency is a word",
        ),
        (
            "currency = 'EUR'\n[[price]]\nmodel = 'm'\ninput = 1\nvalid_from = '1.2.2026'\n",
            5,
            "valid_from is a date",
        ),
        (
            "currency = 'EUR'\n[[price]]\nmodel = 'm'\ninput = 1\nvalid_from = 2026-01-01T00:00:00\n",
            5,
            "with its offset",
        ),
        (
            "currency = 'EUR'\n[[price]]\nmodel = 'm'\ninput = 1\n[[price]]\nmodel = 'M'\ninput = 2\n",
            5,
            "at line 2 already",
        ),
        ("currency = 'EUR'\nprice = 3\n", 2, "invalid type"),
        ("currency = \n", 1, "string values must be quoted"),
    ] {
        let error = error(text);
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.message.contains(said), "{text}: {error}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.toml");
    let missing = PriceTable::read(&path).unwrap_err().to_string();
    assert!(
        missing.starts_with("cannot read the price file "),
        "{missing}"
    );
    std::fs::write(&path, "currency = 'EUR'\n[[price]]\n").unwrap();
    let bad = PriceTable::read(&path).unwrap_err().to_string();
    assert!(bad.contains("prices.toml:2: missing field"), "{bad}");
    std::fs::write(&path, KINDS).unwrap();
    assert_eq!(PriceTable::read(&path).unwrap().len(), 1);
    let large = std::fs::File::create(&path).unwrap();
    large.set_len(table::FILE_CAP + 1).unwrap();
    let large = PriceTable::read(&path).unwrap_err().to_string();
    assert!(large.contains("larger than 8 MiB"), "{large}");
}

#[test]
fn a_large_table_is_taken_and_a_larger_one_refused() {
    use std::fmt::Write as _;
    let prices = |count: usize| {
        let mut text = "currency = 'USD'\n".to_owned();
        for number in 0..count {
            let _ = write!(text, "[[price]]\nmodel = '*model-{number}-*'\ninput = 1\n");
        }
        text
    };
    let table = table(&prices(2_000));
    assert_eq!(nanos(&table, &call("a-model-1999-b", 1, 0)), Some(1_000));
    assert_eq!(nanos(&table, &call("a-model-2000-b", 1, 0)), None);
    let refused = error(&prices(table::MAX_PRICES + 1));
    assert!(
        refused.message.contains("more than 10000 prices"),
        "{refused}"
    );
}
