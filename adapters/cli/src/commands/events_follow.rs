//! `reprieve events follow`

use std::fmt::Write as _;
use std::time::Duration;

use reprieve_application::ports::WaitingEvent;
use reprieve_application::{OutgoingEvent, StoreError};
use reprieve_domain::EventKind;

use crate::{EventLines, Failure, Host, Output};

/// How long nobody looks for new events after there were none.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) async fn run(
    host: &dyn Host,
    output: &mut Output<'_>,
    from_beginning: bool,
) -> Result<(), Failure> {
    let lines = host.event_lines()?;
    let mut stop = host.until_told_to_stop()?;
    let mut follow = host.follow_events(from_beginning).await?;
    loop {
        let events = follow.execute().await?;
        if !events.is_empty() && !show(output, &lines, &events)? {
            // Whoever read wants no more.
            return Ok(());
        }
        let pause = if events.is_empty() { PAUSE } else { Duration::ZERO };
        if !stop.pause(pause).await {
            return Ok(());
        }
    }
}

/// Says whether somebody still reads.
fn show(output: &mut Output<'_>, lines: &EventLines, events: &[WaitingEvent]) -> Result<bool, Failure> {
    for event in events {
        match &event.event {
            Ok(event) => {
                if !output.lines(|| documents(lines, event), || text(event))? {
                    return Ok(false);
                }
            }
            // It is no event, so that it has no place among those.
            Err(error) => output.failure(&corrupt(event.sequence, error)),
        }
    }
    Ok(true)
}

fn corrupt(sequence: i64, error: &StoreError) -> Failure {
    use reprieve_application::Coded as _;
    Failure::new(error.code(), format!("event number {sequence} is left out: {error}"))
}

fn documents(lines: &EventLines, event: &OutgoingEvent) -> String {
    let mut documents = String::new();
    for line in lines(event) {
        documents.push_str(&line);
        documents.push('\n');
    }
    documents
}

