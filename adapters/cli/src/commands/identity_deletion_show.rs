//! `reprieve identityDeletion show`

use crate::data::{ProcessJson, lines};
use crate::{Failure, Host, Output};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>, id: Option<&str>) -> Result<(), Failure> {
    let facade = host.identity_deletion().await?;
    let process = match id {
        Some(id) => facade.process(id).await?,
        None => facade.active().await?,
    };
    output.result(&ProcessJson::from(&process), &lines(&process, facade.now()))
}
