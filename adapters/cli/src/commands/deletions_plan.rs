//! `reprieve deletions plan`

use std::fmt::Write as _;

use reprieve_application::ports::ErasePlan;
use reprieve_domain::{Address, EraserName};
use serde_json::{Value, json};

use crate::input::parse;
use crate::{Failure, Host, Output};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>, address: &str) -> Result<(), Failure> {
    let address: Address = parse(address)?;
    let plans = host.plan_erasure().await?.execute(&address).await;
    let erasers: Vec<Value> = plans.iter().map(to_json).collect();
    output.result(&json!({"address": address, "erasers": erasers}), &to_text(&plans))
}

fn to_json((eraser, plan): &(EraserName, ErasePlan)) -> Value {
    match plan {
        ErasePlan::Count(count) => json!({"eraser": eraser, "plan": "count", "count": count}),
        ErasePlan::Unknown => json!({"eraser": eraser, "plan": "unknown"}),
        ErasePlan::Failed(failure) => json!({"eraser": eraser, "plan": "failed", "failure": failure}),
    }
}

fn to_text(plans: &[(EraserName, ErasePlan)]) -> String {
    if plans.is_empty() {
        return "No eraser is configured: only what is stored here would be removed\n".to_owned();
    }
    let mut text = String::new();
    for (eraser, plan) in plans {
        // Writing to a String cannot fail.
        let _ = match plan {
            ErasePlan::Count(count) => writeln!(text, "{eraser}: would erase {count}"),
            ErasePlan::Unknown => writeln!(text, "{eraser}: would erase, but cannot say in advance how much"),
            ErasePlan::Failed(failure) => writeln!(text, "{eraser}: did not say ({failure})"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::test_host::{TestHost, run, run_on};
    use reprieve_application::ErrorCode;
    use reprieve_application::ports::MockEraser;

    const ADDRESS: &str = "did:web:example.org";

    fn eraser(name: &str, plan: ErasePlan) -> MockEraser {
        let mut eraser = MockEraser::new();
        eraser.expect_name().return_const(name.parse::<EraserName>().unwrap());
        eraser.expect_plan().withf(|address| address.as_str() == ADDRESS).return_once(move |_| plan);
        eraser.expect_erase().never();
        eraser
    }

    fn host() -> TestHost {
        TestHost::default().with_erasers([
            eraser("archive", ErasePlan::Unknown),
            eraser("documents", ErasePlan::Count(12)),
            eraser("mail", ErasePlan::Failed("timedOut".parse().unwrap())),
        ])
    }

    #[tokio::test]
    async fn every_eraser_says_what_it_would_erase() {
        let (result, out) = run_on(&host(), &["deletions", "plan", ADDRESS]).await;
        result.unwrap();
        assert_eq!(
            out,
            "archive: would erase, but cannot say in advance how much\n\
             documents: would erase 12\n\
             mail: did not say (timedOut)\n"
        );
        let (result, out) = run_on(&host(), &["deletions", "plan", ADDRESS, "--output", "json"]).await;
        result.unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&out).unwrap(),
            json!({"address": ADDRESS, "erasers": [
                {"eraser": "archive", "plan": "unknown"},
                {"eraser": "documents", "plan": "count", "count": 12},
                {"eraser": "mail", "plan": "failed", "failure": "timedOut"},
            ]})
        );
    }

    #[tokio::test]
    async fn that_no_eraser_is_configured_is_said() {
        let out = run(&["deletions", "plan", ADDRESS]).await.unwrap();
        assert_eq!(out, "No eraser is configured: only what is stored here would be removed\n");
        let out = run(&["deletions", "plan", ADDRESS, "--output", "json"]).await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), json!({"address": ADDRESS, "erasers": []}));
    }

    #[tokio::test]
    async fn what_is_no_address_is_refused() {
        let failure = run(&["deletions", "plan", "nobody"]).await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::InvalidPropertyValue);
    }
}
