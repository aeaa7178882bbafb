//! A service on a loopback port that can be told to misbehave.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::stream;
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{DATE, HeaderMap, HeaderName};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use reprieve_domain::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{DEVICE, NOW};

/// What happens to one request.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// What should.
    Usual,
    /// The connection is closed before the request is looked at.
    Ignored,
    /// What was asked for is done, and then the connection is closed.
    AnswerLost,
    /// What was asked for is done, and the connection is closed in the middle of the answer.
    AnswerCut,
    /// What was asked for is done, and no answer is ever given.
    AnswerWithheld,
    /// What was asked for is done, and something else is answered.
    DoneBut(Reply),
    /// Nothing is done, and this is answered.
    Instead(Reply),
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(super) fn refusal(status: u16, code: &str) -> Self {
        let error =
            json!({"id": "ERR00000000000000000", "code": code, "message": "no", "docs": "", "data": null});
        Self::new(status, json!({"error": error}).to_string())
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The token, as [`super::TestSigner`] writes it: audience, issued at, expires at, id.
    pub(super) fn token(&self) -> [String; 4] {
        let token = self.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
        token.split('|').map(ToOwned::to_owned).collect::<Vec<_>>().try_into().unwrap()
    }
}

pub(super) struct State {
    /// Everything that was asked.
    pub(super) received: Vec<Received>,
    /// What happens to the next requests.
    pub(super) fates: VecDeque<Fate>,
    /// What happens to every other request.
    pub(super) always: Fate,
    pub(super) processes: Vec<Value>,
    /// How many steps were made.
    pub(super) steps: usize,
    /// Whether a repetition with the same key gets the first answer again.
    pub(super) knows_idempotency_keys: bool,
    answers: HashMap<String, Reply>,
    /// What time it is here; a token must hold now, give or take half a minute.
    pub(super) now: Timestamp,
}

/// Runs until it is dropped.
pub(super) struct Service {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::new()));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Self { url, state, task }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Plans what happens to the next requests.
    pub(super) fn plan(&self, fates: impl IntoIterator<Item = Fate>) {
        self.state().fates = fates.into_iter().collect();
    }

    /// Method and last part of the path of everything that was asked.
    pub(super) fn asked(&self) -> Vec<String> {
        let name =
            |request: &Received| format!("{} {}", request.method, request.path.rsplit('/').next().unwrap());
        self.state().received.iter().map(name).collect()
    }
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            received: Vec::new(),
            fates: VecDeque::new(),
            always: Fate::Usual,
            processes: Vec::new(),
            steps: 0,
            knows_idempotency_keys: true,
            answers: HashMap::new(),
            now: NOW.parse().unwrap(),
        }
    }

    fn answer(&mut self, request: &Received) -> Reply {
        if !self.accepts(&request.token()) {
            return Reply::refusal(401, "error.platform.unauthorized");
        }
        let key = request.header("idempotency-key").filter(|_| self.knows_idempotency_keys);
        if let Some(answer) = key.and_then(|key| self.answers.get(key)) {
            return answer.clone();
        }
        let answer = self.decide(request);
        if let Some(key) = key {
            self.answers.insert(key.to_owned(), answer.clone());
        }
        answer
    }

    fn accepts(&self, [_, issued_at, expires_at, _]: &[String; 4]) -> bool {
        let [issued_at, expires_at] = [issued_at, expires_at].map(|text| text.parse::<Timestamp>().unwrap());
        let leeway = 30_000_000;
        issued_at.micros_since(self.now) <= leeway && self.now.micros_since(expires_at) <= leeway
    }

    fn decide(&mut self, request: &Received) -> Reply {
        let rest = request.path.strip_prefix("/api/v2/Identities/Self/DeletionProcesses").unwrap();
        let parts: Vec<&str> = rest.split('/').skip(1).collect();
        let not_found = || Reply::refusal(404, "error.platform.recordNotFound");
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", []) => success(200, &self.processes.clone().into()),
            ("GET", [id]) => self.find(id).map_or_else(not_found, |process| success(200, process)),
            ("POST", []) if self.processes.iter().any(|process| process["status"] == "Active") => {
                Reply::refusal(400, "error.platform.validation.device.onlyOneActiveDeletionProcessAllowed")
            }
            ("POST", []) => {
                let process = active(&format!("IDP{:017}", self.processes.len()), DEVICE);
                self.processes.push(process.clone());
                self.steps += 1;
                success(201, &process)
            }
            ("PUT", [id, "Cancel"]) => {
                let Some(process) = self.find(id) else { return not_found() };
                if process["status"] != "Active" {
                    let code = "error.platform.validation.device.deletionProcessIsNotInRequiredStatus";
                    return Reply::refusal(400, code);
                }
                cancel(process, DEVICE);
                let answer = success(200, process);
                self.steps += 1;
                answer
            }
            _ => Reply::refusal(405, "error.platform.methodNotAllowed"),
        }
    }

    fn find(&mut self, id: &str) -> Option<&mut Value> {
        self.processes.iter_mut().find(|process| process["id"] == id)
    }
}

