//! A connection of which every byte is in the test's hands.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Person, Reply, Server, contract, soon};

pub(crate) struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Wire {
    pub(crate) async fn connect(server: &Server) -> Self {
        let stream = soon(TcpStream::connect(server.address)).await.unwrap();
        Self { stream, received: Vec::new() }
    }

    /// Sends bytes; somebody who has closed the connection does not get them.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = soon(self.stream.write_all(bytes.as_ref())).await;
    }

    /// A request of this identity. `more` are further headers, each with the end of its line, and perhaps a body.
    pub(crate) async fn asked(
        server: &Server,
        person: &Person,
        method: &str,
        path: &str,
        more: &str,
    ) -> Self {
        let mut wire = Self::connect(server).await;
        let (host, authorization) = (server.address, person.authorization(server.clock.now()));
        wire.send(format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {authorization}\r\n{more}\r\n"
        ))
        .await;
        wire
    }

    /// A request that is being received, because the service has asked for the two bytes of its body.
    pub(crate) async fn begun(server: &Server, person: &Person, path: &str) -> Self {
        let more = "content-length: 2\r\nexpect: 100-continue\r\n";
        let mut wire = Self::asked(server, person, "POST", path, more).await;
        let head = wire.head().await.unwrap();
        assert!(head.starts_with("HTTP/1.1 100 "), "{head}");
        wire
    }

    /// The next answer, to a request of this method and path; nothing if the connection was closed.
    pub(crate) async fn reply(&mut self, method: &str, path: &str) -> Option<Reply> {
        let reply = self.any_reply().await?;
        contract::check(method, path, &reply);
        Some(reply)
    }

    /// The same for an answer that is not the router's.
    pub(crate) async fn any_reply(&mut self) -> Option<Reply> {
        let head = self.head().await?;
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        let length =
            headers.get("content-length").map_or(0, |value| value.to_str().unwrap().parse().unwrap());
        while self.received.len() < length {
            assert!(self.receive().await, "cut off after {head}");
        }
        let body = String::from_utf8(self.received.drain(..length).collect()).unwrap();
        Some(Reply { status, headers, body })
    }

    /// Whether the other side closes the connection, whatever it sends until then.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.is_closed_within(Duration::from_mins(1)).await
    }

    /// The same within this time.
    pub(crate) async fn is_closed_within(&mut self, time: Duration) -> bool {
        let closed = async { while self.receive().await {} };
        tokio::time::timeout(time, closed).await.is_ok()
    }

    /// Up to the next empty line, without it; nothing if the connection was closed.
    async fn head(&mut self) -> Option<String> {
        const END: &[u8] = b"\r\n\r\n";
        loop {
            if let Some(end) = self.received.windows(END.len()).position(|window| window == END) {
                let head = self.received.drain(..end + END.len()).take(end).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.receive().await {
                return None;
            }
        }
    }

    /// Reads on; tells whether there was anything. A connection that was reset is closed as well.
    async fn receive(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = soon(self.stream.read(&mut bytes)).await.unwrap_or(0);
        self.received.extend_from_slice(bytes.get(..read).unwrap());
        read > 0
    }
}
