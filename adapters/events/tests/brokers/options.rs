//! What cannot be right is said when a sink is made, without asking anybody.

use std::time::Duration;

use reprieve_application::ports::EventSink as _;
use reprieve_application::{Coded as _, ErrorCode};
use reprieve_events::{
    AmqpSink, AmqpSinkError, AmqpSinkOptions, NatsCredentials, NatsSink, NatsSinkError, NatsSinkOptions,
    NatsStream,
};

use crate::support::messages;

const AMQP: &str = "amqps://somebody:secret@a.example";
const NATS: &str = "tls://somebody:secret@a.example";

fn amqp(url: &str) -> AmqpSinkOptions {
    AmqpSinkOptions {
        name: "broker".parse().unwrap(),
        url: url.to_owned().into(),
        exchange: "events".to_owned(),
        routing_key: None,
        timeout: Duration::from_secs(1),
        concurrency: 0,
        messages: messages(),
        allow_plaintext: false,
        certificate_authorities: None,
    }
}

fn nats(urls: &[&str]) -> NatsSinkOptions {
    NatsSinkOptions {
        name: "stream".parse().unwrap(),
        urls: urls.iter().map(|url| (*url).to_owned().into()).collect(),
        credentials: NatsCredentials::None,
        subject_prefix: "reprieve".to_owned(),
        stream: None,
        timeout: Duration::from_secs(1),
        concurrency: 0,
        messages: messages(),
        allow_plaintext: false,
        certificate_authorities: None,
    }
}

#[test]
fn options_of_a_broker_that_cannot_be_right_are_refused() {
    let refused = |options: AmqpSinkOptions| {
        let error = AmqpSink::new(options).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigurationInvalid);
        error
    };
    assert!(matches!(refused(amqp("https://a.example")), AmqpSinkError::Url(_)));
    assert!(matches!(refused(amqp("amqp://a.example")), AmqpSinkError::Plaintext));
    let default = AmqpSinkOptions { exchange: String::new(), ..amqp(AMQP) };
    assert!(matches!(refused(default.clone()), AmqpSinkError::NoQueue));
    let no_key = AmqpSinkOptions { routing_key: Some(String::new()), ..default.clone() };
    assert!(matches!(refused(no_key), AmqpSinkError::NoQueue));
    let exchange = AmqpSinkOptions { exchange: "x".repeat(128), ..amqp(AMQP) };
    assert!(matches!(refused(exchange), AmqpSinkError::ExchangeName));
    let routing_key = AmqpSinkOptions { routing_key: Some("x".repeat(256)), ..amqp(AMQP) };
    assert!(matches!(refused(routing_key), AmqpSinkError::RoutingKey));
    let authorities = AmqpSinkOptions { certificate_authorities: Some("/nowhere".into()), ..amqp(AMQP) };
    assert!(matches!(refused(authorities), AmqpSinkError::Tls(_)));

    for good in [
        amqp(AMQP),
        amqp("amqp://localhost"),
        AmqpSinkOptions { allow_plaintext: true, ..amqp("amqp://a.example") },
        AmqpSinkOptions { routing_key: Some("queue".to_owned()), ..default },
    ] {
        assert_eq!(AmqpSink::new(good).unwrap().concurrency(), 1);
    }
}

#[test]
fn options_of_servers_that_cannot_be_right_are_refused() {
    let refused = |options: NatsSinkOptions| {
        let error = NatsSink::new(options).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigurationInvalid);
        error
    };
    assert!(matches!(refused(nats(&[])), NatsSinkError::Url(_)));
    assert!(matches!(refused(nats(&[NATS, "https://a.example"])), NatsSinkError::Url(_)));
    assert!(matches!(refused(nats(&[NATS, "tls://somebody:else@b.example"])), NatsSinkError::Credentials));
    let credentials = NatsCredentials::Token("secret".to_owned().into());
    let twice = NatsSinkOptions { credentials: credentials.clone(), ..nats(&[NATS]) };
    assert!(matches!(refused(twice), NatsSinkError::Credentials));
    let prefix = NatsSinkOptions { subject_prefix: "a.*".to_owned(), ..nats(&[NATS]) };
    assert!(matches!(refused(prefix), NatsSinkError::SubjectPrefix));
    let stream = NatsStream { name: "a.b".to_owned(), duplicate_window: Duration::from_mins(2) };
    let stream = NatsSinkOptions { stream: Some(stream), ..nats(&[NATS]) };
    assert!(matches!(refused(stream), NatsSinkError::StreamName));
    let authorities = NatsSinkOptions { certificate_authorities: Some("/nowhere".into()), ..nats(&[NATS]) };
    assert!(matches!(refused(authorities), NatsSinkError::Tls(_)));

    for good in [
        nats(&[NATS, "tls://somebody:secret@b.example", "tls://c.example"]),
        NatsSinkOptions { credentials, ..nats(&["nats://a.example"]) },
    ] {
        assert_eq!(NatsSink::new(good).unwrap().concurrency(), 1);
    }
}

#[test]
fn nothing_secret_is_shown() {
    let token = NatsCredentials::Token("secret".to_owned().into());
    for shown in [
        format!("{:?}", amqp(AMQP)),
        format!("{:?}", AmqpSink::new(amqp(AMQP)).unwrap()),
        format!("{:?}", AmqpSink::new(amqp("amqp://somebody:secret@a.example/b/c")).unwrap_err()),
        format!("{:?}", nats(&[NATS])),
        format!("{:?}", NatsSink::new(nats(&[NATS])).unwrap()),
        format!("{:?}", NatsSinkOptions { credentials: token, ..nats(&["tls://a.example"]) }),
        format!("{:?}", NatsSink::new(nats(&[NATS, "tls://secret@b.example"])).unwrap_err()),
    ] {
        assert!(!shown.contains("secret") && !shown.contains("somebody"), "{shown}");
    }
}
