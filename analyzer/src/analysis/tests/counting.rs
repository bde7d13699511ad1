//! What is counted of a call, and what is compared.

use super::super::finish::call_key;
use super::*;
use crate::{
    audit::{Audit, Pair},
    tokens::{
        cache::Cache,
        policy::{AuditRate, Mode, Policy},
    },
};

fn counter(mode: Mode, rate: &str) -> Counter {
    let audit: AuditRate = rate.parse().unwrap();
    let tokenizers = Arc::new(Tokenizers::by_model());
    Counter::new(tokenizers, Policy { mode, audit }, Arc::new(Cache::new(0)))
}

fn counted(script: &Script, counter: &Counter) -> Call {
    script.finish().call.unwrap().count(counter).call
}

fn figures(call: &Call) -> [(Option<u64>, TokenSource, Option<u64>); 2] {
    [
        (
            call.input_tokens,
            call.input_source,
            call.counted_input_tokens,
        ),
        (
            call.output_tokens,
            call.output_source,
            call.counted_output_tokens,
        ),
    ]
}

const USAGE: &str = r#"{"prompt_tokens":20,"completion_tokens":10}"#;

fn reported() -> Script {
    Script::new()
        .post(CHAT, ASK)
        .plain(200, &answer("hello world", USAGE))
}

#[test]
fn what_is_reported_is_counted_in_the_sample_alone_and_never_taken() {
    use TokenSource::Reported;
    let [out, sampled, always, never] = [
        counter(Mode::Auto, "0"),
        counter(Mode::Auto, "1"),
        counter(Mode::Always, "0"),
        counter(Mode::Never, "1"),
    ]
    .map(|counter| counted(&reported(), &counter));
    for (call, audited) in [
        (&out, false),
        (&sampled, true),
        (&always, true),
        (&never, false),
    ] {
        let [input, output] = [9, 2].map(|count| audited.then_some(count));
        assert_eq!(
            figures(call),
            [(Some(20), Reported, input), (Some(10), Reported, output)]
        );
        assert_eq!(call.total_tokens, Some(30));
        assert_eq!(call.audited, audited);
        assert_eq!(call.tokenizer.is_some(), audited);
        assert_eq!(call.output_rule, audited.then_some("text"));
        let pair = |reported, counted| Some(Pair { reported, counted });
        let audit = Audit {
            input: pair(20, 9),
            output: pair(10, 2),
        };
        assert_eq!(Audit::of(call), audited.then_some(audit));
    }
}

#[test]
fn each_side_is_counted_where_it_is_not_reported() {
    use TokenSource::{Counted, None as Nothing, Reported};
    // The prompt's figure comes with the first chunk, the client leaves before the last one.
    let broken = Script::new()
        .post(CHAT, ASK)
        .stream(1)
        .data(
            r#"{"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":0}}"#,
            10,
        )
        .delta(r#"{"content":"hello"}"#, 20)
        .delta(r#"{"content":" world"}"#, 30)
        .end(Ending::ClientReset, 40);
    let silent = Script::new()
        .post(CHAT, ASK)
        .plain(200, &answer("hello world", "null"));
    for rate in ["0", "1"] {
        let auto = counter(Mode::Auto, rate);
        let call = counted(&broken, &auto);
        let input = (rate == "1").then_some(9);
        assert_eq!(
            figures(&call),
            [(Some(20), Reported, input), (Some(2), Counted, Some(2))]
        );
        assert!(call.output_partial);
        // What broke off is not what the server's figures would be of.
        assert!(!call.audited);
        assert_eq!(Audit::of(&call), None);

        let call = counted(&silent, &auto);
        assert_eq!(
            figures(&call),
            [(Some(9), Counted, Some(9)), (Some(2), Counted, Some(2))]
        );
        assert!(!call.audited && call.tokenizer.is_some());
    }
    let never = counter(Mode::Never, "1");
    // A figure that output followed is of a part, and still all there is.
    let call = counted(&broken, &never);
    assert_eq!(
        figures(&call),
        [(Some(20), Reported, None), (Some(0), Reported, None)]
    );
    let call = counted(&silent, &never);
    assert_eq!(figures(&call), [(None, Nothing, None); 2]);
    assert_eq!(
        (call.total_tokens, call.tokenizer, call.output_rule),
        (None, None, None)
    );
}

#[test]
fn what_was_lost_or_cut_is_counted_and_not_compared() {
    let lost = reported().gap(Place::RequestBody, 1);
    let call = counted(&lost, &counter(Mode::Always, "0"));
    assert!(call.counted_output_tokens.is_some() && !call.audited);
    let refused = Script::new()
        .post(CHAT, ASK)
        .plain(429, r#"{"error":{"message":"slow down"}}"#);
    let call = counted(&refused, &counter(Mode::Always, "1"));
    assert_eq!(figures(&call), [(None, TokenSource::None, None); 2]);
    assert_eq!((call.tokenizer, call.audited), (None, false));
}

#[test]
fn a_call_is_chosen_by_its_key_alone() {
    let half = counter(Mode::Auto, "0.5");
    let audited = |number: i64| {
        let mut call = reported().finish().call.unwrap();
        call.call.call_key = call_key([None, None], b'q', t(number), 0);
        call.count(&half).call.audited
    };
    let chosen: Vec<_> = (0..64).map(audited).collect();
    let again: Vec<_> = (0..64).rev().map(audited).collect();
    assert!(chosen.iter().eq(again.iter().rev()));
    let count = chosen.iter().filter(|chosen| **chosen).count();
    assert!((16..=48).contains(&count), "{count} of 64");
}

#[test]
fn the_output_of_a_known_family_is_all_that_was_generated() {
    let stream = |model: &str, reason: &str| {
        let named = |text: &str| text.replace("\"m-1\"", &format!("\"{model}\""));
        Script::new()
            .post(CHAT, r#"{"n":2,"messages":[]}"#)
            .stream(1)
            .data(
                &named(&chunk(0, r#"{"reasoning_content":"hello"}"#, "null")),
                10,
            )
            .data(&named(&chunk(0, r#"{"content":"hello"}"#, "null")), 20)
            .data(&named(&chunk(1, r#"{"content":"hello"}"#, "null")), 20)
            .data(&named(&chunk(1, "{}", "\"stop\"")), 30)
            .data(&named(&chunk(0, "{}", reason)), 30)
            .complete(40)
    };
    let always = Counter::always();
    let call = |model, reason| {
        let call = counted(&stream(model, reason), &always);
        (call.counted_output_tokens, call.output_rule)
    };
    // "hello" three times.
    assert_eq!(call("made-up", "\"stop\""), (Some(3), Some("text")));
    assert_eq!(call("gpt-4o", "\"stop\""), (Some(3), Some("text")));
    // And an end for each choice.
    assert_eq!(call("llama-3.3", "\"stop\""), (Some(5), Some("llama3.1")));
    // One was cut off by a limit, which ends no turn.
    assert_eq!(call("llama-3.3", "\"length\""), (Some(4), Some("llama3.1")));
    // <think>, </think>, and their line ends, of which the last two are one token.
    let (tokens, rule) = call("qwen3", "\"stop\"");
    assert_eq!(rule, Some("qwen3"));
    assert_eq!(tokens, Some(5 + 2 + 3));
}
