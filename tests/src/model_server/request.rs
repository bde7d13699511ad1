//! Reading one HTTP/1.1 request: as much of it as the tests' clients send.

use std::io::{BufRead, Read as _};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The longest body that is taken.
const MAX_BODY: usize = 64 << 20;

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) id: Option<String>,
    pub(super) keep_alive: bool,
    /// The body as JSON; `None` where it is none.
    pub(super) body: Option<Value>,
}

/// The next request of a connection; `None` at its end.
pub(super) fn read(reader: &mut impl BufRead) -> Result<Option<Request>> {
    let Some(first) = line(reader)? else {
        return Ok(None);
    };
    let mut words = first.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().context("a request line has a target")?;
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let mut request = Request {
        method,
        path,
        id: None,
        keep_alive: words.next() != Some("HTTP/1.0"),
        body: None,
    };
    let mut length = 0;
    let mut chunked = false;
    while let Some(header) = line(reader)?.filter(|line| !line.is_empty()) {
        let (name, value) = header.split_once(':').context("a header has a colon")?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().context("Content-Length is a number")?,
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" if value.eq_ignore_ascii_case("close") => request.keep_alive = false,
            "x-request-id" => request.id = Some(value.to_owned()),
            _ => {}
        }
    }
    let body = if chunked {
        read_chunks(reader)?
    } else {
        read_exactly(reader, length)?
    };
    request.body = serde_json::from_slice(&body).ok();
    Ok(Some(request))
}

fn read_chunks(reader: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(reader)?.context("a chunk has a size")?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
        if body.len().saturating_add(size) > MAX_BODY {
            bail!("the request's body is longer than {MAX_BODY} bytes");
        }
        body.extend(read_exactly(reader, size)?);
        line(reader)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_exactly(reader: &mut impl BufRead, length: usize) -> Result<Vec<u8>> {
    if length > MAX_BODY {
        bail!("the request's body is longer than {MAX_BODY} bytes");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

/// The next line without its ending; `None` at the end of the stream.
fn line(reader: &mut impl BufRead) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    // 64 KiB is more than any client of ours sends in a line.
    reader.take(65_536).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}
