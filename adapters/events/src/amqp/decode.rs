//! Frames of AMQP 0-9-1 as they come: only those that somebody has to understand who publishes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::encode::{BODY, FRAME_END, FRAME_OVERHEAD, HEADER, HEARTBEAT, METHOD};

/// Room for what comes at once.
const ROOM: usize = 64 << 10;

/// Bytes that are no AMQP 0-9-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what the broker sent is not AMQP 0-9-1")]
pub(super) struct Malformed;

/// Something that has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// The names of the ways to prove who one is, between spaces.
    Start {
        mechanisms: Vec<u8>,
    },
    /// 0 is for no limit.
    Tune {
        channel_max: u16,
        frame_max: u32,
        heartbeat: u16,
    },
    OpenOk,
    /// The connection is closed by the broker, and why.
    Close {
        code: u16,
        text: String,
    },
    CloseOk,
    /// The broker takes nothing for now, and why.
    Blocked {
        reason: String,
    },
    Unblocked,
    ChannelOpenOk,
    /// The channel is closed by the broker, and why.
    ChannelClose {
        code: u16,
        text: String,
    },
    ConfirmSelectOk,
    ExchangeDeclareOk,
    /// A message comes back; its header and its body follow.
    Return,
    /// This message, or all up to it, is where it belongs.
    Ack {
        tag: u64,
        multiple: bool,
    },
    /// This message, or all up to it, is not.
    Nack {
        tag: u64,
        multiple: bool,
    },
    /// Of the message that comes back.
    ReturnedHeader {
        body: u64,
        message_id: Option<String>,
    },
    /// So many bytes of the message that comes back.
    ReturnedBody(u64),
    Heartbeat,
    /// What nobody asked for.
    Other {
        class: u16,
        method: u16,
    },
}

/// What has come and was not looked at yet.
#[derive(Debug)]
pub(super) struct Incoming {
    buffer: Vec<u8>,
    start: usize,
    longest_frame: usize,
}

impl Incoming {
    /// Of frames up to this length, their overhead included.
    pub(super) fn new(longest_frame: usize) -> Self {
        Self { buffer: Vec::with_capacity(ROOM), start: 0, longest_frame }
    }

    pub(super) fn set_longest_frame(&mut self, longest_frame: usize) {
        self.longest_frame = longest_frame;
    }

    /// Waits until more has come. Nothing is lost if the waiting is given up.
    pub(super) async fn fill(&mut self, reader: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.reserve(ROOM);
        match reader.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The next frame, if all of it has come.
    pub(super) fn next(&mut self) -> Result<Option<Received>, Malformed> {
        let mut fields = Fields(self.buffer.get(self.start..).unwrap_or_default());
        let Some(&[kind, _, _, a, b, c, d]) = fields.0.first_chunk() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let whole = length.saturating_add(FRAME_OVERHEAD);
        if whole > self.longest_frame {
            return Err(Malformed);
        }
        if fields.0.len() < whole {
            return Ok(None);
        }
        fields.take(7)?;
        let content = fields.take(length)?;
        if fields.u8()? != FRAME_END {
            return Err(Malformed);
        }
        self.start += whole;
        let received = match kind {
            METHOD => Fields(content).method()?,
            HEADER => Fields(content).header()?,
            BODY => Received::ReturnedBody(length as u64),
            HEARTBEAT => Received::Heartbeat,
            _ => return Err(Malformed),
        };
        Ok(Some(received))
    }
}

/// The content of a frame, from the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    fn short(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// Texts and tables begin alike.
    fn long(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    fn text(&mut self) -> Result<String, Malformed> {
        Ok(String::from_utf8_lossy(self.short()?).into_owned())
    }

    fn method(mut self) -> Result<Received, Malformed> {
        let received = match (self.u16()?, self.u16()?) {
            (10, 10) => {
                self.take(2)?;
                self.long()?;
                Received::Start { mechanisms: self.long()?.to_owned() }
            }
            (10, 30) => {
                Received::Tune { channel_max: self.u16()?, frame_max: self.u32()?, heartbeat: self.u16()? }
            }
            (10, 41) => Received::OpenOk,
            (10, 50) => Received::Close { code: self.u16()?, text: self.text()? },
            (10, 51) => Received::CloseOk,
            (10, 60) => Received::Blocked { reason: self.text()? },
            (10, 61) => Received::Unblocked,
            (20, 11) => Received::ChannelOpenOk,
            (20, 40) => Received::ChannelClose { code: self.u16()?, text: self.text()? },
            (40, 11) => Received::ExchangeDeclareOk,
            (60, 50) => Received::Return,
            (60, 80) => Received::Ack { tag: self.u64()?, multiple: self.u8()? & 1 != 0 },
            (60, 120) => Received::Nack { tag: self.u64()?, multiple: self.u8()? & 1 != 0 },
            (85, 11) => Received::ConfirmSelectOk,
            (class, method) => Received::Other { class, method },
        };
        Ok(received)
    }

    fn header(mut self) -> Result<Received, Malformed> {
        self.take(4)?;
        let body = self.u64()?;
        let flags = self.u16()?;
        let has = |property: u16| flags & property != 0;
        // Content type and encoding; then the table of headers, delivery mode and priority; then correlation id, where to
        // reply and expiration.
        for _ in [0x8000, 0x4000].into_iter().filter(|property| has(*property)) {
            self.short()?;
        }
        if has(0x2000) {
            self.long()?;
        }
        for _ in [0x1000, 0x0800].into_iter().filter(|property| has(*property)) {
            self.u8()?;
        }
        for _ in [0x0400, 0x0200, 0x0100].into_iter().filter(|property| has(*property)) {
            self.short()?;
        }
        let message_id = if has(0x0080) { Some(self.text()?) } else { None };
        Ok(Received::ReturnedHeader { body, message_id })
    }
}
