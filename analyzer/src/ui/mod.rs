//! The dashboard, embedded in the binary: plain files, each served as it stands in the source.
//!
//! There is no build step. `index.html` is served at `/`, all else under `/ui/`. The browser is told to run and
//! load what comes from here and nothing else, and that no text may become markup.

mod asset;

use axum::{
    extract::{Path, rejection::PathRejection},
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse as _, Response},
};

use self::asset::Asset;

/// The browser's orders: scripts and styles come from files of this server; whatever would make markup of text
/// (`innerHTML` and the like) is refused. The icon is a `data:` picture. Files that are saved come from memory,
/// which needs no leave.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types 'none'";

static PAGE: Asset = Asset::html(include_str!("index.html"));

/// All files under `/ui/`.
#[rustfmt::skip]
static FILES: [(&str, Asset); 28] = [
    ("style.css", Asset::css(include_str!("style.css"))),
    ("views.css", Asset::css(include_str!("views.css"))),
    ("main.js", Asset::script(include_str!("main.js"))),
    ("address.js", Asset::script(include_str!("address.js"))),
    ("api.js", Asset::script(include_str!("api.js"))),
    ("call.js", Asset::script(include_str!("call.js"))),
    ("calls.js", Asset::script(include_str!("calls.js"))),
    ("chart.js", Asset::script(include_str!("chart.js"))),
    ("conversation.js", Asset::script(include_str!("conversation.js"))),
    ("dom.js", Asset::script(include_str!("dom.js"))),
    ("feed.js", Asset::script(include_str!("feed.js"))),
    ("filters.js", Asset::script(include_str!("filters.js"))),
    ("focus.js", Asset::script(include_str!("focus.js"))),
    ("format.js", Asset::script(include_str!("format.js"))),
    ("groups.js", Asset::script(include_str!("groups.js"))),
    ("health.js", Asset::script(include_str!("health.js"))),
    ("heat.js", Asset::script(include_str!("heat.js"))),
    ("losses.js", Asset::script(include_str!("losses.js"))),
    ("messages.js", Asset::script(include_str!("messages.js"))),
    ("overview.js", Asset::script(include_str!("overview.js"))),
    ("states.js", Asset::script(include_str!("states.js"))),
    ("streamed.js", Asset::script(include_str!("streamed.js"))),
    ("table.js", Asset::script(include_str!("table.js"))),
    ("theme.js", Asset::script(include_str!("theme.js"))),
    ("token.js", Asset::script(include_str!("token.js"))),
    ("waterfall.js", Asset::script(include_str!("waterfall.js"))),
    ("uplot.js", Asset::script(include_str!("vendor/uplot.js"))),
    ("uplot.css", Asset::css(include_str!("vendor/uplot.css"))),
];

/// The page. What it shows it asks of the API.
pub(crate) async fn page(headers: HeaderMap) -> Response {
    PAGE.answer(&headers)
}

/// One of its files; `None` where there is no such.
pub(crate) fn file(
    name: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
) -> Option<Response> {
    let Path(name) = name.ok()?;
    let (_, asset) = FILES.iter().find(|(known, _)| *known == name)?;
    Some(asset.answer(headers))
}

/// What every answer says beside its content.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    // Asked for again each time, and answered with 304: a new version is there with its first load.
    (header::CACHE_CONTROL, "no-cache"),
    (header::VARY, "accept-encoding"),
];

fn with_headers(answer: impl axum::response::IntoResponse) -> Response {
    (HEADERS, answer).into_response()
}

#[cfg(test)]
mod tests;
