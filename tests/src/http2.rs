//! A client of HTTP/2 that writes its frames itself, so that it can do what a well-behaved library would not: leave every
//! window shut, open streams beyond the limit, answer pings and never ask for anything.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use tokio::net::TcpSocket;

use crate::Request;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// A server that has not answered for so long hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection over HTTP/2, without TLS and by prior knowledge.
pub struct Http2 {
    stream: BufReader<TcpStream>,
    host: String,
    next: u32,
    statuses: VecDeque<(u32, u16)>,
}

/// The type, the flags, the stream and the content.
type Frame = (u8, u8, u32, Vec<u8>);

/// What came of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was answered with this status.
    Answered(u32, u16),
    /// It was reset, or refused before anything was done for it.
    Reset(u32),
}

/// Opens a connection from this address of the machine, so that a test can be several peers.
///
/// # Errors
/// If nobody listens there.
pub fn connect_from(local: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let socket = if local.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(local, 0))?;
        let stream = socket.connect(address).await?.into_std()?;
        stream.set_nonblocking(false)?;
        Ok(stream)
    })
}

impl Http2 {
    /// Begins a connection in which this much of each answer may be sent before the client asks for more, which it never does.
    ///
    /// # Errors
    /// If the connection ends.
    pub fn begin(stream: TcpStream, window: u32) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let host = stream.peer_addr()?.to_string();
        let mut connection =
            Self { stream: BufReader::new(stream), host, next: 1, statuses: VecDeque::new() };
        // No table of headers, so that each status stands for itself; nothing is pushed.
        let mut settings = Vec::new();
        for (name, value) in [(1_u16, 0_u32), (2, 0), (4, window)] {
            settings.extend(name.to_be_bytes());
            settings.extend(value.to_be_bytes());
        }
        let begun = [PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat();
        connection.write(&begun)?;
        if window > 0 {
            // Of the whole connection, too.
            connection.write(&frame(WINDOW_UPDATE, 0, 0, &0x3fff_0000_u32.to_be_bytes()))?;
        }
        Ok(connection)
    }

