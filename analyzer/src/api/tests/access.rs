use super::*;
use crate::api::{
    access::{Guard, HostName, Origin, Reach, Scrapers},
    endpoints::{ENDPOINTS, Filters},
};

/// What a reporter sends.
const REPORT_TOKEN: &str = "the-reporters-token-0123456789";

/// Who asks: nobody, somebody with a wrong token, a reporter, the owner.
const ASKERS: [&str; 4] = [
    "",
    "Authorization: Bearer a-token-that-nobody-gave\r\n",
    "Authorization: Bearer the-reporters-token-0123456789\r\n",
    "authorization: bearer the-owners-token-0123456789\r\n",
];

/// The rules that may hold: the default's, a token for reports, a token that was set, bound elsewhere, and that
/// with a token for reports and metrics for anybody.
fn rules() -> [Access; 5] {
    let tokens = || Tokens::parse(TOKEN).unwrap();
    let report_tokens = || Some(Tokens::parse(REPORT_TOKEN).unwrap());
    let loopback = || Access {
        tokens: tokens(),
        ..Access::default()
    };
    let elsewhere = || Access {
        reach: Reach::Elsewhere,
        ..loopback()
    };
    [
        loopback(),
        Access {
            report_tokens: report_tokens(),
            ..loopback()
        },
        Access {
            guard: Guard::All,
            ..loopback()
        },
        elsewhere(),
        Access {
            report_tokens: report_tokens(),
            scrapers: Scrapers::Anybody,
            ..elsewhere()
        },
    ]
}

/// Requests, and for each of the rules whether each of the askers is let in.
const TABLE: &[(&str, [&str; 5])] = &[
    ("GET /", ["++++", "++++", "++++", "++++", "++++"]),
    ("GET /ui/{file}", ["++++", "++++", "++++", "++++", "++++"]),
    ("GET /live", ["++++", "++++", "++++", "++++", "++++"]),
    ("GET /ready", ["++++", "++++", "++++", "++++", "++++"]),
    ("GET /metrics", ["++++", "++++", "---+", "---+", "++++"]),
    ("GET /api/metrics", ["++++", "++++", "---+", "---+", "++++"]),
    (
        "GET /metrics?offset=0",
        ["++++", "++++", "---+", "---+", "---+"],
    ),
    (
        "GET /api/metrics?%6Fffset=0",
        ["++++", "++++", "---+", "---+", "---+"],
    ),
    ("POST /api/report", ["++++", "--++", "---+", "---+", "--++"]),
    ("GET /api/calls", ["+--+", "+--+", "---+", "---+", "---+"]),
    (
        "GET /api/calls.csv",
        ["+--+", "+--+", "---+", "---+", "---+"],
    ),
    (
        "GET /api/calls.ndjson",
        ["+--+", "+--+", "---+", "---+", "---+"],
    ),
    (
        "GET /api/calls/{id}",
        ["+--+", "+--+", "---+", "---+", "---+"],
    ),
    ("GET /api/heatmap", ["+--+", "+--+", "---+", "---+", "---+"]),
    (
        "GET /api/inflight",
        ["+--+", "+--+", "---+", "---+", "---+"],
    ),
    ("GET /api/live", ["+--+", "+--+", "---+", "---+", "---+"]),
    (
        "GET /api/openapi.json",
        ["+--+", "+--+", "---+", "---+", "---+"],
    ),
    ("GET /api/status", ["+--+", "+--+", "---+", "---+", "---+"]),
    ("GET /api/summary", ["+--+", "+--+", "---+", "---+", "---+"]),
    (
        "GET /api/summary.csv",
        ["+--+", "+--+", "---+", "---+", "---+"],
    ),
    (
        "GET /api/summary.ndjson",
        ["+--+", "+--+", "---+", "---+", "---+"],
    ),
    (
        "GET /api/timeseries",
        ["+--+", "+--+", "---+", "---+", "---+"],
    ),
    (
        "GET /api/timeseries.csv",
        ["+--+", "+--+", "---+", "---+", "---+"],
    ),
    (
        "GET /api/timeseries.ndjson",
        ["+--+", "+--+", "---+", "---+", "---+"],
    ),
    // What there is not is not told to who may not ask.
    ("GET /nowhere", ["+--+", "+--+", "---+", "---+", "---+"]),
    ("POST /metrics", ["++++", "++++", "---+", "---+", "++++"]),
    ("HEAD /api/calls", ["+--+", "+--+", "---+", "---+", "---+"]),
    (
        "OPTIONS /api/calls",
        ["+--+", "+--+", "---+", "---+", "---+"],
    ),
    ("GET /api/calls/", ["+--+", "+--+", "---+", "---+", "---+"]),
    ("GET //api/calls", ["+--+", "+--+", "---+", "---+", "---+"]),
    ("GET /api/%63alls", ["+--+", "+--+", "---+", "---+", "---+"]),
];

