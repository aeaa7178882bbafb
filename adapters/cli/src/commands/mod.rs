//! One file a command.

mod api_key;
mod audit;
mod check;
mod clock;
mod completions;
mod config;
mod database_backup;
mod database_migrate;
mod deletions_pause;
mod deletions_plan;
mod deletions_retry;
mod deletions_show;
mod deletions_waive;
mod events_follow;
mod events_parked;
mod events_redeliver;
mod events_schema;
mod hold;
mod identity_deletion_cancel;
mod identity_deletion_init;
mod identity_deletion_list;
mod identity_deletion_show;
mod identity_status;
mod identity_token;
mod journal;
mod journal_replay;
mod man;
mod receipt_public_key;
mod receipt_show;
mod receipt_verify;
mod start;
#[cfg(test)]
mod test_host;
mod worker_run;

use crate::arguments::{
    ApiKeyCommand, AuditCommand, ClockCommand, Command, ConfigCommand, DatabaseCommand, DeletionsCommand,
    EventsCommand, IdentityCommand, IdentityDeletionCommand, JournalCommand, LedgerCommand, ReceiptCommand,
    WorkerCommand,
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
        Command::Check { ready } => check::run(host, output, *ready).await,
        Command::Worker(WorkerCommand::Run { worker, once }) => {
            worker_run::run(host, output, *worker, *once).await
        }
        Command::Hold(command) => hold::run(host, output, command).await,
        Command::Clock(ClockCommand::Show) => clock::show(host, output).await,
        Command::Clock(ClockCommand::Confirm { instant }) => clock::confirm(host, output, instant).await,
        Command::Deletions(command) => match command {
            DeletionsCommand::Show { process_id } => {
                deletions_show::run(host, output, process_id.as_deref()).await
            }
            DeletionsCommand::Retry { process_id, eraser } => {
                deletions_retry::run(host, output, process_id, eraser.as_deref()).await
            }
            DeletionsCommand::Waive { process_id, eraser, code, note } => {
                deletions_waive::run(host, output, process_id, eraser, code, note.as_deref()).await
            }
            DeletionsCommand::Pause { reason } => deletions_pause::pause(host, output, reason).await,
            DeletionsCommand::Resume { reason } => {
                deletions_pause::resume(host, output, reason.as_deref()).await
            }
            DeletionsCommand::Plan { address } => deletions_plan::run(host, output, address).await,
        },
        Command::Events(command) => match command {
            EventsCommand::Schema { event_type } => events_schema::run(host, output, event_type.as_deref()),
            EventsCommand::Parked { sink, limit } => {
                events_parked::run(host, output, sink.as_deref(), *limit).await
            }
            EventsCommand::Redeliver { event_id, sink, .. } => {
                events_redeliver::run(host, output, event_id.as_deref(), sink.as_deref()).await
            }
            EventsCommand::Follow { from_beginning } => {
                events_follow::run(host, output, *from_beginning).await
            }
        },
        Command::Receipt(command) => match command {
            ReceiptCommand::Show { process_id } => receipt_show::run(host, output, process_id).await,
            ReceiptCommand::Verify { file, public_key } => {
                receipt_verify::run(host, output, file, public_key.as_deref())
            }
            ReceiptCommand::PublicKey => receipt_public_key::run(host, output),
        },
        Command::Journal(JournalCommand::Status) => journal::status(host, output).await,
        Command::Journal(JournalCommand::Adopt) => journal::adopt(host, output).await,
        Command::Journal(JournalCommand::Replay(arguments))
        | Command::Ledger(LedgerCommand::Replay(arguments)) => {
            journal_replay::run(host, output, arguments).await
        }
        Command::Audit(AuditCommand::Verify) => audit::verify(host, output).await,
        Command::Database(DatabaseCommand::Migrate) => database_migrate::run(host, output).await,
        Command::Database(DatabaseCommand::Backup { file }) => database_backup::run(host, output, file).await,
        Command::Config(ConfigCommand::Show) => config::show(host, output),
        Command::Completions { shell } => completions::run(output, *shell),
        Command::Man { directory } => man::run(output, directory.as_deref()),
    }
}
