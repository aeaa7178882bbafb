//! `reprieve identityDeletion cancel`

use crate::data::ProcessJson;
use crate::{Failure, Host, Output};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let process = host.identity_deletion().await?.cancel().await?;
    output.result(&ProcessJson::from(&process), "Identity deletion cancelled\n")
}
