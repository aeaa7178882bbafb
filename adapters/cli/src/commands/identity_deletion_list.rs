//! `reprieve identityDeletion list`

use crate::data::{ProcessJson, table};
use crate::{Failure, Host, Output};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let processes = host.identity_deletion().await?.processes().await?;
    let json: Vec<ProcessJson<'_>> = processes.iter().map(ProcessJson::from).collect();
    output.result(&json, &table(&processes))
}
