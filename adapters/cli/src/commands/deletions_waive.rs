//! `reprieve deletions waive`

use reprieve_application::OperatorNote;
use reprieve_application::ports::Waiver;
use reprieve_domain::{DeletionProcessId, EraserName, WaiverCode};
use serde_json::json;

use crate::input::parse;
use crate::{Failure, Host, Output};

pub(super) async fn run(
    host: &dyn Host,
    output: &mut Output<'_>,
    process_id: &str,
    eraser: &str,
    code: &str,
    note: Option<&str>,
) -> Result<(), Failure> {
    let process_id: DeletionProcessId = parse(process_id)?;
    let eraser: EraserName = parse(eraser)?;
    let code: WaiverCode = parse(code)?;
    let note = note.map(parse::<OperatorNote>).transpose()?;
    let Waiver { waived_at, .. } =
        host.waive_erasure().await?.execute(&process_id, &eraser, &code, note.as_ref()).await?;
    output.result(
        &json!({"processId": process_id, "eraser": eraser, "waivedAt": waived_at, "code": code}),
        &format!("Erasure waived: {eraser} ({code})\n"),
    )
}

#[cfg(test)]
mod tests {
    use crate::commands::test_host::{TestHost, run_on};
    use reprieve_application::ErrorCode;
    use reprieve_application::ports::{MockErasureTasks, TaskStatus};
    use reprieve_domain::TaskKind;
    use serde_json::{Value, json};

    const ID: &str = "IDP0123456789abcdefg";

    /// A host on which a deletion waits for the eraser `mail`.
    fn host(note: Option<&'static str>) -> TestHost {
        let mut tasks = MockErasureTasks::new();
        tasks.expect_list().returning(|process, _| {
            Ok(vec![TaskStatus {
                process_id: process.unwrap().clone(),
                address: "did:web:example.org".parse().unwrap(),
                kind: TaskKind::Finish,
                failures: 0,
                unfinished_since: None,
                stuck_since: None,
                due_at: None,
            }])
        });
        TestHost::default().with_tasks(tasks).with_waiver_note(note)
    }

    #[tokio::test]
    async fn an_erasure_is_waived_with_a_code_and_perhaps_a_note() {
        let line = ["deletions", "waive", ID, "--eraser", "mail", "--code", "retired"];
        let (result, out) = run_on(&host(None), &line).await;
        assert_eq!((result, out.as_str()), (Ok(()), "Erasure waived: mail (retired)\n"));
        let line = [&line[..], &["--note", "scrapped in May", "--output", "json"]].concat();
        let (result, out) = run_on(&host(Some("scrapped in May")), &line).await;
        result.unwrap();
        let shown: Value = serde_json::from_str(&out).unwrap();
        let at = &shown["waivedAt"];
        assert_eq!(shown, json!({"processId": ID, "eraser": "mail", "waivedAt": at, "code": "retired"}));
    }

    #[tokio::test]
    async fn what_is_malformed_or_waits_for_nothing_is_refused() {
        for (id, eraser, code, note, expected) in [
            ("IDP", "mail", "retired", "a", ErrorCode::InvalidPropertyValue),
            (ID, "a b", "retired", "a", ErrorCode::InvalidPropertyValue),
            (ID, "mail", "two words", "a", ErrorCode::InvalidPropertyValue),
            (ID, "mail", "retired", "", ErrorCode::InvalidPropertyValue),
            (ID, "other", "retired", "a", ErrorCode::RecordNotFound),
            ("IDPzzzzzzzzzzzzzzzzz", "mail", "retired", "a", ErrorCode::RecordNotFound),
        ] {
            let line = ["deletions", "waive", id, "--eraser", eraser, "--code", code, "--note", note];
            let (result, out) = run_on(&host(None), &line).await;
            assert_eq!((result.unwrap_err().code, out.as_str()), (expected, ""), "{line:?}");
        }
    }
}
