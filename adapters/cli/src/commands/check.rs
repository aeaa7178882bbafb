//! `reprieve check`

use std::fmt::Write as _;

use reprieve_application::{ErrorCode, Finding, Severity};
use serde::Serialize;
use serde_json::json;

use crate::{Failure, Host, Output, printable};

/// A finding: members that are absent are left out.
#[derive(Debug, Serialize)]
struct FindingJson<'a> {
    area: &'static str,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
}

impl<'a> From<&'a Finding> for FindingJson<'a> {
    fn from(Finding { area, severity, code, message, remedy }: &'a Finding) -> Self {
        let (area, severity) = (area.as_str(), severity.as_str());
        Self { area, severity, code: code.map(ErrorCode::as_str), message, remedy: remedy.as_deref() }
    }
}

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>, is_ready: bool) -> Result<(), Failure> {
    let findings = host.check(is_ready).await?;
    if is_ready {
        return ready(output, &findings);
    }
    let worst = findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok);
    let checks: Vec<FindingJson<'_>> = findings.iter().map(FindingJson::from).collect();
    output.result(&json!({"status": worst.as_str(), "checks": checks}), &to_text(&findings))?;
    if worst == Severity::Ok {
        return Ok(());
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    Err(Failure::new(ErrorCode::CheckFailed, format!("errors: {errors}; warnings: {warnings}")))
}

/// Says nothing to people but why it is not ready: programs look at the exit code.
fn ready(output: &mut Output<'_>, findings: &[Finding]) -> Result<(), Failure> {
    let Some(wrong) = findings.iter().max_by_key(|finding| finding.severity) else { return Ok(()) };
    let is_ready = wrong.severity == Severity::Ok;
    output.result(&json!({"ready": is_ready}), "")?;
    if is_ready {
        return Ok(());
    }
    let code = wrong.code.map(|code| format!("{code}: ")).unwrap_or_default();
    Err(Failure::new(ErrorCode::CheckFailed, format!("{code}{}", wrong.message)))
}

/// One line a finding.
fn to_text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.area.as_str().len()).max().unwrap_or_default();
    let mut text = String::new();
    for Finding { area, severity, code, message, remedy } in findings {
        let (severity, area) = (severity.as_str(), area.as_str());
        let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
        let remedy =
            remedy.as_ref().map(|remedy| format!("; {}", printable::value(remedy))).unwrap_or_default();
        let message = printable::value(message);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{severity:<7}  {area:<width$}  {message}{code}{remedy}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::test_host::{TestHost, run_on};
    use reprieve_application::Area;
    use serde_json::Value;

    fn wrong() -> TestHost {
        let unreached = Failure::new(ErrorCode::DatabaseUnavailable, "the database is not available");
        TestHost::default().with_findings(vec![
            Finding::failed(Area::Database, unreached),
            Finding::ok(Area::Clocks, "they are believed"),
            Finding::wrong(Area::Files, None, "/key has the mode 0644", "run `chmod 600 /key`"),
        ])
    }

    fn fine() -> TestHost {
        TestHost::default().with_findings(vec![Finding::ok(Area::Database, "it is reached")])
    }

    #[tokio::test]
    async fn what_is_wrong_is_one_line_with_what_to_do_and_fails() {
        let (result, out) = run_on(&wrong(), &["check"]).await;
        let failure = result.unwrap_err();
        assert_eq!(
            (failure.code, failure.message.as_str()),
            (ErrorCode::CheckFailed, "errors: 1; warnings: 1")
        );
        let lines: Vec<&str> = out.lines().collect();
        assert!(
            lines[0].starts_with(
                "error    database  the database is not available (error.reprieve.database.unavailable); make sure"
            ),
            "{out}"
        );
        assert_eq!(lines[1], "ok       clocks    they are believed");
        assert_eq!(lines[2], "warning  files     /key has the mode 0644; run `chmod 600 /key`");
        let (result, out) = run_on(&fine(), &["check"]).await;
        assert_eq!((result, out.as_str()), (Ok(()), "ok       database  it is reached\n"));
    }

    #[tokio::test]
    async fn a_program_gets_one_document_with_the_same_members_always() {
        let (_, out) = run_on(&wrong(), &["check", "--output", "json"]).await;
        let shown: Value = serde_json::from_str(&out).unwrap();
        let remedy = &shown["checks"][0]["remedy"];
        assert!(remedy.is_string());
        assert_eq!(
            shown,
            json!({"status": "error", "checks": [
                {
                    "area": "database", "severity": "error", "code": "error.reprieve.database.unavailable",
                    "message": "the database is not available", "remedy": remedy,
                },
                {"area": "clocks", "severity": "ok", "message": "they are believed"},
                {
                    "area": "files", "severity": "warning", "message": "/key has the mode 0644",
                    "remedy": "run `chmod 600 /key`",
                },
            ]})
        );
    }

    #[tokio::test]
    async fn whether_it_is_ready_is_said_by_the_exit_code() {
        let (result, out) = run_on(&fine(), &["check", "--ready"]).await;
        assert_eq!((result, out.as_str()), (Ok(()), ""));
        let (result, out) = run_on(&wrong(), &["check", "--ready"]).await;
        let failure = result.unwrap_err();
        assert_eq!((failure.code, out.as_str()), (ErrorCode::CheckFailed, ""));
        assert_eq!(failure.message, "error.reprieve.database.unavailable: the database is not available");
        let (_, out) = run_on(&fine(), &["check", "--ready", "--output", "json"]).await;
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), json!({"ready": true}));
    }
}
