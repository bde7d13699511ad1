//! Labels of calls that stand only where they are asked for, since each multiplies the series.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

use super::cardinality::{Names, Vouched};
use crate::{call::Call, dialect};

/// A label of the counters of calls that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallLabel {
    /// The user.
    User,
    /// The keyed hash of the API key.
    Key,
    /// The client's address, or else the peer's.
    Client,
    /// The known end of the request's path, or `other`.
    Path,
    /// A header that is kept under this name (`--label`).
    Header(Box<str>),
}

/// A word that is no such label.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "there is no label {0:?}: use user, key, client, path, or label:NAME with the name of a --label"
)]
pub struct NoCallLabel(String);

impl FromStr for CallLabel {
    type Err = NoCallLabel;

    fn from_str(text: &str) -> Result<Self, NoCallLabel> {
        match text.trim() {
            "user" => Ok(Self::User),
            "key" => Ok(Self::Key),
            "client" => Ok(Self::Client),
            "path" => Ok(Self::Path),
            other => match other.strip_prefix("label:") {
                Some(name) if !name.is_empty() => Ok(Self::Header(name.into())),
                _ => Err(NoCallLabel(other.to_owned())),
            },
        }
    }
}

/// As it is asked for.
impl fmt::Display for CallLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("user"),
            Self::Key => f.write_str("key"),
            Self::Client => f.write_str("client"),
            Self::Path => f.write_str("path"),
            Self::Header(name) => write!(f, "label:{name}"),
        }
    }
}

impl CallLabel {
    /// Its name in the metrics. That of a header has a beginning of its own, so that it cannot be another label's.
    fn name(&self) -> Box<str> {
        match self {
            Self::Header(name) => format!("label_{name}").into(),
            other => other.to_string().into(),
        }
    }

    fn value<'c>(&self, call: &'c Call) -> Option<&'c str> {
        match self {
            Self::User => call.user.as_deref(),
            Self::Key => call.key.as_deref(),
            Self::Client => call.client.as_deref().or(call.peer.as_deref()),
            Self::Path => call.path.as_deref().map(dialect::endpoint),
            Self::Header(name) => {
                let mut labels = call.whose.labels.iter();
                labels
                    .find(|label| label.name == **name)
                    .map(|label| label.value.as_str())
            }
        }
        .filter(|value| !value.is_empty())
    }
}

/// The labels that are asked for, each with the values that it has had.
#[derive(Debug, Default)]
pub(super) struct CallLabels(Vec<(CallLabel, Names)>);

impl CallLabels {
    /// Each of them once.
    pub(super) fn new(labels: &[CallLabel]) -> Self {
        let mut known: Vec<(CallLabel, Names)> = Vec::new();
        for label in labels {
            if known.iter().all(|(other, _)| other != label) {
                known.push((label.clone(), Names::new()));
            }
        }
        Self(known)
    }

    /// Their names in the metrics.
    pub(super) fn names(&self) -> Vec<Box<str>> {
        self.0.iter().map(|(label, _)| label.name()).collect()
    }

    /// Their values for a call, bounded.
    pub(super) fn values(&self, call: &Call, vouched: Vouched) -> Vec<Option<Arc<str>>> {
        let value = |(label, names): &(CallLabel, Names)| {
            let vouched = match label {
                // The code's own words.
                CallLabel::Path => Vouched::Yes,
                _ => vouched,
            };
            Some(names.label(label.value(call)?, vouched))
        };
        self.0.iter().map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_written_alike() {
        for word in ["user", "key", "client", "path", "label:team"] {
            assert_eq!(word.parse::<CallLabel>().unwrap().to_string(), word);
        }
        for wrong in ["", "label:", "model", "User"] {
            let error = wrong.parse::<CallLabel>().unwrap_err();
            assert!(error.to_string().contains("label:NAME"), "{error}");
        }
    }
}
