//! The columns of an exchange, LLM call or not.

use super::{Column, Kind, Value};
use crate::call::ExchangeRow;

/// The columns of an exchange, in order.
#[rustfmt::skip]
pub const EXCHANGE_COLUMNS: &[Column<ExchangeRow>] = &[
    text("peer", "the client's address", |e| e.peer.as_ref().into()),
    int("client_port", "the client's port", |e| e.client_port.into()),
    text("server", "the server's address and port", |e| e.server.as_ref().into()),
    text("method", "the method", |e| e.method.as_ref().into()),
    text("target", "the target as sent", |e| e.target.as_ref().into()),
    text("version", "the HTTP version of the request, else of the response", |e| e.version.into()),
    int("status", "the HTTP status code", |e| e.status.into()),
    int("request_body_len", "bytes of the request's body, framing taken off", |e| e.request_body_len.into()),
    int("response_body_len", "bytes of the response's body, framing taken off", |e| e.response_body_len.into()),
    int("request_decoded_len", "the same, content coding taken off too", |e| e.request_decoded_len.into()),
    int("response_decoded_len", "the same, content coding taken off too", |e| e.response_decoded_len.into()),
    time("request_start", "the first byte of the request", |e| e.request_start.into()),
    time("request_end", "its last byte", |e| e.request_end.into()),
    time("response_head", "the last byte of the final response head", |e| e.response_head.into()),
    time("response_end", "the last byte of the response, if it came to an end", |e| e.response_end.into()),
    time("ended", "response_end, or what broke the exchange off", |e| e.ended.into()),
    int("missing_request_head", "bytes not seen in the request's head", |e| e.missing_request_head.into()),
    int("missing_request_body", "bytes not seen in the request's body", |e| e.missing_request_body.into()),
    int("missing_response_head", "bytes not seen in the response's head", |e| e.missing_response_head.into()),
    int("missing_response_body", "bytes not seen in the response's body", |e| e.missing_response_body.into()),
    text("protocol", "the protocol, such as http/1.1", |e| e.protocol.into()),
    text("ending", "how it ended", |e| e.ending.into()),
    text("dialect", "the wire API, if it is an LLM call", |e| e.dialect.into()),
];

type Get = for<'a> fn(&'a ExchangeRow) -> Value<'a>;

const fn int(name: &'static str, doc: &'static str, get: Get) -> Column<ExchangeRow> {
    Column::new(name, Kind::Integer, doc, get)
}

const fn text(name: &'static str, doc: &'static str, get: Get) -> Column<ExchangeRow> {
    Column::new(name, Kind::Text, doc, get)
}

const fn time(name: &'static str, doc: &'static str, get: Get) -> Column<ExchangeRow> {
    Column::new(name, Kind::Time, doc, get)
}
