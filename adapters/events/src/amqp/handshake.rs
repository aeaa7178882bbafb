//! Opening a connection: all that comes before the first message.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::decode::{Incoming, Malformed, Received};
use super::encode::{CHANNEL, Content, PROTOCOL_HEADER, TooLong};
use super::url::Broker;

/// The longest frame that we send and take, unless the broker wants shorter ones.
const LONGEST_FRAME: u32 = 128 << 10;
/// The shortest limit that there may be.
const SHORTEST_LIMIT: u32 = 4096;
/// How often each side shows that it lives, unless the broker wants so more often. Broken connections are found by it.
const HEARTBEAT_IN_SECONDS: u16 = 30;
const NOT_FOUND: u16 = 404;

/// Both directions of a connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("the broker is not reached")]
    Unreachable(#[source] io::Error),
    #[error("the connection to the broker breaks off")]
    Broken(#[source] io::Error),
    #[error("the broker closes the connection: {code} {text:?}")]
    Closed { code: u16, text: String },
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the broker answers something else than what it was asked for")]
    Unexpected,
    #[error("a configured text is too long")]
    TooLong,
}

impl From<TooLong> for OpenError {
    fn from(_: TooLong) -> Self {
        Self::TooLong
    }
}

/// A connection with one channel, on which every message is confirmed.
pub(super) struct Opened {
    pub(super) stream: Box<dyn Stream>,
    pub(super) incoming: Incoming,
    pub(super) longest_frame: usize,
    /// None if the broker wants none.
    pub(super) heartbeat: Option<Duration>,
    /// Whether the exchange was not there before.
    pub(super) has_declared: bool,
}

struct Opening {
    stream: Box<dyn Stream>,
    incoming: Incoming,
}

/// Connects to the broker, shows who we are, and looks for the exchange; if it is not there, it is declared. The default
/// exchange, without a name, always is.
pub(super) async fn open(
    broker: &Broker,
    tls: &Arc<rustls::ClientConfig>,
    connection_name: &str,
    exchange: &str,
) -> Result<Opened, OpenError> {
    let stream = connect(broker, tls).await.map_err(OpenError::Unreachable)?;
    let mut opening = Opening { stream, incoming: Incoming::new(LONGEST_FRAME as usize) };
    let (longest_frame, heartbeat) = opening.log_in(broker, connection_name).await?;
    opening.open_channel().await?;
    let has_declared = !exchange.is_empty() && opening.see_to_exchange(exchange).await?;
    opening.send(Content::method(85, 10).u8(0), CHANNEL).await?;
    opening.expect(&Received::ConfirmSelectOk).await?;
    let Opening { stream, incoming } = opening;
    Ok(Opened { stream, incoming, longest_frame, heartbeat, has_declared })
}

/// Connects to the broker, shows who we are, and says goodbye: nothing is looked for or declared.
pub(super) async fn log_in_only(
    broker: &Broker,
    tls: &Arc<rustls::ClientConfig>,
    connection_name: &str,
) -> Result<(), OpenError> {
    const SUCCESS: u16 = 200;
    let stream = connect(broker, tls).await.map_err(OpenError::Unreachable)?;
    let mut opening = Opening { stream, incoming: Incoming::new(LONGEST_FRAME as usize) };
    opening.log_in(broker, connection_name).await?;
    opening.send(Content::method(10, 50).u16(SUCCESS).short("")?.u16(0).u16(0), 0).await
}

async fn connect(broker: &Broker, tls: &Arc<rustls::ClientConfig>) -> io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect((broker.host.as_str(), broker.port)).await?;
    // Messages are gathered here; none should wait for more to come.
    stream.set_nodelay(true)?;
    if !broker.is_encrypted {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(broker.host.clone()).map_err(io::Error::other)?;
    Ok(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?))
}

