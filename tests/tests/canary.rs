//! Secrets are planted in every place of every wire API, and looked for in all that llmtap leaves behind.
//!
//! Each secret has a random core of its own. A leak is any piece of seven characters of any core, so that
//! halves, and secrets that a stream spells piece by piece, are found as well. To show that the search
//! would find them, what was said around them must be there.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    canary::{
        PIECES, Plants, SAID, Search, apis, base64, escaped, escaped_strings, planted, spelt,
        streamed, unescaped,
    },
    http,
    pcap::{ByteOrder, Capture, Conversation, Link, Resolution},
    process::{self, Daemon, Done},
};
use serde_json::json;

/// What is said in prompts alone: it is stored where bodies are.
const PROMPT: &str = "tell me of the gannet";

const T0: u64 = 1_754_000_000_000_000;

/// One exchange to come: all but its times.
struct Talk {
    request: Vec<u8>,
    response: Vec<u8>,
}

fn post(target: &str, headers: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {target} HTTP/1.1\r\nHost: llm\r\n{headers}Content-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn answer(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

const OK: &str = "200 OK";
const JSON: &str = "application/json";

/// Every API, asked and answered, with a secret in each field.
fn api_talks(plants: &mut Plants) -> Vec<Talk> {
    let mut talks = Vec::new();
    for api in apis() {
        let ask = planted(plants, &api.ask, &format!("{} asked", api.name)).to_string();
        let mut talk = |ask: &str, response: Vec<u8>| {
            talks.push(Talk {
                request: post(api.path, "", JSON, ask),
                response,
            });
        };
        for status in [OK, "400 Bad Request", "500 Oh"] {
            let tell = planted(plants, &api.tell, &format!("{} told", api.name)).to_string();
            talk(&ask, answer(status, JSON, &tell));
        }
        let tell = planted(plants, &api.tell, &format!("{} escaped", api.name));
        talk(
            &escaped_strings(&ask),
            answer(OK, JSON, &escaped_strings(&tell.to_string())),
        );
        for (size, write) in [
            (1, str::to_owned as fn(&str) -> String),
            (3, str::to_owned),
            (8, escaped),
            (64, str::to_owned),
        ] {
            if let Some(stream) = streamed(plants, &api, size, write) {
                talk(&ask, stream);
            }
        }
        // Cut off in the midst of a secret.
        if let Some(stream) = streamed(plants, &api, 5, str::to_owned) {
            let most = stream.len() / 4 * 3;
            talk(&ask[..ask.len() / 2], stream[..most].to_vec());
        }
    }
    talks
}

const CHAT: &str = "/v1/chat/completions";

/// [`SAID`], and then [`PROMPT`].
const PLAIN: &str = r#"{"model":"m","messages":[{"role":"user","content":"remember the albatross. tell me of the gannet"}]}"#;

const TELL: &str = r#"{"object":"chat.completion","choices":[{"index":0,"message":{"content":"remember the albatross"}}]}"#;

/// Places outside of the dialects' bodies.
fn other_talks(plants: &mut Plants) -> Vec<Talk> {
    let mut talks = Others(Vec::new());
    in_headers(plants, &mut talks);
    in_targets(plants, &mut talks);
    in_long_and_mixed_bodies(plants, &mut talks);
    in_junk(plants, &mut talks);
    talks.0
}

struct Others(Vec<Talk>);

impl Others {
    fn add(&mut self, request: Vec<u8>, response: &[u8]) {
        let response = response.to_vec();
        self.0.push(Talk { request, response });
    }
}

fn ok() -> Vec<u8> {
    answer(OK, JSON, TELL)
}

fn in_headers(plants: &mut Plants, talks: &mut Others) {
    // Credentials in headers need no shape to go.
    let headers = [
        ("Authorization", "Bearer "),
        ("Proxy-Authorization", "Basic "),
        ("api-key", ""),
        ("X-Api-Key", ""),
        ("x-goog-api-key", ""),
        ("Ocp-Apim-Subscription-Key", ""),
        ("Cookie", "session="),
        ("X-Auth-Token", ""),
        ("X-Amz-Security-Token", ""),
        ("Referer", "https://a/?token="),
        ("X-Forwarded-Uri", "/x?key="),
        ("Forwarded", "for="),
        ("X-Unknown", ""),
    ]
    .map(|(name, before)| format!("{name}: {before}{}\r\n", plants.core(name)))
    .concat();
    talks.add(post(CHAT, &headers, JSON, PLAIN), &ok());
    let set_cookie = format!(
        "HTTP/1.1 200 OK\r\nSet-Cookie: s={}\r\nX-Api-Key: {}\r\nContent-Length: {}\r\n\r\n{TELL}",
        plants.core("Set-Cookie"),
        plants.core("an answer's key"),
        TELL.len()
    );
    talks.add(post(CHAT, "", JSON, PLAIN), set_cookie.as_bytes());

    // What is kept of headers, by its shape.
    let headers = [
        "User-Agent",
        "X-Request-Id",
        "X-Model",
        "X-Team",
        "X-User",
        "traceparent",
    ]
    .map(|name| format!("{name}: it is {} \r\n", plants.secret(name)))
    .concat();
    talks.add(
        post(CHAT, &headers, JSON, &PLAIN.replace("\"model\":\"m\",", "")),
        &ok(),
    );
    let id = format!(
        "HTTP/1.1 200 OK\r\nX-Request-Id: {}\r\nContent-Length: {}\r\n\r\n{TELL}",
        plants.secret("an answer's id"),
        TELL.len()
    );
    talks.add(post(CHAT, "", JSON, PLAIN), id.as_bytes());
}

fn in_targets(plants: &mut Plants, talks: &mut Others) {
    // Targets.
    for target in [
        format!(
            "{CHAT}?key={}&a={}#{}",
            plants.core("key in a query"),
            plants.secret("a query"),
            plants.secret("a fragment")
        ),
        format!(
            "http://me:{}@llm{CHAT}?sig={}",
            plants.core("user of a target"),
            plants.core("a query's sig")
        ),
        format!("/proxy/{}{CHAT}", plants.secret("a path")),
        format!(
            "/openai/deployments/{}/chat/completions",
            plants.secret("a deployment")
        ),
        format!(
            "/v1beta/models/g:generateContent?key={}",
            plants.core("Gemini's key")
        ),
        format!("/unknown?token={}", plants.core("an unknown path's query")),
    ] {
        talks.add(post(&target, "", JSON, PLAIN), &ok());
    }
}

fn in_long_and_mixed_bodies(plants: &mut Plants, talks: &mut Others) {
    // Images and forms.
    let png = base64(
        &[
            b"\x89PNG\r\n\x1a\n".to_vec(),
            plants.core("an image").into_bytes().repeat(20),
        ]
        .concat(),
    );
    let image = PLAIN.replace(
        SAID,
        &format!(
            "{SAID} data:image/png;base64,{png} {}",
            plants.secret("beside an image")
        ),
    );
    talks.add(post(CHAT, "", JSON, &image), &ok());
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{}\r\n--b\r\n\
         Content-Disposition: form-data; name=\"prompt\"\r\n\r\n{SAID} {}\r\n--b\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"{}.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF{}\r\n--b--\r\n",
        plants.secret("a form's model"),
        plants.secret("a form's prompt"),
        plants.secret("a file's name"),
        plants.secret("a file")
    );
    let text = format!("{{\"text\":\"{SAID} {}\"}}", plants.secret("a transcript"));
    talks.add(
        post(
            "/v1/audio/transcriptions",
            "",
            "multipart/form-data; boundary=b",
            &form,
        ),
        &answer(OK, JSON, &text),
    );

    // A body longer than what is stored, with a secret on each border of it.
    let filler = "albatross. ".repeat(60_000);
    let mut long: String = filler;
    for border in [
        256 << 10,
        (256 << 10) + (16 << 10),
        long.len() - (64 << 10),
        long.len() - (80 << 10),
    ] {
        let secret = plants.secret("a border");
        long.replace_range(
            border - 40..border - 40 + secret.len() + 2,
            &format!(" {secret} "),
        );
    }
    talks.add(post(CHAT, "", JSON, &PLAIN.replace(SAID, &long)), &ok());
}

fn in_junk(plants: &mut Plants, talks: &mut Others) {
    // What is no answer, and no HTTP.
    for junk in [
        format!(
            "HTTP/1.0 nonsense {}\r\n\r\n",
            plants.secret("a bad status line")
        ),
        format!("{}\r\n\r\n", plants.secret("an answer that is no HTTP")),
        format!(
            "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<p>{SAID} {}</p>",
            plants.secret("an error page")
        ),
        String::new(),
    ] {
        talks.add(post(CHAT, "", JSON, PLAIN), junk.as_bytes());
    }
    talks.add(
        format!("GET /{}\r\n", plants.secret("HTTP/0.9")).into_bytes(),
        plants.secret("an answer of HTTP/0.9").as_bytes(),
    );
    talks.add(
        format!(
            "POST {CHAT}?key={} HTTP/1.1\r\nAuthorization: Bearer {}",
            plants.core("a cut head's query"),
            plants.core("a cut head")
        )
        .into_bytes(),
        b"",
    );
}

fn capture(talks: &[Talk]) -> Capture {
    let mut capture = Capture::new(Link::Ethernet);
    for (number, talk) in (0_u16..).zip(talks) {
        let client = ([10, 1, 0, 9], 20_000 + number).into();
        let mut conversation = Conversation::new(client, ([10, 0, 0, 1], 8000).into());
        let at = T0 + u64::from(number) * 10_000;
        conversation.handshake(at).client(at + 10, &talk.request);
        if !talk.response.is_empty() {
            conversation.server_spaced(at + 20, 1, &talk.response);
        }
        conversation.close(at + 9_000);
        capture.add(&conversation);
    }
    capture
}

fn replay(file: &Path, store: &Path, arguments: &[&str]) -> Result<Done> {
    let mut command = process::llmtap(&["replay"])?;
    command.args(arguments).arg("--db").arg(store).arg(file);
    // Names of headers that are kept, and the most that it may ever log.
    command.args(["--label", "team=X-Team", "--user-header", "X-User"]);
    command.env("LLMTAP_LOG", "trace");
    process::run(&mut command)
}

/// Every file in a folder has no leak; gives all their bytes.
fn search_files(search: &Search<'_>, folder: &Path) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let bytes = fs::read(&path)?;
        let leak = search.leak(&bytes);
        ensure!(
            leak.is_none(),
            "{}: {}",
            path.display(),
            leak.unwrap_or_default()
        );
        all.extend(bytes);
    }
    Ok(all)
}

