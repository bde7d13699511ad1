//! The eBPF tap as a user runs it: which backend it takes and why, what `check` says, kills and
//! restarts, several at once, and containers on a bridge. Needs root: without it, it fails.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    http,
    judge::{self, Keys},
    metrics,
    model_server::{ModelServer, Pace},
    namespace::Namespace,
    openai::{self, Client},
    process::{self, Daemon, Done},
    row::Row,
    tap::Tap,
};
use serde_json::Value;

/// Run as root without what eBPF takes; CAP_NET_RAW and the rest stay.
const WITHOUT_BPF: &[&str] = &[
    "setpriv",
    "--inh-caps=-all",
    "--bounding-set=-bpf,-perfmon,-net_admin,-sys_admin",
];

/// Run as root without what either backend takes.
const WITHOUT_BOTH: &[&str] = &[
    "setpriv",
    "--inh-caps=-all",
    "--bounding-set=-bpf,-perfmon,-net_admin,-sys_admin,-net_raw",
];

/// The names of the kernel side's programs begin so.
const PROGRAM: &str = "llmtap_";

const CALL: &str =
    r#"{"model":"m","stream":true,"max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;

#[test]
fn auto_takes_ebpf_and_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server()?;
    let llmtap = tap("auto", &server, &folder.path().join("llmtap.db")).start()?;
    let api = llmtap.ready()?;
    call(server.address(), 3)?;
    llmtap.stdout_lines(3)?;
    // The sums are told a moment after the rows.
    let samples = process::eventually(|| {
        let samples = metrics::parse(&http::get(api, "/metrics").ok()?.text()).ok()?;
        let packets = metrics::sum(&samples, "llmtap_capture_packets_total", |_| true);
        (packets > 10.0).then_some(samples)
    });
    let samples = samples.context("the metrics never showed the packets")?;
    let dropped = metrics::sum(&samples, "llmtap_capture_dropped_packets_total", |_| true);
    assert!(dropped < 0.5);
    let done = stopped(llmtap)?;
    says(&done, &["capturing on lo by eBPF"]);
    for row in done.rows()? {
        assert_eq!(row.text("source"), Some("ebpf"));
        assert_eq!(row.int("output_tokens"), Some(5));
    }
    Ok(())
}

#[test]
fn without_the_capabilities_auto_takes_libpcap_and_says_why() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server()?;
    let store = folder.path().join("llmtap.db");
    let llmtap = tap("auto", &server, &store).under(WITHOUT_BPF).start()?;
    llmtap.ready()?;
    call(server.address(), 2)?;
    llmtap.stdout_lines(2)?;
    let done = stopped(llmtap)?;
    let why = [
        "libpcap, since eBPF cannot be used",
        "CAP_BPF",
        "CAP_NET_ADMIN",
    ];
    says(&done, &why);
    says(&done, &["capturing on lo by libpcap"]);
    for row in done.rows()? {
        assert_eq!(row.text("source"), Some("pcap"));
    }
    Ok(())
}

#[test]
fn without_the_capabilities_ebpf_alone_is_an_error_with_its_remedy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server()?;
    let store = folder.path().join("llmtap.db");
    let refused = |tap: Tap| {
        let done = process::run(&mut tap.under(WITHOUT_BPF).command()?)?;
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{done:?}");
        says(&done, &["CAP_BPF", "CAP_NET_ADMIN", "root", "setcap"]);
        anyhow::Ok(())
    };
    refused(tap("ebpf", &server, &store))?;
    // libpcap does not reach another namespace, so it is no way out.
    let namespace = Namespace::new()?;
    let there = tap("auto", &server, &store).with(&["--netns", namespace.name()]);
    let done = process::run(&mut there.under(WITHOUT_BPF).command()?)?;
    assert_eq!(done.code, Some(2), "{done:?}");
    let absent = tap("ebpf", &server, &store).with(&["--netns", "llmtap-tests-none"]);
    let done = process::run(&mut absent.command()?)?;
    assert_eq!(done.code, Some(2), "{done:?}");
    says(&done, &["llmtap-tests-none", "ip netns list"]);
    Ok(())
}

