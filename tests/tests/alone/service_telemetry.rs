//! What a running service tells, and what it keeps to itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use reprieve_tests::{Identity, Request, Sandbox, Service, sha256_hex};
use serde_json::Value;

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
const KEY: &str = "key-that-nobody-may-see";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const AUDIT_KEY: &str = "8f1c0d3b5a79624ee0d1b2c3a4958677fedcba98765432100123456789abcdef";

/// Takes in whatever is sent by OTLP over HTTP.
struct Collector {
    address: SocketAddr,
    bodies: Receiver<Vec<u8>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, bodies) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                while let Some(body) = stream.as_ref().ok().and_then(take_in) {
                    if sender.send(body).is_err() {
                        return;
                    }
                }
            }
        });
        Self { address, bodies }
    }

    /// Everything that was sent until now.
    fn received(&self) -> Vec<u8> {
        self.bodies.try_iter().collect::<Vec<_>>().concat()
    }
}

/// The body of the next request on this connection; nothing at its end.
fn take_in(mut stream: &TcpStream) -> Option<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().ok()?;
            }
            Some(_) => {}
            None if line == "\r\n" => break,
            None => assert!(line.starts_with("POST /v1/traces "), "{line}"),
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    Some(body)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn configured(more: &str) -> String {
    let digest = sha256_hex(KEY);
    format!(
        "audit.key = '{AUDIT_KEY}'\n\
         http.api_keys = [{{name = 'operator', sha256 = '{digest}', scopes = ['core', 'admin']}}]\n{more}"
    )
}

/// Everything that clients do, mistakes included; returns what nobody may find in a log.
fn story(service: &Service) -> Vec<String> {
    let identity = Identity::new(1);
    let token = identity.token(service.url());
    let trace = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let send = |request: Request| service.send(&request.header("traceparent", &trace));
    let id = send(Request::post(SELF).bearer(&token).json("{}")).result(201)["id"].clone();
    let id = id.as_str().unwrap();
    let _ = send(Request::post(SELF).bearer(&token).header("Idempotency-Key", "\"again\""));
    let _ = send(Request::post(SELF).bearer(&token).json(format!("{{\"x\": \"{}\"", identity.address())));
    let _ = send(Request::get(format!("{SELF}/{}", identity.address())).bearer(&token));
    let _ = send(Request::new("PUT", format!("{SELF}/{id}/Cancel")).bearer(&token)).result(200);
    let _ = send(Request::get(SELF).bearer(&format!("{token}x")));
    let of_identity = format!("/api/v1/Identities/{}/DeletionProcesses", identity.address());
    let _ = send(Request::get(&of_identity).api_key(KEY)).result(200);
    let _ = send(Request::get(&of_identity).api_key("another key"));
    let _ = send(Request::get(format!("/{}?key={KEY}", identity.address())));
    let _ =
        send(Request::get(format!("/api/v1/DeletionProcesses?cursor={}", identity.address())).api_key(KEY));
    let _ = send(Request::new("DELETE", "/api/core/v1/IdentityDeletionProcess").api_key(KEY));
    let identifying = identity.address().rsplit(':').next().unwrap().to_owned();
    let signature = token.rsplit('.').next().unwrap().to_owned();
    vec![
        identifying,
        signature,
        KEY.to_owned(),
        sha256_hex(KEY),
        AUDIT_KEY.to_owned(),
        "another key".to_owned(),
    ]
}

#[test]
fn every_request_is_a_span_of_its_clients_trace_and_none_is_lost_at_the_end() {
    let collector = Collector::start();
    let endpoint = format!("telemetry.otlp_endpoint = 'http://{}/v1/traces'", collector.address);
    let service = Service::alone(Sandbox::new(), &configured(&endpoint));
    let forbidden = story(&service);
    // Long before a batch would be due.
    assert_eq!(service.stop().code, 0);
    let spans = collector.received();
    for route in [SELF, "/api/v2/Identities/Self/DeletionProcesses/{id}/Cancel"] {
        assert!(contains(&spans, route.as_bytes()), "{route}");
    }
    let trace: Vec<u8> =
        (0..16).map(|byte| u8::from_str_radix(&TRACE[2 * byte..2 * byte + 2], 16).unwrap()).collect();
    assert!(contains(&spans, &trace));
    for text in forbidden {
        assert!(!contains(&spans, text.as_bytes()), "{text}");
    }
}

#[test]
fn without_an_endpoint_nothing_is_sent() {
    let collector = Collector::start();
    let here = format!("http://{}", collector.address);
    let sandbox = Sandbox::new()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &here)
        .with("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{here}/v1/traces"));
    let service = Service::configured(&sandbox, &configured(""));
    let _ = story(&service);
    assert_eq!(service.stop().code, 0);
    assert!(collector.received().is_empty());
}

#[test]
fn nobody_at_the_endpoint_is_no_reason_not_to_serve() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("telemetry.otlp_endpoint = 'http://{nobody}/v1/traces'");
    let service = Service::alone(Sandbox::new(), &configured(&endpoint));
    let _ = story(&service);
    let outcome = service.stop();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.stderr.contains("ERROR opentelemetry"), "{outcome:?}");
}

#[test]
fn logs_are_json_if_so_configured_and_tell_nothing_personal() {
    for format in ["json", "text"] {
        let sandbox = Sandbox::new().with("RUST_LOG", "trace");
        sandbox.configure(&configured(&format!("telemetry.log_format = '{format}'")));
        let service = Service::try_start(sandbox.command().args(["start", "-vvv"])).unwrap();
        let forbidden = story(&service);
        let outcome = service.stop();
        assert_eq!(outcome.code, 0, "{outcome:?}");
        for line in outcome.stderr.lines().filter(|_| format == "json") {
            let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(object["timestamp"].is_string() && object["level"].is_string(), "{line}");
        }
        assert!(outcome.stderr.contains("answered") && outcome.stderr.contains(TRACE), "{outcome:?}");
        for text in forbidden {
            assert!(!outcome.stderr.contains(&text), "{text} is in the log:\n{}", outcome.stderr);
        }
    }
}
