//! Reading the Prometheus text format, and the judge of it.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{process::Done, tools};

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The name, suffixes such as `_total` included.
    pub name: String,
    /// The labels, in the order of the text, escapes undone.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        let (_, value) = self.labels.iter().find(|(label, _)| label == name)?;
        Some(value)
    }
}

/// All samples of a scrape.
///
/// # Errors
/// Where a line is neither comment nor sample; the error shows it.
pub fn parse(text: &str) -> Result<Vec<Sample>> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| sample(line).with_context(|| format!("no sample: {line}")))
        .collect()
}

/// The sum of the samples of one name that fit.
pub fn sum(samples: &[Sample], name: &str, fits: impl Fn(&Sample) -> bool) -> f64 {
    let of_name = samples
        .iter()
        .filter(|sample| sample.name == name && fits(sample));
    of_name.map(|sample| sample.value).sum()
}

/// Fails unless `promtool check metrics` finds nothing to say.
///
/// # Errors
/// What promtool said.
pub fn check(text: &str) -> Result<()> {
    let mut child = Command::new(tools::promtool())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("promtool is missing: `cargo xtask test` fetches it")?;
    let mut input = child.stdin.take().context("its input is a pipe")?;
    input.write_all(text.as_bytes())?;
    drop(input);
    let done = Done::from(child.wait_with_output()?);
    ensure!(
        done.code == Some(0) && done.stdout.is_empty() && done.stderr.is_empty(),
        "promtool, exit code {:?}:\n{}{}",
        done.code,
        done.stdout,
        done.stderr
    );
    Ok(())
}

fn sample(line: &str) -> Option<Sample> {
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((label.trim_start_matches(',').to_owned(), value));
            rest = after;
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.split_whitespace().next()?;
    Some(Sample {
        name: name.to_owned(),
        labels,
        value: value.parse().ok()?,
    })
}

/// The text up to the closing quote, and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(index + 1..)?)),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a_total What.\n# TYPE a_total counter\n\
        a_total{model=\"x\\\"}\\n\",kind=\"b\"} 2\na_total 3.5\n";

    #[test]
    fn samples_have_labels_and_values() {
        let samples = parse(TEXT).unwrap();
        assert_eq!(samples[0].label("model"), Some("x\"}\n"));
        assert_eq!(samples[0].label("kind"), Some("b"));
        assert!((sum(&samples, "a_total", |_| true) - 5.5).abs() < 1e-9);
        assert!((sum(&samples, "a_total", |sample| sample.labels.is_empty()) - 3.5).abs() < 1e-9);
        assert!(parse("a_total{x=\"1} 2").is_err());
    }

    #[test]
    fn promtool_judges() {
        check(TEXT).unwrap();
        assert!(check("# TYPE a_total gauge\na_total 1\n").is_err());
    }
}