#[test]
fn check_tells_what_this_machine_allows() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Nobody else's programs and listeners are in there.
    let namespace = Namespace::new()?;
    let server = namespace.run(server)??;
    let port = server.address().port().to_string();
    let within = ["ip", "netns", "exec", namespace.name()];
    let check = |wrapper: &[&str], arguments: &[&str]| {
        let arguments = [&["check"], arguments].concat();
        process::run(&mut process::llmtap_under(
            &[&within, wrapper].concat(),
            &arguments,
        )?)
    };
    let json =
        |done: &Done| serde_json::from_str::<Value>(&done.stdout).context(done.stdout.clone());

    let good = check(&[], &["-p", &port])?;
    assert_eq!(good.code, Some(0), "{good:?}");
    let listening = format!("listening     {}", server.address());
    for part in [
        "kernel ",
        "BTF ",
        "CAP_BPF       yes",
        "backend       ebpf",
        &listening,
    ] {
        assert!(good.stdout.contains(part), "{part}: {}", good.stdout);
    }
    assert!(!good.stdout.contains("to do"), "{}", good.stdout);
    let report = json(&check(&[], &["-p", &port, "--format", "json"])?)?;
    assert_eq!(report["backend"], "ebpf", "{report}");
    assert_eq!(
        report["listeners"],
        serde_json::json!([server.address().to_string()])
    );
    assert_eq!(report["interfaces"][0]["name"], "lo");
    assert_eq!(report["interfaces"][0]["tcx"], serde_json::json!([]));
    assert_eq!(report["remedies"], serde_json::json!([]));

    // Who else is on the hook.
    let store = folder.path().join("llmtap.db");
    let llmtap = tap("ebpf", &server, &store).under(&within).start()?;
    llmtap.ready()?;
    let shown = check(&[], &["-p", &port])?.stdout;
    let hooks = shown.lines().find(|line| line.contains("lo (up"));
    let hooks = hooks.context("a line of lo")?;
    assert!(hooks.contains(PROGRAM), "{shown}");
    namespace.run(|| call(server.address(), 1))??;
    llmtap.stdout_lines(1)?;
    stopped(llmtap)?;

    let idle = check(&[], &[])?;
    assert_eq!(idle.code, Some(1), "nothing listens: {idle:?}");
    assert!(idle.stdout.contains("nothing listens"), "{idle:?}");
    let second = check(WITHOUT_BPF, &["-p", &port, "--format", "json"])?;
    assert_eq!(second.code, Some(0), "{second:?}");
    let report = json(&second)?;
    assert_eq!(report["backend"], "pcap", "{report}");
    assert!(
        report["remedies"][0]
            .as_str()
            .is_some_and(|remedy| remedy.contains("CAP_BPF"))
    );
    let none = check(WITHOUT_BOTH, &["-p", &port])?;
    assert_eq!(none.code, Some(1), "{none:?}");
    for part in [
        "backend       none",
        "to do         for eBPF",
        "to do         for libpcap",
    ] {
        assert!(none.stdout.contains(part), "{part}: {}", none.stdout);
    }
    namespace.run(|| drop(server))
}

#[test]
fn a_killed_llmtap_leaves_nothing_on_the_hook_and_the_next_one_goes_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let namespace = Namespace::new()?;
    let server = namespace.run(server)??;
    let within = ["ip", "netns", "exec", namespace.name()];
    let store = folder.path().join("llmtap.db");
    let tap = tap("auto", &server, &store).under(&within);
    let hooks = || {
        let check = process::llmtap_under(&within, &["check", "--format", "json"]);
        let report: Value = serde_json::from_str(&process::run(&mut check?)?.stdout)?;
        anyhow::Ok(report["interfaces"][0]["tcx"].to_string())
    };
    let stored = |count: i64| {
        process::eventually(|| (rows_in(&store).ok()? == count).then_some(()))
            .with_context(|| format!("never {count} rows in the store"))
    };

    let first = tap.start()?;
    first.ready()?;
    namespace.run(|| call(server.address(), 4))??;
    stored(4)?;
    assert!(hooks()?.contains(PROGRAM));
    let done = first.stop("KILL")?;
    assert_eq!(done.code, None, "{done:?}");
    assert_eq!(hooks()?, "[]", "nothing stays on the hook");

    let second = tap.start()?;
    second.ready()?;
    namespace.run(|| call(server.address(), 3))??;
    second.stdout_lines(3)?;
    let done = stopped(second)?;
    assert_eq!(done.rows()?.len(), 3, "{done:?}");
    assert_eq!(rows_in(&store)?, 7);
    assert_eq!(hooks()?, "[]");
    namespace.run(|| drop(server))
}

