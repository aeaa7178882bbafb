//! `reprieve events redeliver`

use reprieve_application::SinkName;
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
    let count = host.redeliver_events().await?.execute(sink.as_ref(), event_id).await?;
    output.result(&json!({"sentAgain": count}), &format!("Events to be sent again: {count}\n"))
}

#[cfg(test)]
mod tests {
    use crate::commands::test_host::{TestHost, run_on};
    use crate::exit_code;
    use reprieve_application::ports::MockEventDeliveries;
    use reprieve_application::{ErrorCode, SinkName};

    fn host(sink: Option<&'static str>, event_id: Option<&'static str>, count: u64) -> TestHost {
        let mut deliveries = MockEventDeliveries::new();
        deliveries
            .expect_redeliver()
            .withf(move |name, id, _| name.map(SinkName::as_str) == sink && *id == event_id)
            .returning(move |_, _, _| Ok(count));
        TestHost::default().with_deliveries(deliveries)
    }

    #[tokio::test]
    async fn one_event_or_all_are_sent_again_to_one_sink_or_all() {
        let (result, out) = run_on(&host(None, None, 2), &["events", "redeliver", "--all"]).await;
        assert_eq!((result, out.as_str()), (Ok(()), "Events to be sent again: 2\n"));
        let line = ["events", "redeliver", "EVT1", "--sink", "hook", "--output", "json"];
        let (result, out) = run_on(&host(Some("hook"), Some("EVT1"), 1), &line).await;
        assert_eq!((result, out.as_str()), (Ok(()), "{\n  \"sentAgain\": 1\n}\n"));
    }

    #[tokio::test]
    async fn that_there_are_none_to_be_sent_again_is_no_failure() {
        let (result, out) = run_on(&host(None, None, 0), &["events", "redeliver", "--all"]).await;
        assert_eq!((result, out.as_str()), (Ok(()), "Events to be sent again: 0\n"));
    }

    #[tokio::test]
    async fn an_event_that_is_not_parked_and_a_name_that_is_none_are_refused() {
        for (line, code) in [
            (&["events", "redeliver", "EVT1"][..], ErrorCode::RecordNotFound),
            (&["events", "redeliver", "EVT1", "--sink", "a b"], ErrorCode::InvalidPropertyValue),
        ] {
            let (result, out) = run_on(&host(None, Some("EVT1"), 0), line).await;
            let failure = result.unwrap_err();
            assert_eq!((failure.code, exit_code(failure.code), out.as_str()), (code, 1, ""));
        }
    }
}
