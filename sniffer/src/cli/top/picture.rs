//! What is shown, as it was at one moment: the status of a daemon or of a replay, and its calls under way.

use serde::Deserialize;
use serde_json::Value;

/// All of it. What one side does not say, such as an older daemon, is left empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Picture {
    /// Seconds since some beginning, of the traffic's time: what rates are made of.
    pub(super) at: f64,
    pub(super) status: Status,
    /// Calls under way; `None` where they are not told.
    pub(super) under_way: Option<Vec<UnderWay>>,
    /// What a person should know, such as that the capture has ended.
    pub(super) note: Option<String>,
}

/// `GET /api/status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) uptime: u64,
    pub(super) obstacles: Vec<String>,
    pub(super) capture: Capture,
    pub(super) packets: u64,
    pub(super) in_flight: i64,
    pub(super) losses: Vec<Loss>,
    pub(super) calls: Calls,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Capture {
    pub(super) state: String,
    pub(super) detail: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Loss {
    pub(super) family: String,
    pub(super) reason: String,
    pub(super) count: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "as /api/status names them")]
pub(super) struct Calls {
    pub(super) total: Totals,
    pub(super) models: Vec<Model>,
    pub(super) last_calls: Vec<Call>,
    pub(super) last_errors: Vec<Call>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Totals {
    pub(super) calls: u64,
    pub(super) not_ok: u64,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Model {
    pub(super) model: String,
    #[serde(flatten)]
    pub(super) totals: Totals,
}

/// A finished call. Times in seconds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Call {
    pub(super) ended: Option<f64>,
    pub(super) model: Option<String>,
    pub(super) operation: Option<String>,
    pub(super) outcome: String,
    pub(super) status: Option<u16>,
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) ttft: Option<f64>,
    pub(super) elapsed: Option<f64>,
    pub(super) client: Option<String>,
}

/// A call of `GET /api/inflight`. Times in seconds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UnderWay {
    pub(super) age: Option<f64>,
    pub(super) request_model: Option<String>,
    pub(super) response_model: Option<String>,
    pub(super) operation: Option<String>,
    pub(super) output_tokens: Option<u64>,
    pub(super) events: u64,
    pub(super) ttft: Option<f64>,
    pub(super) first_token: Option<f64>,
    pub(super) response_head: Option<f64>,
    pub(super) client: Option<String>,
    pub(super) peer: Option<String>,
}

/// The answer of `GET /api/inflight`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AllUnderWay {
    pub(super) calls: Vec<UnderWay>,
}

impl UnderWay {
    pub(super) fn model(&self) -> &str {
        let model = self.request_model.as_deref();
        model.or(self.response_model.as_deref()).unwrap_or("-")
    }

    pub(super) fn client(&self) -> &str {
        let client = self.client.as_deref();
        client.or(self.peer.as_deref()).unwrap_or("-")
    }

    /// Output tokens so far: the server's figure, else the events of the stream, which are about as many.
    pub(super) fn tokens(&self) -> u64 {
        self.output_tokens.unwrap_or(self.events)
    }

    /// How far it has come.
    pub(super) const fn stage(&self) -> &'static str {
        match (self.first_token, self.response_head) {
            (Some(_), _) => "streaming",
            (None, Some(_)) => "answered",
            (None, None) => "waiting",
        }
    }
}

impl Calls {
    /// Of the board's own JSON.
    pub(super) fn of(board: Value) -> Self {
        serde_json::from_value(board).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_is_left_empty() {
        let status: Status = serde_json::from_value(json!({
            "uptime": 3,
            "capture": {"state": "none"},
            "something": "new",
            "calls": {"total": {"calls": 7}, "models": [{"model": "m", "calls": 7}]},
        }))
        .unwrap();
        assert_eq!(status.calls.models[0].totals.calls, 7);
        assert!(status.losses.is_empty());
        let calls: AllUnderWay = serde_json::from_value(json!({
            "calls": [{"age": 1.5, "events": 3, "output_tokens": null, "client": null, "peer": "::1"}],
        }))
        .unwrap();
        let call = &calls.calls[0];
        assert_eq!(
            (call.tokens(), call.client(), call.stage()),
            (3, "::1", "waiting")
        );
    }
}
