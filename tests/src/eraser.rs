//! An eraser that is a service of its own, for the binary to ask.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// A question.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The method and the path.
    pub what: String,
    /// The headers, their names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body as JSON; null if it is none.
    pub body: Value,
    /// The body as it came.
    pub content: Vec<u8>,
}

/// What the service does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 200 with so many things.
    Erased(u64),
    /// The same, after so long.
    Late(Duration),
    /// 503.
    Failed,
    /// 202 and where to ask.
    Working,
    /// None: the connection ends.
    HangUp,
}

type Decide = dyn Fn(&Asked) -> Answer + Send + Sync;

/// A service that remembers what it was asked, each connection on a thread of its own. It ends with the test.
#[derive(Clone)]
pub struct EraserService {
    address: SocketAddr,
    decide: Arc<Mutex<Arc<Decide>>>,
    asked: Arc<Mutex<Vec<(Asked, Answer)>>>,
}

impl Asked {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The process that the body names, or the path if somebody asks how far it is.
    #[must_use]
    pub fn process(&self) -> &str {
        self.body["processId"].as_str().unwrap_or_else(|| self.what.rsplit('/').next().unwrap())
    }
}

impl EraserService {
    /// Somewhere, where `decide` says what is answered.
    #[must_use]
    pub fn start(decide: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at(TcpListener::bind("127.0.0.1:0").unwrap(), decide)
    }

    /// Behind a listener that is there already.
    #[must_use]
    pub fn start_at(
        listener: TcpListener,
        decide: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let service = Self {
            address: listener.local_addr().unwrap(),
            decide: Arc::new(Mutex::new(Arc::new(decide))),
            asked: Arc::default(),
        };
        let running = service.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let service = running.clone();
                thread::spawn(move || service.answer(stream));
            }
        });
        service
    }

    /// From now on, answers otherwise.
    pub fn will(&self, decide: impl Fn(&Asked) -> Answer + Send + Sync + 'static) {
        *self.decide.lock().unwrap() = Arc::new(decide);
    }

    /// Everything it was asked, with what it decided to answer.
    #[must_use]
    pub fn asked(&self) -> Vec<(Asked, Answer)> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until it has been asked this often.
    pub fn wait_until_asked(&self, times: usize) {
        while self.asked.lock().unwrap().len() < times {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its part of the configuration.
    #[must_use]
    pub fn toml(&self, name: &str, timeout_in_seconds: f64) -> String {
        eraser_toml(self.address, name, timeout_in_seconds)
    }

    /// That the client does not wait for the answer is its own affair.
    fn answer(&self, mut stream: TcpStream) -> Option<()> {
        let asked = read(&stream)?;
        let decide = self.decide.lock().unwrap().clone();
        let answer = decide(&asked);
        let process = asked.process().to_owned();
        self.asked.lock().unwrap().push((asked, answer));
        let (status, headers, body) = match answer {
            Answer::Erased(count) => ("200 OK", String::new(), format!("{{\"count\": {count}}}")),
            Answer::Late(delay) => {
                thread::sleep(delay);
                ("200 OK", String::new(), "{\"count\": 1}".to_owned())
            }
            Answer::Failed => ("503 Service Unavailable", String::new(), String::new()),
            Answer::Working => {
                ("202 Accepted", format!("Location: /jobs/{process}\r\nRetry-After: 1\r\n"), String::new())
            }
            Answer::HangUp => return None,
        };
        let length = body.len();
        let text = format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(text.as_bytes()).ok()
    }
}

/// The part of the configuration that has an eraser at this address asked.
#[must_use]
pub fn eraser_toml(address: SocketAddr, name: &str, timeout_in_seconds: f64) -> String {
    format!(
        "[[erasure.erasers]]\nname = '{name}'\nurl = 'http://{address}/erase'\n\
         secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'\ntimeout_in_seconds = {timeout_in_seconds}\n"
    )
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let what = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let (mut headers, mut length) = (Vec::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        let name = name.to_ascii_lowercase();
        if name == "content-length" {
            length = value.parse().ok()?;
        }
        headers.push((name, value.to_owned()));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let json = serde_json::from_slice(&body).unwrap_or_default();
    Some(Asked { what, headers, body: json, content: body })
}
