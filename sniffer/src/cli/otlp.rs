//! Flags and variables of the OTLP export, and the running export.
//!
//! OpenTelemetry's own variables count where a flag (or its LLMTAP_ variable) is not given. Its headers are an
//! exception: they belong to its endpoint, and go to no other.

use std::{fs, path::PathBuf, time::Duration};

use analyzer::otlp::{
    Compression, Content, Endpoint, Exporter, Header, Protocol, Settings, Signal, pairs,
};
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use jiff::SignedDuration;

use super::args::Bodies;

/// How long a request may take where nobody says: OpenTelemetry's default.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often metrics are sent where nobody says: OpenTelemetry's default.
const INTERVAL: Duration = Duration::from_mins(1);

/// The longest time that is taken for either.
const LONGEST: Duration = Duration::from_hours(24);

/// Export by OTLP.
#[derive(Debug, Args)]
#[command(next_help_heading = "OTLP export")]
#[expect(
    clippy::struct_field_names,
    reason = "they are the flags' names, which are those of the whole program"
)]
pub(crate) struct OtlpArgs {
    /// Send calls as spans, and the metrics, to this OTLP receiver, such as http://collector:4318 (gRPC: 4317).
    /// Default: OTEL_EXPORTER_OTLP_ENDPOINT; without either nothing is sent
    #[arg(long, value_name = "URL", env = "LLMTAP_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,

    /// How it is spoken to: http/protobuf or grpc. Default: OTEL_EXPORTER_OTLP_PROTOCOL, or http/protobuf
    #[arg(long, value_name = "PROTOCOL", env = "LLMTAP_OTLP_PROTOCOL")]
    otlp_protocol: Option<Protocol>,

    /// What is sent; both unless one is named
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SIGNAL")]
    #[arg(env = "LLMTAP_OTLP_SIGNALS", default_value = "traces,metrics")]
    otlp_signals: Vec<SignalName>,

    /// Send this header along, such as authorization=Bearer…; repeatable (in the environment: one a line)
    #[arg(long = "otlp-header", value_name = "NAME=VALUE")]
    #[arg(
        env = "LLMTAP_OTLP_HEADER",
        hide_env_values = true,
        value_delimiter = '\n'
    )]
    otlp_headers: Vec<Header>,

    /// Read more of them from this file, one a line: a command line is seen by all users of the machine
    #[arg(long, value_name = "FILE", env = "LLMTAP_OTLP_HEADER_FILE")]
    otlp_header_file: Option<PathBuf>,

    /// Trust the authorities in this file of PEM certificates in place of the system's. Default:
    /// OTEL_EXPORTER_OTLP_CERTIFICATE
    #[arg(long, value_name = "FILE", env = "LLMTAP_OTLP_CA")]
    otlp_ca: Option<PathBuf>,

    /// Send request and response texts along with the calls, as they are stored: known secrets taken out
    #[arg(long, env = "LLMTAP_OTLP_CONTENT")]
    otlp_content: bool,

    /// How messages are compressed: gzip or none. Default: OTEL_EXPORTER_OTLP_COMPRESSION, or gzip
    #[arg(long, value_name = "HOW", env = "LLMTAP_OTLP_COMPRESSION")]
    otlp_compression: Option<Compression>,

    /// How long a request may take. Default: OTEL_EXPORTER_OTLP_TIMEOUT, or 10s
    #[arg(long, value_name = "TIME", env = "LLMTAP_OTLP_TIMEOUT", value_parser = time)]
    otlp_timeout: Option<Duration>,

    /// How often metrics are sent. Default: OTEL_METRIC_EXPORT_INTERVAL, or 60s
    #[arg(long, value_name = "TIME", env = "LLMTAP_OTLP_INTERVAL", value_parser = time)]
    otlp_interval: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SignalName {
    /// Calls, as spans
    Traces,
    /// The metrics
    Metrics,
}

impl OtlpArgs {
    /// Starts the export, where there is somewhere to send to. `port` is that of the API: it tells the processes of
    /// a machine apart.
    pub(crate) fn start(
        &self,
        bodies: Bodies,
        port: u16,
        metrics: &analyzer::metrics::Metrics,
    ) -> anyhow::Result<Option<Exporter>> {
        let Some(settings) = self.settings(port, |name| std::env::var(name).ok())? else {
            return Ok(None);
        };
        if settings.content == Content::Sent && bodies == Bodies::None {
            bail!(
                "--otlp-content sends what is stored of requests and responses, and --bodies none stores nothing of \
                 them: leave one of the two out"
            );
        }
        for (what, endpoint) in [("calls", &settings.traces), ("metrics", &settings.metrics)] {
            if let Some(endpoint) = endpoint {
                let content = match settings.content {
                    Content::Sent if what == "calls" => ", with their texts",
                    _ => "",
                };
                tracing::info!("OTLP: sending {what}{content} to {endpoint}");
            }
        }
        Ok(Some(Exporter::start(settings, metrics)?))
    }

