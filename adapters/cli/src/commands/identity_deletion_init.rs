//! `reprieve identityDeletion init`

use reprieve_application::ErrorCode;

use crate::data::ProcessData;
use crate::{Failure, Host, Output};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>, days: Option<&str>) -> Result<(), Failure> {
    let days = days.map(parse_days).transpose()?;
    let session = host.session().await?;
    let process = session.initiate.execute(&session.caller, days).await?;
    let data = ProcessData::from(&process);
    let end = data.end_of_grace_period(process.created_at()).unwrap_or_default();
    output.result(&data, &format!("Identity deletion initiated\n{end}\n"))
}

fn parse_days(text: &str) -> Result<f64, Failure> {
    text.parse().map_err(|_| {
        Failure::new(
            ErrorCode::InvalidPropertyValue,
            format!("the length of the grace period must be a number of days, not {text:?}"),
        )
    })
}
