//! `reprieve events parked`

use std::fmt::Write as _;

use reprieve_application::ports::ParkedEvent;
use reprieve_application::{OutgoingEvent, SinkName, StoreError};
use reprieve_domain::{Address, DeletionProcessId, FailureCode, Timestamp};
use serde::Serialize;

use crate::input::parse;
use crate::{Failure, Host, Output, printable};

/// A parked event: members that are absent are left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ParkedJson<'a> {
    sink: &'a str,
    sequence: i64,
    #[serde(flatten)]
    event: EventJson<'a>,
    parked_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_tried_at: Option<Timestamp>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a FailureCode>,
}

/// The event, or what is wrong with its row.
#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum EventJson<'a> {
    Known { event_id: &'a str, kind: &'static str, process_id: &'a DeletionProcessId, address: &'a Address },
    Corrupt { problem: String },
}

impl<'a> From<&'a Result<OutgoingEvent, StoreError>> for EventJson<'a> {
    fn from(event: &'a Result<OutgoingEvent, StoreError>) -> Self {
        match event {
            Ok(OutgoingEvent { id, event, .. }) => Self::Known {
                event_id: id,
                kind: event.kind.name(),
                process_id: &event.process_id,
                address: &event.address,
            },
            Err(error) => Self::Corrupt { problem: error.to_string() },
        }
    }
}

impl<'a> From<&'a ParkedEvent> for ParkedJson<'a> {
    fn from(parked: &'a ParkedEvent) -> Self {
        Self {
            sink: parked.sink.as_str(),
            sequence: parked.sequence,
            event: EventJson::from(&parked.event),
            parked_at: parked.parked_at,
            first_tried_at: parked.failing_since,
            attempts: parked.attempts,
            failure: parked.failure.as_ref(),
        }
    }
}

pub(super) async fn run(
    host: &dyn Host,
    output: &mut Output<'_>,
    sink: Option<&str>,
    limit: u32,
) -> Result<(), Failure> {
    let sink = sink.map(parse::<SinkName>).transpose()?;
    let parked = host.show_parked_events().await?.execute(sink.as_ref(), limit).await?;
    let json: Vec<ParkedJson<'_>> = parked.iter().map(ParkedJson::from).collect();
    output.result(&json, &table(&parked))
}

