//! Who may ask, and what: tokens, the names that llmtap is asked by, and pages of other origins.
//!
//! | | bound to the loopback | bound elsewhere, or a token was set |
//! |---|---|---|
//! | `/`, `/live`, `/ready` | all | all |
//! | figures | all | the token |
//! | `/metrics` | all | the token, or all where so set |
//! | what was said | the token | the token |
//! | reports | all; the token of reports where there is one | the one token or the other |
//!
//! Any local user, and any page in a browser of this machine, reaches the loopback. So texts need a token there too,
//! which llmtap makes and the database's owner alone can read, and a request must name a loopback's `Host`: a name
//! that was made to lead here (DNS rebinding) is not answered.

mod host;
mod origin;
mod throttle;
mod tokens;

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

pub use host::{HostName, HostNameError};
pub use origin::{Origin, OriginError};
pub(super) use throttle::Throttle;
pub use tokens::{TokenError, Tokens};

use super::{ApiState, Peer, endpoints::ENDPOINTS, error::Refusal};

/// What an endpoint shows, and so who may ask it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// That llmtap is there, or a page that holds no figures.
    Nothing,
    /// Figures and names, no texts. Texts are added for who may see them.
    Figures,
    /// The aggregates, for a scraper.
    Metrics,
    /// Nothing: it takes reports.
    Reports,
}

/// Where the API can be reached from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// This machine.
    #[default]
    Loopback,
    /// Other machines.
    Elsewhere,
}

impl Reach {
    /// That of an address that is listened on.
    pub fn of(address: IpAddr) -> Self {
        if address.to_canonical().is_loopback() {
            Self::Loopback
        } else {
            Self::Elsewhere
        }
    }
}

/// For what the API's token is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guard {
    /// For what was said alone.
    #[default]
    Bodies,
    /// For all but health and the page itself.
    All,
}

/// Who may scrape the aggregates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scrapers {
    /// Who may see the other figures.
    #[default]
    AsFigures,
    /// All.
    Anybody,
}

/// The rules.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Where the API can be reached from. Elsewhere, [`Guard::All`] holds whatever was set.
    pub reach: Reach,
    /// For what the API's token is asked.
    pub guard: Guard,
    /// The API's tokens. Without one, nobody sees what was said.
    pub tokens: Tokens,
    /// Tokens that are good for reports alone, and asked for wherever the API is bound.
    pub report_tokens: Option<Tokens>,
    /// Who may scrape.
    pub scrapers: Scrapers,
    /// Names other than the loopback's that llmtap may be asked by; bound elsewhere and with none of them, all may be.
    pub hosts: Vec<HostName>,
    /// Origins of pages that may read answers.
    pub origins: Vec<Origin>,
}

/// What one who was let in may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sees {
    /// Figures.
    Figures,
    /// What was said as well.
    Bodies,
}

/// Why one was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    NoHost,
    Host,
    Origin,
    NoToken,
    WrongToken,
    TooManyAttempts,
}

impl Denied {
    /// All of them, for the metric.
    pub(super) const REASONS: [&'static str; 6] = [
        "no_host",
        "host",
        "origin",
        "no_token",
        "wrong_token",
        "too_many_attempts",
    ];

    const fn reason(self) -> &'static str {
        Self::REASONS[self as usize]
    }

    fn refusal(self) -> Refusal {
        let (status, detail) = match self {
            Self::NoHost => (
                StatusCode::BAD_REQUEST,
                "a request of HTTP/1.1 names one Host, and no more",
            ),
            Self::Host => (
                StatusCode::MISDIRECTED_REQUEST,
                "llmtap is not known by this Host: ask it as localhost or 127.0.0.1, or start it with \
                 --allowed-host NAME",
            ),
            Self::Origin => (
                StatusCode::FORBIDDEN,
                "pages of this origin may not ask: start llmtap with --cors-origin ORIGIN if they should",
            ),
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "a token is needed: send the header Authorization: Bearer TOKEN, with the token of \
                 --api-token-file, or else of the file llmtap.token beside the database",
            ),
            Self::WrongToken => (StatusCode::UNAUTHORIZED, "this token is not known here"),
            Self::TooManyAttempts => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many wrong tokens came from this address: wait a second",
            ),
        };
        Refusal::new(status, detail)
    }
}

/// A request, as far as the rules look at it.
struct Asked<'r> {
    peer: IpAddr,
    uri: &'r Uri,
    headers: &'r HeaderMap,
    version: axum::http::Version,
    shows: Shows,
}

