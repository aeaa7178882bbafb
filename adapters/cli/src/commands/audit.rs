//! `reprieve audit verify`

use serde_json::json;

use crate::{Failure, Host, Output};

pub(super) async fn verify(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let verified = host.audit_trail().await?.execute().await?;
    let (processes, entries) = (verified.processes, verified.entries);
    output.result(
        &json!({"verified": true, "processes": processes, "entries": entries}),
        &format!("Audit trail verified: {entries} entries of {processes} deletion processes\n"),
    )
}