fn text(event: &OutgoingEvent) -> String {
    let event = &event.event;
    let (at, kind, process, address) =
        (event.occurred_at, event.kind.name(), &event.process_id, &event.address);
    let mut text = format!("{at}  {kind:<27}  {process}  {address}");
    // Writing to a String cannot fail.
    let _ = match &event.kind {
        EventKind::IdentityToBeDeleted { grace_period_ends_at } => {
            write!(text, "  End of grace period: {grace_period_ends_at}")
        }
        EventKind::IdentityDeletionReminderDue { reminder, grace_period_ends_at, .. } => {
            write!(text, "  Reminder: {reminder}; end of grace period: {grace_period_ends_at}")
        }
        EventKind::IdentityErasureStuck { eraser, failures } => {
            write!(text, "  Eraser: {eraser}; failures: {failures}")
        }
        EventKind::IdentityDeletionProcessQuarantined { reason } => {
            write!(text, "  Reason: {}", reason.reason())
        }
        EventKind::IdentityDeletionSuspensionChanged { suspended_until: Some(until) } => {
            write!(text, "  Suspended until: {until}")
        }
        EventKind::IdentityDeletionSuspensionChanged { suspended_until: None } => {
            text.push_str("  Not suspended any more");
            Ok(())
        }
        EventKind::IdentityErasureWaived { eraser, code } => {
            write!(text, "  Eraser: {eraser}; code: {code}")
        }
        EventKind::IdentityDeletionCancelled
        | EventKind::IdentityDeletionStarted
        | EventKind::IdentityDeleted => Ok(()),
    };
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::test_host::{TestHost, corrupt as corrupt_row, outgoing, run_on};
    use crate::{OutputFormat, commands};
    use mockall::Sequence;
    use reprieve_application::ErrorCode;
    use reprieve_application::ports::MockEventDeliveries;
    use std::io::{self, Write};

    fn waiting(sequence: i64, event: Result<OutgoingEvent, StoreError>) -> WaitingEvent {
        let address = "did:web:example.org".to_owned();
        WaitingEvent { sequence, address, event, attempts: 0, failing_since: None, is_behind: false }
    }

    fn known(sequences: &[i64]) -> Vec<WaitingEvent> {
        sequences.iter().map(|sequence| waiting(*sequence, Ok(outgoing(*sequence)))).collect()
    }

    /// Each step: behind which place is asked, and what is there.
    fn deliveries(steps: Vec<(i64, Vec<WaitingEvent>)>) -> MockEventDeliveries {
        let mut deliveries = MockEventDeliveries::new();
        let mut sequence = Sequence::new();
        for (after, events) in steps {
            deliveries
                .expect_since()
                .withf(move |asked, _| *asked == after)
                .times(1)
                .in_sequence(&mut sequence)
                .return_once(move |_, _| Ok(events));
        }
        deliveries
    }

    #[tokio::test]
    async fn events_are_shown_as_they_happen_until_it_is_told_to_stop() {
        let mut deliveries =
            deliveries(vec![(6, vec![]), (6, known(&[7, 8])), (8, vec![]), (8, known(&[10])), (10, vec![])]);
        deliveries.expect_end().times(1).returning(|| Ok(6));
        let host = TestHost::default().with_deliveries(deliveries).stopping_after(5);
        let (result, out) = run_on(&host, &["events", "follow"]).await;
        let line = "2026-12-07T20:03:07.500000Z  IdentityDeleted              IDP0123456789abcdefg  \
                    did:web:example.org\n";
        assert_eq!((result, out), (Ok(()), line.repeat(3)));
        // It hurries while there is more, and only then.
        assert_eq!(host.pauses(), [PAUSE, Duration::ZERO, PAUSE, Duration::ZERO, PAUSE]);
    }

    #[tokio::test]
    async fn programs_get_every_line_of_an_event_as_it_is_sent() {
        let deliveries = deliveries(vec![(0, known(&[1, 2]))]);
        let host = TestHost::default().with_deliveries(deliveries).stopping_after(1);
        let line = ["events", "follow", "--from-beginning", "--output", "json"];
        let (result, out) = run_on(&host, &line).await;
        let expected =
            "{\"id\":\"EVT1-status\"}\n{\"id\":\"EVT1\"}\n{\"id\":\"EVT2-status\"}\n{\"id\":\"EVT2\"}\n";
        assert_eq!((result, out.as_str()), (Ok(()), expected));
    }

    #[tokio::test]
    async fn a_corrupt_row_is_told_of_and_hides_no_other() {
        let events =
            vec![waiting(1, Ok(outgoing(1))), waiting(2, Err(corrupt_row())), waiting(3, Ok(outgoing(3)))];
        let deliveries = deliveries(vec![(0, events), (3, vec![])]);
        let host = TestHost::default().with_deliveries(deliveries).stopping_after(2);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(OutputFormat::Json, &mut out, &mut err);
        commands::events_follow::run(&host, &mut output, true).await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 4);
        let err = String::from_utf8(err).unwrap();
        assert!(err.contains("event number 2 is left out") && err.lines().count() == 1, "{err}");
    }

    #[tokio::test]
    async fn a_store_that_fails_ends_it() {
        let mut deliveries = MockEventDeliveries::new();
        deliveries.expect_since().returning(|_, _| Err(StoreError::Unavailable("gone".into())));
        let host = TestHost::default().with_deliveries(deliveries).stopping_after(1);
        let (result, _) = run_on(&host, &["events", "follow", "--from-beginning"]).await;
        assert_eq!(result.unwrap_err().code, ErrorCode::DatabaseUnavailable);
    }

    /// Takes so many writes.
    struct Closing(usize);

    impl Write for Closing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn whoever_reads_no_more_ends_it_with_success() {
        for format in [OutputFormat::Text, OutputFormat::Json] {
            let deliveries = deliveries(vec![(0, known(&[1, 2])), (2, known(&[3, 4, 5]))]);
            let host = TestHost::default().with_deliveries(deliveries).stopping_after(usize::MAX);
            let (mut out, mut err) = (Closing(3), Vec::new());
            let mut output = Output::new(format, &mut out, &mut err);
            assert_eq!(commands::events_follow::run(&host, &mut output, true).await, Ok(()));
            assert_eq!((out.0, err.len()), (0, 0));
        }
    }

    #[test]
    fn every_kind_of_event_is_one_line_that_says_what_is_to_be_known() {
        let ends_at = "2026-12-21T20:03:07Z".parse().unwrap();
        for (kind, end) in [
            (
                EventKind::IdentityToBeDeleted { grace_period_ends_at: ends_at },
                "did:web:example.org  End of grace period: 2026-12-21T20:03:07.000000Z\n",
            ),
            (
                EventKind::IdentityDeletionReminderDue {
                    reminder: reprieve_domain::Reminder::Second,
                    days_until_deletion: 10,
                    grace_period_ends_at: ends_at,
                },
                "did:web:example.org  Reminder: 2; end of grace period: 2026-12-21T20:03:07.000000Z\n",
            ),
            (
                EventKind::IdentityErasureStuck { eraser: "mail".parse().unwrap(), failures: 7 },
                "did:web:example.org  Eraser: mail; failures: 7\n",
            ),
            (
                EventKind::IdentityErasureWaived {
                    eraser: "mail".parse().unwrap(),
                    code: "retired".parse().unwrap(),
                },
                "did:web:example.org  Eraser: mail; code: retired\n",
            ),
            (EventKind::IdentityDeletionCancelled, "did:web:example.org\n"),
            (EventKind::IdentityDeletionStarted, "did:web:example.org\n"),
            (EventKind::IdentityDeleted, "did:web:example.org\n"),
        ] {
            let mut event = outgoing(1);
            event.event.kind = kind;
            let line = text(&event);
            assert!(line.ends_with(end) && line.matches('\n').count() == 1, "{line}");
        }
    }
}
