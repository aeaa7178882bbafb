//! What can be typed. The comments on arguments are the help texts, so they are written for a terminal.

#![expect(clippy::doc_markdown, reason = "help texts are shown as they stand, backticks included")]

mod operations;

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, StringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde::Serialize;

pub use operations::WorkerKind;
pub(crate) use operations::{
    ClockCommand, DeletionsCommand, EventsCommand, HoldCommand, JournalCommand, LedgerCommand,
    ReceiptCommand, ReplayArguments, WorkerCommand,
};

/// Reversible identity deletion: ask for your identity to be deleted, and change your mind while the grace period runs.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "reprieve",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 refused, 2 wrong usage, 70 something unexpected.\n\
                  Without configuration, everything is kept in one file below ~/.local/share/reprieve."
)]
pub struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub options: GlobalOptions,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const CONFIG: &str = "REPRIEVE_CONFIG";
const DATABASE_URL: &str = "DATABASE_URL";

/// An environment variable that is empty sets nothing, as when a service manager or a container has it from an empty line; an empty
/// option is a slip of the hand.
fn is_slip(value: &OsStr, variable: &str) -> bool {
    value.is_empty() && !std::env::var_os(variable).is_some_and(|value| value.is_empty())
}

/// A path may be any bytes.
fn path(variable: &'static str) -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new()
        .try_map(move |path| if is_slip(&path, variable) { Err("is empty") } else { Ok(PathBuf::from(path)) })
}

fn url(variable: &'static str) -> impl TypedValueParser<Value = String> {
    StringValueParser::new()
        .try_map(move |url| if is_slip(OsStr::new(&url), variable) { Err("is empty") } else { Ok(url) })
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct GlobalOptions {
    /// Read this configuration file (TOML) instead of ~/.config/reprieve/reprieve.toml
    #[arg(long, global = true, value_name = "FILE", env = CONFIG, value_parser = path(CONFIG))]
    pub config: Option<PathBuf>,

    /// Keep everything in this database: sqlite:PATH or postgres://USER@HOST/DATABASE
    #[arg(long, global = true, value_name = "URL", env = DATABASE_URL, hide_env_values = true)]
    #[arg(value_parser = url(DATABASE_URL))]
    pub database_url: Option<String>,

    /// Ask this service instead of the database, which then only holds your identity: https://HOST, or empty for none
    #[arg(long, global = true, value_name = "URL", env = "REPRIEVE_SERVER", hide_env_values = true)]
    pub server: Option<String>,

    /// Text for people, or one JSON document for programs
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value = "text")]
    pub output: OutputFormat,

    /// Say on standard error what is being done; twice for more
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Text for people
    Text,
    /// One JSON document
    Json,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Your identity
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// Ask for your identity to be deleted, cancel that, and look back
    #[command(subcommand, name = "identityDeletion")]
    IdentityDeletion(IdentityDeletionCommand),
    /// Keys for programs that call a service without being an identity
    #[command(subcommand, name = "api-key")]
    ApiKey(ApiKeyCommand),
    /// Run as a service that other programs call over HTTP, until it is told to stop (SIGTERM, Ctrl-C)
    Start,
    /// Say what is wrong with this deployment, why, and what to do about it; nothing is changed or created
    ///
    /// Checked are the configuration, the database, keys, clocks, the journal, deletions, erasers, sinks, the issuer of tokens and
    /// the permissions of files. "error": cancellations cannot be served; "warning": deletions stand still, or something is not
    /// safe. No eraser is asked anything and no event is sent. Exit code 1 if not everything is "ok".
    Check {
        /// Only find out whether a cancellation could be stored, for health checks of containers: exit code 0 or 1
        #[arg(long)]
        ready: bool,
    },
    /// Do the work that is due: reminders, deletions, erasures, events, housekeeping
    #[command(subcommand)]
    Worker(WorkerCommand),
    /// The clocks by which deletions begin
    #[command(subcommand)]
    Clock(ClockCommand),
    /// Deletions that are under way, for whoever runs the service
    #[command(subcommand)]
    Deletions(DeletionsCommand),
    /// Holds: what suspends the deletion of an identity
    #[command(subcommand)]
    Hold(HoldCommand),
    /// What others are told of, and what they have yet to be told
    #[command(subcommand)]
    Events(EventsCommand),
    /// Signed proof that a deletion was completed
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// What is remembered outside the database, so that a restored backup deletes no identity that has cancelled
    #[command(subcommand)]
    Journal(JournalCommand),
    /// The older name of `reprieve journal replay`
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// The record of everything that was done
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The database
    #[command(subcommand)]
    Database(DatabaseCommand),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write one for every command into a folder
    Man {
        /// Write the pages into this folder instead
        #[arg(long, value_name = "FOLDER")]
        directory: Option<PathBuf>,
    },
}

