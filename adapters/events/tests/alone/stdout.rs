//! Events as lines: over real pipes, and with outputs that fail in the middle.

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reprieve_application::OutgoingEvent;
use reprieve_application::ports::{EventSink as _, SendError};
use reprieve_domain::{Event, EventKind, FailureCode, Timestamp};
use reprieve_events::{EventType, Format, Messages, StdoutSink};
use serde_json::Value;

/// Longer than the slowest machine needs for something that happens at once.
const LONG: Duration = Duration::from_mins(1);
/// For what does not happen.
const SHORT: Duration = Duration::from_millis(200);

fn sink(output: impl Write + Send + 'static, timeout: Duration) -> StdoutSink {
    let messages = Messages::new("https://reprieve.example", None, Format::CloudEvents);
    StdoutSink::writing_to(Box::new(output), "stdout".parse().unwrap(), messages)
        .unwrap()
        .with_timeout(timeout)
}

/// `length` is about that of its line.
fn event(number: usize, length: usize) -> OutgoingEvent {
    OutgoingEvent {
        id: format!("EVT{number}"),
        sequence: i64::try_from(number).unwrap(),
        event: Event {
            process_id: "IDP0123456789abcdefg".parse().unwrap(),
            address: "did:web:example.org".parse().unwrap(),
            occurred_at: Timestamp::from_unix_micros(0).unwrap(),
            kind: EventKind::IdentityDeleted,
        },
        process: None,
        trace: Some(reprieve_application::TraceContext { parent: "a".repeat(length), state: None }),
    }
}

fn unreachable() -> Result<(), SendError> {
    Err(SendError::Unreachable(FailureCode::unreachable()))
}

fn timed_out() -> Result<(), SendError> {
    Err(SendError::Unreachable(FailureCode::timed_out()))
}

/// The ids of the events in these lines, each of which is whole.
fn ids(text: &[u8]) -> Vec<String> {
    assert!(text.is_empty() || text.ends_with(b"\n"));
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    lines.map(|line| line.get("id").unwrap().as_str().unwrap().to_owned()).collect()
}

/// Takes a few bytes at a time, shows them once they are flushed, and fails when it is told to.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    written: Vec<u8>,
    flushed: Vec<u8>,
    /// After how many more bytes writing fails; flushing fails at 0 as well.
    room: Option<usize>,
    interruptions: usize,
}

