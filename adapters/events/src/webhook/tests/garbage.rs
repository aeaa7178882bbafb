//! Servers that do not speak HTTP, or stop in the middle of it.

use std::time::Instant;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

/// How the server ends a connection.
#[derive(Debug, Clone, Copy)]
enum End {
    /// In good order.
    Closed,
    /// In the middle.
    Reset,
    /// Not at all.
    Open,
}

/// Reads a whole request.
async fn read_request(stream: &mut TcpStream) {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    // The body is a JSON object and ends with two of these.
    while !request.ends_with(b"}}") {
        match stream.read(&mut part).await {
            Ok(length @ 1..) => request.extend_from_slice(&part[..length]),
            _ => return,
        }
    }
}

/// Answers each request with these bytes and nothing else.
async fn server(bytes: Vec<u8>, end: End) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            let _ = stream.write_all(&bytes).await;
            match end {
                End::Closed => {}
                End::Reset => stream.set_zero_linger().unwrap(),
                End::Open => open.push(stream),
            }
        }
    });
    (url, task)
}

async fn answer_to(bytes: impl Into<Vec<u8>>, end: End) -> Result<(), SendError> {
    let (url, task) = server(bytes.into(), end).await;
    let options = WebhookSinkOptions { timeout: Duration::from_millis(300), ..options(&url) };
    let answer = tell(&sink_with(options)).await;
    task.abort();
    answer
}

#[tokio::test]
async fn what_is_no_answer_takes_nothing() {
    for bytes in [
        "",
        "hello",
        "\0",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 99999 OK\r\n\r\n",
        "HTTP/1.1 2 OK\r\n\r\n",
        "HTTP/9.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\na\0b: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "\u{16}\u{3}\u{1}\0\u{5}",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        for end in [End::Closed, End::Reset] {
            let answer = answer_to(bytes, end).await;
            assert_eq!(answer, refused(FailureCode::unexpected_answer()), "{bytes:?} {end:?}");
        }
    }
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(1 << 18));
    assert_eq!(answer_to(endless, End::Closed).await, refused(FailureCode::unexpected_answer()));
    for bytes in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        assert_eq!(answer_to(bytes, End::Open).await, refused(FailureCode::timed_out()), "{bytes:?}");
    }
}

#[tokio::test]
async fn what_breaks_off_after_the_head_has_been_answered() {
    for body in [
        "content-length: 1000\r\n\r\nabc",
        "transfer-encoding: chunked\r\n\r\n3\r\nab",
        "transfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        for end in [End::Closed, End::Reset, End::Open] {
            let began = Instant::now();
            assert_eq!(
                answer_to(format!("HTTP/1.1 200 OK\r\n{body}"), end).await,
                Ok(()),
                "{body:?} {end:?}"
            );
            let answer = answer_to(format!("HTTP/1.1 503 No\r\n{body}"), end).await;
            assert_eq!(answer, refused(FailureCode::http_status(503)), "{body:?} {end:?}");
            assert!(began.elapsed() < Duration::from_secs(5), "{body:?} {end:?}");
        }
    }
}

fn header() -> impl Strategy<Value = Vec<u8>> {
    let location = "location: [/:?#%.a-z0-9@\\\\\\[\\]]{0,20}".prop_map(String::into_bytes);
    let length = "(content-length|transfer-encoding|connection|upgrade): [0-9a-z, -]{0,12}"
        .prop_map(String::into_bytes);
    let any = prop::collection::vec(any::<u8>(), 0..30);
    prop_oneof![location, length, any]
}

/// Nearly an answer.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let status = prop_oneof![
        Just("HTTP/1.1 200 OK".to_owned()),
        (100..600_u16).prop_map(|status| format!("HTTP/1.1 {status} ")),
        "HTTP/[0-3]\\.[0-9] [0-9]{0,5} ?[ -~]{0,10}",
        "\\PC{0,20}",
    ];
    let headers = prop::collection::vec(header(), 0..4);
    (status, headers, prop::collection::vec(any::<u8>(), 0..100), 0..300_usize).prop_map(
        |(status, headers, body, length)| {
            let mut bytes = status.into_bytes();
            for header in headers {
                bytes.extend_from_slice(b"\r\n");
                bytes.extend(header);
            }
            bytes.extend_from_slice(b"\r\n\r\n");
            bytes.extend(body);
            bytes.truncate(length.max(20));
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_answer_makes_telling_panic_and_only_a_2xx_takes_it(
        bytes in prop_oneof![answer(), prop::collection::vec(any::<u8>(), 0..200)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(answer_to(bytes.clone(), End::Closed));
        if answer.is_ok() {
            let text = String::from_utf8_lossy(&bytes);
            // An answer may come after others that announce it.
            let takes = ["HTTP/1.1 2", "HTTP/1.0 2"].iter().any(|start| text.contains(start));
            prop_assert!(takes, "{}", text);
        }
    }
}
