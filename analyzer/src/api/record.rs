//! The old tracker's page of one record: five gauges.

use super::python::float_repr;
use crate::store::TokenStat;

/// What the old tracker said past the last record, with status 404.
pub(super) const NO_RECORD: &str = "# No record found";

/// The names of the five gauges, in order.
const NAMES: [&str; 5] = [
    "llm_input_tokens",
    "llm_output_tokens",
    "llm_total_tokens",
    "llm_elapsed_time",
    "llm_tokens_per_second",
];

/// Their help texts, in the same order.
const HELP: [&str; 5] = [
    "Number of input tokens",
    "Number of output tokens",
    "Total number of tokens",
    "Elapsed time in seconds",
    "Tokens per second",
];

/// The page: no newline at its end, as before.
pub(super) fn page(stat: &TokenStat) -> String {
    let labels = format!(
        "model=\"{}\",path=\"{}\",ip=\"{}\"",
        escape(stat.model.as_deref()),
        escape(stat.path.as_deref()),
        escape(stat.ip_address.as_deref())
    );
    let values = [
        stat.input_tokens.to_string(),
        stat.output_tokens.to_string(),
        stat.total_tokens.to_string(),
        float_repr(stat.elapsed_time),
        float_repr(stat.tokens_per_second),
    ];
    let mut lines = Vec::with_capacity(NAMES.len() * 3);
    for ((name, help), value) in NAMES.iter().zip(HELP).zip(values) {
        lines.push(format!("# HELP {name} {help}"));
        lines.push(format!("# TYPE {name} gauge"));
        lines.push(format!("{name}{{{labels}}} {value}"));
    }
    lines.join("\n")
}

/// A label's value in Prometheus text; a missing one reads `None`, as Python prints it.
fn escape(value: Option<&str>) -> String {
    let value = value.unwrap_or("None");
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_the_old_one() {
        let stat = TokenStat {
            input_tokens: 10,
            output_tokens: 0,
            total_tokens: 10,
            elapsed_time: 0.00001,
            tokens_per_second: 1_000_000.0,
            path: Some("/v1/chat/completions".into()),
            model: None,
            ip_address: Some("a\"b\\c\nd".into()),
        };
        let labels = r#"{model="None",path="/v1/chat/completions",ip="a\"b\\c\nd"}"#;
        let page = page(&stat);
        let lines: Vec<_> = page.split('\n').collect();
        assert_eq!(lines.len(), 15);
        assert_eq!(lines[0], "# HELP llm_input_tokens Number of input tokens");
        assert_eq!(lines[1], "# TYPE llm_input_tokens gauge");
        assert_eq!(lines[2], format!("llm_input_tokens{labels} 10"));
        assert_eq!(lines[5], format!("llm_output_tokens{labels} 0"));
        assert_eq!(lines[8], format!("llm_total_tokens{labels} 10"));
        assert_eq!(lines[11], format!("llm_elapsed_time{labels} 1e-05"));
        assert_eq!(
            lines[14],
            format!("llm_tokens_per_second{labels} 1000000.0")
        );
    }
}
