//! The label sets with models in them.

use std::{fmt, sync::Arc};

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};

use super::{cardinality::ModelLabels, names};

/// Labels of `llmtap_calls_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CallLabels {
    pub(super) outcome: &'static str,
    pub(super) operation: &'static str,
    pub(super) model: Option<Arc<str>>,
}

/// Labels of `llmtap_tokens_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenLabels {
    pub(super) kind: &'static str,
    pub(super) source: &'static str,
    pub(super) model: Option<Arc<str>>,
}

/// Labels of `llmtap_audit_calls_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AuditLabels {
    pub(super) tokenizer: Arc<str>,
    pub(super) model: Option<Arc<str>>,
}

/// Labels of `llmtap_audit_tokens_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AuditTokenLabels {
    pub(super) kind: &'static str,
    pub(super) source: &'static str,
    pub(super) audit: AuditLabels,
}

/// Labels of families that are told apart by the model alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct OneModel {
    pub(super) model: Option<Arc<str>>,
}

/// Labels of OpenTelemetry's families.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct GenAi {
    pub(super) operation: &'static str,
    pub(super) provider: &'static str,
    pub(super) request_model: Option<Arc<str>>,
    pub(super) response_model: Option<Arc<str>>,
    pub(super) token_type: Option<&'static str>,
    pub(super) error_type: Option<&'static str>,
}

impl EncodeLabelSet for CallLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("outcome", self.outcome).encode(encoder.encode_label())?;
        ("operation", self.operation).encode(encoder.encode_label())?;
        encode_some(encoder, "model", self.model.as_deref())
    }
}

impl EncodeLabelSet for TokenLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("kind", self.kind).encode(encoder.encode_label())?;
        ("source", self.source).encode(encoder.encode_label())?;
        encode_some(encoder, "model", self.model.as_deref())
    }
}

impl EncodeLabelSet for AuditLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("tokenizer", &*self.tokenizer).encode(encoder.encode_label())?;
        encode_some(encoder, "model", self.model.as_deref())
    }
}

impl EncodeLabelSet for AuditTokenLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("kind", self.kind).encode(encoder.encode_label())?;
        ("source", self.source).encode(encoder.encode_label())?;
        self.audit.encode(encoder)
    }
}

impl EncodeLabelSet for OneModel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        encode_some(encoder, "model", self.model.as_deref())
    }
}

impl EncodeLabelSet for GenAi {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        (names::OPERATION, self.operation).encode(encoder.encode_label())?;
        (names::PROVIDER, self.provider).encode(encoder.encode_label())?;
        encode_some(encoder, names::REQUEST_MODEL, self.request_model.as_deref())?;
        encode_some(
            encoder,
            names::RESPONSE_MODEL,
            self.response_model.as_deref(),
        )?;
        encode_some(encoder, names::TOKEN_TYPE, self.token_type)?;
        encode_some(encoder, names::ERROR_TYPE, self.error_type)
    }
}

impl ModelLabels for CallLabels {
    fn fold(&mut self, other: &Arc<str>) {
        self.model = Some(Arc::clone(other));
    }
}

impl ModelLabels for TokenLabels {
    fn fold(&mut self, other: &Arc<str>) {
        self.model = Some(Arc::clone(other));
    }
}

impl ModelLabels for AuditLabels {
    fn fold(&mut self, other: &Arc<str>) {
        self.model = Some(Arc::clone(other));
    }
}

impl ModelLabels for AuditTokenLabels {
    fn fold(&mut self, other: &Arc<str>) {
        self.audit.fold(other);
    }
}

impl ModelLabels for OneModel {
    fn fold(&mut self, other: &Arc<str>) {
        self.model = Some(Arc::clone(other));
    }
}

impl ModelLabels for GenAi {
    fn fold(&mut self, other: &Arc<str>) {
        self.request_model = Some(Arc::clone(other));
        self.response_model = Some(Arc::clone(other));
    }
}

/// A label that is left out where there is no value.
fn encode_some(
    encoder: &mut LabelSetEncoder<'_>,
    name: &'static str,
    value: Option<&str>,
) -> fmt::Result {
    value.map_or(Ok(()), |value| (name, value).encode(encoder.encode_label()))
}