impl Command {
    /// Whether it runs until it is told to stop.
    #[must_use]
    pub fn is_service(&self) -> bool {
        matches!(self, Self::Start | Self::Worker(WorkerCommand::Run { once: false, .. }))
    }

    /// Whether it writes results for as long as it runs, so that it may be told to stop while nobody reads them.
    #[must_use]
    pub fn is_following(&self) -> bool {
        matches!(self, Self::Events(EventsCommand::Follow { .. }))
    }
}

/// Your identity.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum IdentityCommand {
    /// Show the address of your identity, and whether it is going to be deleted
    ///
    /// Your identity is created the first time a command needs it.
    Status,
    /// Print a token that proves to a service who you are, for five minutes
    ///
    /// Whoever has it can act as you at that service until it expires. Send it as `Authorization: Bearer TOKEN`.
    Token {
        /// The service it is for, as the service calls itself
        #[arg(long, value_name = "URL")]
        audience: String,
    },
}

/// Ask for your identity to be deleted, cancel that, and look back.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum IdentityDeletionCommand {
    /// Ask for your identity to be deleted when the grace period ends
    Init {
        /// How long you can change your mind, in days; fractions are allowed
        #[arg(long, value_name = "DAYS", allow_negative_numbers = true)]
        grace_period_in_days: Option<String>,
    },
    /// Cancel the deletion; possible until the grace period ends
    Cancel,
    /// Show the active deletion process, or the one with this id
    Show {
        /// The id of a deletion process: IDP and 17 letters and digits
        id: Option<String>,
    },
    /// Show every deletion process of your identity, the oldest first
    List,
}

/// Keys for programs that call a service without being an identity.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ApiKeyCommand {
    /// Print a new API key, once, and what to put into the configuration of the service
    ///
    /// The key is kept nowhere. The service knows it by its SHA-256 digest, and is sent it as `X-API-KEY: KEY`.
    Generate {
        /// What the key is called in the configuration and in logs
        #[arg(long, default_value = "default")]
        name: String,
        /// What the key opens; can be given several times
        #[arg(long = "scope", value_name = "SCOPE", value_enum, default_values_t = [ApiKeyScope::Core])]
        scopes: Vec<ApiKeyScope>,
        /// After how many days it ends to open anything; never, if not given
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires_in_days: Option<u32>,
    },
}

/// What an API key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ApiKeyScope {
    /// The identity of the service itself, as with a Connector
    Core,
    /// Reading all identities, as with the administration of a Backbone
    Admin,
}

/// The record of everything that was done.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AuditCommand {
    /// Check that no entry of the audit trail was changed, removed or inserted
    Verify,
}

/// The database.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum DatabaseCommand {
    /// Create the tables, or bring them to this version
    ///
    /// A SQLite database is migrated by itself; PostgreSQL only by this command.
    Migrate,

    /// Copy a SQLite database into a new file, while the service runs
    ///
    /// The copy is complete, on the disk and verified when the command ends. Keep the audit key, the key for receipts and
    /// the erasure ledger with it. PostgreSQL has pg_dump.
    Backup {
        /// The file to write, which must not be there yet
        file: PathBuf,
    },
}

