//! Errors of the API: to who starts it, and to who asks it.

use std::{io, net::SocketAddr};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value as Json_, json};

use crate::query::BadParameter;

/// Why the API cannot be served. Each text is: what happened, why, what to do.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The port is taken.
    #[error(
        "cannot listen on {0}: another program listens there. \
         End it, or give another address with --listen ADDR:PORT"
    )]
    InUse(SocketAddr),
    /// The address is not this machine's.
    #[error(
        "cannot listen on {0}: this machine has no such address. \
         Give one that it has (127.0.0.1, or 0.0.0.0 for all) with --listen ADDR:PORT"
    )]
    NoSuchAddress(SocketAddr),
    /// The port is reserved.
    #[error(
        "cannot listen on {0}: this user may not open that port. \
         Give a port from 1024 on with --listen ADDR:PORT"
    )]
    NotAllowed(SocketAddr),
    /// Something else.
    #[error("cannot listen on {address}: {cause}. Give another address with --listen ADDR:PORT")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The listening socket failed.
    #[error("the listening socket cannot be used: {0}")]
    Socket(#[from] io::Error),
}

impl ApiError {
    pub(super) fn listen(address: SocketAddr, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(address),
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress(address),
            io::ErrorKind::PermissionDenied => Self::NotAllowed(address),
            _ => Self::Listen { address, cause },
        }
    }
}

/// An answer that is an error: a problem document (RFC 9457).
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    detail: String,
    /// The parameter or field that is at fault, where one is.
    field: Option<Box<str>>,
    /// What there is, to who asks for what there is not.
    endpoints: Option<Box<[String]>>,
}

/// The media type of problem documents.
pub(super) const PROBLEM: &str = "application/problem+json";

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            detail: error.into(),
            field: None,
            endpoints: None,
        }
    }

    pub(super) fn field(field: impl Into<Box<str>>, error: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::new(StatusCode::BAD_REQUEST, error)
        }
    }

    /// The store or the machine cannot do it now; the sender may come again.
    pub(super) fn unavailable(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }

    /// Names what there is.
    pub(super) fn with_endpoints(mut self, endpoints: Vec<String>) -> Self {
        self.endpoints = Some(endpoints.into());
        self
    }

    /// There are no pages that explain our errors, so the type is the status'. `error` is the detail under the name
    /// that it had before answers were problem documents.
    pub(super) fn document(&self) -> Json_ {
        let mut document = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "error": self.detail,
        });
        if let Some(field) = &self.field {
            document["field"] = json!(field);
        }
        if let Some(endpoints) = &self.endpoints {
            document["endpoints"] = json!(endpoints);
        }
        document
    }
}

impl From<BadParameter> for Refusal {
    fn from(bad: BadParameter) -> Self {
        Self::field(bad.name, bad.reason)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.document())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::UNAUTHORIZED => {
                let challenge = HeaderValue::from_static("Bearer realm=\"llmtap\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            _ => {}
        }
        response
    }
}
