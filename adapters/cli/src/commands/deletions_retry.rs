//! `reprieve deletions retry`

use std::fmt::Write as _;

use reprieve_application::ports::RetriedTasks;
use reprieve_domain::{DeletionProcessId, EraserName};
use serde_json::json;

use crate::input::parse;
use crate::{Failure, Host, Output};

pub(super) async fn run(
    host: &dyn Host,
    output: &mut Output<'_>,
    process_id: &str,
    eraser: Option<&str>,
) -> Result<(), Failure> {
    let process_id: DeletionProcessId = parse(process_id)?;
    let eraser = eraser.map(parse::<EraserName>).transpose()?;
    let RetriedTasks { due, being_performed } =
        host.retry_erasures().await?.execute(&process_id, eraser.as_ref()).await?;
    let mut text = format!("Erasers asked again: {due}\n");
    if being_performed > 0 {
        let _ = writeln!(text, "Erasers being asked at this moment: {being_performed}");
    }
    output.result(&json!({"askedAgain": due, "beingAsked": being_performed}), &text)
}

#[cfg(test)]
mod tests {
    use crate::commands::test_host::{TestHost, run_on};
    use reprieve_application::ErrorCode;
    use reprieve_application::ports::{MockErasureTasks, RetriedTasks};

    const ID: &str = "IDP0123456789abcdefg";

    fn host(eraser: Option<&'static str>, due: u64, being_performed: u64) -> TestHost {
        let mut tasks = MockErasureTasks::new();
        tasks
            .expect_retry()
            .withf(move |id, name, _| id.as_str() == ID && name.map(AsRef::as_ref) == eraser)
            .returning(move |_, _, _| Ok(RetriedTasks { due, being_performed }));
        TestHost::default().with_tasks(tasks)
    }

    #[tokio::test]
    async fn all_erasers_or_one_are_asked_again() {
        let (result, out) = run_on(&host(None, 2, 0), &["deletions", "retry", ID]).await;
        assert_eq!((result, out.as_str()), (Ok(()), "Erasers asked again: 2\n"));
        let line = ["deletions", "retry", ID, "--eraser", "mail", "--output", "json"];
        let (result, out) = run_on(&host(Some("mail"), 1, 0), &line).await;
        assert_eq!((result, out.as_str()), (Ok(()), "{\n  \"askedAgain\": 1,\n  \"beingAsked\": 0\n}\n"));
    }

    #[tokio::test]
    async fn that_an_eraser_is_being_asked_is_no_failure() {
        let (result, out) = run_on(&host(None, 0, 1), &["deletions", "retry", ID]).await;
        let text = "Erasers asked again: 0\nErasers being asked at this moment: 1\n";
        assert_eq!((result, out.as_str()), (Ok(()), text));
    }

    #[tokio::test]
    async fn what_is_malformed_or_has_nothing_left_to_do_is_refused() {
        for (line, code) in [
            (&["deletions", "retry", "IDP"][..], ErrorCode::InvalidPropertyValue),
            (&["deletions", "retry", ID, "--eraser", "a b"], ErrorCode::InvalidPropertyValue),
            (&["deletions", "retry", ID], ErrorCode::RecordNotFound),
        ] {
            let (result, out) = run_on(&host(None, 0, 0), line).await;
            assert_eq!((result.unwrap_err().code, out.as_str()), (code, ""));
        }
    }
}
