//! `reprieve database backup`

use std::path::Path;

use serde_json::json;

use crate::{Failure, Host, Output, printable};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>, file: &Path) -> Result<(), Failure> {
    let done = host.back_up_database().await?.execute(file).await?;
    let (processes, entries) =
        done.verified.as_ref().map(|verified| (verified.processes, verified.entries)).unzip();
    let verified = processes.zip(entries).map_or_else(
        || {
            "Audit trail not verified: the database has the tables of another version, or is empty\n"
                .to_owned()
        },
        |(processes, entries)| {
            format!("Audit trail verified: {entries} entries of {processes} deletion processes\n")
        },
    );
    output.result(
        &json!({
            "file": file.to_string_lossy(),
            "bytes": done.bytes,
            "verified": done.verified.is_some(),
            "processes": processes,
            "entries": entries,
        }),
        &format!("Backup written: {}, {} bytes\n{verified}", printable::value(&file.display()), done.bytes),
    )
}
