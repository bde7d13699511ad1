//! A small HTTP/1.1 client: one request a connection.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

/// How long the server may be silent.
const PATIENCE: Duration = Duration::from_mins(1);

/// A whole response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The `Content-Type`, empty where there is none.
    pub content_type: String,
    /// The body, framing taken off.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// `GET path`.
///
/// # Errors
/// Where there is no whole answer.
pub fn get(address: SocketAddr, path: &str) -> Result<Response> {
    request(address, "GET", path, "", "")
}

/// `GET path` with a token.
///
/// # Errors
/// Where there is no whole answer.
pub fn get_as(address: SocketAddr, path: &str, token: &str) -> Result<Response> {
    let header = format!("Authorization: Bearer {}\r\n", token.trim());
    request(address, "GET", path, &header, "")
}

/// `POST path` with a JSON body.
///
/// # Errors
/// Where there is no whole answer.
pub fn post(address: SocketAddr, path: &str, body: &str) -> Result<Response> {
    request(address, "POST", path, "", body)
}

fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Result<Response> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let sent = stream.write_all(
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    // A server that refuses a long body may answer and close before it has read it all.
    let answer = read(BufReader::new(stream));
    match (answer, sent) {
        (Err(_), Err(error)) => Err(error.into()),
        (answer, _) => answer,
    }
}

fn read(mut reader: BufReader<TcpStream>) -> Result<Response> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("no status line but {line:?}"))?;
    let (mut length, mut chunked, mut content_type) = (None, false, String::new());
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.trim().parse()?),
            "transfer-encoding" => chunked = true,
            "content-type" => value.trim().clone_into(&mut content_type),
            _ => {}
        }
    }
    let mut body = Vec::new();
    if chunked {
        read_chunks(&mut reader, &mut body)?;
    } else if let Some(length) = length {
        body = vec![0; length];
        reader.read_exact(&mut body)?;
    } else {
        reader.read_to_end(&mut body)?;
    }
    Ok(Response {
        status,
        content_type,
        body,
    })
}

fn read_chunks(reader: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> Result<()> {
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            bail!(
                "the body ended after {} bytes, before its last chunk",
                body.len()
            );
        }
        let size = usize::from_str_radix(line.trim(), 16)?;
        let mut chunk = vec![0; size];
        reader.read_exact(&mut chunk)?;
        body.extend(chunk);
        reader.read_line(&mut line)?;
        if size == 0 {
            return Ok(());
        }
    }
}
