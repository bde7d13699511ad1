//! What must hold of every row.

use analyzer::call::{Call, Confidence, ExchangeRow};

use crate::fuzz::Features;

/// Holds a call to it, and notes what it is.
pub(super) fn call(call: &Call, features: &mut Features) {
    let spans = [
        call.elapsed,
        call.upload,
        call.ttft,
        call.gap_p50,
        call.gap_p95,
        call.gap_max,
        Some(call.wasted),
    ];
    assert!(spans.iter().flatten().all(|span| *span >= 0), "{call:?}");
    assert!(
        call.gap_p50 <= call.gap_p95 && call.gap_p95 <= call.gap_max,
        "{call:?}"
    );
    for figure in [call.tpot, call.tokens_per_second].into_iter().flatten() {
        assert!(figure.is_finite() && figure >= 0.0, "{call:?}");
    }
    let parts = [call.input_tokens, call.output_tokens];
    assert_eq!(
        call.total_tokens.is_some(),
        parts.iter().any(Option::is_some),
        "{call:?}"
    );
    if let Some(total) = call.total_tokens {
        let sum = parts
            .iter()
            .flatten()
            .fold(0_u64, |sum, part| sum.saturating_add(*part));
        assert_eq!(total, sum, "{call:?}");
    }
    assert!(
        !call.output_partial || call.output_tokens.is_some(),
        "{call:?}"
    );
    let lost = call.missing_request_bytes + call.missing_response_bytes > 0;
    assert!(!lost || call.confidence == Confidence::Partial, "{call:?}");
    features.seen(call.outcome.as_str());
    features.followed(call.dialect.unwrap_or("none"), call.outcome.as_str());
    features.followed("in", call.input_source.as_str());
    features.followed("out", call.output_source.as_str());
    features.count("output", call.output_tokens.unwrap_or(0));
    features.count("stalls", call.stalls.unwrap_or(0));
    for (name, there) in [
        ("ttft", call.ttft.is_some()),
        ("tpot", call.tpot.is_some()),
        ("partial", call.output_partial),
        ("wasted", call.wasted > 0),
        ("client", call.client.is_some()),
        ("user", call.user.is_some()),
        ("key", call.key.is_some()),
        ("error type", call.error_type.is_some()),
        ("error code", call.error_code.is_some()),
        ("finish", !call.finish_reasons.is_empty()),
        ("truncated", call.truncated),
    ] {
        if there {
            features.seen(name);
        }
    }
}

/// Holds an exchange to it, and notes what it is.
pub(super) fn exchange(row: &ExchangeRow, features: &mut Features) {
    assert!(
        row.status
            .is_none_or(|status| (100..1_000).contains(&status)),
        "{row:?}"
    );
    features.followed("ending", row.ending);
    features.followed("version", row.version.unwrap_or("none"));
    features.count(
        "missing",
        row.missing_request_body
            .saturating_add(row.missing_response_body),
    );
}
