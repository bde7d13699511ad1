//! `llmtap config show`: what a command would go by, and why.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde_json::{Map, Value as Json, json};

use super::{
    definition::Setting,
    resolve::{Resolved, Value},
};

/// What stands for a secret.
const HIDDEN: &str = "(hidden)";

/// What stands for a setting that nobody set, and that has no default of its own.
const UNSET: &str = "(not set)";

/// How settings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShowFormat {
    /// A line a setting
    Text,
    /// One JSON object
    Json,
    /// As a settings file
    Toml,
}

/// Whether each value's origin is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origins {
    Told,
    Left,
}

/// The settings of a command, printed.
pub(super) fn show(resolved: &Resolved, format: ShowFormat, origins: Origins) -> String {
    match format {
        ShowFormat::Text => text(resolved, origins),
        ShowFormat::Json => as_json(resolved, origins),
        ShowFormat::Toml => as_toml(resolved, origins),
    }
}

fn text(resolved: &Resolved, origins: Origins) -> String {
    let rows: Vec<_> = resolved
        .values
        .iter()
        .map(|value| {
            (
                value.setting.key.as_str(),
                plain(value),
                value.origin.to_string(),
            )
        })
        .collect();
    let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or(0);
    let keys = widest(&mut rows.iter().map(|row| row.0.len()));
    // One long list must not push all origins out of sight.
    let values = widest(&mut rows.iter().map(|row| row.1.chars().count())).min(36);
    let mut out = String::new();
    for (key, value, origin) in &rows {
        let _ = match origins {
            Origins::Told => writeln!(out, "{key:keys$}  {value:values$}  {origin}"),
            Origins::Left => writeln!(out, "{key:keys$}  {value}"),
        };
    }
    for (key, origin) in &resolved.unused {
        let _ = writeln!(
            out,
            "# {key} ({origin}) is no setting of `llmtap {}`",
            resolved.command
        );
    }
    out
}

fn plain(value: &Value) -> String {
    match value.values.as_slice() {
        [] => UNSET.to_owned(),
        _ if value.setting.is_secret() => HIDDEN.to_owned(),
        // A line break in a value must not look like a setting of its own.
        values => values.join(", ").replace('\n', "\\n"),
    }
}

fn as_json(resolved: &Resolved, origins: Origins) -> String {
    let settings: Map<String, Json> = resolved
        .values
        .iter()
        .map(|value| {
            let shown = match value.values.as_slice() {
                [] => Json::Null,
                _ if value.setting.is_secret() => json!(HIDDEN),
                values if value.setting.is_list() => values
                    .iter()
                    .map(|one| json_of(&value.setting, one))
                    .collect(),
                [one, ..] => json_of(&value.setting, one),
            };
            let shown = match origins {
                Origins::Told => json!({ "value": shown, "origin": value.origin.to_string() }),
                Origins::Left => shown,
            };
            (value.setting.key.clone(), shown)
        })
        .collect();
    format!("{:#}\n", Json::Object(settings))
}

fn json_of(setting: &Setting, value: &str) -> Json {
    if setting.is_switch() {
        return json!(value == "true");
    }
    match value.parse::<u64>() {
        Ok(number) if setting.is_number() => json!(number),
        _ => json!(value),
    }
}

fn as_toml(resolved: &Resolved, origins: Origins) -> String {
    let mut out = String::new();
    for value in &resolved.values {
        let key = &value.setting.key;
        let shown = match value.values.as_slice() {
            [] => format!("# {key} ="),
            _ if value.setting.is_secret() => format!("# {key} = {HIDDEN}"),
            values => format!("{key} = {}", toml_of(&value.setting, values)),
        };
        let _ = match origins {
            Origins::Told => writeln!(out, "{shown}  # {}", value.origin),
            Origins::Left => writeln!(out, "{shown}"),
        };
    }
    out
}

/// Values in the words of a settings file.
pub(super) fn toml_of(setting: &Setting, values: &[String]) -> String {
    let one = |value: &String| {
        let is_number =
            setting.is_number() && value.parse::<i64>().is_ok_and(|n| n.to_string() == *value);
        if is_number || setting.is_switch() {
            value.clone()
        } else {
            // JSON's texts are TOML's, but for this one character, which TOML wants escaped.
            json!(value).to_string().replace('\u{7f}', "\\u007F")
        }
    };
    let words: Vec<_> = values.iter().map(one).collect();
    if setting.is_list() {
        format!("[{}]", words.join(", "))
    } else {
        words.concat()
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction};

    use super::{
        super::resolve::{Origin, Value},
        *,
    };
    use crate::cli::args::Cli;

    fn shown(format: ShowFormat) -> String {
        let value = |arg: Arg, values: &[&str]| Value {
            setting: Setting::of(&arg, "run").unwrap(),
            values: values.iter().map(ToString::to_string).collect(),
            origin: Origin::Default,
        };
        let flag = |long: &'static str| Arg::new(long).long(long).env("LLMTAP_ANY");
        let resolved = Resolved {
            cli: <Cli as clap::Parser>::parse_from(["llmtap", "config", "example"]),
            command: "run".to_owned(),
            values: vec![
                value(flag("token").hide_env_values(true), &["sesame"]),
                value(flag("header").hide_env_values(true), &[]),
                value(flag("on").action(ArgAction::SetTrue), &["true"]),
                value(flag("most").value_parser(clap::value_parser!(u16)), &["7"]),
                value(flag("pid"), &["7"]),
                value(
                    flag("rule").action(ArgAction::Append),
                    &["a\"b", "c\nd\u{7f}"],
                ),
            ],
            unused: Vec::new(),
            file: None,
            warnings: Vec::new(),
        };
        show(&resolved, format, Origins::Left)
    }

    #[test]
    fn values_keep_their_kind_and_secrets_are_hidden() {
        assert_eq!(
            shown(ShowFormat::Text),
            "token   (hidden)\nheader  (not set)\non      true\nmost    7\npid     7\n\
             rule    a\"b, c\\nd\u{7f}\n"
        );
        assert_eq!(
            shown(ShowFormat::Toml),
            "# token = (hidden)\n# header =\non = true\nmost = 7\npid = \"7\"\n\
             rule = [\"a\\\"b\", \"c\\nd\\u007F\"]\n"
        );
        let json: Json = serde_json::from_str(&shown(ShowFormat::Json)).unwrap();
        let expected = json!({
            "token": "(hidden)", "header": null, "on": true, "most": 7, "pid": "7",
            "rule": ["a\"b", "c\nd\u{7f}"],
        });
        assert_eq!(json, expected);
    }
}