/// Asks, and reads the status.
pub(super) fn status(server: &Server, request: &str, headers: &str) -> u16 {
    let head = format!("{request} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    let line = str::from_utf8(&line).unwrap();
    line.strip_prefix("HTTP/1.1 ").unwrap().parse().unwrap()
}

#[test]
fn who_may_ask_what() {
    for (number, access) in rules().into_iter().enumerate() {
        for (request, expected) in TABLE {
            // For each a server of its own: too many wrong tokens would be slowed.
            let server = Server::with(access.clone(), |store| store);
            let request = request.replace("{id}", "1");
            let seen: String = ASKERS
                .iter()
                .map(|asker| {
                    let headers = format!("Host: localhost\r\n{asker}");
                    match status(&server, &request, &headers) {
                        401 => '-',
                        421 | 403 | 429 => '?',
                        _ => '+',
                    }
                })
                .collect();
            assert_eq!(seen, expected[number], "rules {number}, {request}");
        }
    }
}

#[test]
fn all_endpoints_stand_in_the_table() {
    for endpoint in ENDPOINTS {
        let request = format!("{} {}", endpoint.method, endpoint.path);
        assert!(
            TABLE.iter().any(|(known, _)| *known == request),
            "{request}"
        );
    }
}

#[test]
fn no_endpoint_is_asked_by_another_name_or_from_a_page_of_another_origin() {
    let [loopback, .., elsewhere] = rules();
    let named = Access {
        hosts: vec!["tap.example.org".parse::<HostName>().unwrap()],
        origins: vec!["https://board.example.org".parse::<Origin>().unwrap()],
        ..loopback.clone()
    };
    let servers = [loopback, named, elsewhere].map(|access| Server::with(access, |store| store));
    // Host and Origin, and what comes of them with each of these rules.
    let table: &[(&str, [u16; 3])] = &[
        ("Host: localhost", [0, 0, 0]),
        ("Host: 127.0.0.1:9464", [0, 0, 0]),
        ("Host: [::1]:9464", [0, 0, 0]),
        ("Host: evil.example", [421, 421, 0]),
        ("Host: localhost.evil.example", [421, 421, 0]),
        ("Host: tap.example.org:9464", [421, 0, 0]),
        ("Host: ", [421, 421, 0]),
        ("X: no host", [400, 400, 400]),
        ("Host: localhost\r\nHost: localhost", [400, 400, 400]),
        ("Host: localhost:1\r\nOrigin: http://localhost:1", [0, 0, 0]),
        (
            "Host: localhost:1\r\nOrigin: http://localhost:2",
            [403, 403, 403],
        ),
        ("Host: localhost\r\nOrigin: null", [403, 403, 403]),
        (
            "Host: localhost\r\nOrigin: https://evil.example",
            [403, 403, 403],
        ),
        (
            "Host: localhost\r\nOrigin: https://board.example.org",
            [403, 0, 403],
        ),
    ];
    for (request, _) in TABLE {
        let request = request.replace("{id}", "1");
        for (headers, expected) in table {
            for (server, expected) in servers.iter().zip(expected) {
                let headers = format!("{headers}\r\n{}", ASKERS[3]);
                let seen = status(server, &request, &headers);
                match expected {
                    0 => assert!(
                        !matches!(seen, 401 | 403 | 421 | 429),
                        "{request} {headers}: {seen}"
                    ),
                    expected => assert_eq!(seen, *expected, "{request} {headers}"),
                }
            }
        }
    }
    let absolute = "GET http://evil.example/api/calls";
    assert_eq!(status(&servers[0], absolute, "Host: localhost\r\n"), 421);
}

#[test]
fn what_was_said_is_shown_with_the_token_alone() {
    let server = Server::start();
    server.post("/api/report", &report(1));
    server
        .writer
        .submit_acked(fixtures::record(7))
        .unwrap()
        .blocking_recv()
        .unwrap()
        .unwrap();
    let ask = |path: &str, asker: &str| {
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{asker}\r\n");
        server.send(&head, b"")
    };
    for id in ["1", "2"] {
        let path = format!("/api/calls/{id}");
        let without = ask(&path, "").json();
        assert_eq!(without["bodies"], Json::Null);
        let with = ask(&path, ASKERS[3]).json();
        assert!(with["bodies"]["request"]["head"].is_string(), "{with}");
        assert_eq!(without["call"], with["call"]);
    }
    for endpoint in ENDPOINTS
        .iter()
        .filter(|endpoint| endpoint.filters == Filters::Taken)
    {
        let path = format!("{}?q=text", endpoint.path);
        let without = ask(&path, "");
        assert_eq!(without.status, 401, "{path}");
        assert_eq!(
            without.header("www-authenticate"),
            "Bearer realm=\"llmtap\""
        );
        assert!(
            without.json()["detail"]
                .as_str()
                .unwrap()
                .contains("llmtap.token")
        );
        assert_eq!(
            status(
                &server,
                &format!("GET {path}"),
                &format!("Host: localhost\r\n{}", ASKERS[3])
            ),
            200
        );
    }
}

#[test]
fn wrong_tokens_are_counted_and_slowed() {
    let server = Server::start();
    let host = "Host: localhost\r\n";
    let wrong = format!("{host}{}", ASKERS[1]);
    let seen: Vec<u16> = (0..30)
        .map(|_| status(&server, "GET /api/calls", &wrong))
        .collect();
    assert!(seen[..10].iter().all(|status| *status == 401), "{seen:?}");
    let slowed = seen.iter().filter(|status| **status == 429).count();
    assert!(slowed > 0, "{seen:?}");
    // What needs no token is answered all the same.
    assert_eq!(status(&server, "GET /api/calls", host), 200);
    status(&server, "GET /", "Host: evil.example\r\n");
    status(&server, "GET /api/calls?q=a", host);
    let head = format!("GET /metrics HTTP/1.1\r\nConnection: close\r\n{host}\r\n");
    let text = server.send(&head, b"").body;
    let count = |reason: &str| {
        let name = format!("llmtap_api_refused_total{{reason=\"{reason}\"}} ");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name.as_str()));
        line.unwrap_or_else(|| panic!("{text}"))
            .parse::<usize>()
            .unwrap()
    };
    assert_eq!(count("wrong_token") + count("too_many_attempts"), 30);
    assert_eq!(count("too_many_attempts"), slowed);
    assert_eq!(
        [count("host"), count("origin"), count("no_host")],
        [1, 0, 0]
    );
}

