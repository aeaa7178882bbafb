//! `reprieve identityDeletion list`

use crate::data::{ProcessData, table};
use crate::{Failure, Host, Output};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let session = host.session().await?;
    let processes = session.list.execute(&session.caller).await?;
    let data: Vec<ProcessData> = processes.iter().map(ProcessData::from).collect();
    output.result(&data, &table(&data))
}
