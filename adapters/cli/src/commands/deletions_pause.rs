//! `reprieve deletions pause` and `reprieve deletions resume`

use reprieve_application::PauseReason;
use reprieve_application::ports::Pause;
use serde_json::{Value, json};

use crate::input::parse;
use crate::{Failure, Host, Output};

pub(super) async fn pause(host: &dyn Host, output: &mut Output<'_>, reason: &str) -> Result<(), Failure> {
    let reason: PauseReason = parse(reason)?;
    let since = host.pause_deletions().await?.execute(&reason).await?;
    output.result(
        &json!({"paused": true, "since": since, "reason": reason.as_str()}),
        "Deletions paused: none starts and no eraser is asked until `reprieve deletions resume`\n",
    )
}

pub(super) async fn resume(
    host: &dyn Host,
    output: &mut Output<'_>,
    reason: Option<&str>,
) -> Result<(), Failure> {
    let reason = reason.map(parse::<PauseReason>).transpose()?;
    let text = match host.resume_deletions().await?.execute(reason.as_ref()).await? {
        Some(Pause::Ordered { since, .. } | Pause::Lost { since, .. }) => {
            format!("Deletions resumed; they were paused since {since}\n")
        }
        Some(Pause::Unverified) => {
            "Deletions resumed; what was stored of pausing them was changed\n".to_owned()
        }
        None => "Deletions are not paused\n".to_owned(),
    };
    let reason = reason.as_ref().map_or(Value::Null, |reason| reason.as_str().into());
    output.result(&json!({"paused": false, "reason": reason}), &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::test_host::{TestHost, run_on};
    use reprieve_application::ErrorCode;
    use reprieve_application::ports::{MockDeletionsSwitch, SwitchSetting};

    fn host(pause: Option<Pause>, expected: SwitchSetting) -> TestHost {
        let mut switch = MockDeletionsSwitch::new();
        let is_paused = pause.is_some();
        switch.expect_pause_in_force().returning(move || Ok(pause.clone()));
        switch.expect_set().returning(move |setting, _| {
            assert_eq!(*setting, expected);
            Ok(is_paused)
        });
        TestHost::default().with_switch(switch)
    }

    fn reason() -> PauseReason {
        "photos are being moved".parse().unwrap()
    }

    #[tokio::test]
    async fn deletions_are_paused_for_a_reason() {
        let line = ["deletions", "pause", "--reason", "photos are being moved"];
        let host = host(None, SwitchSetting::Paused(reason()));
        let (result, out) = run_on(&host, &line).await;
        assert_eq!(result, Ok(()));
        assert!(out.starts_with("Deletions paused: none starts"), "{out}");
        let (_, out) = run_on(&host, &[&line[..], &["--output", "json"]].concat()).await;
        let shown: Value = serde_json::from_str(&out).unwrap();
        let since = &shown["since"];
        assert_eq!(shown, json!({"paused": true, "since": since, "reason": reason().as_str()}));
        let (result, _) = run_on(&host, &["deletions", "pause", "--reason", " "]).await;
        assert_eq!(result.unwrap_err().code, ErrorCode::InvalidPropertyValue);
    }

    #[tokio::test]
    async fn they_are_resumed_with_or_without_a_reason_and_if_they_are_not_paused_nothing_is_wrong() {
        let since = "2026-11-29T12:00:00Z".parse().unwrap();
        for (pause, says) in [
            (Some(Pause::Ordered { since, reason: reason() }), "paused since 2026-11-29T12:00:00.000000Z\n"),
            (Some(Pause::Unverified), "was changed\n"),
            (None, "Deletions are not paused\n"),
        ] {
            let (result, out) =
                run_on(&host(pause, SwitchSetting::Resumed(None)), &["deletions", "resume"]).await;
            assert_eq!(result, Ok(()));
            assert!(out.ends_with(says), "{out}");
        }
        let host = host(Some(Pause::Unverified), SwitchSetting::Resumed(Some(reason())));
        let line =
            ["deletions", "resume", "--reason", reason().as_str(), "--output", "json"].map(str::to_owned);
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let (result, out) = run_on(&host, &line).await;
        assert_eq!(result, Ok(()));
        let shown: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(shown, json!({"paused": false, "reason": reason().as_str()}));
    }
}