/// An Active process as the service writes it.
pub(super) fn active(id: &str, device: &str) -> Value {
    json!({
        "id": id, "status": "Active", "createdAt": NOW, "createdByDevice": device, "approvedAt": NOW,
        "approvedByDevice": device, "gracePeriodEndsAt": "2026-12-21T20:03:07.123456Z",
        "gracePeriodReminder1SentAt": null, "cancelledAt": null, "cancelledByDevice": null,
    })
}

/// Makes it Cancelled.
pub(super) fn cancel(process: &mut Value, device: &str) {
    process["status"] = "Cancelled".into();
    process["gracePeriodEndsAt"] = Value::Null;
    process["cancelledAt"] = "2026-12-08T00:00:00Z".into();
    process["cancelledByDevice"] = device.into();
}

fn success(status: u16, result: &Value) -> Reply {
    Reply::new(status, json!({"result": result}).to_string())
}

/// Serves one connection.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    state: Arc<Mutex<State>>,
) {
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let state = state.clone();
        async move { respond(&state, request).await }
    });
    // Connections that are broken on purpose end with an error.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

type Body = Either<Full<Bytes>, StreamBody<Cut>>;
type Cut = stream::Iter<std::array::IntoIter<io::Result<Frame<Bytes>>, 2>>;

fn closed<T>() -> io::Result<T> {
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// An error closes the connection.
async fn respond(state: &Mutex<State>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let received = Received {
        method: head.method,
        path: head.uri.path().to_owned(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let (fate, now, answer) = {
        let mut state = state.lock().unwrap();
        state.received.push(received.clone());
        let fate = state.fates.pop_front().unwrap_or_else(|| state.always.clone());
        let answer = match &fate {
            Fate::Ignored => return closed(),
            Fate::Instead(reply) => reply.clone(),
            _ => state.answer(&received),
        };
        (fate, state.now, answer)
    };
    let whole = |reply: &Reply| Ok(response(reply, now, Either::Left(Full::from(reply.body.clone()))));
    match fate {
        Fate::AnswerWithheld => std::future::pending().await,
        Fate::Ignored | Fate::AnswerLost => closed(),
        Fate::AnswerCut => {
            let half = Bytes::copy_from_slice(&answer.body[..answer.body.len() / 2]);
            let parts = stream::iter([Ok(Frame::data(half)), closed()]);
            Ok(response(&answer, now, Either::Right(StreamBody::new(parts))))
        }
        Fate::DoneBut(reply) => whole(&reply),
        Fate::Usual | Fate::Instead(_) => whole(&answer),
    }
}

fn response(reply: &Reply, now: Timestamp, body: Body) -> Response<Body> {
    let date = now.to_datetime().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let mut builder = Response::builder().status(reply.status).header(DATE, date);
    for (name, value) in &reply.headers {
        builder.headers_mut().unwrap().insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    builder.body(body).unwrap()
}
