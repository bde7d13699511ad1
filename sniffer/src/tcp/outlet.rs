//! Where a connection's streams are handed on: its roles, and its stream, opened when needed.

use std::net::SocketAddr;

use analyzer::time::Timestamp;

use super::{
    counters::TcpCounters,
    handler::{CloseReason, ConnectionInfo, Sent, Side, StreamHandler},
    key::{End, Pair},
    settings::TcpSettings,
};

/// What a connection works with while it takes a segment.
pub(super) struct Context<'a, H> {
    pub(super) handler: &'a mut H,
    pub(super) counters: &'a mut TcpCounters,
    pub(super) settings: &'a TcpSettings,
}

/// The end of a direction that came before anything was opened.
#[derive(Clone, Copy, Debug)]
enum Early {
    Fin(Timestamp),
    Rst(Timestamp),
}

/// One connection as its handler sees it.
#[derive(Debug)]
pub(super) struct Outlet<S> {
    id: u64,
    ends: Pair<SocketAddr>,
    client: Option<End>,
    /// Both ends sent a SYN of their own.
    contested: bool,
    from_start: bool,
    early: Pair<Option<Early>>,
    /// Boxed, as most connections of a scan never have one.
    stream: Option<Box<S>>,
}

impl<S> Outlet<S> {
    pub(super) fn new(id: u64, ends: Pair<SocketAddr>) -> Self {
        Self {
            id,
            ends,
            client: None,
            contested: false,
            from_start: false,
            early: Pair::default(),
            stream: None,
        }
    }

    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// What the handler is to give up.
    pub(super) fn stream_mut(&mut self) -> Option<&mut S> {
        self.stream.as_deref_mut()
    }

    pub(super) fn stream(&self) -> Option<&S> {
        self.stream.as_deref()
    }

    pub(super) const fn is_opened(&self) -> bool {
        self.stream.is_some()
    }

    /// The client's end; the lower one while the roles are unknown.
    pub(super) fn first(&self) -> End {
        self.client.unwrap_or(End::Low)
    }

    /// A SYN was seen, and tells which end is the client. What was handed on keeps its roles. Where both
    /// ends open (RFC 9293 §3.5, figure 7) the one seen first is the client, unless bytes tell better.
    pub(super) fn synchronise(&mut self, client: End) {
        if self.stream.is_none() {
            let before = self.client.filter(|_| self.from_start);
            self.contested |= before.is_some_and(|before| before != client);
            self.client = Some(before.unwrap_or(client));
        }
        self.from_start = true;
    }

    /// Whether it takes more than a SYN to tell the roles. What was handed on keeps those it had.
    pub(super) const fn is_contested(&self) -> bool {
        self.contested && self.stream.is_none()
    }

    pub(super) const fn is_from_start(&self) -> bool {
        self.from_start
    }

    /// Decides the roles by the payload of a segment from `from`, if that tells them.
    pub(super) fn decide<H>(&mut self, from: End, payload: &[u8], cx: &Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        if self.client.is_none() || self.is_contested() {
            let client = match cx.handler.sender_of(payload) {
                Some(Side::Client) => from,
                Some(Side::Server) => from.other(),
                None => return,
            };
            self.client = Some(client);
            self.contested = false;
        }
    }

    /// Decides the roles by the ports, where nothing better is known: those on which servers listen,
    /// else the lower one is taken for the server's.
    pub(super) fn guess_roles<H>(&mut self, cx: &mut Context<'_, H>) {
        if self.client.is_some() {
            return;
        }
        let port = |end| self.ends.get(end).port();
        let listens = |end| cx.settings.server_ports.contains(&port(end));
        let client = match (listens(End::Low), listens(End::High)) {
            (true, false) => End::High,
            (false, true) => End::Low,
            _ => {
                cx.counters.roles_guessed += 1;
                if port(End::Low) < port(End::High) {
                    End::High
                } else {
                    End::Low
                }
            }
        };
        self.client = Some(client);
    }

    pub(super) fn data<H>(&mut self, from: End, bytes: &[u8], sent: Sent, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        cx.counters.handed_on_bytes += bytes.len() as u64;
        let (stream, side) = self.open(from, cx);
        cx.handler.data(stream, side, bytes, sent);
    }

    pub(super) fn gap<H>(
        &mut self,
        from: End,
        length: u64,
        time: Timestamp,
        cx: &mut Context<'_, H>,
    ) where
        H: StreamHandler<Stream = S>,
    {
        cx.counters.gaps += 1;
        cx.counters.gap_bytes = cx.counters.gap_bytes.saturating_add(length);
        let (stream, side) = self.open(from, cx);
        cx.handler.gap(stream, side, length, time);
    }

    pub(super) fn fin<H>(&mut self, from: End, time: Timestamp, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        let side = self.side(from);
        match &mut self.stream {
            Some(stream) => cx.handler.fin(stream, side, time),
            None => *self.early.get_mut(from) = Some(Early::Fin(time)),
        }
    }

    pub(super) fn rst<H>(&mut self, from: End, time: Timestamp, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        let side = self.side(from);
        match &mut self.stream {
            Some(stream) => cx.handler.rst(stream, side, time),
            None => *self.early.get_mut(from) = Some(Early::Rst(time)),
        }
    }

    pub(super) fn close<H>(self, reason: CloseReason, time: Timestamp, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        if let Some(stream) = self.stream {
            cx.handler.close(*stream, reason, time);
        }
    }

    /// The stream, opened if it was not, and the side of `from`.
    fn open<H>(&mut self, from: End, cx: &mut Context<'_, H>) -> (&mut S, Side)
    where
        H: StreamHandler<Stream = S>,
    {
        self.guess_roles(cx);
        let client = self.first();
        let side = self.side(from);
        let (ends, early) = (&self.ends, &self.early);
        let stream = self.stream.get_or_insert_with(|| {
            cx.counters.opened += 1;
            let mut stream = cx.handler.open(ConnectionInfo {
                id: self.id,
                client: *ends.get(client),
                server: *ends.get(client.other()),
                from_start: self.from_start,
            });
            for (end, side) in [(client, Side::Client), (client.other(), Side::Server)] {
                match *early.get(end) {
                    Some(Early::Fin(time)) => cx.handler.fin(&mut stream, side, time),
                    Some(Early::Rst(time)) => cx.handler.rst(&mut stream, side, time),
                    None => {}
                }
            }
            Box::new(stream)
        });
        (stream, side)
    }

    fn side(&self, end: End) -> Side {
        if end == self.first() {
            Side::Client
        } else {
            Side::Server
        }
    }
}
