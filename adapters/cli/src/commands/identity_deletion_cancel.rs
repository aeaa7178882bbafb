//! `reprieve identityDeletion cancel`

use crate::data::ProcessData;
use crate::{Failure, Host, Output};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let session = host.session().await?;
    let process = session.cancel.execute(&session.caller).await?;
    output.result(&ProcessData::from(&process), "Identity deletion cancelled\n")
}
