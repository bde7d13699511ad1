//! Errors of the API: to who starts it, and to who asks it.

use std::{io, net::SocketAddr};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, Serializer};

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
#[derive(Clone, Debug, Serialize)]
pub(super) struct Refusal {
    /// There are no pages that explain our errors: the status and the detail say all.
    r#type: &'static str,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    detail: String,
    /// The same as the detail, as answers named it before they were problem documents.
    error: String,
    /// The field that is at fault, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// What there is, to who asks for what there is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoints: Option<Vec<String>>,
}

/// The media type of problem documents.
pub(super) const PROBLEM: &str = "application/problem+json";

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        let detail = error.into();
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            error: detail.clone(),
            detail,
            field: None,
            endpoints: None,
        }
    }

    pub(super) fn field(field: impl Into<String>, error: impl Into<String>) -> Self {
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
        self.endpoints = Some(endpoints);
        self
    }
}

impl From<BadParameter> for Refusal {
    fn from(bad: BadParameter) -> Self {
        Self::field(bad.name, bad.reason)
    }
}

fn as_number<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
