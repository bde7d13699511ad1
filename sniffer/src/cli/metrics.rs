//! What stands in the metrics beyond what always does.

use analyzer::metrics::CallLabel;
use anyhow::bail;
use clap::Args;

use super::args::WhoseArgs;

/// Labels that are asked for.
#[derive(Debug, Args)]
pub(crate) struct MetricArgs {
    /// Tell the counters of calls apart by this as well: user, key (its hash), client, path (known endpoints,
    /// else `other`), or label:NAME, the header kept by --label NAME=HEADER; repeatable. Each multiplies the
    /// series; past 2000 label sets a family, further values show as ~other
    #[arg(
        long = "metric-label",
        value_name = "LABEL",
        env = "LLMTAP_METRIC_LABEL",
        value_delimiter = ',',
        help_heading = "Metrics"
    )]
    metric_labels: Vec<CallLabel>,
}

impl MetricArgs {
    /// The labels, each of which there is.
    pub(crate) fn labels(&self, whose: &WhoseArgs) -> anyhow::Result<&[CallLabel]> {
        for label in &self.metric_labels {
            if let CallLabel::Header(name) = label
                && whose.labels.iter().all(|kept| kept.name() != &**name)
            {
                bail!(
                    "--metric-label {label}: no header is kept under the name {name}; name one with \
                     --label {name}=HEADER"
                );
            }
        }
        Ok(&self.metric_labels)
    }
}