#[test]
fn two_at_once_see_the_same() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server()?;
    let one = tap("ebpf", &server, &folder.path().join("one/llmtap.db")).start()?;
    one.ready()?;
    let two = tap("ebpf", &server, &folder.path().join("two/llmtap.db")).start()?;
    two.ready()?;
    let calls = openai::calls(17, "call");
    let client = Client::of(server.address());
    let seen = judge::by(client.make(&calls)?, &["id"])?;
    let log = server.log_of(calls.len())?;
    one.stdout_lines(calls.len())?;
    two.stdout_lines(calls.len())?;
    // The end of one is nothing to the other.
    let rows = judge::by(stopped(one)?.rows()?, &["user"])?;
    call(server.address(), 1)?;
    two.stdout_lines(calls.len() + 1)?;
    let mut others = stopped(two)?.rows()?;
    others.retain(|row| row.text("user").is_some());
    judge::check_same(&rows, &judge::by(others, &["user"])?, Keys::Apart);
    assert_eq!(rows.len(), calls.len());
    let path = judge::Path {
        source: "ebpf",
        server: &server.address().to_string(),
        peer: "127.0.0.1",
        client: None,
    };
    for truth in &log {
        let id = truth.user.as_deref().context("every call has a user")?;
        judge::check_row(&rows[id], truth, &seen[id], &path);
    }
    Ok(())
}

/// Nobody reads the ring while more comes than it holds. What is lost is counted; the calls that lost
/// something say so; those before and after are whole.
#[test]
fn calls_that_losses_touch_are_marked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let namespace = Namespace::new()?;
    let server = namespace.run(server)??;
    let within = ["ip", "netns", "exec", namespace.name()];
    let store = folder.path().join("llmtap.db");
    let llmtap = tap("ebpf", &server, &store).under(&within).start()?;
    let api = llmtap.ready()?;
    let send = |user: &str, padding: usize| {
        let call = format!(
            r#"{{"model":"m","user":"{user}","max_tokens":3,"messages":[],"padding":"{}"}}"#,
            "x".repeat(padding)
        );
        namespace.run(|| http::post(server.address(), "/v1/chat/completions", &call))?
    };
    let scrape = || {
        let text = namespace
            .run(|| http::get(api, "/metrics"))
            .ok()?
            .ok()?
            .text();
        metrics::parse(&text).ok()
    };
    send("before", 1_000)?;
    llmtap.stdout_lines(1)?;
    llmtap.signal("STOP")?;
    process::eventually(|| is_stopped(llmtap.id()).then_some(())).context("it never stopped")?;
    send("kept", 1_000)?;
    for user in ["lost-1", "lost-2", "lost-3"] {
        // The ring holds 64 MiB.
        send(user, 30_000_000)?;
    }
    llmtap.signal("CONT")?;
    // With "kept" taken out there is room again.
    llmtap.stdout_lines(2)?;
    let lost = process::eventually(|| {
        let sum = metrics::sum(&scrape()?, "llmtap_capture_dropped_packets_total", |_| true);
        (sum > 0.5).then_some(sum)
    });
    lost.context("nothing was lost")?;
    send("after", 1_000)?;
    llmtap.stdout_line(|line| line.contains(r#""after""#))?;
    let balanced = process::eventually(|| {
        let samples = scrape()?;
        let sum = |name| metrics::sum(&samples, name, |_| true);
        let seen = sum("llmtap_capture_seen_packets_total");
        let captured = sum("llmtap_capture_packets_total");
        let dropped = sum("llmtap_capture_dropped_packets_total");
        ((seen - captured - dropped).abs() < 0.5 && captured > 0.5).then_some(())
    });
    balanced.context("what was seen is not what was captured and dropped")?;

    let rows = judge::by(stopped(llmtap)?.rows()?, &["user"])?;
    let whole = |row: &Row| {
        row.text("confidence") == Some("complete")
            && row.text("outcome") == Some("ok")
            && row.int("missing_request_bytes") == Some(0)
            && row.int("missing_response_bytes") == Some(0)
            && row.int("reported_output_tokens") == Some(3)
    };
    for user in ["before", "kept", "after"] {
        assert!(rows.get(user).is_some_and(whole), "{user}: {rows:?}");
    }
    let marked = |row: &Row| {
        row.text("confidence") == Some("partial") || row.text("outcome") == Some("incomplete")
    };
    let touched: Vec<_> = rows.values().filter(|row| !whole(row)).collect();
    let missing: i64 = touched
        .iter()
        .filter_map(|row| row.int("missing_request_bytes"))
        .sum();
    assert!(missing > 1_000_000, "{missing} bytes: {touched:?}");
    assert!(touched.iter().all(|row| marked(row)), "{touched:?}");
    namespace.run(|| drop(server))
}

/// Whether every thread of a process stands still.
fn is_stopped(process: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
        return false;
    };
    threads.flatten().all(|thread| {
        // proc(5): number, name in brackets, state.
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('T'))
    })
}

