//! Templates that are given: what they are handed, what bounds them, and what counts where they fail.

use super::*;

#[test]
fn templates_are_rendered_as_transformers_renders_them() {
    let cases = cases();
    for name in ["qwen2_5", "qwen3", "deepseek_v3"] {
        let template = template(name);
        for reference in references(name) {
            let text = rendered(&template, &body(name, &cases[&reference.case])).unwrap();
            let expected = reference.sha256.unwrap();
            assert_eq!(
                sha256(&text),
                expected,
                "{name}, {}:\n{text}",
                reference.case
            );
        }
    }
}

#[test]
fn templates_have_what_transformers_gives_them() {
    let ask = json!({
        "messages": [{"role": "user", "content": " hi "}, {"role": "assistant", "content": null,
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{\"a\":[1,2.0],\"é\":null}"}}]}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "chat_template_kwargs": {"enable_thinking": false, "mine": [1]},
        "documents": ["d"],
    });
    for (source, expected) in [
        ("{{ messages[0].content.strip() }}", "hi"),
        ("{{ messages[0]['content'].upper().strip() }}", "HI"),
        ("{{ messages|length }}{{ messages[-1].role }}", "2assistant"),
        (
            "{{ messages[1].tool_calls[0].function.arguments | tojson }}",
            "{\"a\": [1, 2.0], \"é\": null}",
        ),
        (
            "{{ messages[1].tool_calls[0].function.arguments | tojson(indent=2) }}",
            "{\n  \"a\": [\n    1,\n    2.0\n  ],\n  \"é\": null\n}",
        ),
        (
            "{{ messages[1].tool_calls[0].function.arguments | tojson(separators=(',', ':'), ensure_ascii=False) }}",
            "{\"a\":[1,2.0],\"é\":null}",
        ),
        ("{{ strftime_now('%d %b %Y') }}", "26 Jul 2025"),
        (
            "{% if strftime_now is defined %}{{ strftime_now('%Y-%m-%d') }}{% endif %}",
            "2025-07-26",
        ),
        (
            "{{ enable_thinking }} {{ mine[0] }} {% if messages[1].content is none %}{{ messages[1].content }}{% endif %}",
            "False 1 None",
        ),
        (
            "{% for m in messages %}{% if loop.index0 == 1 %}{% break %}{% endif %}{{ m.role }}{% endfor %}",
            "user",
        ),
        (
            "{% for m in messages %}\n    {% if m.role == 'user' %}\nu\n    {% endif %}\n{% endfor %}\n",
            "u\n",
        ),
        (
            "{%- set ns = namespace(a=1) %}{% for m in messages %}{% set ns.a = ns.a + 1 %}{% endfor %}{{ ns.a }}",
            "3",
        ),
        ("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f('a') }}", "<a>"),
        ("a{% generation %}b{%- endgeneration %} c", "ab c"),
        (
            "{{ add_generation_prompt }}{{ bos_token is defined }}",
            "TrueFalse",
        ),
        (
            "{{ '<b>' }}{{ 'a' in 'abc' }}{{ messages[::-1][0].role }}",
            "<b>Trueassistant",
        ),
    ] {
        let body = serde_json::to_vec(&ask).unwrap();
        assert_eq!(
            rendered(&of_text(source), &body).as_deref(),
            Ok(expected),
            "{source}"
        );
    }
}

