//! Servers that are not there, do not let us in, go away or do not answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reprieve_application::ports::EventSink as _;
use reprieve_events::{NatsCredentials, NatsSink, NatsSinkOptions};
use reprieve_tests::{Proxy, TestNats};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::encrypted::acceptor;
use crate::nats::options;
use crate::support::{event, send_all, send_until_taken, send_while, timed, timed_out, unreachable};

const SHORT: Duration = Duration::from_millis(500);
/// A busy machine may need longer than that; the sinks of other tests would wait for twenty seconds.
const AT_MOST: Duration = Duration::from_secs(15);

fn impatient(url: String, nats: &TestNats) -> NatsSink {
    NatsSink::new(NatsSinkOptions { timeout: SHORT, ..options(url, nats) }).unwrap()
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn nobody_listens() {
    let nats = TestNats::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = NatsSink::new(options(format!("nats://{}", listener.local_addr().unwrap()), &nats)).unwrap();
    drop(listener);
    assert_eq!(sink.send(&event(1)).await, unreachable("unreachable"));
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn somebody_listens_and_says_nothing() {
    let nats = TestNats::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = impatient(format!("nats://{}", listener.local_addr().unwrap()), &nats);
    let (sent, took) = timed(sink.send(&event(1))).await;
    assert_eq!(sent, timed_out());
    assert!((SHORT..AT_MOST).contains(&took), "{took:?}");
}

/// A server that wants to know who we are, encrypted or not, and never believes it. Returns its port and what it is told.
async fn distrustful(acceptor: Option<TlsAcceptor>) -> (u16, UnboundedReceiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, heard) = unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let information = json!({
                "server_id": "a", "version": "2.9.10", "max_payload": 1 << 20,
                "auth_required": true, "tls_required": acceptor.is_some(),
            });
            client.write_all(format!("INFO {information}\r\n").as_bytes()).await.unwrap();
            match &acceptor {
                None => disbelieve(client, &told).await,
                // Whoever does not trust us goes away.
                Some(acceptor) => {
                    if let Ok(client) = acceptor.accept(client).await {
                        disbelieve(client, &told).await;
                    }
                }
            }
        }
    });
    (port, heard)
}