    /// The settings by flags and variables; `None` where nothing is to be sent.
    fn settings(
        &self,
        port: u16,
        variable: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Option<Settings>> {
        // An empty variable is as good as none, as OpenTelemetry has it.
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let protocol = match self.otlp_protocol {
            Some(protocol) => protocol,
            None => {
                from(&variable, "OTEL_EXPORTER_OTLP_PROTOCOL")?.unwrap_or(Protocol::HttpProtobuf)
            }
        };
        let endpoint = |name, signal| self.endpoint(name, signal, protocol, &variable);
        let traces = endpoint(SignalName::Traces, Signal::Traces)?;
        let metrics = endpoint(SignalName::Metrics, Signal::Metrics)?;
        if traces.is_none() && metrics.is_none() {
            return Ok(None);
        }
        let authorities = match (&self.otlp_ca, variable("OTEL_EXPORTER_OTLP_CERTIFICATE")) {
            (Some(path), _) => Some(path.clone()),
            (None, path) => path.map(PathBuf::from),
        };
        let authorities = authorities.map(|path| {
            fs::read(&path).with_context(|| {
                let path = path.display();
                format!("cannot read the certificates in {path}, as --otlp-ca (or OTEL_EXPORTER_OTLP_CERTIFICATE) has it")
            })
        });
        let compression = match self.otlp_compression {
            Some(compression) => compression,
            None => from(&variable, "OTEL_EXPORTER_OTLP_COMPRESSION")?.unwrap_or(Compression::Gzip),
        };
        let millis = |name: &str, own: Option<Duration>, default| match own {
            Some(time) => Ok(time),
            None => Ok::<_, anyhow::Error>(millis(&variable, name)?.unwrap_or(default)),
        };
        Ok(Some(Settings {
            protocol,
            compression,
            traces,
            metrics,
            headers: self.headers(&variable)?,
            authorities: authorities.transpose()?,
            content: if self.otlp_content {
                Content::Sent
            } else {
                Content::Left
            },
            timeout: millis("OTEL_EXPORTER_OTLP_TIMEOUT", self.otlp_timeout, TIMEOUT)?,
            metric_interval: millis("OTEL_METRIC_EXPORT_INTERVAL", self.otlp_interval, INTERVAL)?,
            resource: resource(port, &variable)?,
        }))
    }

    /// Where a signal goes: the flag's address; else the signal's own variable, or that of all signals.
    fn endpoint(
        &self,
        name: SignalName,
        signal: Signal,
        protocol: Protocol,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Option<Endpoint>> {
        if !self.otlp_signals.contains(&name) {
            return Ok(None);
        }
        if let Some(base) = self.own_endpoint() {
            let endpoint = Endpoint::of_all(base, signal, protocol).context("--otlp-endpoint")?;
            return Ok(Some(endpoint));
        }
        let (own, exporter) = match name {
            SignalName::Traces => ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER"),
            SignalName::Metrics => (
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                "OTEL_METRICS_EXPORTER",
            ),
        };
        let disabled =
            variable("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        if disabled || variable(exporter).is_some_and(|exporter| exporter != "otlp") {
            return Ok(None);
        }
        if let Some(address) = variable(own) {
            return Ok(Some(
                Endpoint::of_one(&address, signal, protocol).context(own)?,
            ));
        }
        let all = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let base = variable(all);
        let endpoint = base.map(|base| Endpoint::of_all(&base, signal, protocol).context(all));
        endpoint.transpose()
    }

    fn own_endpoint(&self) -> Option<&str> {
        let own = self.otlp_endpoint.as_deref();
        own.filter(|endpoint| !endpoint.trim().is_empty())
    }

    /// Those of the variable, of the file and of the flags; a later one takes the place of one of the same name.
    fn headers(&self, variable: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Vec<Header>> {
        let mut headers: Vec<Header> = Vec::new();
        let name = "OTEL_EXPORTER_OTLP_HEADERS";
        if let Some(list) = variable(name).filter(|_| self.own_endpoint().is_none()) {
            headers = Header::list(&list).context(name)?;
        }
        let mut later = Vec::new();
        if let Some(path) = &self.otlp_header_file {
            let text = fs::read_to_string(path).with_context(|| {
                format!(
                    "cannot read the headers in {}, as --otlp-header-file has it",
                    path.display()
                )
            })?;
            for (number, line) in (1..).zip(text.lines()) {
                let line = line.trim();
                if !line.is_empty() && !line.starts_with('#') {
                    let header: Header = line.parse().with_context(|| {
                        format!("the headers in {}, line {number}", path.display())
                    })?;
                    later.push(header);
                }
            }
        }
        for header in later.into_iter().chain(self.otlp_headers.iter().cloned()) {
            headers.retain(|earlier| earlier.name != header.name);
            headers.push(header);
        }
        Ok(headers)
    }
}

/// What is said of this process.
fn resource(
    port: u16,
    variable: &impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Vec<(String, String)>> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let mut resource = vec![
        ("service.name".to_owned(), "llmtap".to_owned()),
        (
            "service.version".to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
        ("service.instance.id".to_owned(), format!("{host}:{port}")),
        ("host.name".to_owned(), host.to_owned()),
    ];
    let mut set = |name: String, value: String| {
        resource.retain(|(known, _)| *known != name);
        resource.push((name, value));
    };
    let name = "OTEL_RESOURCE_ATTRIBUTES";
    if let Some(text) = variable(name) {
        let attributes = pairs(&text);
        let attributes = attributes.with_context(|| format!("{name}: write NAME=VALUE,…"))?;
        for (name, value) in attributes {
            set(name, value);
        }
    }
    if let Some(name) = variable("OTEL_SERVICE_NAME") {
        set("service.name".to_owned(), name);
    }
    Ok(resource)
}

fn from<T>(variable: &impl Fn(&str) -> Option<String>, name: &str) -> anyhow::Result<Option<T>>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let value = variable(name).map(|text| text.parse());
    value.transpose().with_context(|| name.to_owned())
}

/// A variable of OpenTelemetry's that is a time: milliseconds without a unit.
fn millis(
    variable: &impl Fn(&str) -> Option<String>,
    name: &str,
) -> anyhow::Result<Option<Duration>> {
    let Some(text) = variable(name) else {
        return Ok(None);
    };
    match text.trim().parse().map(Duration::from_millis) {
        Ok(time) if time > Duration::ZERO && time <= LONGEST => Ok(Some(time)),
        _ => bail!("{name}: {text:?} is no number of milliseconds, from 1 to those of a day"),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let time: SignedDuration = text
        .trim()
        .parse()
        .map_err(|_| "a time has a unit: ms, s, m or h, such as 500ms, 10s or 1m".to_owned())?;
    match Duration::try_from(time) {
        Ok(time) if time > Duration::ZERO && time <= LONGEST => Ok(time),
        _ => Err("it must be more than nothing, and at most a day".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct All {
        #[command(flatten)]
        otlp: OtlpArgs,
    }

    /// Settings of these arguments and variables, without the environment of the test.
    fn settings(
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Option<Settings>> {
        let command = All::command().mut_args(|argument| argument.env(None::<&str>));
        let matches = command.try_get_matches_from([&["llmtap"], arguments].concat())?;
        let all = All::from_arg_matches(&matches)?;
        let variables = variables.to_vec();
        all.otlp.settings(9464, move |name| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some((*value).to_owned())
        })
    }

    fn places(arguments: &[&str], variables: &[(&str, &str)]) -> [Option<String>; 2] {
        let settings = settings(arguments, variables).unwrap();
        let place = |endpoint: Option<Endpoint>| endpoint.map(|endpoint| endpoint.to_string());
        settings.map_or([None, None], |s| [place(s.traces), place(s.metrics)])
    }

    fn both(traces: &str, metrics: &str) -> [Option<String>; 2] {
        [Some(traces.to_owned()), Some(metrics.to_owned())]
    }

    const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");

    #[test]
    fn it_is_off_until_there_is_somewhere_to_send_to() {
        assert_eq!(places(&[], &[]), [None, None]);
        assert_eq!(
            places(&["--otlp-content"], &[("OTEL_SERVICE_NAME", "x")]),
            [None, None]
        );
        assert_eq!(
            places(&[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]),
            [None, None]
        );
        let disabled = [BASE, ("OTEL_SDK_DISABLED", "TRUE")];
        assert_eq!(places(&[], &disabled), [None, None]);
    }

    #[test]
    fn the_flag_comes_before_the_variables_and_the_signals_before_that_of_all() {
        let here = both("http://c:4318/v1/traces", "http://c:4318/v1/metrics");
        assert_eq!(places(&[], &[BASE]), here);
        assert_eq!(places(&["--otlp-endpoint=http://c:4318"], &[]), here);
        let flag = ["--otlp-endpoint=http://d:1/x"];
        let there = both("http://d:1/x/v1/traces", "http://d:1/x/v1/metrics");
        assert_eq!(places(&flag, &[BASE, ("OTEL_SDK_DISABLED", "true")]), there);
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t/in");
        assert_eq!(
            places(&[], &[BASE, own]),
            both("https://t/in", "http://c:4318/v1/metrics")
        );
        let none = ("OTEL_TRACES_EXPORTER", "none");
        assert_eq!(places(&[], &[BASE, none])[0], None);
        assert_eq!(places(&["--otlp-signals=traces"], &[BASE])[1], None);
    }

    #[test]
    fn secrets_for_one_receiver_go_to_no_other() {
        let variables = [BASE, ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=one,x-a=b")];
        let names = |arguments: &[&str]| {
            let settings = settings(arguments, &variables).unwrap().unwrap();
            let headers = settings.headers.iter();
            let pairs = headers.map(|h| format!("{}={}", h.name, h.value.to_str().unwrap()));
            pairs.collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), ["api-key=one", "x-a=b"]);
        assert_eq!(
            names(&["--otlp-header=API-Key=two"]),
            ["x-a=b", "api-key=two"]
        );
        assert_eq!(names(&["--otlp-endpoint=http://other:1"]), [""; 0]);
    }

    #[test]
    fn headers_come_from_a_file_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        fs::write(&path, "# ours\n\nauthorization=Bearer a=b\n").unwrap();
        let file = format!("--otlp-header-file={}", path.display());
        let arguments = ["--otlp-endpoint=http://c:1", &file];
        let found = settings(&arguments, &[]).unwrap().unwrap().headers;
        assert_eq!(found[0].value.to_str().unwrap(), "Bearer a=b");
        fs::write(&path, "secretwithoutname\n").unwrap();
        let error = format!("{:#}", settings(&arguments, &[]).unwrap_err());
        assert!(error.contains("line 1"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn the_rest_has_defaults_variables_and_flags() {
        let get = |arguments: &[&str], variables: &[(&str, &str)]| {
            let variables = [&[BASE], variables].concat();
            let s = settings(arguments, &variables).unwrap().unwrap();
            (s.protocol, s.compression, s.timeout, s.metric_interval)
        };
        let default = (Protocol::HttpProtobuf, Compression::Gzip, TIMEOUT, INTERVAL);
        assert_eq!(get(&[], &[]), default);
        let (half, two) = (Duration::from_millis(500), Duration::from_secs(2));
        let variables = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "2000"),
        ];
        let expected = (Protocol::Grpc, Compression::None, half, two);
        assert_eq!(get(&[], &variables), expected);
        let flags = [
            "--otlp-protocol=http/protobuf",
            "--otlp-compression=gzip",
            "--otlp-timeout=10s",
            "--otlp-interval=1m",
        ];
        assert_eq!(get(&flags, &variables), default);
    }

    #[test]
    fn the_process_is_named() {
        let variables = [
            BASE,
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,k=v%20w"),
            ("OTEL_SERVICE_NAME", "b"),
        ];
        let resource = settings(&[], &variables).unwrap().unwrap().resource;
        let get = |name: &str| {
            let mut found = resource.iter().filter(|(known, _)| known == name);
            let value = found.next().map(|(_, value)| value.clone());
            assert!(found.next().is_none());
            value.unwrap_or_default()
        };
        assert_eq!(get("service.name"), "b");
        assert_eq!(get("k"), "v w");
        assert!(get("service.instance.id").ends_with(":9464"));
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        for (arguments, variables, said) in [
            (
                &["--otlp-endpoint=collector:4317"][..],
                &[][..],
                "--otlp-endpoint: ",
            ),
            (
                &[],
                &[("OTEL_EXPORTER_OTLP_ENDPOINT", "c")],
                "OTEL_EXPORTER_OTLP_ENDPOINT: ",
            ),
            (
                &[],
                &[BASE, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
                "no protocol that llmtap speaks",
            ),
            (
                &[],
                &[BASE, ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")],
                "no number of milliseconds",
            ),
            (
                &[],
                &[BASE, ("OTEL_EXPORTER_OTLP_HEADERS", "secret")],
                "a header is NAME=VALUE",
            ),
            (
                &[],
                &[BASE, ("OTEL_RESOURCE_ATTRIBUTES", "x")],
                "NAME=VALUE",
            ),
            (&["--otlp-timeout=5"], &[], "such as 500ms"),
            (&["--otlp-interval=0s"], &[], "more than nothing"),
            (
                &["--otlp-header=content-type=x"],
                &[],
                "set by the export itself",
            ),
            (
                &["--otlp-ca=/nowhere/ca.pem", "--otlp-endpoint=http://c:1"],
                &[],
                "/nowhere/ca.pem",
            ),
        ] {
            let error = format!("{:#}", settings(arguments, variables).unwrap_err());
            assert!(error.contains(said), "{arguments:?} {variables:?}: {error}");
        }
    }
}