    /// Opens one from any address of the machine.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn open(address: SocketAddr, window: u32) -> io::Result<Self> {
        Self::begin(TcpStream::connect(address)?, window)
    }

    /// From now on, who waits for longer than this in vain gets an error.
    ///
    /// # Errors
    /// If the time is zero.
    pub fn wait_at_most(&self, patience: Duration) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(patience))
    }

    /// Sends a request over a stream of its own, whose number is returned.
    ///
    /// # Errors
    /// If the connection ends.
    pub fn send(&mut self, request: &Request) -> io::Result<u32> {
        let frames = self.frames(request);
        self.write(&frames)?;
        Ok(self.next - 2)
    }

    /// The same for many at once.
    ///
    /// # Errors
    /// If the connection ends.
    pub fn send_all<'a>(&mut self, requests: impl IntoIterator<Item = &'a Request>) -> io::Result<()> {
        let mut frames = Vec::new();
        for request in requests {
            frames.extend(self.frames(request));
        }
        self.write(&frames)
    }

    fn frames(&mut self, request: &Request) -> Vec<u8> {
        let stream = self.next;
        self.next += 2;
        let mut block = Vec::new();
        for (name, value) in request.fields(&self.host) {
            block.push(0);
            integer(&mut block, name.len());
            block.extend(name.as_bytes());
            integer(&mut block, value.len());
            block.extend(value.as_bytes());
        }
        match request.content() {
            None => frame(HEADERS, END_HEADERS | END_STREAM, stream, &block),
            Some(body) => [
                frame(HEADERS, END_HEADERS, stream, &block),
                frame(DATA, END_STREAM, stream, body.as_bytes()),
            ]
            .concat(),
        }
    }

    /// Waits for the next stream that comes to its end; nothing if the server says goodbye or the connection ends in order.
    /// Pings are answered meanwhile.
    ///
    /// # Errors
    /// If the connection breaks, or nothing comes in time.
    pub fn ended(&mut self) -> io::Result<Option<Ended>> {
        loop {
            let Some((kind, flags, stream, payload)) = self.read()? else { return Ok(None) };
            match kind {
                HEADERS => {
                    if let Some(status) = status(&payload) {
                        self.statuses.push_back((stream, status));
                    }
                }
                RESET => return Ok(Some(Ended::Reset(stream))),
                SETTINGS if flags & ACK == 0 => self.write(&frame(SETTINGS, ACK, 0, &[]))?,
                PING if flags & ACK == 0 => self.write(&frame(PING, ACK, 0, &payload))?,
                GOAWAY => return Ok(None),
                _ => {}
            }
            if (kind == HEADERS || kind == DATA) && flags & END_STREAM != 0 {
                let place = self.statuses.iter().position(|(of, _)| *of == stream);
                if let Some((stream, status)) = place.and_then(|place| self.statuses.remove(place)) {
                    return Ok(Some(Ended::Answered(stream, status)));
                }
            }
        }
    }

    /// How many streams the server allows at once, which it says first.
    ///
    /// # Errors
    /// If the connection breaks before that.
    pub fn allowed_streams(&mut self) -> io::Result<usize> {
        const MAX_CONCURRENT_STREAMS: [u8; 2] = [0, 3];
        let Some((SETTINGS, _, _, settings)) = self.read()? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        self.write(&frame(SETTINGS, ACK, 0, &[]))?;
        let (settings, _) = settings.as_chunks::<6>();
        let allowed = settings.iter().find_map(|setting| setting.strip_prefix(&MAX_CONCURRENT_STREAMS));
        Ok(allowed.and_then(|value| value.try_into().ok()).map_or(100, u32::from_be_bytes) as usize)
    }

    /// The next frame: its type, flags, stream and content; nothing at the end of the connection.
    fn read(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0; 9];
        match self.stream.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok(Some((head[3], head[4], stream, payload)))
    }

    /// Sends a ping, as if to say that it is still there.
    ///
    /// # Errors
    /// If the connection ends.
    pub fn ping(&mut self) -> io::Result<()> {
        self.write(&frame(PING, 0, 0, b"anybody?"))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// As RFC 7541, section 5.1, writes the length of a text without Huffman's code.
fn integer(block: &mut Vec<u8>, mut value: usize) {
    if value < 127 {
        block.push(u8::try_from(value).unwrap());
        return;
    }
    block.push(127);
    value -= 127;
    while value >= 128 {
        block.push(u8::try_from(value % 128).unwrap() | 128);
        value /= 128;
    }
    block.push(u8::try_from(value).unwrap());
}

/// The status, which comes first in a block of headers.
fn status(block: &[u8]) -> Option<u16> {
    /// The statuses that RFC 7541, appendix A, has at 8 and after.
    const KNOWN: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    // A new size of the table may stand before it.
    let mut rest = block;
    while rest.first().is_some_and(|byte| byte & 0xe0 == 0x20) {
        rest = &rest[1..];
    }
    let first = *rest.first()?;
    if first & 0x80 != 0 {
        return KNOWN.get(usize::from(first & 0x7f).checked_sub(8)?).copied();
    }
    let length = usize::from(*rest.get(1)?);
    let text = rest.get(2..2 + (length & 0x7f))?;
    let digits: String =
        if length & 0x80 == 0 { String::from_utf8_lossy(text).into_owned() } else { huffman_digits(text) };
    digits.parse().ok()
}

/// Digits in Huffman's code (RFC 7541, appendix B): 0 to 2 have five bits, the others six.
fn huffman_digits(text: &[u8]) -> String {
    let bits: Vec<u8> =
        text.iter().flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1)).collect();
    let number = |bits: &[u8]| bits.iter().fold(0_u8, |number, bit| number << 1 | bit);
    let (mut digits, mut rest) = (String::new(), bits.as_slice());
    while digits.len() < 3 && rest.len() >= 5 {
        let (digit, used) = match number(&rest[..5]) {
            digit @ 0..=2 => (digit, 5),
            _ if rest.len() >= 6 => (number(&rest[..6]).wrapping_sub(0x19).wrapping_add(3), 6),
            _ => break,
        };
        digits.push(char::from_digit(digit.into(), 10).unwrap_or('?'));
        rest = &rest[used..];
    }
    digits
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_status_is_read_in_every_form_in_which_it_comes() {
        for (block, expected) in [
            (&[0x88][..], Some(200)),
            (&[0x20, 0x8d], Some(404)),
            (&[0x08, 3, b'2', b'0', b'1'], Some(201)),
            (&[0x48, 0x82, 0x10, 0x03], Some(201)),
            (&[0x08, 0x83, 0x68, 0x4f, 0xff], Some(429)),
            (&[], None),
        ] {
            assert_eq!(super::status(block), expected, "{block:?}");
        }
    }
}