impl Opening {
    async fn send(&mut self, method: Content, channel: u16) -> Result<(), OpenError> {
        self.write(&method.into_frame(channel)).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), OpenError> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(OpenError::Broken)
    }

    /// What the broker answers, unless that is the end.
    async fn receive(&mut self) -> Result<Received, OpenError> {
        loop {
            match self.incoming.next()? {
                None => self.incoming.fill(&mut self.stream).await.map_err(OpenError::Broken)?,
                Some(Received::Close { code, text }) => return Err(OpenError::Closed { code, text }),
                Some(Received::Heartbeat | Received::Blocked { .. } | Received::Unblocked) => {}
                Some(received) => return Ok(received),
            }
        }
    }

    async fn expect(&mut self, expected: &Received) -> Result<(), OpenError> {
        match self.receive().await? {
            Received::ChannelClose { code, text } => Err(OpenError::Closed { code, text }),
            received if received == *expected => Ok(()),
            _ => Err(OpenError::Unexpected),
        }
    }

    /// Agrees on the longest frame and on heartbeats.
    async fn log_in(
        &mut self,
        broker: &Broker,
        connection_name: &str,
    ) -> Result<(usize, Option<Duration>), OpenError> {
        self.write(PROTOCOL_HEADER).await?;
        match self.receive().await? {
            Received::Start { mechanisms }
                if mechanisms.split(|byte| *byte == b' ').any(|name| name == b"PLAIN") => {}
            _ => return Err(OpenError::Unexpected),
        }
        let (user, password) = (broker.user.expose_secret(), broker.password.expose_secret());
        let start_ok = Content::method(10, 11)
            .table(&client_properties(connection_name)?)
            .short("PLAIN")?
            .long(format!("\0{user}\0{password}").as_bytes())
            .short("en_US")?;
        self.send(start_ok, 0).await?;
        let Received::Tune { channel_max, frame_max, heartbeat } = self.receive().await? else {
            return Err(OpenError::Unexpected);
        };
        let longest_frame = match frame_max {
            0 => LONGEST_FRAME,
            limit => limit.clamp(SHORTEST_LIMIT, LONGEST_FRAME),
        };
        // 0 is for none.
        let heartbeat = heartbeat.min(HEARTBEAT_IN_SECONDS);
        let channels = if channel_max == 0 { CHANNEL } else { channel_max.min(CHANNEL) };
        self.send(Content::method(10, 31).u16(channels).u32(longest_frame).u16(heartbeat), 0).await?;
        self.send(Content::method(10, 40).short(&broker.virtual_host)?.u8(0).u8(0), 0).await?;
        self.expect(&Received::OpenOk).await?;
        self.incoming.set_longest_frame(longest_frame as usize);
        let heartbeat = (heartbeat > 0).then(|| Duration::from_secs(heartbeat.into()));
        Ok((longest_frame as usize, heartbeat))
    }

    async fn open_channel(&mut self) -> Result<(), OpenError> {
        self.send(Content::method(20, 10).u8(0), CHANNEL).await?;
        self.expect(&Received::ChannelOpenOk).await
    }

    /// Whether the exchange had to be declared. One that is there is taken as it is, whatever its type: that somebody made
    /// it otherwise than we would have is his decision.
    async fn see_to_exchange(&mut self, exchange: &str) -> Result<bool, OpenError> {
        const PASSIVE: u8 = 1;
        const DURABLE: u8 = 2;
        let declare = |flags: u8| -> Result<Content, TooLong> {
            let declare = Content::method(40, 10).u16(0).short(exchange)?.short("topic")?;
            Ok(declare.u8(flags).table(&Content::default()))
        };
        self.send(declare(PASSIVE)?, CHANNEL).await?;
        match self.receive().await? {
            Received::ExchangeDeclareOk => return Ok(false),
            Received::ChannelClose { code: NOT_FOUND, .. } => {}
            Received::ChannelClose { code, text } => return Err(OpenError::Closed { code, text }),
            _ => return Err(OpenError::Unexpected),
        }
        // Asking for what is not there costs the channel.
        self.send(Content::method(20, 41), CHANNEL).await?;
        self.open_channel().await?;
        self.send(declare(DURABLE)?, CHANNEL).await?;
        self.expect(&Received::ExchangeDeclareOk).await?;
        Ok(true)
    }
}

/// Who we are and what we understand: without these, the broker would close the channel instead of refusing a message, and
/// break off instead of saying why.
fn client_properties(connection_name: &str) -> Result<Content, TooLong> {
    let capabilities = Content::default()
        .true_field("publisher_confirms")?
        .true_field("basic.nack")?
        .true_field("connection.blocked")?
        .true_field("authentication_failure_close")?;
    Content::default()
        .text_field("product", "Reprieve")?
        .text_field("version", env!("CARGO_PKG_VERSION"))?
        .text_field("connection_name", connection_name)?
        .table_field("capabilities", &capabilities)
}
