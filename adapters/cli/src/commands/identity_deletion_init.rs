//! `reprieve identityDeletion init`

use reprieve_application::ErrorCode;

use crate::data::{ProcessJson, end_of_grace_period};
use crate::{Failure, Host, Output};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>, days: Option<&str>) -> Result<(), Failure> {
    let days = days.map(parse_days).transpose()?;
    let process = host.identity_deletion().await?.initiate(days).await?;
    let end = end_of_grace_period(&process, process.created_at).unwrap_or_default();
    output.result(&ProcessJson::from(&process), &format!("Identity deletion initiated\n{end}\n"))
}

fn parse_days(text: &str) -> Result<f64, Failure> {
    text.parse().map_err(|_| {
        Failure::new(
            ErrorCode::InvalidPropertyValue,
            format!("the length of the grace period must be a number of days, not {text:?}"),
        )
    })
}
