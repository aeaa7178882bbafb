//! `reprieve config show`

use crate::{Failure, Host, Output};

pub(super) fn show(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let configuration = host.configuration()?;
    output.result(&configuration.json, &configuration.toml)
}
