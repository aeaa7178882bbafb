//! `reprieve deletions show`

use std::fmt::Write as _;

use reprieve_application::OperatorNote;
use reprieve_application::ports::{Pause, Quarantined, TaskStatus, Waiver};
use reprieve_application::use_cases::ErasuresShown;
use reprieve_domain::{Address, DeletionProcessId, EraserName, TaskKind, Timestamp, WaiverCode};
use serde::Serialize;

use crate::input::parse;
use crate::{Failure, Host, Output, printable};

/// A task: members that are absent are left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskJson<'a> {
    process_id: &'a DeletionProcessId,
    address: &'a Address,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    eraser: Option<&'a EraserName>,
    state: &'static str,
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_tried_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck_since: Option<Timestamp>,
}

/// A waived erasure, in the same list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WaiverJson<'a> {
    process_id: &'a DeletionProcessId,
    address: &'a Address,
    kind: &'static str,
    eraser: &'a EraserName,
    state: &'static str,
    waived_at: Timestamp,
    code: &'a WaiverCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

/// A process that is quarantined, in the same list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct QuarantinedJson<'a> {
    process_id: &'a str,
    kind: &'static str,
    state: &'static str,
    reason: &'a str,
    entry: i64,
    found_at: Timestamp,
}

/// The pause in force, first in the same list. One that does not verify has neither instant nor reason.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PauseJson<'a> {
    kind: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> From<&'a Pause> for PauseJson<'a> {
    fn from(pause: &'a Pause) -> Self {
        match pause {
            Pause::Ordered { since, reason } => {
                Self { kind: "pause", state: "paused", since: Some(*since), reason: Some(reason.as_str()) }
            }
            Pause::Lost { since, reason } => {
                Self { kind: "pause", state: "lost", since: Some(*since), reason: Some(reason.as_str()) }
            }
            Pause::Unverified => Self { kind: "pause", state: "unverified", since: None, reason: None },
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ShownJson<'a> {
    Pause(PauseJson<'a>),
    Task(TaskJson<'a>),
    Waiver(WaiverJson<'a>),
    Quarantined(QuarantinedJson<'a>),
}

impl<'a> From<&'a Quarantined> for QuarantinedJson<'a> {
    fn from(Quarantined { process_id, sequence, reason, found_at }: &'a Quarantined) -> Self {
        let (entry, found_at) = (*sequence, *found_at);
        Self { process_id, kind: "process", state: "quarantined", reason, entry, found_at }
    }
}

impl<'a> From<&'a Waiver> for WaiverJson<'a> {
    fn from(waiver: &'a Waiver) -> Self {
        Self {
            process_id: &waiver.process_id,
            address: &waiver.address,
            kind: "erase",
            eraser: &waiver.eraser,
            state: "waived",
            waived_at: waiver.waived_at,
            code: &waiver.code,
            note: waiver.note.as_ref().map(OperatorNote::as_str),
        }
    }
}

impl<'a> From<&'a TaskStatus> for TaskJson<'a> {
    fn from(task: &'a TaskStatus) -> Self {
        let (kind, eraser) = match &task.kind {
            TaskKind::Erase(eraser) => ("erase", Some(eraser)),
            TaskKind::Finish => ("finish", None),
        };
        Self {
            process_id: &task.process_id,
            address: &task.address,
            kind,
            eraser,
            state: match (task.stuck_since, task.due_at) {
                (Some(_), _) => "stuck",
                (None, Some(_)) => "due",
                (None, None) => "waiting",
            },
            failures: task.failures,
            first_tried_at: task.unfinished_since,
            due_at: task.due_at,
            stuck_since: task.stuck_since,
        }
    }
}

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>, id: Option<&str>) -> Result<(), Failure> {
    let id = id.map(parse::<DeletionProcessId>).transpose()?;
    let ErasuresShown { pause, tasks, waivers, quarantined } =
        host.show_erasures().await?.execute(id.as_ref()).await?;
    let waived = waivers.iter().map(|waiver| ShownJson::Waiver(waiver.into()));
    let left_alone = quarantined.iter().map(|process| ShownJson::Quarantined(process.into()));
    let shown = tasks.iter().map(|task| ShownJson::Task(task.into()));
    let paused = pause.iter().map(|pause| ShownJson::Pause(pause.into()));
    let json: Vec<ShownJson<'_>> = paused.chain(shown).chain(waived).chain(left_alone).collect();
    output.result(
        &json,
        &(paused_line(pause.as_ref()) + &table(&tasks) + &lines(&waivers) + &faults(&quarantined)),
    )
}

fn paused_line(pause: Option<&Pause>) -> String {
    match pause {
        None => String::new(),
        Some(Pause::Ordered { since, reason }) => {
            format!("Deletions are paused since {since}: {}\n", printable::value(reason))
        }
        Some(Pause::Lost { since, reason }) => format!(
            "Deletions are paused since {since}: {} (the journal has it, and the database lacks it)\n",
            printable::value(reason)
        ),
        Some(Pause::Unverified) => {
            "Deletions count as paused: what is stored of pausing them was changed\n".to_owned()
        }
    }
}

fn faults(quarantined: &[Quarantined]) -> String {
    let mut text = String::new();
    for Quarantined { process_id, sequence, reason, found_at } in quarantined {
        let (process_id, reason) = (printable::value(process_id), printable::value(reason));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{process_id}  quarantined since {found_at}: {reason}, entry {sequence}");
    }
    text
}

fn lines(waivers: &[Waiver]) -> String {
    let mut text = String::new();
    for Waiver { process_id, eraser, waived_at, code, note, .. } in waivers {
        let note =
            note.as_ref().map_or_else(String::new, |note| format!(": {}", printable::value(note.as_str())));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{process_id}  {eraser} waived at {waived_at} ({code}){note}");
    }
    text
}

fn table(tasks: &[TaskStatus]) -> String {
    if tasks.is_empty() {
        return "No deletions are under way\n".to_owned();
    }
    let name = |task: &TaskStatus| match &task.kind {
        TaskKind::Erase(eraser) => eraser.to_string(),
        TaskKind::Finish => "finish".to_owned(),
    };
    let width = tasks.iter().map(|task| name(task).len()).fold("Eraser".len(), usize::max);
    let mut text = format!(
        "{:<20}  {:<width$}  {:<39}  {:>8}  {}\n",
        "Process", "Eraser", "State", "Failures", "First tried at"
    );
    for task in tasks {
        let state = match (task.stuck_since, task.due_at) {
            (Some(since), _) => format!("stuck since {since}"),
            (None, Some(at)) => format!("due {at}"),
            (None, None) => "waiting".to_owned(),
        };
        let tried = task.unfinished_since.map_or_else(|| "-".to_owned(), |at| at.to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<20}  {:<width$}  {state:<39}  {:>8}  {tried}",
            task.process_id,
            name(task),
            task.failures
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::test_host::{TestHost, run_on};
    use reprieve_application::ErrorCode;
    use reprieve_application::ports::{MockDeletionsSwitch, MockErasureTasks};
    use serde_json::{Value, json};

    const ID: &str = "IDP0123456789abcdefg";

    fn task(kind: TaskKind, failures: u32, tried: bool, stuck: bool, due: bool) -> TaskStatus {
        let at = |is_there: bool, text: &str| is_there.then(|| text.parse().unwrap());
        TaskStatus {
            process_id: ID.parse().unwrap(),
            address: "did:web:example.org".parse().unwrap(),
            kind,
            failures,
            unfinished_since: at(tried, "2026-12-01T00:00:00Z"),
            stuck_since: at(stuck, "2026-12-04T00:00:00Z"),
            due_at: at(due, "2026-12-07T00:00:00Z"),
        }
    }

    fn host(tasks: Vec<TaskStatus>) -> TestHost {
        host_with(tasks, vec![])
    }

    fn host_with(tasks: Vec<TaskStatus>, waivers: Vec<Waiver>) -> TestHost {
        host_with_all(tasks, waivers, vec![])
    }

    fn host_with_all(
        tasks: Vec<TaskStatus>,
        waivers: Vec<Waiver>,
        quarantined: Vec<Quarantined>,
    ) -> TestHost {
        let mut mock = MockErasureTasks::new();
        mock.expect_list().return_once(move |_, _| Ok(tasks));
        mock.expect_waivers().return_once(move |_, _| Ok(waivers));
        mock.expect_quarantined().return_once(move |_, _| Ok(quarantined));
        TestHost::default().with_tasks(mock)
    }

    fn tasks() -> Vec<TaskStatus> {
        let erase = |name: &str| TaskKind::Erase(name.parse().unwrap());
        vec![
            task(erase("mail"), 7, true, true, false),
            task(erase("documents"), 0, false, false, true),
            task(TaskKind::Finish, 0, false, false, false),
        ]
    }

    #[tokio::test]
    async fn tasks_are_shown_as_a_table() {
        let (result, out) = run_on(&host(tasks()), &["deletions", "show"]).await;
        result.unwrap();
        assert_eq!(
            out,
            "\
Process               Eraser     State                                    Failures  First tried at
IDP0123456789abcdefg  mail       stuck since 2026-12-04T00:00:00.000000Z         7  2026-12-01T00:00:00.000000Z
IDP0123456789abcdefg  documents  due 2026-12-07T00:00:00.000000Z                 0  -
IDP0123456789abcdefg  finish     waiting                                         0  -
"
        );
    }

    #[tokio::test]
    async fn a_program_is_told_the_same_and_the_address() {
        let (result, out) = run_on(&host(tasks()), &["deletions", "show", ID, "--output", "json"]).await;
        result.unwrap();
        let address = "did:web:example.org";
        assert_eq!(
            serde_json::from_str::<Value>(&out).unwrap(),
            json!([
                {
                    "processId": ID, "address": address, "kind": "erase", "eraser": "mail", "state": "stuck",
                    "failures": 7, "firstTriedAt": "2026-12-01T00:00:00.000000Z",
                    "stuckSince": "2026-12-04T00:00:00.000000Z",
                },
                {
                    "processId": ID, "address": address, "kind": "erase", "eraser": "documents", "state": "due",
                    "failures": 0, "dueAt": "2026-12-07T00:00:00.000000Z",
                },
                {"processId": ID, "address": address, "kind": "finish", "state": "waiting", "failures": 0},
            ])
        );
    }

    #[tokio::test]
    async fn what_was_waived_is_shown_with_its_code_and_its_note() {
        let waiver = |eraser: &str, note: Option<&str>| Waiver {
            process_id: ID.parse().unwrap(),
            address: "did:web:example.org".parse().unwrap(),
            eraser: eraser.parse().unwrap(),
            waived_at: "2026-12-05T00:00:00Z".parse().unwrap(),
            code: "retired".parse().unwrap(),
            note: note.map(|note| note.parse().unwrap()),
        };
        let shown = || {
            let tasks = vec![task(TaskKind::Finish, 0, false, false, false)];
            host_with(tasks, vec![waiver("archive", Some("scrapped in May")), waiver("mail", None)])
        };
        let (result, out) = run_on(&shown(), &["deletions", "show"]).await;
        result.unwrap();
        assert!(
            out.ends_with(
                "waiting                                         0  -\n\
                 IDP0123456789abcdefg  archive waived at 2026-12-05T00:00:00.000000Z (retired): scrapped in May\n\
                 IDP0123456789abcdefg  mail waived at 2026-12-05T00:00:00.000000Z (retired)\n"
            ),
            "{out}"
        );
        let (result, out) = run_on(&shown(), &["deletions", "show", "--output", "json"]).await;
        result.unwrap();
        let json: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            json[1],
            json!({
                "processId": ID, "address": "did:web:example.org", "kind": "erase", "eraser": "archive",
                "state": "waived", "waivedAt": "2026-12-05T00:00:00.000000Z", "code": "retired",
                "note": "scrapped in May",
            })
        );
        assert_eq!(json[2]["note"], Value::Null);
    }

    #[tokio::test]
    async fn what_does_not_verify_is_shown_with_the_fault_although_it_has_no_tasks() {
        let shown = || {
            let found_at = "2026-12-05T00:00:00Z".parse().unwrap();
            let process_id = ID.to_owned();
            let reason = "processDiffers".to_owned();
            host_with_all(vec![], vec![], vec![Quarantined { process_id, sequence: 1, reason, found_at }])
        };
        let (result, out) = run_on(&shown(), &["deletions", "show", ID]).await;
        result.unwrap();
        let line =
            "IDP0123456789abcdefg  quarantined since 2026-12-05T00:00:00.000000Z: processDiffers, entry 1\n";
        assert!(out.ends_with(line), "{out}");
        let (result, out) = run_on(&shown(), &["deletions", "show", "--output", "json"]).await;
        result.unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&out).unwrap(),
            json!([{
                "processId": ID, "kind": "process", "state": "quarantined", "reason": "processDiffers", "entry": 1,
                "foundAt": "2026-12-05T00:00:00.000000Z",
            }])
        );
    }

    #[tokio::test]
    async fn that_nothing_is_under_way_is_said() {
        let (result, out) = run_on(&host(vec![]), &["deletions", "show"]).await;
        assert_eq!((result, out.as_str()), (Ok(()), "No deletions are under way\n"));
        let (result, out) = run_on(&host(vec![]), &["deletions", "show", "--output", "json"]).await;
        assert_eq!((result, out.as_str()), (Ok(()), "[]\n"));
    }

    #[tokio::test]
    async fn a_pause_comes_first() {
        let since = "2026-12-05T00:00:00Z".parse().unwrap();
        let ordered = Pause::Ordered { since, reason: "moved".parse().unwrap() };
        for (pause, line, json) in [
            (
                ordered,
                "Deletions are paused since 2026-12-05T00:00:00.000000Z: moved\n",
                json!({"kind": "pause", "state": "paused", "since": since, "reason": "moved"}),
            ),
            (
                Pause::Unverified,
                "Deletions count as paused: what is stored of pausing them was changed\n",
                json!({"kind": "pause", "state": "unverified"}),
            ),
        ] {
            let shown = || {
                let (mut switch, pause) = (MockDeletionsSwitch::new(), pause.clone());
                switch.expect_pause_in_force().return_once(move || Ok(Some(pause)));
                host(tasks()).with_switch(switch)
            };
            let (result, out) = run_on(&shown(), &["deletions", "show"]).await;
            result.unwrap();
            assert!(out.starts_with(&format!("{line}Process ")), "{out}");
            let (_, out) = run_on(&shown(), &["deletions", "show", "--output", "json"]).await;
            let list: Value = serde_json::from_str(&out).unwrap();
            assert_eq!((&list[0], list.as_array().unwrap().len()), (&json, 4));
        }
    }

    #[tokio::test]
    async fn an_id_that_is_none_or_has_no_tasks_is_refused() {
        for (id, code) in [("IDP", ErrorCode::InvalidPropertyValue), (ID, ErrorCode::RecordNotFound)] {
            let (result, out) = run_on(&host(vec![]), &["deletions", "show", id]).await;
            assert_eq!((result.unwrap_err().code, out.as_str()), (code, ""));
        }
    }
}
