//! A client of HTTP/1.1 that does nothing by itself: one connection, kept alive, no retries. It is lean enough to measure
//! a server with.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::http2::connect_from;

/// A server that has not answered for so long hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection that requests can be sent over, one after the other.
pub struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

/// A request that can be sent again and again.
#[derive(Debug, Clone)]
pub struct Request {
    method: &'static str,
    path: String,
    /// As they are sent.
    headers: String,
    body: Option<String>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The content, which is text.
    pub body: String,
}

impl Request {
    /// Without headers and body.
    #[must_use]
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: String::new(), body: None }
    }

    /// `GET`.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// `POST` without a body.
    #[must_use]
    pub fn post(path: impl Into<String>) -> Self {
        Self::new("POST", path)
    }

    /// With this header as well.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        for part in [name, ": ", value, "\r\n"] {
            self.headers.push_str(part);
        }
        self
    }

    /// With this token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// With this API key.
    #[must_use]
    pub fn api_key(self, key: &str) -> Self {
        self.header("X-API-KEY", key)
    }

    /// With this body, which is JSON.
    #[must_use]
    pub fn json(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self.header("Content-Type", "application/json")
    }

    /// As it is sent over HTTP/2: names in small letters, those that begin with a colon first.
    pub(crate) fn fields<'a>(&'a self, host: &'a str) -> Vec<(String, &'a str)> {
        let pseudo = [(":method", self.method), (":path", &self.path), (":scheme", "http")];
        let mut fields: Vec<_> = pseudo.map(|(name, value)| (name.to_owned(), value)).into();
        fields.push((":authority".to_owned(), host));
        let lines = self.headers.lines().filter_map(|line| line.split_once(": "));
        fields.extend(lines.map(|(name, value)| (name.to_ascii_lowercase(), value)));
        fields
    }

    /// The body, if there is one.
    pub(crate) fn content(&self) -> Option<&str> {
        self.body.as_deref()
    }

    /// As it is sent to a host.
    #[must_use]
    pub fn bytes(&self, host: &str) -> Vec<u8> {
        let body = self.body.as_deref().unwrap_or_default();
        [self.head(host).as_bytes(), body.as_bytes()].concat()
    }

    /// Everything before the body.
    fn head(&self, host: &str) -> String {
        let Self { method, path, headers, body } = self;
        // A caller who brings a host wants that one.
        let host = if headers.contains("Host: ") { String::new() } else { format!("Host: {host}\r\n") };
        let length = match (body, *method) {
            (Some(body), _) => format!("Content-Length: {}\r\n", body.len()),
            (None, "GET" | "HEAD") => String::new(),
            (None, _) => "Content-Length: 0\r\n".to_owned(),
        };
        format!("{method} {path} HTTP/1.1\r\n{host}{headers}{length}\r\n")
    }
}

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(address)?, address)
    }

    /// The same from this address of the machine.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn open_from(local: IpAddr, address: SocketAddr) -> io::Result<Self> {
        Self::over(connect_from(local, address)?, address)
    }

    fn over(stream: TcpStream, address: SocketAddr) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), host: address.to_string() })
    }

    /// From now on, who waits for longer than this in vain gets an error.
    ///
    /// # Errors
    /// If the time is zero.
    pub fn wait_at_most(&self, patience: Duration) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(patience))
    }

    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// If the connection ends before the whole answer is there.
    pub fn send(&mut self, request: &Request) -> io::Result<Reply> {
        self.only_write(request)?;
        self.receive(request.method != "HEAD")
    }

    /// Sends a request and does not wait for the answer.
    ///
    /// # Errors
    /// If the connection ends.
    pub fn only_write(&mut self, request: &Request) -> io::Result<()> {
        self.write(&request.bytes(&self.host))
    }

    /// Sends a request but for the last byte of its body; [`finish`](Self::finish) sends that.
    ///
    /// # Errors
    /// If the connection ends.
    pub fn begin(&mut self, request: &Request) -> io::Result<()> {
        let body = request.body.as_deref().unwrap_or_default();
        let (most, _) = body.as_bytes().split_at(body.len() - 1);
        self.write(&[request.head(&self.host).as_bytes(), most].concat())
    }

    /// Sends the last byte of a body that was begun, and waits for the answer.
    ///
    /// # Errors
    /// If the connection ends before the whole answer is there.
    pub fn finish(&mut self, request: &Request) -> io::Result<Reply> {
        let body = request.body.as_deref().unwrap_or_default();
        self.write(&body.as_bytes()[body.len() - 1..])?;
        self.receive(true)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// If the connection ends.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    fn receive(&mut self, has_body: bool) -> io::Result<Reply> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("not an answer of HTTP"))?;
        let (mut headers, mut length) = (Vec::new(), 0);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
            if name == "content-length" {
                length = value.parse().map_err(io::Error::other)?;
            }
            headers.push((name, value));
        }
        let mut body = vec![0; if has_body { length } else { 0 }];
        self.stream.read_exact(&mut body)?;
        Ok(Reply { status, headers, body: String::from_utf8(body).map_err(io::Error::other)? })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        if line.ends_with("\r\n") { Ok(line) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl Reply {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The content as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What was asked for, if the status is this one.
    #[must_use]
    pub fn result(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()["result"].take()
    }

    /// The code of the failure; nothing if it is none.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        let error: Value = serde_json::from_str(&self.body).ok()?;
        Some(error.get("error")?.get("code")?.as_str()?.to_owned())
    }

    /// The same, if it failed with this status and this code.
    #[must_use]
    pub fn failed(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code().as_deref()), (status, Some(code)), "{self:?}");
        self
    }
}