#[test]
fn pages_of_named_origins_read_answers_and_no_others() {
    let origin = "https://board.example.org";
    let access = Access {
        origins: vec![origin.parse().unwrap()],
        ..rules()[3].clone()
    };
    let server = Server::with(access, |store| store);
    let ask = |request: &str, headers: &str| {
        let head = format!("{request} HTTP/1.1\r\nHost: tap\r\nConnection: close\r\n{headers}\r\n");
        server.send(&head, b"")
    };
    let preflight =
        "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization\r\n";
    let answer = ask(
        "OPTIONS /api/calls",
        &format!("Origin: {origin}\r\n{preflight}"),
    );
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), origin);
    assert!(
        answer
            .header("access-control-allow-headers")
            .contains("authorization")
    );
    let answer = ask(
        "GET /api/calls",
        &format!("Origin: {origin}\r\n{}", ASKERS[3]),
    );
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, origin)
    );
    // The page may read why it was turned away.
    let answer = ask("GET /api/calls", &format!("Origin: {origin}\r\n"));
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (401, origin)
    );
    let other = format!("Origin: https://evil.example\r\n{preflight}");
    let answer = ask("OPTIONS /api/calls", &other);
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (403, "")
    );
    assert_eq!(ask("GET /live", "").header("vary"), "origin");
    assert_eq!(Server::start().get("/live").header("vary"), "");
}