/// A model server and its client in containers on a bridge: their traffic passes no interface of the
/// host's but the bridge's ports. Tapped from outside in the server's namespace, by its name and by a
/// process's number; and on the host at the bridge's ports, where each packet passes twice.
#[test]
fn containers_on_a_bridge() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (host, inner, outer) = (Namespace::new()?, Namespace::new()?, Namespace::new()?);
    host.ip("link add br0 type bridge")?;
    host.ip("link set br0 up")?;
    for (container, name, address) in [
        (&inner, "vethserver", "10.77.0.1/24"),
        (&outer, "vethclient", "10.77.0.2/24"),
    ] {
        host.cable(name, container, "eth0")?;
        host.ip(&format!("link set {name} master br0"))?;
        container.ip(&format!("addr add {address} dev eth0"))?;
    }
    let address: SocketAddr = "10.77.0.1:0".parse()?;
    let server = inner.run(|| ModelServer::start(address, Pace::default()))??;
    // A process that is in the server's namespace, as a container's is.
    let mut inhabitant = inner.command("sh");
    inhabitant.args(["-c", "echo in; exec sleep 600"]);
    let inhabitant = Daemon::start(inhabitant)?;
    inhabitant.stdout_line(|line| line == "in")?;

    let port = [server.address().port()];
    let store = |name: &str| folder.path().join(name).join("llmtap.db");
    let within = ["ip", "netns", "exec", host.name()];
    let number = inhabitant.id().to_string();
    let taps = [
        Tap::new("auto", "any", &port, &store("name")).with(&["--netns", inner.name()]),
        Tap::new("auto", "eth0", &port, &store("process")).with(&["--netns", &number]),
        Tap::new("auto", "veth*", &port, &store("host")).under(&within),
    ];
    let taps = taps.iter().map(Tap::start).collect::<Result<Vec<_>>>()?;
    for tap in &taps {
        // The host's one serves its metrics in the host's namespace.
        tap.ready()?;
    }
    let calls = openai::calls(17, "call");
    let client = Client {
        namespace: Some(&outer),
        ..Client::of(server.address())
    };
    let seen = judge::by(client.make(&calls)?, &["id"])?;
    let log = server.log_of(calls.len())?;

    let mut all = Vec::new();
    for (tap, place) in taps.into_iter().zip([None, None, Some(&host)]) {
        let api = tap.ready()?;
        tap.stdout_lines(calls.len())?;
        let scrape = || http::get(api, "/metrics");
        let text = match place {
            Some(namespace) => namespace.run(scrape)??,
            None => scrape()?,
        };
        check_copies(&text.text(), place.is_some())?;
        all.push(judge::by(stopped(tap)?.rows()?, &["user"])?);
    }
    let path = judge::Path {
        source: "ebpf",
        server: &server.address().to_string(),
        peer: "10.77.0.2",
        client: None,
    };
    for rows in &all {
        assert_eq!(rows.len(), calls.len(), "each call once");
        for truth in &log {
            let id = truth.user.as_deref().context("every call has a user")?;
            judge::check_row(&rows[id], truth, &seen[id], &path);
        }
        judge::check_same(&all[0], rows, Keys::Apart);
    }
    inner.run(|| drop(server))
}

/// At two ports of a bridge each packet passes twice, and counts once.
fn check_copies(text: &str, twice: bool) -> Result<()> {
    let samples = metrics::parse(text)?;
    let packets = metrics::sum(&samples, "llmtap_capture_packets_total", |_| true);
    let copies = metrics::sum(&samples, "llmtap_packets_ignored_total", |sample| {
        sample.label("reason") == Some("duplicate")
    });
    if twice {
        ensure!(
            copies > packets * 0.45,
            "{copies} copies, {packets} packets"
        );
    } else {
        ensure!(copies < 0.5, "{copies} copies, {packets} packets");
    }
    Ok(())
}

fn server() -> Result<ModelServer> {
    ModelServer::start("127.0.0.1:0".parse()?, Pace::default())
}

fn tap(backend: &str, server: &ModelServer, store: &Path) -> Tap {
    Tap::new(backend, "lo", &[server.address().port()], store)
}

/// Makes as many calls, one after the other.
fn call(server: SocketAddr, count: usize) -> Result<()> {
    for _ in 0..count {
        let answer = http::post(server, "/v1/chat/completions", CALL)?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    Ok(())
}

fn stopped(llmtap: Daemon) -> Result<Done> {
    let done = llmtap.stop("INT")?;
    ensure!(done.code == Some(0), "llmtap's end: {done:?}");
    Ok(done)
}

fn says(done: &Done, parts: &[&str]) {
    for part in parts {
        assert!(
            done.stderr.contains(part),
            "no {part:?} in:\n{}",
            done.stderr
        );
    }
}

fn rows_in(store: &Path) -> Result<i64> {
    let database = rusqlite::Connection::open(store)?;
    Ok(database.query_one("SELECT count(*) FROM calls", [], |row| row.get(0))?)
}
