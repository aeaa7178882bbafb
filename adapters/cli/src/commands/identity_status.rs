//! `reprieve identity status`

use std::fmt::Write as _;

use reprieve_domain::Status;

use crate::data::{IdentityJson, end_of_grace_period, styled};
use crate::{Failure, Host, Output};

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
    }
    output.result(&IdentityJson::from(&identity), &text)
}
