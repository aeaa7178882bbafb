//! `reprieve clock show` and `reprieve clock confirm`

use reprieve_application::ports::{ClockDoubt, ClockReadings};
use reprieve_domain::Timestamp;
use serde_json::json;

use crate::input::parse;
use crate::{Failure, Host, Output};

pub(super) async fn show(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let ClockReadings { deciding, machine, noted, doubt } = host.clocks().await?.compare().await?;
    let noted_text =
        noted.map_or_else(|| "nothing that can be trusted".to_owned(), |noted| noted.to_string());
    let consequence = consequence(doubt);
    output.result(
        &json!({"deciding": deciding, "machine": machine, "noted": noted, "doubt": doubt.map(name)}),
        &format!("Deciding: {deciding}\nMachine:  {machine}\nNoted:    {noted_text}\n{consequence}\n"),
    )
}

pub(super) async fn confirm(host: &dyn Host, output: &mut Output<'_>, instant: &str) -> Result<(), Failure> {
    let instant: Timestamp = parse(instant)?;
    let clocks = host.clocks().await?;
    clocks.confirm(instant).await?;
    let ClockReadings { deciding, doubt, .. } = clocks.compare().await?;
    let consequence = consequence(doubt);
    output.result(
        &json!({"noted": instant, "deciding": deciding, "doubt": doubt.map(name)}),
        &format!("Confirmed: {instant}\n{consequence}\n"),
    )
}

fn name(doubt: ClockDoubt) -> &'static str {
    match doubt {
        ClockDoubt::Disagree => "disagrees",
        ClockDoubt::Ahead => "ahead",
        ClockDoubt::Behind => "behind",
    }
}

fn consequence(doubt: Option<ClockDoubt>) -> &'static str {
    match doubt {
        None => "The clocks are believed.",
        Some(ClockDoubt::Disagree) => "The clocks disagree: until one is set right, only cancelling works.",
        Some(ClockDoubt::Ahead) => {
            "The deciding clock is too far ahead of what was noted: no deletion starts until the time is confirmed."
        }
        Some(ClockDoubt::Behind) => {
            "The deciding clock is behind what was noted: no deletion can be requested until it is set right or the time is confirmed."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::test_host::{TestHost, run_on};
    use reprieve_application::ErrorCode;
    use serde_json::Value;

    fn host(noted: Option<&str>, doubt: Option<ClockDoubt>) -> TestHost {
        let at = |text: &str| text.parse().unwrap();
        let (deciding, machine) = (at("2026-11-29T12:00:00Z"), at("2026-11-29T12:00:01Z"));
        TestHost::default().with_clock_readings(ClockReadings {
            deciding,
            machine,
            noted: noted.map(at),
            doubt,
        })
    }

    #[tokio::test]
    async fn what_the_clocks_show_is_shown_with_what_follows_from_it() {
        let noted = "2026-11-29T11:59:00Z";
        for (doubt, code, says) in [
            (None, Value::Null, "are believed"),
            (Some(ClockDoubt::Disagree), json!("disagrees"), "disagree"),
            (Some(ClockDoubt::Ahead), json!("ahead"), "no deletion starts"),
            (Some(ClockDoubt::Behind), json!("behind"), "no deletion can be requested"),
        ] {
            let (result, out) = run_on(&host(Some(noted), doubt), &["clock", "show"]).await;
            assert_eq!(result, Ok(()));
            assert!(out.contains("Deciding: 2026-11-29T12:00:00.000000Z\n") && out.contains(says), "{out}");
            let (_, out) = run_on(&host(None, doubt), &["clock", "show", "--output", "json"]).await;
            let shown: Value = serde_json::from_str(&out).unwrap();
            assert_eq!((&shown["doubt"], &shown["noted"]), (&code, &Value::Null), "{out}");
        }
    }

    #[tokio::test]
    async fn the_present_is_confirmed() {
        let host = host(Some("2026-11-29T11:59:00Z"), None);
        let (result, out) = run_on(&host, &["clock", "confirm", "2026-11-29T11:59:00Z"]).await;
        assert_eq!(result, Ok(()));
        assert_eq!(out, "Confirmed: 2026-11-29T11:59:00.000000Z\nThe clocks are believed.\n");
        let (result, _) = run_on(&host, &["clock", "confirm", "noon"]).await;
        assert_eq!(result.unwrap_err().code, ErrorCode::InvalidPropertyValue);
    }
}