async fn disbelieve(client: impl AsyncRead + AsyncWrite + Unpin, told: &UnboundedSender<Value>) {
    let mut client = BufReader::new(client);
    let mut line = String::new();
    client.read_line(&mut line).await.unwrap();
    let connect = line.strip_prefix("CONNECT ").unwrap_or_else(|| panic!("{line}"));
    told.send(serde_json::from_str(connect).unwrap()).unwrap();
    client.write_all(b"-ERR 'Authorization Violation'\r\n").await.unwrap();
    client.flush().await.unwrap();
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn a_server_shows_a_certificate_of_an_authority_that_is_trusted() {
    let nats = TestNats::new().await;
    let (acceptor, _folder, authority) = acceptor("localhost");
    let (port, mut heard) = distrustful(Some(acceptor)).await;
    // Encrypted because we want it, or because the server does.
    for scheme in ["tls", "nats"] {
        for (host, authority, code) in [
            ("localhost", Some(&authority), "accessRefused"),
            ("localhost", None, "unreachable"),
            ("127.0.0.1", Some(&authority), "unreachable"),
        ] {
            let sink = NatsSink::new(NatsSinkOptions {
                certificate_authorities: authority.cloned(),
                ..options(format!("{scheme}://a-token@{host}:{port}"), &nats)
            });
            assert_eq!(sink.unwrap().send(&event(1)).await, unreachable(code), "{scheme} {host}");
            assert_eq!(heard.try_recv().is_ok(), code == "accessRefused", "{scheme} {host}");
        }
    }
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn whoever_is_not_let_in_learns_that() {
    let nats = TestNats::new().await;
    let (port, mut heard) = distrustful(None).await;
    let password =
        || NatsCredentials::Password { user: "somebody".to_owned(), password: "a:b".to_owned().into() };
    let token = || NatsCredentials::Token("a token".to_owned().into());
    for (user_info, credentials, expected) in [
        ("somebody:a%3ab@", NatsCredentials::None, ("somebody", "a:b", "")),
        ("a%20token@", NatsCredentials::None, ("", "", "a token")),
        ("", password(), ("somebody", "a:b", "")),
        ("", token(), ("", "", "a token")),
    ] {
        let options = options(format!("nats://{user_info}127.0.0.1:{port}"), &nats);
        let sink = NatsSink::new(NatsSinkOptions { credentials, ..options }).unwrap();
        assert_eq!(sink.send(&event(1)).await, unreachable("accessRefused"));
        let told = heard.recv().await.unwrap();
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        assert_eq!((text("user").as_str(), text("pass").as_str(), text("auth_token").as_str()), expected);
    }
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn what_must_be_encrypted_is_not_sent_otherwise() {
    let nats = TestNats::new().await;
    nats.create().await;
    let url = format!("tls://{}", nats.address());
    let sink = impatient(url, &nats);
    assert!(sink.send(&event(1)).await.is_err());
    assert_eq!(nats.count().await, 0);
    // It leads to this machine, and does not say so.
    let url = nats.url().replace("127.0.0.1", "0.0.0.0").replace("localhost", "0.0.0.0");
    for (allow_plaintext, arrives) in [(false, false), (true, true)] {
        let sink = NatsSink::new(NatsSinkOptions {
            timeout: Duration::from_secs(5),
            allow_plaintext,
            ..options(&url, &nats)
        })
        .unwrap();
        assert_eq!(sink.send(&event(1)).await.is_ok(), arrives);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS: tests/run"]
async fn many_events_at_once_make_one_connection() {
    let nats = TestNats::new().await;
    nats.create().await;
    let proxy = Proxy::to(nats.address()).await;
    let sink = NatsSink::new(options(nats.url_at(proxy.address()), &nats)).unwrap();
    assert!(send_all(&sink, 0..2000).await.iter().all(Result::is_ok));
    assert_eq!(proxy.connections(), 1);
    assert_eq!(nats.count().await, 2000);
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn a_connection_that_is_cut_is_made_again() {
    let nats = TestNats::new().await;
    nats.create().await;
    let proxy = Proxy::to(nats.address()).await;
    let sink = NatsSink::new(options(nats.url_at(proxy.address()), &nats)).unwrap();
    sink.send(&event(1)).await.unwrap();
    proxy.deafen();
    let (sent, ()) = tokio::join!(send_all(&sink, 2..1000), async {
        sleep(Duration::from_millis(100)).await;
        proxy.cut();
    });
    // The server may well have them. Nobody knows.
    assert!(sent.iter().all(|sent| *sent == unreachable("connectionLost")), "{sent:?}");
    proxy.open();
    for number in 2..1000 {
        send_until_taken(&sink, &event(number)).await;
    }
    let stored: BTreeSet<_> =
        nats.messages().await.into_iter().map(|message| message.message_id.unwrap()).collect();
    assert_eq!(stored, (1..1000).map(|number| event(number).id).collect());
    // Each is stored once, although it was sent twice.
    assert_eq!(nats.count().await, 999);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS: tests/run"]
async fn nothing_that_was_acknowledged_is_lost_however_often_the_connection_is() {
    let nats = TestNats::new().await;
    nats.create().await;
    let proxy = Proxy::to(nats.address()).await;
    let sink = Arc::new(NatsSink::new(options(nats.url_at(proxy.address()), &nats)).unwrap());
    let mut cuts = 0;
    send_while(sink, 10_000, || {
        // In the end there is time for what is left.
        cuts += 1;
        if cuts < 40 {
            proxy.cut();
        }
    })
    .await;
    assert!(proxy.connections() > 2, "{}", proxy.connections());
    // None of the ids twice either.
    assert_eq!(nats.count().await, 10_000);
    let stored = nats.messages().await.into_iter().map(|message| message.message_id.unwrap());
    assert_eq!(stored.collect::<BTreeSet<_>>(), (0..10_000).map(|number| event(number).id).collect());
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn a_connection_on_which_nothing_comes_any_more_is_given_up() {
    let nats = TestNats::new().await;
    nats.create().await;
    let proxy = Proxy::to(nats.address()).await;
    let sink = impatient(nats.url_at(proxy.address()), &nats);
    sink.send(&event(1)).await.unwrap();
    proxy.silence();
    let (sent, took) = timed(send_all(&sink, 2..1000)).await;
    assert!(sent.iter().all(|sent| *sent == timed_out()), "{sent:?}");
    assert!((SHORT..AT_MOST).contains(&took), "{took:?}");
    proxy.open();
    send_until_taken(&sink, &event(2)).await;
    assert_eq!(proxy.connections(), 2);
}
