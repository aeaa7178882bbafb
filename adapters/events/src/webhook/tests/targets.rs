//! Whom nobody is made to call.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Mutex;

use async_trait::async_trait;

use super::service::{Reply, Service};
use super::*;
use crate::WebhookSinkError;
use crate::webhook::resolver::Names;

/// Leads to these addresses, each time to the next ones, and in the end nowhere.
struct Script(Mutex<VecDeque<Vec<IpAddr>>>);

#[async_trait]
impl Names for Script {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.0.lock().unwrap().pop_front().ok_or(io::ErrorKind::NotFound.into())
    }
}

/// A sink for a name with these addresses.
fn named(port: u16, addresses: &[&[&str]], allowed: &[&str]) -> WebhookSink {
    let parse = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let script = Script(Mutex::new(addresses.iter().map(parse).collect()));
    let options = WebhookSinkOptions {
        allow_plaintext: true,
        allowed_hosts: hosts(allowed),
        ..options(&format!("http://receiver.example:{port}/"))
    };
    WebhookSink::with_names(options, Arc::new(RealClock), Arc::new(script)).unwrap()
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_not_called_unless_it_is_allowed() {
    let service = Service::start([Reply::new(200, ""), Reply::new(200, "")]).await;
    let port = service.address.port();
    for addresses in
        [&["127.0.0.1"][..], &["::ffff:127.0.0.1"], &["10.0.0.1", "127.0.0.1"], &["0.0.0.0"], &["::1", "::"]]
    {
        for allowed in [&[][..], &["other.example"], &["127.0.0.2"]] {
            let answer = named(port, &[addresses], allowed).send(&deleted()).await;
            assert_eq!(answer, private(), "{addresses:?}");
        }
    }
    assert_eq!(service.connections(), 0);
    for allowed in ["receiver.example", "127.0.0.1"] {
        assert_eq!(named(port, &[&["127.0.0.1"]], &[allowed]).send(&deleted()).await, Ok(()));
    }
    assert_eq!(service.received()[0].header("host"), Some(format!("receiver.example:{port}").as_str()));
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_later_is_looked_at_again() {
    let answer = || Reply::new(200, "").with("connection", "close");
    let service = Service::start([answer(), answer()]).await;
    let port = service.address.port();
    let hidden = Service::start_at(&format!("127.0.0.2:{port}"), [answer()]).await;
    // The allowed address stands for a public one.
    let addresses: [&[&str]; 4] =
        [&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.2", "127.0.0.1"], &["127.0.0.2"]];
    let sink = named(port, &addresses, &["127.0.0.1"]);
    for expected in [Ok(()), private(), Ok(()), private()] {
        assert_eq!(sink.send(&deleted()).await, expected);
    }
    assert_eq!((service.connections(), hidden.connections()), (2, 0));
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_unreachable() {
    assert_eq!(named(1, &[], &[]).send(&deleted()).await, unreachable());
    assert_eq!(named(1, &[&[]], &[]).send(&deleted()).await, unreachable());
}

#[tokio::test]
async fn the_operating_system_is_asked_for_names() {
    let service = Service::start([Reply::new(200, "")]).await;
    let mut options = options(&format!("http://localhost:{}", service.address.port()));
    options.allowed_hosts = hosts(&["localhost"]);
    assert_eq!(sink_with(options).send(&deleted()).await, Ok(()));
}

#[test]
fn an_address_in_the_url_is_refused_at_once_unless_it_is_allowed() {
    for (url, host) in [
        ("http://127.0.0.1", "127.0.0.1"),
        ("https://10.1.2.3/hidden?hidden", "10.1.2.3"),
        ("https://169.254.169.254/latest/meta-data", "169.254.169.254"),
        ("https://0xA9FEA9FE/", "169.254.169.254"),
        ("https://0251.0376.43518", "169.254.169.254"),
        ("https://[::1]:8443", "[::1]"),
        ("https://[::ffff:10.1.2.3]", "[::ffff:a01:203]"),
        ("https://[64:ff9b::a01:203]", "[64:ff9b::a01:203]"),
        ("https://[fe80::1]", "[fe80::1]"),
        ("https://localhost", "localhost"),
        ("https://a.localhost", "a.localhost"),
    ] {
        let mut options = options(url);
        options.allowed_hosts = hosts(&["10.1.2.4", "receiver.example"]);
        let error = WebhookSink::new(options.clone(), Arc::new(RealClock)).unwrap_err();
        assert!(
            matches!(&error, WebhookSinkError::PrivateTarget { host: named } if named == host),
            "{error:?}"
        );
        assert!(error.to_string().contains(host) && !error.to_string().contains("hidden"), "{error}");
        options.allowed_hosts = hosts(&[host]);
        assert!(WebhookSink::new(options, Arc::new(RealClock)).is_ok(), "{url}");
    }
}

#[tokio::test]
async fn an_address_of_ipv6_can_be_called() {
    // Not every machine has IPv6.
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        let service = Service::start_at("[::1]:0", [Reply::new(200, "")]).await;
        assert_eq!(sink(&service.url).send(&deleted()).await, Ok(()));
    }
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_used() {
    let proxy = Service::start([]).await;
    let url = proxy.url.clone();
    // Another process, for an environment of its own.
    let run = move || {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "webhook::tests::targets::an_address_of_ipv4_can_be_called"])
            .envs(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map(|name| (name, &url)))
            .env_remove("no_proxy")
            .env_remove("NO_PROXY")
            .output()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn an_address_of_ipv4_can_be_called() {
    let service = Service::start([Reply::new(200, "")]).await;
    assert_eq!(sink(&service.url).send(&deleted()).await, Ok(()));
}
