//! A record of the old Traefik plugin, as it arrives at `POST /api/report`.

/// One record of the old Traefik plugin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The request's body, any text.
    pub request_body: String,
    /// The response's body, any text.
    pub response_body: String,
    /// Seconds that the exchange took, finite and not negative.
    pub elapsed_time: f64,
    /// The request's path.
    pub path: Option<String>,
    /// When it was, as the reporter writes it; kept unchanged.
    pub timestamp: Option<String>,
    /// The model by which the route was chosen (the old set-up's `X-Model` header).
    pub model: Option<String>,
    /// The address of who sent the report.
    pub reporter: Option<std::net::IpAddr>,
}

pub use crate::analysis::analyze_report;
