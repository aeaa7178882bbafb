//! `reprieve events redeliver`

use std::fmt::Write as _;

use reprieve_application::SinkName;
use reprieve_application::ports::Redelivery;
use serde_json::json;

use crate::input::parse;
use crate::{Failure, Host, Output};

/// Without an id, every event.
pub(super) async fn run(
    host: &dyn Host,
    output: &mut Output<'_>,
    event_id: Option<&str>,
    sink: Option<&str>,
) -> Result<(), Failure> {
    let sink = sink.map(parse::<SinkName>).transpose()?;
    let Redelivery { events, sinks } =
        host.redeliver_events().await?.execute(sink.as_ref(), event_id).await?;
    let mut text = format!("Events to be sent again: {events}\n");
    if sinks > 0 {
        let _ = writeln!(text, "Failing sinks to be tried again: {sinks}");
    }
    output.result(&json!({"sentAgain": events, "sinksTriedAgain": sinks}), &text)
}

#[cfg(test)]
mod tests {
    use crate::commands::test_host::{TestHost, run_on};
    use crate::exit_code;
    use reprieve_application::ports::{MockEventDeliveries, Redelivery};
    use reprieve_application::{ErrorCode, SinkName};

    fn host(sink: Option<&'static str>, event_id: Option<&'static str>, events: u64, sinks: u64) -> TestHost {
        let mut deliveries = MockEventDeliveries::new();
        deliveries
            .expect_redeliver()
            .withf(move |name, id, _| name.map(SinkName::as_str) == sink && *id == event_id)
            .returning(move |_, _, _| Ok(Redelivery { events, sinks }));
        TestHost::default().with_deliveries(deliveries)
    }

    #[tokio::test]
    async fn one_event_or_all_are_sent_again_to_one_sink_or_all() {
        let (result, out) = run_on(&host(None, None, 2, 0), &["events", "redeliver", "--all"]).await;
        assert_eq!((result, out.as_str()), (Ok(()), "Events to be sent again: 2\n"));
        let line = ["events", "redeliver", "EVT1", "--sink", "hook", "--output", "json"];
        let (result, out) = run_on(&host(Some("hook"), Some("EVT1"), 1, 0), &line).await;
        assert_eq!((result, out.as_str()), (Ok(()), "{\n  \"sentAgain\": 1,\n  \"sinksTriedAgain\": 0\n}\n"));
    }

    #[tokio::test]
    async fn that_a_failing_sink_is_tried_again_is_said() {
        let (result, out) = run_on(&host(None, Some("EVT1"), 0, 1), &["events", "redeliver", "EVT1"]).await;
        let text = "Events to be sent again: 0\nFailing sinks to be tried again: 1\n";
        assert_eq!((result, out.as_str()), (Ok(()), text));
    }

    #[tokio::test]
    async fn that_there_are_none_to_be_sent_again_is_no_failure() {
        let (result, out) = run_on(&host(None, None, 0, 0), &["events", "redeliver", "--all"]).await;
        assert_eq!((result, out.as_str()), (Ok(()), "Events to be sent again: 0\n"));
    }

    #[tokio::test]
    async fn an_event_that_waits_for_nothing_and_a_name_that_is_none_are_refused() {
        for (line, code) in [
            (&["events", "redeliver", "EVT1"][..], ErrorCode::RecordNotFound),
            (&["events", "redeliver", "EVT1", "--sink", "a b"], ErrorCode::InvalidPropertyValue),
        ] {
            let (result, out) = run_on(&host(None, Some("EVT1"), 0, 0), line).await;
            let failure = result.unwrap_err();
            assert_eq!((failure.code, exit_code(failure.code), out.as_str()), (code, 1, ""));
        }
    }
}
