//! The page docs/api.md, made of the tables that the API itself is made of.

use std::fmt::Write as _;

use super::endpoints::{Answer, ENDPOINTS, Endpoint, Filters};
use crate::query::{Parameter, filter::FILTERS};

const BEGIN: &str = "\
# The API

*How do programs ask, and who may?* From a shell, [three commands](query.md) ask the same.

<!-- Made from the code: `cargo xtask docs` writes it anew. -->

llmtap serves it at `--listen` (127.0.0.1:9464). `/api/openapi.json` describes all of it for programs. Times are
seconds since the Unix epoch, durations seconds. Errors are problem documents (RFC 9457) whose `detail` says what
is wrong and what to do; a parameter that is not known is an error that names the nearest.

`llmtap calls`, `llmtap stats` and `llmtap export` ask the same of a database that is live or closed; their flags
are these parameters with hyphens (`--min-ttft`, `--label team=blue`). What cannot be read without the right to
write (a log that somebody left in a folder that is read-only) is refused. The fields of a call are its
[columns](columns.md).

";

const FILTERED: &str = "
## Filters

Filters of different names must all hold. Of several values of one name, any will do, and none of those that
begin with `!`. In texts `*` stands for anything, `~none` for no value, and a backslash takes its meaning from what
follows. Rows that show a call a second time, from a relay's other side, are left out.

| parameter | value | |
|---|---|---|
";

const ENDS: &str = r#"
## Pages

A page's `next` is the `cursor` of the page after it, `null` on the last. It continues after a call, not after a
number of calls: what was there when the first page was read comes exactly once, whatever arrives meanwhile, and a
time that was told by the clock (`from=-1h`) stays that of the first page. The `.csv` and `.ndjson` twins have no
pages: they are sent as they are read, of any size.

## Who may ask

| | on the loopback | bound elsewhere, or with `--api-token-file` |
|---|---|---|
| `/`, `/live`, `/ready` | anybody | anybody |
| `/metrics`, `/api/metrics` | anybody | the token; anybody with `--metrics-public` (not with `offset`) |
| `POST /api/report` | anybody; with `--report-token-file`, its token or the API's | the token; with `--report-token-file`, its token too |
| all else | anybody | the token |
| what was said: `bodies` of a call, `q` | the token | the token |

The token is that of `--api-token-file`, else of `llmtap.token` beside the database, and is sent as
`Authorization: Bearer TOKEN`; never in an address or a cookie. Without one that is needed: 401. A wrong one is
401 wherever it is looked at; ten wrong ones from an address, and it may try one a second (429). On the loopback, a
`Host` that is neither `localhost`, a loopback's address nor an `--allowed-host` is 421. Pages of other origins
are 403 but for those of `--cors-origin`. `llmtap_api_refused_total` counts all of these.

## Calls under way

`/api/inflight` is `{"time", "complete", "left_out", "calls"}`: when it was written down, whether all workers told
of theirs in time (1.5 s), how many exchanges there was no room for (8,192 are shown), and the calls, the oldest
first, with the keys of rows as far as they are known: `call_key`, `source`, `dialect`, `operation`, `stream`,
`method`, `path`, `status`, `request_model`, `response_model`, `output_tokens` (the server's figure so far), the
marks up to `last_token` (`first_token` is `null` before the first token), `ttft`, `peer`, `client`, `user`, `key`,
`server`, `labels`; and `events`, those of the stream so far, and `age`, in seconds.

`/api/live` is a stream of server-sent events with the same objects: `begin` when a call's request was read,
`first_token` (streams), and `end`, whose data is the whole row (without `id`: it may not be stored yet). All three
have the call's `call_key`. An event's `id` goes into `Last-Event-ID` of who comes back: what came meanwhile follows,
as far as it is kept (2,048 events, 30 s after the last reader left). `lagged` says how many events a reader missed
because it was too slow or came back too late: `{"missed": N}`, `null` where that is not known (llmtap was started
anew). A comment comes after 15 s of silence. 32 read at a time. Filters are those of calls; one that asks for what is not known
yet, such as `outcome` before the end, lets nothing through until then. Nobody waits for a slow reader, and while
nobody listens nothing is made ready.

## Percentiles

`p50`, `p90`, `p95` and `p99`, by nearest rank, are within 1 % of the exact value, relative to it, for any number of calls: values are
counted in buckets whose bounds grow by 2 % (DDSketch), and such counts are added without loss.

## Bounds

Two questions are answered at a time, each from a snapshot and a connection of its own, within 10 s; a third waits
up to 5 s for its turn, and then gets 503. Four long answers are sent at a time; one whose reader takes nothing for
a minute is broken off, as is any connection. Answers that wait for their readers take 64 MiB in all; past that there
is 503. Neither holds up capture or writing, and no snapshot outlives a page. Text search (`q`)
reads all stored texts, which retention bounds: an index of them would be paid for with each call that is written.
"#;

/// Makes the page.
pub fn page() -> String {
    let mut page = BEGIN.to_owned();
    page.push_str("| | | parameters |\n|---|---|---|\n");
    for endpoint in ENDPOINTS {
        let _ = writeln!(
            page,
            "| `{} {}` | {} | {} |",
            endpoint.method,
            endpoint.path,
            endpoint.summary,
            parameters(endpoint)
        );
    }
    page.push_str(FILTERED);
    for filter in FILTERS {
        line(&mut page, filter);
    }
    page.push_str("\n## Other parameters\n\n| parameter | value | |\n|---|---|---|\n");
    let mut told: Vec<(&str, &str)> = Vec::new();
    for parameter in ENDPOINTS
        .iter()
        .flat_map(|endpoint| endpoint.parameters.concat())
    {
        // `limit` means something else here and there, and has a line for each.
        let this = (parameter.name, parameter.doc);
        if !told.contains(&this) {
            told.push(this);
            line(&mut page, &parameter);
        }
    }
    page.push_str(ENDS);
    page
}

fn parameters(endpoint: &Endpoint) -> String {
    let filters = match endpoint.filters {
        Filters::Taken => Some("filters".to_owned()),
        Filters::Live => Some("filters but `from`, `to` and `q`".to_owned()),
        Filters::No => None,
    };
    let others = endpoint.parameters.concat();
    let others = others
        .iter()
        .map(|parameter| format!("`{}`", parameter.name));
    let body = matches!(endpoint.answer, Answer::Accepted).then(|| "a JSON body".to_owned());
    let all: Vec<String> = filters.into_iter().chain(others).chain(body).collect();
    all.join(", ")
}

fn line(page: &mut String, parameter: &Parameter) {
    let name = if parameter.name.ends_with('.') {
        format!("{}NAME", parameter.name)
    } else {
        parameter.name.to_owned()
    };
    let value = parameter.value.replace('|', "\\|");
    let _ = writeln!(page, "| `{name}` | {value} | {} |", parameter.doc);
}