/// The configuration.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Show the configuration in force, with secrets hidden
    ///
    /// It comes from defaults, a TOML file, environment variables such as REPRIEVE__GRACE_PERIOD__DEFAULT_IN_DAYS, and
    /// options; what comes later wins.
    Show,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use proptest::prelude::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in [
            ["reprieve", "--output", "json", "identityDeletion", "cancel"],
            ["reprieve", "identityDeletion", "cancel", "--output", "json"],
        ] {
            let arguments = Arguments::try_parse_from(line).unwrap();
            assert_eq!(arguments.options.output, OutputFormat::Json);
            assert_eq!(arguments.command, Command::IdentityDeletion(IdentityDeletionCommand::Cancel));
        }
    }

    #[test]
    fn every_form_of_a_command_is_understood() {
        let run = |worker, once| Command::Worker(WorkerCommand::Run { worker, once });
        let verify = |file: &str, public_key: Option<&str>| {
            Command::Receipt(ReceiptCommand::Verify {
                file: file.into(),
                public_key: public_key.map(PathBuf::from),
            })
        };
        let show = |process_id| Command::Deletions(DeletionsCommand::Show { process_id });
        let retry = |eraser| Command::Deletions(DeletionsCommand::Retry { process_id: "IDP".into(), eraser });
        let own = |text: Option<&str>| text.map(ToOwned::to_owned);
        let parked = |sink, limit| Command::Events(EventsCommand::Parked { sink: own(sink), limit });
        let waive = |note| {
            let (process_id, eraser, code) = ("IDP".into(), "a".into(), "b".into());
            Command::Deletions(DeletionsCommand::Waive { process_id, eraser, code, note })
        };
        let redeliver = |event_id, all, sink| {
            Command::Events(EventsCommand::Redeliver { event_id: own(event_id), all, sink: own(sink) })
        };
        let replay = |addresses: Option<&str>, dry_run| {
            let backup_taken_at = addresses.map(|_| "then".to_owned());
            let addresses = addresses.map(PathBuf::from);
            let replay = ReplayArguments { addresses, backup_taken_at, erasers: Vec::new(), dry_run };
            Command::Ledger(LedgerCommand::Replay(replay))
        };
        for (line, command) in [
            ("worker run reminders", Some(run(WorkerKind::Reminders, false))),
            ("worker run deletions --once", Some(run(WorkerKind::Deletions, true))),
            ("worker run --once erasures", Some(run(WorkerKind::Erasures, true))),
            ("worker run housekeeping", Some(run(WorkerKind::Housekeeping, false))),
            ("worker run", None),
            ("worker run everything", None),
            ("worker run reminders deletions", None),
            ("deletions show", Some(show(None))),
            ("deletions show IDP", Some(show(Some("IDP".into())))),
            ("deletions retry IDP", Some(retry(None))),
            ("deletions retry IDP --eraser mail", Some(retry(Some("mail".into())))),
            ("deletions retry", None),
            ("deletions waive IDP --eraser a --code b", Some(waive(None))),
            ("deletions waive IDP --eraser a --code b --note c", Some(waive(Some("c".into())))),
            ("deletions waive IDP --eraser a", None),
            ("deletions waive IDP --code b", None),
            ("deletions waive --eraser a --code b", None),
            (
                "deletions plan did:web:example.org",
                Some(Command::Deletions(DeletionsCommand::Plan { address: "did:web:example.org".into() })),
            ),
            ("deletions plan", None),
            ("receipt show IDP", Some(Command::Receipt(ReceiptCommand::Show { process_id: "IDP".into() }))),
            ("receipt show", None),
            ("receipt verify", Some(verify("-", None))),
            ("receipt verify -", Some(verify("-", None))),
            ("receipt verify a --public-key b", Some(verify("a", Some("b")))),
            ("receipt public-key", Some(Command::Receipt(ReceiptCommand::PublicKey))),
            ("check", Some(Command::Check { ready: false })),
            ("check --ready", Some(Command::Check { ready: true })),
            ("check database", None),
            ("events schema", Some(Command::Events(EventsCommand::Schema { event_type: None }))),
            (
                "events schema a",
                Some(Command::Events(EventsCommand::Schema { event_type: Some("a".into()) })),
            ),
            ("events parked", Some(parked(None, 100))),
            ("events parked --sink a --limit 10000", Some(parked(Some("a"), 10_000))),
            ("events parked --limit 0", None),
            ("events parked --limit 10001", None),
            ("events redeliver EVT", Some(redeliver(Some("EVT"), false, None))),
            ("events redeliver --all --sink a", Some(redeliver(None, true, Some("a")))),
            ("events redeliver", None),
            ("events redeliver --sink a", None),
            ("events redeliver EVT --all", None),
            ("events follow", Some(Command::Events(EventsCommand::Follow { from_beginning: false }))),
            (
                "events follow --from-beginning",
                Some(Command::Events(EventsCommand::Follow { from_beginning: true })),
            ),
            ("ledger replay", Some(replay(None, false))),
            ("ledger replay --addresses - --backup-taken-at then --dry-run", Some(replay(Some("-"), true))),
            ("ledger replay --backup-taken-at then", None),
            ("ledger replay --addresses", None),
        ] {
            let words = std::iter::once("reprieve").chain(line.split(' '));
            let understood = Arguments::try_parse_from(words).ok().map(|arguments| arguments.command);
            assert_eq!(understood, command, "{line}");
        }
    }

    #[test]
    fn a_kind_of_work_is_called_what_is_typed() {
        for kind in WorkerKind::value_variants() {
            assert_eq!(kind.to_possible_value().unwrap().get_name(), kind.as_str());
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    proptest! {
        #[test]
        fn no_arguments_make_parsing_panic(words in prop::collection::vec(
            prop_oneof![
                Just("identityDeletion".to_owned()), Just("init".to_owned()), Just("--output".to_owned()),
                Just("--grace-period-in-days".to_owned()), Just("show".to_owned()), Just("worker".to_owned()),
                Just("run".to_owned()), Just("deletions".to_owned()), Just("receipt".to_owned()), Just("verify".to_owned()),
                Just("ledger".to_owned()), Just("replay".to_owned()), Just("events".to_owned()), Just("redeliver".to_owned()),
                Just("--limit".to_owned()), ".{0,12}",
            ],
            0..7,
        )) {
            let _ = Arguments::try_parse_from(std::iter::once("reprieve".to_owned()).chain(words));
        }
    }
}
