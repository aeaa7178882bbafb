//! `reprieve identityDeletion show`

use crate::data::ProcessData;
use crate::{Failure, Host, Output};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>, id: Option<&str>) -> Result<(), Failure> {
    let session = host.session().await?;
    let process = match id {
        Some(id) => session.get.execute(&session.caller, id).await?,
        None => session.get_active.execute(&session.caller).await?,
    };
    let data = ProcessData::from(&process);
    output.result(&data, &data.lines(session.clock.now()))
}
