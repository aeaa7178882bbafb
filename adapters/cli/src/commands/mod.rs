//! One file a command.

mod api_key;
mod audit;
mod completions;
mod config;
mod database;
mod identity_deletion_cancel;
mod identity_deletion_init;
mod identity_deletion_list;
mod identity_deletion_show;
mod identity_status;
mod identity_token;
mod man;
mod start;
#[cfg(test)]
mod test_host;

use crate::arguments::{
    ApiKeyCommand, AuditCommand, Command, ConfigCommand, DatabaseCommand, IdentityCommand,
    IdentityDeletionCommand,
};
use crate::{Failure, Host, Output};

/// Does what was typed and writes the result.
///
/// # Errors
/// What was refused or went wrong; nothing has been written about it yet.
pub async fn run(command: &Command, host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    match command {
        Command::Identity(IdentityCommand::Status) => identity_status::run(host, output).await,
        Command::Identity(IdentityCommand::Token { audience }) => {
            identity_token::run(host, output, audience).await
        }
        Command::IdentityDeletion(command) => match command {
            IdentityDeletionCommand::Init { grace_period_in_days } => {
                identity_deletion_init::run(host, output, grace_period_in_days.as_deref()).await
            }
            IdentityDeletionCommand::Cancel => identity_deletion_cancel::run(host, output).await,
            IdentityDeletionCommand::Show { id } => {
                identity_deletion_show::run(host, output, id.as_deref()).await
            }
            IdentityDeletionCommand::List => identity_deletion_list::run(host, output).await,
        },
        Command::ApiKey(ApiKeyCommand::Generate { name, scopes, expires_in_days }) => {
            api_key::generate(host, output, name, scopes, *expires_in_days)
        }
        Command::Start => start::run(host, output).await,
        Command::Audit(AuditCommand::Verify) => audit::verify(host, output).await,
        Command::Database(DatabaseCommand::Migrate) => database::migrate(host, output).await,
        Command::Config(ConfigCommand::Show) => config::show(host, output),
        Command::Completions { shell } => completions::run(output, *shell),
        Command::Man { directory } => man::run(output, directory.as_deref()),
    }
}
