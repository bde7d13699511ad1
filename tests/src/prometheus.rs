//! A real Prometheus that scrapes, and answers queries.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    http,
    process::{self, Daemon},
    tools,
};

/// Scrapes under one name, wherever the target listens.
const SETTINGS: &str = "\
scrape_configs:
  - job_name: llmtap
    scrape_interval: 500ms
    scrape_timeout: 500ms
    file_sd_configs:
      - files: [targets.json]
        refresh_interval: 1s
    relabel_configs:
      - target_label: instance
        replacement: llmtap
";

/// One element of a query's answer: its labels, and its value.
pub type Element = (BTreeMap<String, String>, f64);

/// The server, in a folder of its own.
#[derive(Debug)]
pub struct Prometheus {
    _daemon: Daemon,
    address: SocketAddr,
    targets: PathBuf,
}

impl Prometheus {
    /// Starts it; it scrapes nobody yet.
    ///
    /// # Errors
    /// Where it is missing, or does not start.
    pub fn start(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let settings = folder.join("prometheus.yml");
        fs::write(&settings, SETTINGS)?;
        let targets = folder.join("targets.json");
        fs::write(&targets, "[]")?;
        let mut command = Command::new(tools::prometheus());
        command
            .arg(format!("--config.file={}", settings.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .args([
                "--web.listen-address=127.0.0.1:0",
                "--enable-feature=exemplar-storage",
            ]);
        let daemon = Daemon::start(command)
            .context("prometheus is missing: `cargo xtask test` fetches it")?;
        let line = daemon.stderr_line(|line| line.contains("\"Listening on\""))?;
        let address = line.rsplit("address=").next().unwrap_or_default();
        let address = address.trim().parse().with_context(|| line.clone())?;
        daemon.stderr_line(|line| line.contains("Server is ready"))?;
        Ok(Self {
            _daemon: daemon,
            address,
            targets,
        })
    }

    /// Scrapes this address from now on, and no other.
    ///
    /// # Errors
    /// Where the folder is gone.
    pub fn scrape(&self, target: SocketAddr) -> Result<()> {
        let targets = json!([{"targets": [target.to_string()]}]).to_string();
        // Renamed into place: a half-written file would be read as no targets.
        let draft = self.targets.with_extension("new");
        fs::write(&draft, targets)?;
        fs::rename(&draft, &self.targets)?;
        Ok(())
    }

    /// The answer to a query of now.
    ///
    /// # Errors
    /// Where the query is refused; the error has Prometheus' words.
    pub fn query(&self, promql: &str) -> Result<Vec<Element>> {
        let data = self.get(&format!("/api/v1/query?query={}", coded(promql)))?;
        let elements = data["result"].as_array().context("a vector")?;
        let element = |element: &Value| {
            let labels = element["metric"].as_object()?.iter();
            let labels = labels.map(|(name, value)| {
                let value = value.as_str().unwrap_or_default();
                (name.clone(), value.to_owned())
            });
            let value = element["value"][1].as_str()?.parse().ok()?;
            Some((labels.collect(), value))
        };
        let elements: Option<_> = elements.iter().map(element).collect();
        elements.with_context(|| format!("{promql}: {data}"))
    }

    /// The answer of a query that has one element; `None` where it has none.
    ///
    /// # Errors
    /// As [`Prometheus::query`], and where there are several.
    pub fn value(&self, promql: &str) -> Result<Option<f64>> {
        let elements = self.query(promql)?;
        ensure!(elements.len() <= 1, "{promql}: {elements:?}");
        Ok(elements.first().map(|(_, value)| *value))
    }

    /// The answer by the value of one label, the elements without it under an empty one.
    ///
    /// # Errors
    /// As [`Prometheus::query`].
    pub fn by(&self, label: &str, promql: &str) -> Result<BTreeMap<String, f64>> {
        let elements = self.query(promql)?.into_iter();
        let by =
            elements.map(|(mut labels, value)| (labels.remove(label).unwrap_or_default(), value));
        Ok(by.collect())
    }

    /// Waits until a query has this value.
    ///
    /// # Errors
    /// Where it has another for too long.
    pub fn wait_for(&self, promql: &str, value: f64) -> Result<()> {
        let mut last = None;
        let found = process::eventually(|| {
            last = self.value(promql).ok()?;
            last.filter(|last| (last - value).abs() < 1e-9)
        });
        found
            .map(|_| ())
            .with_context(|| format!("{promql} is {last:?}, and never was {value}"))
    }

    /// The labels of the exemplars of a selector, of all times.
    ///
    /// # Errors
    /// As [`Prometheus::query`].
    pub fn exemplars(&self, selector: &str) -> Result<Vec<Value>> {
        let path = format!(
            "/api/v1/query_exemplars?query={}&start=0&end=9999999999",
            coded(selector)
        );
        let data = self.get(&path)?;
        let series = data.as_array().context("a list")?;
        let exemplars = series.iter().filter_map(|one| one["exemplars"].as_array());
        Ok(exemplars.flatten().cloned().collect())
    }

    fn get(&self, path: &str) -> Result<Value> {
        let response = http::get(self.address, path)?;
        let answer: Value = serde_json::from_slice(&response.body)
            .with_context(|| format!("{path}: {}", response.text()))?;
        ensure!(answer["status"] == "success", "{path}: {answer}");
        Ok(answer["data"].clone())
    }
}

/// Percent-coded for a query string.
fn coded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut coded, byte| {
        if byte.is_ascii_alphanumeric() {
            coded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(coded, "%{byte:02X}");
        }
        coded
    })
}