fn table(parked: &[ParkedEvent]) -> String {
    if parked.is_empty() {
        return "No events are parked\n".to_owned();
    }
    let mut rows = vec![[
        "Sink".to_owned(),
        "Event".to_owned(),
        "Kind".to_owned(),
        "Process".to_owned(),
        "Parked since".to_owned(),
        "First tried at".to_owned(),
        "Attempts".to_owned(),
        "Failure".to_owned(),
    ]];
    rows.extend(parked.iter().map(row));
    let mut widths = [0; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    // A line above those of the events.
    let problems = std::iter::once(None).chain(parked.iter().map(|parked| parked.event.as_ref().err()));
    let mut text = String::new();
    for (row, problem) in rows.iter().zip(problems) {
        let mut line = String::new();
        for (number, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Writing to a String cannot fail.
            let _ = match number {
                6 => write!(line, "{cell:>width$}  "),
                _ => write!(line, "{cell:<width$}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
        if let Some(problem) = problem {
            let _ = writeln!(text, "  {}", printable::value(problem));
        }
    }
    text
}

fn row(parked: &ParkedEvent) -> [String; 8] {
    let none = || "-".to_owned();
    let (id, kind, process) = match &parked.event {
        Ok(OutgoingEvent { id, event, .. }) => {
            (printable::value(id), event.kind.name().to_owned(), event.process_id.to_string())
        }
        Err(_) => (format!("number {}", parked.sequence), "(corrupt)".to_owned(), none()),
    };
    [
        parked.sink.to_string(),
        id,
        kind,
        process,
        parked.parked_at.to_string(),
        parked.failing_since.map_or_else(none, |at| at.to_string()),
        parked.attempts.to_string(),
        parked.failure.as_ref().map_or_else(none, ToString::to_string),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::test_host::{TestHost, corrupt, outgoing, run_on};
    use reprieve_application::ErrorCode;
    use reprieve_application::ports::MockEventDeliveries;
    use serde_json::{Value, json};

    fn parked() -> Vec<ParkedEvent> {
        let parked =
            |sink: &str, event: Result<OutgoingEvent, StoreError>, sequence, tried: bool| ParkedEvent {
                sink: sink.parse().unwrap(),
                event,
                sequence,
                attempts: if tried { 23 } else { 0 },
                failing_since: tried.then(|| "2026-12-01T00:00:00Z".parse().unwrap()),
                parked_at: "2026-12-04T00:00:00Z".parse().unwrap(),
                failure: tried.then(|| "httpStatus500".parse().unwrap()),
            };
        vec![
            parked("hook", Ok(outgoing(7)), 7, true),
            parked("rabbit.eu", Err(corrupt()), 8, true),
            parked("hook", Ok(outgoing(9)), 9, false),
        ]
    }

    fn host(sink: Option<&'static str>, limit: u32, parked: Vec<ParkedEvent>) -> TestHost {
        let mut deliveries = MockEventDeliveries::new();
        deliveries
            .expect_parked()
            .withf(move |name, most| name.map(SinkName::as_str) == sink && *most == limit)
            .return_once(move |_, _| Ok(parked));
        TestHost::default().with_deliveries(deliveries)
    }

    #[tokio::test]
    async fn parked_events_are_shown_as_a_table_and_a_corrupt_row_hides_no_other() {
        let (result, out) = run_on(&host(None, 100, parked()), &["events", "parked"]).await;
        result.unwrap();
        assert_eq!(
            out,
            "\
Sink       Event     Kind             Process               Parked since                 First tried at               Attempts  Failure
hook       EVT7      IdentityDeleted  IDP0123456789abcdefg  2026-12-04T00:00:00.000000Z  2026-12-01T00:00:00.000000Z        23  httpStatus500
rabbit.eu  number 8  (corrupt)        -                     2026-12-04T00:00:00.000000Z  2026-12-01T00:00:00.000000Z        23  httpStatus500
  the database is corrupt: table outbox, key 8, column payload: not an\\u{a}event
hook       EVT9      IdentityDeleted  IDP0123456789abcdefg  2026-12-04T00:00:00.000000Z  -                                   0  -
"
        );
    }

    #[tokio::test]
    async fn a_program_is_told_the_same_and_the_address() {
        let line = ["events", "parked", "--sink", "hook", "--limit", "3", "--output", "json"];
        let (result, out) = run_on(&host(Some("hook"), 3, parked()), &line).await;
        result.unwrap();
        let known = |id: &str| {
            json!({"eventId": id, "kind": "IdentityDeleted", "processId": "IDP0123456789abcdefg",
                   "address": "did:web:example.org"})
        };
        let tried = json!({"firstTriedAt": "2026-12-01T00:00:00.000000Z", "attempts": 23, "failure": "httpStatus500"});
        let problem =
            json!({"problem": "the database is corrupt: table outbox, key 8, column payload: not an\nevent"});
        let merged = |sink: &str, sequence: i64, event: Value, tried: Value| {
            let mut all =
                json!({"sink": sink, "sequence": sequence, "parkedAt": "2026-12-04T00:00:00.000000Z"});
            for part in [event, tried] {
                let Value::Object(members) = part else { unreachable!() };
                all.as_object_mut().unwrap().extend(members);
            }
            all
        };
        assert_eq!(
            serde_json::from_str::<Value>(&out).unwrap(),
            json!([
                merged("hook", 7, known("EVT7"), tried.clone()),
                merged("rabbit.eu", 8, problem, tried),
                merged("hook", 9, known("EVT9"), json!({"attempts": 0})),
            ])
        );
    }

    #[tokio::test]
    async fn that_nothing_is_parked_is_said() {
        let (result, out) = run_on(&host(None, 100, vec![]), &["events", "parked"]).await;
        assert_eq!((result, out.as_str()), (Ok(()), "No events are parked\n"));
        let (result, out) = run_on(&host(None, 100, vec![]), &["events", "parked", "--output", "json"]).await;
        assert_eq!((result, out.as_str()), (Ok(()), "[]\n"));
    }

    #[tokio::test]
    async fn a_name_that_no_sink_can_have_is_refused() {
        let (result, out) = run_on(&TestHost::default(), &["events", "parked", "--sink", "a b"]).await;
        assert_eq!((result.unwrap_err().code, out.as_str()), (ErrorCode::InvalidPropertyValue, ""));
    }
}
