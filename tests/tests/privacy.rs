//! No secret of a request's head or query leaves the program, wherever it stands.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    pcap::{ByteOrder, Capture, Conversation, Link, Resolution},
    process::{self, Done},
};

const T0: u64 = 1_754_000_000_000_000;

/// What every secret below begins with.
const CANARY: &str = "canary";

/// The places of a head in which secrets stand, each with its own.
const HEADERS: [(&str, &str); 12] = [
    ("Authorization", "Bearer sk-canary-bearer"),
    ("Proxy-Authorization", "Basic canary-proxy"),
    ("api-key", "canary-azure"),
    ("X-Api-Key", "canary-x-api"),
    ("Ocp-Apim-Subscription-Key", "canary-apim"),
    ("x-goog-api-key", "canary-goog"),
    ("Cookie", "session=canary-cookie; b=canary-cookie-2"),
    ("X-Auth-Token", "canary-token"),
    ("X-Forwarded-Uri", "/x?key=canary-forwarded-uri"),
    ("Referer", "http://a/?token=canary-referer"),
    ("Forwarded", "for=canary-forwarded"),
    ("X-Amz-Security-Token", "canary-amz"),
];

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

fn request(target: &str) -> String {
    let headers: String = HEADERS
        .iter()
        .flat_map(|(name, value)| [*name, ": ", *value, "\r\n"])
        .collect();
    format!(
        "POST {target} HTTP/1.1\r\nHost: user:canary-host@a\r\n{headers}Content-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
}

/// Calls of every ending, each full of secrets, and exchanges that cannot be read.
fn capture() -> Capture {
    let mut capture = Capture::new(Link::Ethernet);
    let targets = [
        "/v1/chat/completions?key=canary-query&api-version=1#canary-fragment",
        "http://user:canary-user@llm:8000/v1/chat/completions?key=canary-absolute",
        "/unknown?key=canary-unknown",
    ];
    let answers = [
        "HTTP/1.1 200 OK\r\nSet-Cookie: s=canary-set-cookie\r\nContent-Length: 42\r\n\r\n\
         {\"object\":\"chat.completion\",\"choices\":[] }",
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"canary-realm\"\r\n\
         Content-Length: 2\r\n\r\n{}",
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: /x?key=canary-location\r\n\
         Content-Length: 0\r\n\r\n",
        "canary-not-http\r\n\r\n",
        "",
    ];
    let mut port = 40_000;
    for target in targets {
        for answer in answers {
            port += 1;
            let client = ([10, 1, 0, 9], port).into();
            let mut talk = Conversation::new(client, ([10, 0, 0, 1], 8000).into());
            talk.handshake(T0).client(T0 + 10, request(target));
            if !answer.is_empty() {
                talk.server(T0 + 20, answer);
            }
            talk.close(T0 + 30);
            capture.add(&talk);
        }
    }
    // A head that never ends, and one with a line that is none.
    for bad in [
        "POST /v1/chat/completions?key=canary-cut HTTP/1.1\r\nAuthorization: Bearer canary-cut",
        "POST /v1/chat/completions HTTP/1.1\r\ncanary no colon\r\nContent-Length: 0\r\n\r\n",
    ] {
        port += 1;
        let client = ([10, 1, 0, 9], port).into();
        let mut talk = Conversation::new(client, ([10, 0, 0, 1], 8000).into());
        talk.handshake(T0).client(T0 + 10, bad).close(T0 + 30);
        capture.add(&talk);
    }
    capture
}

fn replay(file: &Path, store: &Path, format: &str) -> Result<Done> {
    let mut command = process::llmtap(&["replay", "--format", format, "--db"])?;
    command.arg(store).arg(file);
    // The most that it may ever log.
    command.env("RUST_LOG", "trace");
    process::run(&mut command)
}

#[test]
fn nothing_of_a_secret_is_printed_or_stored() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("secrets.pcap");
    fs::write(
        &file,
        capture().to_pcap(ByteOrder::Little, Resolution::Micro),
    )?;
    let state = folder.path().join("state");
    let store = state.join("llmtap.db");
    for format in ["table", "json", "ndjson", "csv"] {
        let done = replay(&file, &store, format)?;
        ensure!(done.code == Some(0), "{done:?}");
        for (name, text) in [("stdout", &done.stdout), ("stderr", &done.stderr)] {
            let line = text.lines().find(|line| line.contains(CANARY));
            assert_eq!(line, None, "{name} of {format}");
        }
    }
    let mut files = 0;
    for entry in fs::read_dir(&state)? {
        let path = entry?.path();
        let bytes = fs::read(&path)?;
        let found = bytes
            .windows(CANARY.len())
            .position(|window| window == CANARY.as_bytes());
        assert_eq!(found, None, "{}", path.display());
        files += 1;
    }
    assert!(files >= 1);

    // The rows are there, and say whose they are by a hash.
    let database = rusqlite::Connection::open(&store)?;
    let (calls, keys): (i64, i64) = database.query_one(
        "SELECT count(*), count(DISTINCT key) FROM calls WHERE key IS NOT NULL",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    assert!(calls >= 8, "{calls}");
    assert_eq!(keys, 1, "one credential, one hash");
    Ok(())
}

/// Without the file's secret, nobody can try credentials against the hashes.
#[test]
fn the_hash_is_keyed_and_its_key_is_private() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("secrets.pcap");
    fs::write(
        &file,
        capture().to_pcap(ByteOrder::Little, Resolution::Micro),
    )?;
    let key = |store: &Path| -> Result<String> {
        let done = replay(&file, store, "ndjson")?;
        ensure!(done.code == Some(0), "{done:?}");
        let rows = done.rows()?;
        let key = rows.iter().find_map(|row| row.text("key"));
        key.map(str::to_owned).context("no row has a key")
    };
    let [one, other] = ["one", "other"].map(|name| folder.path().join(name).join("llmtap.db"));
    assert_eq!(key(&one)?, key(&one)?, "a store keeps its key");
    assert_ne!(key(&one)?, key(&other)?, "each store has its own");
    for path in fs::read_dir(one.parent().context("a folder")?)? {
        let path = path?.path();
        let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
    let mode = fs::metadata(folder.path().join("one"))?
        .permissions()
        .mode()
        & 0o777;
    assert_eq!(mode, 0o700);
    // A replay that stores nothing has no key, and so shows none.
    let mut command = process::llmtap(&["replay", "--format", "ndjson"])?;
    let rows = process::run(command.arg(&file))?.rows()?;
    assert!(!rows.is_empty() && rows.iter().all(|row| row.get("key").is_null()));
    Ok(())
}
