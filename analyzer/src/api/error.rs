//! Errors of the API: to who starts it, and to who asks it.

use std::{io, net::SocketAddr};

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

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

/// An answer that is an error: a status and a JSON object.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    #[serde(skip)]
    status: StatusCode,
    error: String,
    /// The field that is at fault, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
            field: None,
        }
    }

    pub(super) fn field(field: &'static str, error: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error: error.into(),
            field: Some(field),
        }
    }

    /// The store or the machine cannot do it now; the sender may come again.
    pub(super) fn unavailable(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(&self)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = axum::http::HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
