//! `reprieve identity status`

use std::fmt::Write as _;

use reprieve_application::ports::DeletedOwnIdentity;
use reprieve_domain::Status;

use crate::data::{IdentityJson, end_of_grace_period, styled, suspension};
use crate::{Failure, Host, Output, printable};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let facade = host.identity_deletion().await?;
    let identity = facade.identity().await?;
    let mut text = format!("Identity Address: {}\n", identity.address);
    if let Some(process) = &identity.open_process {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Identity deletion status: {}", styled(process.status, 0));
        if process.status == Status::Active
            && let Some(line) = end_of_grace_period(process, facade.now())
        {
            let _ = writeln!(text, "{line}");
        }
        if let Some(line) = suspension(process, facade.now()) {
            let _ = writeln!(text, "{line}");
        }
    }
    let deleted = facade.deleted_before().await?;
    if let Some(DeletedOwnIdentity { process_id, receipt }) = &deleted {
        let mut notice = format!(
            "The identity that was kept here before is deleted (process {process_id}). This one is new.\n"
        );
        if let Some(receipt) = receipt {
            let _ = writeln!(notice, "Receipt of the deletion: {}", printable::value(receipt));
        }
        output.notice(&notice);
    }
    output.result(&IdentityJson::new(&identity, deleted.as_ref()), &text)?;
    if let Some(deleted) = &deleted {
        facade.deletion_was_shown(deleted).await;
    }
    Ok(())
}
