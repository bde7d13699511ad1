//! Whole prompts counted by tokenizers and templates that were given: beside what the reference implementations
//! give for the same messages, and what is said of those that cannot be used.

use std::{collections::BTreeMap, fmt::Write as _, fs, net::SocketAddr, path::Path};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    http, metrics,
    pcap::{Capture, Conversation, Link},
    process::{self, Daemon, Done},
    recording,
    row::Row,
    tools,
};
use serde_json::{Value, json};

const T0: u64 = 1_754_000_000_000_000;

/// Tokenizers as their packages have them, and a model whose name tells the family.
const MODELS: [(&str, &str); 4] = [
    ("qwen3", "Qwen/Qwen3-8B"),
    ("llama3_1", "meta-llama/Meta-Llama-3.1-8B-Instruct"),
    ("deepseek_v3", "deepseek-ai/DeepSeek-V3"),
    ("gemma3", "google/gemma-3-27b-it"),
];

/// What a reference gave for a case; no tokens where it refused it.
struct Reference {
    case: String,
    tokens: Option<i64>,
}

fn references(name: &str) -> Result<Vec<Reference>> {
    let file = tools::file("data/prompts").join(format!("{name}.ndjson"));
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let lines = text.lines().map(|line| {
        let said: Value = serde_json::from_str(line)?;
        Ok(Reference {
            case: said["case"].as_str().context("a case")?.to_owned(),
            tokens: said["tokens"].as_i64(),
        })
    });
    lines.collect()
}

fn cases() -> Result<BTreeMap<String, Value>> {
    let text = fs::read_to_string(tools::file("data/prompts/cases.json"))?;
    Ok(serde_json::from_str(&text)?)
}

/// A connection of its own for each request, answered without usage.
fn capture(requests: &[Value], file: &Path) -> Result<()> {
    let mut capture = Capture::new(Link::Ethernet);
    for (number, request) in (0..).zip(requests) {
        let client: SocketAddr = ([10, 1, 0, 9], 40_000 + number).into();
        let mut talk = Conversation::new(client, ([10, 0, 0, 1], 8000).into());
        let body = request.to_string();
        let answer = r#"{"object":"chat.completion","choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
        let at = T0 + 1_000_000 * u64::from(number);
        talk.handshake(at)
            .client(
                at + 1_000,
                format!(
                    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ),
            )
            .server(
                at + 2_000,
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{answer}",
                    answer.len()
                ),
            )
            .close(at + 3_000);
        capture.add(&talk);
    }
    Ok(capture.write(file)?)
}

fn given(pattern: &str, path: &Path) -> String {
    format!("{pattern}={}", path.display())
}

/// The row of the request that named this user.
fn row_of<'r>(rows: &'r [Row], user: &str) -> Result<&'r Row> {
    let mut rows = rows.iter();
    rows.find(|row| row.text("user") == Some(user))
        .with_context(|| format!("no row of {user}"))
}

#[test]
fn a_given_tokenizer_and_its_template_count_what_the_reference_counts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("prompts.pcap");
    let cases = cases()?;
    let mut requests = Vec::new();
    let mut arguments = vec!["--count".to_owned(), "always".to_owned()];
    for (name, model) in MODELS {
        let (_, plain) = model.rsplit_once('/').context("an owner")?;
        let word = plain.split('-').next().unwrap_or(plain);
        arguments.push("--tokenizer".to_owned());
        arguments.push(given(
            &format!("*{}*", word.to_lowercase()),
            &tools::tokenizer(name)?,
        ));
        for reference in references(name)? {
            let mut request = cases[&reference.case].clone();
            request["model"] = model.into();
            request["user"] = format!("{name}: {}", reference.case).into();
            requests.push(request);
        }
    }
    capture(&requests, &file)?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let rows = recording::replay(&file, &arguments)?.rows()?;
    ensure!(rows.len() == requests.len());
    let mut wrong = String::new();
    for (name, _) in MODELS {
        let mut compared = 0;
        for Reference { case, tokens } in references(name)? {
            let row = row_of(&rows, &format!("{name}: {case}"))?;
            // A name that a built-in one has gets a number.
            let tokenizer = row.text("tokenizer").unwrap_or_default();
            assert!(tokenizer.starts_with(name), "{row:?}");
            assert_eq!(row.text("tokenizer_fit"), Some("exact"), "{row:?}");
            assert_eq!(row.text("input_source"), Some("counted"), "{row:?}");
            let Some(tokens) = tokens else {
                // What the template refuses, no server takes; here the family's rule counts it.
                assert_eq!(row.text("prompt_rule"), Some("family"), "{row:?}");
                continue;
            };
            compared += 1;
            assert_eq!(row.text("prompt_rule"), Some("template"), "{row:?}");
            assert_eq!(row.int("uncounted_parts"), Some(0), "{row:?}");
            let counted = row.int("counted_input_tokens");
            if counted != Some(tokens) {
                writeln!(wrong, "{name}: {case}: {counted:?}, not {tokens}")?;
            }
        }
        ensure!(compared >= 18, "{name}: {compared} cases");
    }
    assert!(wrong.is_empty(), "{wrong}");
    Ok(())
}

