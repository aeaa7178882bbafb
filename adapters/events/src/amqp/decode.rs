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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::amqp::encode::{Content, Publication, put_heartbeat, put_publication};

    const LONGEST: usize = 4096;

    async fn received(bytes: &[u8], at_once: usize) -> Result<Vec<Received>, Malformed> {
        let mut incoming = Incoming::new(LONGEST);
        let mut all = Vec::new();
        for mut part in bytes.chunks(at_once) {
            while !part.is_empty() {
                incoming.fill(&mut part).await.unwrap();
            }
            while let Some(received) = incoming.next()? {
                all.push(received);
            }
        }
        Ok(all)
    }

    #[tokio::test]
    async fn frames_are_whole_however_they_come() {
        let mut bytes = Content::method(60, 80).u32(0).u32(7).u8(1).into_frame(1);
        put_heartbeat(&mut bytes);
        bytes.extend(
            Content::method(10, 50).u16(320).short("CONNECTION_FORCED").unwrap().u32(0).into_frame(0),
        );
        bytes.extend(Content::method(99, 1).u16(1).into_frame(0));
        for at_once in 1..=bytes.len() {
            let expected = [
                Received::Ack { tag: 7, multiple: true },
                Received::Heartbeat,
                Received::Close { code: 320, text: "CONNECTION_FORCED".to_owned() },
                Received::Other { class: 99, method: 1 },
            ];
            assert_eq!(received(&bytes, at_once).await.unwrap(), expected, "{at_once}");
        }
    }

    #[tokio::test]
    async fn a_message_that_comes_back_has_the_id_with_which_it_was_sent() {
        let publication = Publication {
            exchange: "e",
            routing_key: "k",
            content_type: "application/json",
            message_id: "the-id",
            seconds: 1,
            message_type: "t",
            application: "a",
            body: &[b'x'; 10_000],
        };
        let mut bytes = Vec::new();
        put_publication(&mut bytes, &publication, LONGEST).unwrap();
        let received = received(&bytes, bytes.len()).await.unwrap();
        let body = |length: usize| Received::ReturnedBody(length as u64);
        let longest = LONGEST - FRAME_OVERHEAD;
        let expected = [
            Received::Other { class: 60, method: 40 },
            Received::ReturnedHeader { body: 10_000, message_id: Some("the-id".to_owned()) },
            body(longest),
            body(longest),
            body(10_000 - 2 * longest),
        ];
        assert_eq!(received, expected);

        let too_long = "x".repeat(256);
        let before = bytes.clone();
        for publication in [
            Publication { message_id: &too_long, ..publication },
            Publication { routing_key: &too_long, ..publication },
        ] {
            put_publication(&mut bytes, &publication, LONGEST).unwrap_err();
            assert_eq!(bytes, before);
        }
    }

    #[tokio::test]
    async fn the_id_is_found_behind_every_other_property() {
        let properties = Content::default().u16(60).u16(0).u32(0).u32(3).u16(0xFF80);
        let header = properties.short("type").unwrap().short("encoding").unwrap();
        let header = header.table(&Content::default().text_field("a", "b").unwrap()).u8(2).u8(9);
        let header = header.short("correlation").unwrap().short("reply").unwrap().short("1000").unwrap();
        let mut bytes = header.short("the-id").unwrap().into_frame(1);
        bytes[0] = HEADER;
        let expected = Received::ReturnedHeader { body: 3, message_id: Some("the-id".to_owned()) };
        assert_eq!(received(&bytes, 1).await.unwrap(), [expected]);
    }

    #[tokio::test]
    async fn what_is_no_frame_is_seen() {
        let good = Content::method(10, 41).into_frame(0);
        let mut no_end = good.clone();
        *no_end.last_mut().unwrap() = 0;
        let mut no_kind = good.clone();
        no_kind[0] = 9;
        let mut too_long = good.clone();
        too_long[5] = 16;
        let too_short = Content::method(60, 80).u16(0).into_frame(1);
        for bytes in [no_end, no_kind, too_long, too_short, b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()] {
            assert_eq!(received(&bytes, bytes.len()).await, Err(Malformed), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(
            kind in 0_u8..10, content: Vec<u8>, class in prop::sample::select(&[10_u8, 20, 40, 60, 85]), method: u8,
        ) {
            let mut bytes = vec![kind, 0, 1, 0, 0, 0, u8::try_from((content.len() + 4).min(255)).unwrap()];
            bytes.extend([0, class, 0, method]);
            bytes.extend(content.into_iter().take(251));
            bytes.push(FRAME_END);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(received(&bytes, bytes.len()));
        }
    }
}