#[test]
fn a_template_that_will_not_end_is_stopped() {
    let asks_for_a_file = Some("{% include '/etc/passwd' %}".to_owned());
    assert!(Template::new("given", asks_for_a_file, &Value::Null, &Value::Null).is_err());
    let long = "x".repeat(100_000);
    let turns: Vec<Value> = (0..20_000)
        .map(|_| json!({"role": "user", "content": "twenty bytes of text"}))
        .collect();
    for (what, source, messages) in [
        (
            "refuses",
            "{{ raise_exception('no') }}",
            json!([{"role": "user", "content": "a"}]),
        ),
        (
            "loops",
            "{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(10000) %}{% set d = a %}{% endfor %}{% endfor %}{% endfor %}",
            json!([{"role": "user", "content": "a"}]),
        ),
        (
            "calls itself",
            "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
            json!([{"role": "user", "content": "a"}]),
        ),
        (
            "writes on",
            "{% for a in range(10000) %}{{ messages[0].content }}{% endfor %}",
            json!([{"role": "user", "content": long}]),
        ),
        (
            "doubles a text",
            "{% set ns = namespace(a=messages[0].content) %}{% for i in range(60) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
            json!([{"role": "user", "content": long}]),
        ),
        (
            "gathers a text",
            "{% set ns = namespace(a='') %}{% for m in messages %}{% set ns.a = ns.a + m.content %}{% endfor %}{{ ns.a }}",
            json!(turns),
        ),
        (
            "adds a list to itself",
            "{% set ns = namespace(x=[1,2]) %}{% for i in range(26) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x|length }}",
            json!([{"role": "user", "content": "a"}]),
        ),
        (
            "writes a list that was added to itself",
            "{% set ns = namespace(x=[1,2]) %}{% for i in range(26) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
            json!([{"role": "user", "content": "a"}]),
        ),
        (
            "nests a list twice each time",
            "{% set ns = namespace(x=[1]) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}",
            json!([{"role": "user", "content": "a"}]),
        ),
        (
            "nests a list",
            "{% set ns = namespace(x=[1]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
            json!([{"role": "user", "content": "a"}]),
        ),
        (
            "writes itself",
            "{% set ns = namespace(x=[1]) %}{% set ns.x = ns %}{{ ns }}",
            json!([{"role": "user", "content": "a"}]),
        ),
        (
            "writes itself as JSON",
            "{% set ns = namespace(x=[1]) %}{% set ns.x = ns %}{{ ns|tojson }}",
            json!([{"role": "user", "content": "a"}]),
        ),
        (
            "makes JSON of a text again and again",
            "{% for a in range(10000) %}{% for b in range(10000) %}{% set c = messages[0].content|tojson %}{% endfor %}{% endfor %}",
            json!([{"role": "user", "content": long}]),
        ),
        (
            "repeats a text",
            "{{ messages[0].content * 1000000000 }}",
            json!([{"role": "user", "content": long}]),
        ),
    ] {
        let request = json!({"model": "m", "messages": messages});
        let body = serde_json::to_vec(&request).unwrap();
        let begun = std::time::Instant::now();
        let Err(_) = rendered(&of_text(source), &body) else {
            panic!("{what}: it was rendered");
        };
        assert!(begun.elapsed().as_secs() < 30, "{what}: a watchdog");
    }
}

#[test]
fn where_a_template_fails_the_familys_rule_counts_and_the_failure_is_told() {
    let request = body(
        "Qwen2.5-7B",
        &json!({"messages": [{"role": "user", "content": "hello world"}]}),
    );
    let (dialect, facts) = read("/v1/chat/completions", &request, 7);
    let choice = choice("Qwen2.5-7B");
    let failing = of_text("{{ raise_exception('no') }}");
    let working = of_text("{{ messages[0].content }}");
    let count = |template| {
        let asked = Asked {
            dialect,
            choice: &choice,
            template,
            models: &["Qwen2.5-7B"],
            time: Timestamp::default(),
        };
        count(&facts.prompt, asked, &|text| choice.tokenizer.count(text))
    };
    let (rule, failed) = (count(None), count(Some(&failing)));
    assert_eq!(
        (rule.rule, rule.template_failed),
        (PromptRule::Family, false)
    );
    assert_eq!(
        (failed.rule, failed.template_failed),
        (PromptRule::Family, true)
    );
    assert_eq!(failed.tokens, rule.tokens);
    let once = TemplateFailures {
        too_long: 0,
        refused: 1,
    };
    assert_eq!(failing.failures(), once);
    let counted = count(Some(&working));
    assert_eq!((counted.rule, counted.tokens), (PromptRule::Template, 2));
    assert_eq!(working.failures(), TemplateFailures::default());
}