impl Output {
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    fn flushed(&self) -> Vec<u8> {
        self.with(|state| state.flushed.clone())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        std::thread::yield_now();
        self.with(|state| {
            state.interruptions += 1;
            if state.interruptions % 2 == 0 {
                return Err(ErrorKind::Interrupted.into());
            }
            let count = bytes.len().min(7).min(state.room.unwrap_or(usize::MAX));
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            state.written.extend_from_slice(bytes.get(..count).unwrap());
            state.room = state.room.map(|room| room - count);
            Ok(count)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(|state| {
            if state.room == Some(0) {
                return Err(ErrorKind::StorageFull.into());
            }
            state.flushed = state.written.clone();
            Ok(())
        })
    }
}

#[tokio::test]
async fn every_message_is_a_line_that_is_out_before_it_counts_as_delivered() {
    let output = Output::default();
    let sink = sink(output.clone(), LONG);
    assert_eq!(sink.name().as_str(), "stdout");
    for number in 0..10 {
        sink.send(&event(number, 10)).await.unwrap();
        let expected: Vec<String> = (0..=number).map(|number| format!("EVT{number}")).collect();
        assert_eq!(ids(&output.flushed()), expected);
    }
}

#[tokio::test]
async fn what_is_not_wanted_is_not_asked_for() {
    let wanted = Some([EventType::ToBeDeleted].into());
    let messages = Messages::new("a", wanted, Format::CloudEvents);
    let output = Box::new(Output::default());
    let sink = StdoutSink::writing_to(output, "stdout".parse().unwrap(), messages).unwrap();
    let mut event = event(1, 1);
    assert!(!sink.wants(&event));
    event.event.kind = EventKind::IdentityToBeDeleted { grace_period_ends_at: event.event.occurred_at };
    assert!(sink.wants(&event));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lines_that_are_sent_at_once_do_not_mix() {
    let output = Output::default();
    let sink = Arc::new(sink(output.clone(), LONG));
    let sending: Vec<_> = (0..100)
        .map(|number| {
            let sink = sink.clone();
            tokio::spawn(async move { sink.send(&event(number, number * 3)).await })
        })
        .collect();
    for send in sending {
        send.await.unwrap().unwrap();
    }
    let mut ids = ids(&output.flushed());
    ids.sort_by_key(|id| id.strip_prefix("EVT").unwrap().parse::<usize>().unwrap());
    assert_eq!(ids, (0..100).map(|number| format!("EVT{number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_pipe_that_is_closed_is_not_there_and_stays_so() {
    let (reader, writer) = io::pipe().unwrap();
    let sink = sink(writer, LONG);
    sink.send(&event(1, 1)).await.unwrap();
    drop(reader);
    for number in 2..5 {
        assert_eq!(sink.send(&event(number, 1)).await, unreachable());
    }
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_is_given_up_and_holds_up_nobody_else() {
    let (mut reader, writer) = io::pipe().unwrap();
    let sink = sink(writer, SHORT);
    let began = Instant::now();
    // Larger than any pipe is by default. This is one thread, so that whatever blocked it would stop the clock below.
    let large = event(1, 1 << 21);
    let mut ticks = tokio::time::interval(SHORT / 20);
    let mut ticked = 0;
    let sent = {
        let mut sending = std::pin::pin!(sink.send(&large));
        loop {
            tokio::select! {
                sent = &mut sending => break sent,
                _ = ticks.tick() => ticked += 1,
            }
        }
    };
    assert_eq!(sent, timed_out());
    assert!(ticked > 2 && began.elapsed() < LONG, "{ticked}");
    for number in 2..5 {
        assert_eq!(sink.send(&event(number, 1)).await, timed_out());
    }
    // Whoever reads at last finds whole lines, and nothing that was given up before it was begun.
    let reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        text
    });
    let sink = sink.with_timeout(LONG);
    sink.send(&event(5, 1)).await.unwrap();
    drop(sink);
    assert_eq!(ids(&reading.join().unwrap()), ["EVT1", "EVT5"]);
}

#[test]
fn a_pipe_that_nobody_reads_does_not_hold_up_the_end_of_the_program() {
    let (reader, writer) = io::pipe().unwrap();
    let (ended, has_ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sink = sink(writer, SHORT);
        let sent = runtime.block_on(sink.send(&event(1, 1 << 21)));
        drop(runtime);
        drop(sink);
        ended.send(sent).unwrap();
    });
    assert_eq!(has_ended.recv_timeout(LONG).unwrap(), timed_out());
    drop(reader);
}

#[tokio::test]
async fn a_line_that_was_cut_off_swallows_no_other() {
    let output = Output::default();
    let sink = sink(output.clone(), LONG);
    sink.send(&event(1, 1)).await.unwrap();
    let whole = output.flushed().len();
    for room in [0, 1, 10, whole - 1] {
        output.with(|state| state.room = Some(room));
        assert_eq!(sink.send(&event(2, 1)).await, unreachable());
        assert_eq!(sink.send(&event(3, 1)).await, unreachable());
    }
    output.with(|state| state.room = None);
    sink.send(&event(4, 1)).await.unwrap();
    let text = String::from_utf8(output.flushed()).unwrap();
    let read = |line: &str| serde_json::from_str::<Value>(line).ok().map(|line| line.get("id").cloned());
    let ids: Vec<_> =
        text.lines().filter_map(read).map(|id| id.unwrap().as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, ["EVT1", "EVT4"]);
}

#[tokio::test]
async fn what_cannot_be_flushed_is_not_delivered() {
    let output = Output::default();
    let sink = sink(output.clone(), LONG);
    sink.send(&event(1, 1)).await.unwrap();
    let whole = output.flushed().len();
    output.with(|state| state.room = Some(whole));
    assert_eq!(sink.send(&event(2, 1)).await, unreachable());
    output.with(|state| state.room = None);
    // It comes again, as everything that nobody knows to be delivered.
    sink.send(&event(2, 1)).await.unwrap();
    assert_eq!(ids(&output.flushed()), ["EVT1", "EVT2", "EVT2"]);
}

struct Panicking;

impl Write for Panicking {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        panic!("an output that panics")
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_output_that_panics_is_not_there() {
    let sink = sink(Panicking, LONG);
    for number in 1..3 {
        assert_eq!(sink.send(&event(number, 1)).await, unreachable());
    }
}
