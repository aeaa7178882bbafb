//! `reprieve identity status`

use std::fmt::Write as _;

use reprieve_domain::Status;

use crate::data::{IdentityData, styled};
use crate::{Failure, Host, Output};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let session = host.session().await?;
    let identity = session.get_identity.execute(&session.caller).await?;
    let data = IdentityData::new(&identity, session.caller.device);
    let mut text = format!("Identity Address: {}\n", data.address);
    if let Some(process) = &data.identity_deletion_process {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Identity deletion status: {}", styled(process.status, 0));
        if process.status == Status::Active
            && let Some(line) = process.end_of_grace_period(session.clock.now())
        {
            let _ = writeln!(text, "{line}");
        }
    }
    output.result(&data, &text)
}