/// Requests of one short message, by model.
fn asked(models: &[&str], file: &Path) -> Result<()> {
    let messages = json!([{"role": "user", "content": "Hello, world!"}]);
    let requests = models
        .iter()
        .map(|model| json!({"model": model, "user": model, "messages": messages}));
    capture(&requests.collect::<Vec<_>>(), file)
}

/// The tokenizer, its fit and the prompt_rule of each of five models.
type Expected = [(&'static str, &'static str, &'static str); 5];

#[test]
fn what_counts_and_how_well_it_fits_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("models.pcap");
    let models = [
        "qwen3-8b",
        "my-own",
        "Meta-Llama-3.1-8B",
        "somebody-elses",
        "gpt-4o",
    ];
    asked(&models, &file)?;
    let qwen = tools::tokenizer("qwen3")?;
    let by_file = given("my-*", &qwen.join("tokenizer.json"));
    let first = given("my-own*", &qwen);
    // A setting, and what is expected by it.
    let expected: [(Vec<&str>, Expected); 3] = [
        (
            vec![],
            [
                ("qwen2", "exact", "family"),
                ("cl100k_base", "guess", "plain"),
                ("cl100k_base", "near", "family"),
                ("cl100k_base", "guess", "plain"),
                ("o200k_base", "exact", "family"),
            ],
        ),
        (
            vec!["--tokenizer", "cl100k_base"],
            [("cl100k_base", "set", "plain"); 5],
        ),
        (
            // Given ones go before the one that is set; of two that fit, the first holds.
            vec![
                "--tokenizer",
                "o200k_base",
                "--tokenizer",
                &first,
                "--tokenizer",
                &by_file,
            ],
            [
                ("o200k_base", "set", "family"),
                ("qwen3", "exact", "template"),
                ("o200k_base", "set", "family"),
                ("o200k_base", "set", "plain"),
                ("o200k_base", "set", "family"),
            ],
        ),
    ];
    for (arguments, expected) in expected {
        let rows = recording::replay(&file, &[&["--count", "always"], &arguments[..]].concat())?;
        let rows = rows.rows()?;
        for (model, expected) in models.iter().zip(expected) {
            let row = row_of(&rows, model)?;
            let [tokenizer, fit, rule] = ["tokenizer", "tokenizer_fit", "prompt_rule"]
                .map(|column| row.text(column).unwrap_or_default());
            assert_eq!((tokenizer, fit, rule), expected, "{model} {arguments:?}");
        }
    }
    Ok(())
}

#[test]
fn the_settings_file_and_the_environment_name_tokenizers_as_the_flag_does() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("models.pcap");
    asked(&["my-own", "his-own"], &file)?;
    let qwen = given("my-*", &tools::tokenizer("qwen3")?);
    let llama = given("his-*", &tools::tokenizer("llama3_1")?);
    let settings = folder.path().join("llmtap.toml");
    fs::write(
        &settings,
        format!("count = 'always'\ntokenizer = ['{qwen}', '{llama}']\n"),
    )?;
    let replay = || process::llmtap(&["replay", "--format", "ndjson"]);
    let mut by_file = replay()?;
    by_file.arg("--config").arg(&settings).arg(&file);
    let mut by_variable = replay()?;
    by_variable
        .env("LLMTAP_COUNT", "always")
        .env("LLMTAP_TOKENIZER", format!("{qwen}\n{llama}"))
        .arg(&file);
    for mut command in [by_file, by_variable] {
        let done = process::run(&mut command)?;
        let rows = done.rows()?;
        for (model, tokenizer) in [("my-own", "qwen3"), ("his-own", "llama3_1")] {
            let row = row_of(&rows, model).with_context(|| done.stderr.clone())?;
            assert_eq!(row.text("tokenizer"), Some(tokenizer));
            assert_eq!(row.text("prompt_rule"), Some("template"));
        }
    }
    Ok(())
}

