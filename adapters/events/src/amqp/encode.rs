//! Frames of AMQP 0-9-1 as they are sent: only those that somebody needs who publishes.
//!
//! The numbers are those of <https://www.rabbitmq.com/resources/specs/amqp0-9-1.extended.xml>.

/// What a connection begins with.
pub(super) const PROTOCOL_HEADER: &[u8] = b"AMQP\0\0\x09\x01";
/// What every frame ends with.
pub(super) const FRAME_END: u8 = 0xCE;
/// What a frame has around its content: type, channel, length and end.
pub(super) const FRAME_OVERHEAD: usize = 8;

pub(super) const METHOD: u8 = 1;
pub(super) const HEADER: u8 = 2;
pub(super) const BODY: u8 = 3;
pub(super) const HEARTBEAT: u8 = 8;

/// The one channel that is opened. 0 is the connection itself.
pub(super) const CHANNEL: u16 = 1;

/// The properties that are sent, of the fourteen that there are: content type, delivery mode, message id, timestamp, type
/// and application.
const PROPERTY_FLAGS: u16 = 0x8000 | 0x1000 | 0x0080 | 0x0040 | 0x0020 | 0x0008;
/// It is written to disk before it is confirmed, if the queue is durable.
const PERSISTENT: u8 = 2;

/// A text that does not fit where it belongs: into 255 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// A message and where it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Publication<'a> {
    pub(super) exchange: &'a str,
    pub(super) routing_key: &'a str,
    pub(super) content_type: &'a str,
    pub(super) message_id: &'a str,
    /// Unix time.
    pub(super) seconds: u64,
    pub(super) message_type: &'a str,
    pub(super) application: &'a str,
    pub(super) body: &'a [u8],
}

/// The content of a frame, as it grows.
#[derive(Debug, Default)]
pub(super) struct Content(Vec<u8>);

impl Content {
    /// The arguments of a method begin.
    pub(super) fn method(class: u16, method: u16) -> Self {
        Self::default().u16(class).u16(method)
    }

    pub(super) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(super) fn u16(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// At most 255 bytes.
    pub(super) fn short(mut self, text: &str) -> Result<Self, TooLong> {
        short(&mut self.0, text)?;
        Ok(self)
    }

    pub(super) fn long(self, bytes: &[u8]) -> Self {
        // Nothing that is configured has 4 GiB.
        let mut content = self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        content.0.extend_from_slice(bytes);
        content
    }

    /// A field of a table, with a text.
    pub(super) fn text_field(self, name: &str, text: &str) -> Result<Self, TooLong> {
        Ok(self.short(name)?.u8(b'S').long(text.as_bytes()))
    }

    /// A field of a table, with the value true.
    pub(super) fn true_field(self, name: &str) -> Result<Self, TooLong> {
        Ok(self.short(name)?.u8(b't').u8(1))
    }

    /// A field of a table, with a table.
    pub(super) fn table_field(self, name: &str, table: &Self) -> Result<Self, TooLong> {
        Ok(self.short(name)?.u8(b'F').table(table))
    }

    pub(super) fn table(self, table: &Self) -> Self {
        self.long(&table.0)
    }

    /// A frame with this method.
    pub(super) fn into_frame(self, channel: u16) -> Vec<u8> {
        let mut frame = Vec::with_capacity(self.0.len() + FRAME_OVERHEAD);
        put_frame(&mut frame, METHOD, channel, |frame| {
            frame.extend_from_slice(&self.0);
            Ok(())
        })
        // Nothing in there can be too long any more.
        .unwrap_or_default();
        frame
    }
}

/// A sign of life.
pub(super) fn put_heartbeat(buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&[HEARTBEAT, 0, 0, 0, 0, 0, 0, FRAME_END]);
}

/// Appends the frames of a message that is to be returned if it reaches no queue. If a text is too long, nothing is
/// appended.
pub(super) fn put_publication(
    buffer: &mut Vec<u8>,
    publication: &Publication<'_>,
    longest_frame: usize,
) -> Result<(), TooLong> {
    const MANDATORY: u8 = 1;
    let start = buffer.len();
    let put = |buffer: &mut Vec<u8>| {
        put_frame(buffer, METHOD, CHANNEL, |frame| {
            frame.extend_from_slice(&[0, 60, 0, 40, 0, 0]);
            short(frame, publication.exchange)?;
            short(frame, publication.routing_key)?;
            frame.push(MANDATORY);
            Ok(())
        })?;
        put_frame(buffer, HEADER, CHANNEL, |frame| {
            frame.extend_from_slice(&[0, 60, 0, 0]);
            frame.extend_from_slice(&(publication.body.len() as u64).to_be_bytes());
            frame.extend_from_slice(&PROPERTY_FLAGS.to_be_bytes());
            short(frame, publication.content_type)?;
            frame.push(PERSISTENT);
            short(frame, publication.message_id)?;
            frame.extend_from_slice(&publication.seconds.to_be_bytes());
            short(frame, publication.message_type)?;
            short(frame, publication.application)
        })?;
        for part in publication.body.chunks(longest_frame.saturating_sub(FRAME_OVERHEAD).max(1)) {
            put_frame(buffer, BODY, CHANNEL, |frame| {
                frame.extend_from_slice(part);
                Ok(())
            })?;
        }
        Ok(())
    };
    let put = put(buffer);
    if put.is_err() {
        buffer.truncate(start);
    }
    put
}

fn put_frame(
    buffer: &mut Vec<u8>,
    kind: u8,
    channel: u16,
    content: impl FnOnce(&mut Vec<u8>) -> Result<(), TooLong>,
) -> Result<(), TooLong> {
    buffer.push(kind);
    buffer.extend_from_slice(&channel.to_be_bytes());
    let at = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    content(buffer)?;
    let length = u32::try_from(buffer.len() - at - 4).map_err(|_| TooLong)?;
    if let Some(place) = buffer.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    buffer.push(FRAME_END);
    Ok(())
}

fn short(buffer: &mut Vec<u8>, text: &str) -> Result<(), TooLong> {
    buffer.push(u8::try_from(text.len()).map_err(|_| TooLong)?);
    buffer.extend_from_slice(text.as_bytes());
    Ok(())
}
