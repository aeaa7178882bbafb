//! `reprieve audit verify`

use serde_json::json;

use crate::{Failure, Host, Output, printable};

pub(super) async fn verify(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let verified = host.audit_trail().await?.execute().await?;
    let (processes, entries) = (verified.processes, verified.entries);
    let (journal, compared) = match verified.journal {
        None => (None, String::new()),
        Some(Ok(compared)) => (
            Some(json!({"compared": true, "processes": compared})),
            format!("Compared with the journal: {compared} deletion processes\n"),
        ),
        Some(Err(Failure { code, message })) => (
            Some(json!({"compared": false, "code": code.to_string(), "message": &message})),
            format!("Not compared with the journal ({code}): {}\n", printable::value(&message)),
        ),
    };
    output.result(
        &json!({"verified": true, "processes": processes, "entries": entries, "journal": journal}),
        &format!("Audit trail verified: {entries} entries of {processes} deletion processes\n{compared}"),
    )
}