#[test]
fn a_tokenizer_that_cannot_be_used_is_refused_in_words() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let place = folder.path();
    let file = |name: &str, text: &str| -> Result<String> {
        let path = place.join(name);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(&path, text)?;
        Ok(given("m*", &path))
    };
    let empty = place.join("empty");
    fs::create_dir(&empty)?;
    let too_new = r#"{"version": "9.0", "model": {"type": "NextPE", "vocab": {}}}"#;
    let bare = r#"{"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}"#;
    let capture = place.join("models.pcap");
    asked(&["m"], &capture)?;
    file("half/tokenizer.json", bare)?;
    file(
        "half/tokenizer_config.json",
        r#"{"chat_template": "{% for m in %}"}"#,
    )?;
    file("torn/tokenizer.json", bare)?;
    file("torn/tokenizer_config.json", r#"{"chat_template": "#)?;
    for (settings, said) in [
        (vec![given("m*", &place.join("none"))], "cannot read"),
        (
            vec![file("text/tokenizer.json", "a text, and no more")?],
            "it is no tokenizer.json, no tekken.json and no tiktoken file",
        ),
        (
            vec![file("cut/tokenizer.json", r#"{"model": {"type"#)?],
            "it is a damaged tokenizer.json",
        ),
        (
            vec![file("new/tokenizer.json", too_new)?],
            "or one of a kind that is not known: Unknown tokenizer version '9.0'",
        ),
        (
            vec![given("m*", &empty)],
            "has none of tokenizer.json, tekken.json, tiktoken.model, tokenizer.model",
        ),
        (
            vec![given("m*", &place.join("half"))],
            "the chat template cannot be read",
        ),
        (
            vec![given("m*", &place.join("torn"))],
            "is no tokenizer configuration",
        ),
        (
            vec![given("", &place.join("half"))],
            "there is no pattern of models before the =",
        ),
        (
            vec!["*=/dev/zero".to_owned()],
            "/dev/zero is no regular file",
        ),
        (
            vec!["cl200k".to_owned()],
            "there is no tokenizer named \"cl200k\"; the known ones are cl100k_base",
        ),
        (
            vec!["cl100k_base".to_owned(), "o200k_base".to_owned()],
            "only one can count for every model",
        ),
        (
            vec![file("ranks/mine.tiktoken", "IQ== 0\nIg== 1\n")?],
            "does not say how its model splits a text",
        ),
    ] {
        let mut command = process::llmtap(&["replay"])?;
        for setting in &settings {
            command.args(["--tokenizer", setting]);
        }
        let done = process::run(command.arg(&capture))?;
        assert_eq!(done.code, Some(2), "{settings:?}: {done:?}");
        assert!(done.stderr.contains(said), "{settings:?}: {}", done.stderr);
        assert!(done.stdout.is_empty(), "{settings:?}: {}", done.stdout);
        // It says which.
        assert!(done.stderr.contains(&settings[0]), "{}", done.stderr);
    }
    Ok(())
}

/// A tokenizer whose template refuses all that does not begin with "Hello".
fn choosy(folder: &Path) -> Result<()> {
    fs::create_dir(folder)?;
    fs::copy(
        tools::tokenizer("qwen3")?.join("tokenizer.json"),
        folder.join("tokenizer.json"),
    )?;
    let template = "{% if not messages[0].content.startswith('Hello') %}{{ raise_exception('say Hello') }}{% endif %}hi";
    let config = json!({"chat_template": template}).to_string();
    Ok(fs::write(folder.join("tokenizer_config.json"), config)?)
}

#[test]
fn a_template_that_fails_is_told_once_and_counted_each_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let choosy_one = folder.path().join("choosy");
    choosy(&choosy_one)?;
    let tokenizer = given("qwen*", &choosy_one);
    let store = folder.path().join("llmtap.db");
    let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--count", "always"])?;
    command
        .args(["--tokenizer", &tokenizer, "--db"])
        .arg(&store);
    let daemon = Daemon::start(command)?;
    let api = daemon.ready()?;
    let failures = || -> Result<f64> {
        let text = http::get(api, "/metrics")?.text();
        let samples = metrics::parse(&text)?;
        let name = "llmtap_prompt_template_failures_total";
        assert!(samples.iter().any(|sample| sample.name == name), "{text}");
        Ok(metrics::sum(&samples, name, |_| true))
    };
    assert!(failures()? < 0.5, "it is there from the start");
    for said in ["Bye", "Hello", "Bye", "Goodbye"] {
        let messages = json!([{"role": "user", "content": said}]);
        let report = json!({
            "path": "/v1/chat/completions", "elapsed_time": 0.5,
            "request_body": json!({"model": "qwen3-8b", "messages": messages}).to_string(),
            "response_body": json!({"object": "chat.completion", "choices": [{"message": {"content": "hi"}}]}).to_string(),
        });
        let response = http::post(api, "/api/report", &report.to_string())?;
        assert_eq!(response.status, 200, "{}", response.text());
    }
    let counted = failures()?;
    assert!((counted - 3.0).abs() < 1e-9, "{counted}");
    let Done { stderr, .. } = daemon.stop("TERM")?;
    let told = stderr.matches("the chat template failed").count();
    assert_eq!(told, 1, "{stderr}");
    assert!(stderr.contains("say Hello"), "{stderr}");
    Ok(())
}

/// The tokenizer of the model that llama.cpp's server ran when the capture was made (`tests/captures/tiny_model.py`), as
/// a hub would publish it.
fn tiny(folder: &Path) -> Result<()> {
    const WORDS: [&str; 15] = [
        "▁the",
        "▁a",
        "▁tap",
        "▁reads",
        "▁what",
        "▁passes",
        "▁and",
        "▁changes",
        "▁nothing",
        "▁does",
        "e",
        "t",
        "a",
        "o",
        "▁",
    ];
    let specials = ["<unk>", "<s>", "</s>"].map(str::to_owned);
    let bytes = (0..=255).map(|byte| format!("<0x{byte:02X}>"));
    let words = WORDS.map(str::to_owned);
    let pieces = specials.into_iter().chain(bytes).chain(words);
    let vocabulary: Value = (0..)
        .zip(pieces)
        .map(|(id, piece)| (piece, Value::from(id)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let special = |id, content| {
        json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false})
    };
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": [special(1, "<s>"), special(2, "</s>")],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocabulary,
            "merges": [["▁", "a"]]},
    });
    let template = "{{ bos_token }}{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n\
        {% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
    let config = json!({"bos_token": "<s>", "add_bos_token": true, "chat_template": template});
    fs::create_dir(folder)?;
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string())?;
    Ok(fs::write(
        folder.join("tokenizer_config.json"),
        config.to_string(),
    )?)
}

#[test]
fn a_prompt_counts_what_a_real_server_reported() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let own = folder.path().join("tiny-model");
    tiny(&own)?;
    let capture = tools::file("data/clients/llamacpp.pcap.gz");
    let tokenizer = given("tiny", &own);
    let arguments = ["--count", "always", "--tokenizer", &tokenizer];
    let rows = recording::replay(&capture, &arguments)?.rows()?;
    ensure!(rows.len() >= 7, "{} rows", rows.len());
    for row in rows {
        assert_eq!(row.text("tokenizer"), Some("tiny-model"), "{row:?}");
        assert_eq!(row.text("input_source"), Some("reported"), "{row:?}");
        assert_eq!(
            row.int("counted_input_tokens"),
            row.int("input_tokens"),
            "{row:?}"
        );
    }
    Ok(())
}