impl Access {
    /// What the asker may see, unless it is turned away.
    fn judge(&self, asked: &Asked<'_>, throttle: &Throttle, now: Instant) -> Result<Sees, Denied> {
        let host = host::of(asked.uri, asked.headers, asked.version)?;
        if let Some(host) = host
            && !self.is_known_as(host)
        {
            return Err(Denied::Host);
        }
        if !self.may_come_from(asked.headers, host) {
            return Err(Denied::Origin);
        }
        let needs = self.needs(asked);
        if needs == Needs::Nothing && asked.shows != Shows::Figures {
            return Ok(Sees::Figures);
        }
        let Some(token) = tokens::bearer(asked.headers) else {
            return match needs {
                Needs::Nothing => Ok(Sees::Figures),
                Needs::Token | Needs::ReportToken => Err(Denied::NoToken),
            };
        };
        if !throttle.may_try(asked.peer, now) {
            return Err(Denied::TooManyAttempts);
        }
        if self.tokens.know(token) {
            return Ok(Sees::Bodies);
        }
        let reports = self.report_tokens.as_ref();
        if asked.shows == Shows::Reports && reports.is_some_and(|tokens| tokens.know(token)) {
            return Ok(Sees::Figures);
        }
        throttle.failed(asked.peer, now);
        Err(Denied::WrongToken)
    }

    fn needs(&self, asked: &Asked<'_>) -> Needs {
        let guarded = self.guard == Guard::All || self.reach == Reach::Elsewhere;
        let token = if guarded {
            Needs::Token
        } else {
            Needs::Nothing
        };
        match asked.shows {
            Shows::Nothing => Needs::Nothing,
            // The old tracker's page of a record is no aggregate.
            Shows::Metrics if self.scrapers == Scrapers::Anybody && !names_a_record(asked.uri) => {
                Needs::Nothing
            }
            Shows::Reports if self.report_tokens.is_some() => Needs::ReportToken,
            Shows::Figures | Shows::Metrics | Shows::Reports => token,
        }
    }

    fn is_known_as(&self, host: &str) -> bool {
        if self.reach == Reach::Elsewhere && self.hosts.is_empty() {
            return true;
        }
        host::is_loopback(host) || self.hosts.iter().any(|known| known.is(host))
    }

    /// Whether a page may ask, if a page it is: that of llmtap itself, or one that was named.
    fn may_come_from(&self, headers: &HeaderMap, host: Option<&str>) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return true;
        };
        let own = host.is_some_and(|host| origin::is_of(origin, host));
        own || self.named(origin).is_some()
    }

    fn named(&self, origin: &HeaderValue) -> Option<&Origin> {
        self.origins.iter().find(|named| named.is(origin))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Token,
    /// That of reports, or that of the API.
    ReportToken,
}

fn names_a_record(uri: &Uri) -> bool {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
    pairs.map_or(true, |Query(pairs)| {
        pairs.iter().any(|(name, _)| name == "offset")
    })
}

/// Whether a request that was let in may see what was said.
pub(super) fn may_see_bodies(parts: &Parts) -> bool {
    parts.extensions.get() == Some(&Sees::Bodies)
}

/// Stands before every endpoint.
pub(super) async fn guarded(
    State(state): State<Arc<ApiState>>,
    mut request: Request,
    next: Next,
) -> Response {
    let access = state.access.current();
    let route = request.extensions().get::<MatchedPath>();
    let endpoint = route.and_then(|route| {
        let mut all = ENDPOINTS.iter();
        all.find(|endpoint| endpoint.path == route.as_str())
    });
    let peer = request.extensions().get::<Peer>();
    let asked = Asked {
        peer: peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0),
        uri: request.uri(),
        headers: request.headers(),
        version: request.version(),
        // Who may not ask for figures is not told which paths there are.
        shows: endpoint.map_or(Shows::Figures, |endpoint| endpoint.shows),
    };
    let origin = request.headers().get(header::ORIGIN).cloned();
    let cross = origin.as_ref().and_then(|origin| access.named(origin));
    // A page that was named asks first whether it may send a token, and cannot send one with that.
    if cross.is_some() && origin::is_preflight(request.method(), request.headers()) {
        let preflight = Asked {
            shows: Shows::Nothing,
            ..asked
        };
        let judged = access.judge(&preflight, &state.throttle, Instant::now());
        if judged.is_ok() {
            let mut response = origin::preflight().into_response();
            origin::allow(&access.origins, cross, response.headers_mut());
            return response;
        }
    }
    let mut response = match access.judge(&asked, &state.throttle, Instant::now()) {
        Ok(sees) => {
            request.extensions_mut().insert(sees);
            next.run(request).await
        }
        Err(denied) => {
            state.metrics.api().refused.inc(denied.reason());
            denied.refusal().into_response()
        }
    };
    origin::allow(&access.origins, cross, response.headers_mut());
    response
}
