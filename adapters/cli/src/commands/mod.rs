//! One file a command.

mod audit;
mod completions;
mod config;
mod database;
mod identity_deletion_cancel;
mod identity_deletion_init;
mod identity_deletion_list;
mod identity_deletion_show;
mod identity_status;
mod man;
mod start;

use crate::arguments::{
    AuditCommand, Command, ConfigCommand, DatabaseCommand, IdentityCommand, IdentityDeletionCommand,
};
use crate::{Failure, Host, Output};

/// Does what was typed and writes the result.
///
/// # Errors
/// What was refused or went wrong; nothing has been written about it yet.
pub async fn run(command: &Command, host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    match command {
        Command::Identity(IdentityCommand::Status) => identity_status::run(host, output).await,
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
        Command::Start => start::run(host, output).await,
        Command::Audit(AuditCommand::Verify) => audit::verify(host, output).await,
        Command::Database(DatabaseCommand::Migrate) => database::migrate(host, output).await,
        Command::Config(ConfigCommand::Show) => config::show(host, output),
        Command::Completions { shell } => completions::run(output, *shell),
        Command::Man { directory } => man::run(output, directory.as_deref()),
    }
}