/// No stored body spells a secret, in escapes or piece by piece; gives how many bodies there are.
fn search_bodies(search: &Search<'_>, store: &Path) -> Result<usize> {
    let database = rusqlite::Connection::open(store)?;
    let mut bodies = database.prepare(
        "SELECT request_head || ' ' || request_tail FROM bodies
         UNION ALL SELECT response_head || ' ' || response_tail FROM bodies",
    )?;
    let bodies: Vec<String> = bodies
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for body in &bodies {
        let read = unescaped(body);
        search.clean("a body with its escapes resolved", &read)?;
        for key in PIECES {
            search.clean(key, &spelt(&read, key))?;
        }
    }
    Ok(bodies.len())
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn no_planted_secret_is_left_anywhere() -> Result<()> {
    let mut plants = Plants::default();
    let mut talks = api_talks(&mut plants);
    talks.extend(other_talks(&mut plants));
    let search = plants.search();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("secrets.pcap");
    fs::write(
        &file,
        capture(&talks).to_pcap(ByteOrder::Little, Resolution::Micro),
    )?;
    ensure!(
        search.leak(&fs::read(&file)?).is_some(),
        "the secrets are there to be found"
    );

    for talk in &talks {
        // Those too that a stream spells.
        let told = unescaped(&String::from_utf8_lossy(&talk.response));
        let spelt = PIECES.map(|key| spelt(&told, key)).concat();
        let found = search.leak(spelt.as_bytes()).is_some();
        ensure!(
            found || !told.ends_with("\r\n\r\n") || !told.contains("Trailer"),
            "{told}"
        );
    }

    for bodies in ["full", "text", "none"] {
        let state = folder.path().join(bodies);
        let store = state.join("llmtap.db");
        for arguments in [
            ["--format", "ndjson"],
            ["--format", "table"],
            ["--format", "csv"],
            ["--rows", "exchanges"],
        ] {
            let done = replay(
                &file,
                &store,
                &[&arguments[..], &["--bodies", bodies]].concat(),
            )?;
            ensure!(done.code == Some(0), "{done:?}");
            search.clean(&format!("stdout of {arguments:?}"), &done.stdout)?;
            search.clean(&format!("log of {arguments:?}"), &done.stderr)?;
        }
        let bytes = search_files(&search, &state)?;
        // The search finds what is there.
        assert_eq!(holds(&bytes, PROMPT), bodies != "none", "{bodies}");
        assert!(holds(&bytes, "[redacted:openai_key]"), "{bodies}");
        let searched = search_bodies(&search, &store)?;
        assert_eq!(searched > 200, bodies != "none", "{bodies}: {searched}");
        search_api(&search, &store)?;
    }
    Ok(())
}

/// All that the API says of a store.
fn search_api(search: &Search<'_>, store: &Path) -> Result<()> {
    let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
    command.arg(store).env("LLMTAP_LOG", "trace");
    let daemon = Daemon::start(command)?;
    let api = daemon.ready()?;
    let mut paths = [
        "/",
        "/metrics",
        "/api/metrics",
        "/api/status",
        "/live",
        "/ready",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.extend((0..400).map(|offset| format!("/api/metrics?offset={offset}")));
    let mut records = 0;
    for path in paths {
        let response = http::get(api, &path)?;
        search.clean(&path, &response.text())?;
        records += usize::from(response.status == 200);
    }
    ensure!(records > 100, "{records} answers");
    search.clean("the log", &daemon.stop("TERM")?.stderr)
}

/// Reports of the old plugin come by another door.
#[test]
fn no_secret_of_a_report_is_left_anywhere() -> Result<()> {
    let mut plants = Plants::default();
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
    command
        .arg(state.join("llmtap.db"))
        .env("LLMTAP_LOG", "trace");
    let daemon = Daemon::start(command)?;
    let api = daemon.ready()?;
    let mut planted_here = 0;
    let mut answers = String::new();
    for one in apis() {
        let report = json!({
            "request_body": planted(&mut plants, &one.ask, one.name).to_string(),
            "response_body": planted(&mut plants, &one.tell, one.name).to_string(),
            "elapsed_time": 0.5,
            "path": format!("{}?key={}", one.path, plants.core("a report's query")),
            "timestamp": format!("now {}", plants.secret("a report's timestamp")),
            "model": plants.secret("a report's model"),
        });
        let response = http::post(api, "/api/report", &report.to_string())?;
        ensure!(response.status == 200, "{}", response.text());
        answers += &response.text();
        planted_here += 1;
    }
    let text = format!("{SAID} {} thanks", plants.secret("a body that is no JSON"));
    let report = json!({"request_body": text, "response_body": text, "elapsed_time": 1, "path": plants.secret("a path")});
    ensure!(
        http::post(api, "/api/report", &report.to_string())?.status == 200,
        "taken"
    );
    let search = plants.search();
    search.clean("the reports' answers", &answers)?;
    // As it lies there while it is written to: with its log and its index.
    let bytes = search_files(&search, &state)?;
    assert!(holds(&bytes, SAID) && holds(&bytes, "[redacted:"));
    let mut paths = vec!["/metrics".to_owned(), "/api/status".to_owned()];
    paths.extend((0..=planted_here).map(|offset| format!("/api/metrics?offset={offset}")));
    for path in paths {
        search.clean(&path, &http::get(api, &path)?.text())?;
    }
    let scrape = http::get(api, "/metrics")?.text();
    let counted = scrape
        .lines()
        .find_map(|line| line.strip_prefix("llmtap_redactions_total{kind=\"openai_key\"} "));
    let counted: u64 = counted.context("redactions are counted")?.parse()?;
    assert!(counted > 0);
    let done = daemon.stop("TERM")?;
    search.clean("the log", &done.stderr)?;
    search_bodies(&search, &state.join("llmtap.db"))?;
    search_files(&search, &state).map(|_| ())
}
