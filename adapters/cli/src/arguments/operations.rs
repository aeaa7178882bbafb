//! What can be typed about the work that nobody has to ask for: the workers, deletions under way, receipts, the ledger.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

/// Do the work that is due.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum WorkerCommand {
    /// Do one kind of work again and again, until told to stop (SIGTERM, Ctrl-C), or once
    ///
    /// Several workers of one kind can run at the same time. With --once, for cron: exit code 70 if something could not be
    /// done; the next pass tries it again. An eraser that fails is asked again later and is no reason for exit code 70
    /// until it is stuck.
    Run {
        /// The kind of work
        #[arg(value_name = "KIND", value_enum)]
        worker: WorkerKind,
        /// Do what is due now, say what was done, and end
        #[arg(long)]
        once: bool,
    },
}

/// A kind of work that nobody has to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum WorkerKind {
    /// Remind identities of the end of their grace period
    Reminders,
    /// Start the deletions whose grace period is over
    Deletions,
    /// Have the data of identities in deletion erased
    Erasures,
    /// Tell the configured sinks what happened
    Outbox,
    /// Forget what has been kept for long enough
    Housekeeping,
    /// Write into the journal what has happened, and compare it with the database
    Journal,
}

impl WorkerKind {
    /// As it is typed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reminders => "reminders",
            Self::Deletions => "deletions",
            Self::Erasures => "erasures",
            Self::Outbox => "outbox",
            Self::Housekeeping => "housekeeping",
            Self::Journal => "journal",
        }
    }
}

/// Deletions that are under way, for whoever runs the service.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum DeletionsCommand {
    /// Show what is still to be done, of every deletion or of one; what is stuck comes first
    ///
    /// An eraser is a program that erases one kind of data of an identity. "due": it is asked then; "waiting": for the
    /// erasers; "stuck": it is asked again only by `reprieve deletions retry`; "waived": it is not asked any more.
    /// At most 1000 lines, and as many of waived ones.
    Show {
        /// The id of a deletion process: IDP and 17 letters and digits
        #[arg(value_name = "PROCESS-ID")]
        process_id: Option<String>,
    },
    /// Ask the erasers of a deletion again now, stuck or not
    ///
    /// The next pass of the worker asks them. An eraser that is being asked at this moment is left alone. A stuck one starts
    /// anew; for one that waits after a failure, the time until it is stuck goes on.
    Retry {
        /// The id of a deletion process: IDP and 17 letters and digits
        #[arg(value_name = "PROCESS-ID")]
        process_id: String,
        /// Only the eraser with this name
        #[arg(long, value_name = "NAME")]
        eraser: Option<String>,
    },
    /// Do without the acknowledgement of an eraser that no longer exists or can never give one
    ///
    /// The deletion goes on as if the eraser had acknowledged, and is complete when no other is left. Whatever the eraser
    /// was to erase may still be there: erase it by other means first. The waiver is audited, and stands in the receipt with the code.
    Waive {
        /// The id of a deletion process: IDP and 17 letters and digits
        #[arg(value_name = "PROCESS-ID")]
        process_id: String,
        /// The name of the eraser
        #[arg(long, value_name = "NAME")]
        eraser: String,
        /// Why: 1 to 64 letters, digits and .-_, such as serviceRetired
        #[arg(long, value_name = "CODE")]
        code: String,
        /// One line for other operators; removed with the identity, and not in the audit trail or the receipt
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Stop all deletions at once, in every instance, until they are resumed
    ///
    /// No deletion starts, no eraser is asked and none is completed; what an eraser was asked before comes to its end.
    /// Requests, cancellations, reminders and events go on. The pause is audited, and holds after a restart.
    Pause {
        /// Why: one line, without anything personal; `deletions show` and /health/ready show it
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Have deletions go on
    Resume {
        /// Why: one line, without anything personal, for the audit trail
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Show what would be erased if this identity were deleted; nothing is erased
    Plan {
        /// The address of an identity: did:…
        address: String,
    },
}

/// What suspends the deletion of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum HoldCommand {
    /// Suspend the deletion of an identity until an instant, or change the hold with this code
    ///
    /// Until then its deletion does not start, and can be cancelled; one that has started asks no further eraser and is not
    /// completed. What the identity asks for later begins suspended. It sees until when, unless the hold is silent. The hold
    /// is audited, with the code.
    Place {
        /// The address of an identity: did:…
        address: String,
        /// Why: 1 to 64 letters, digits and .-_, such as legal or dispute
        #[arg(long, value_name = "CODE")]
        code: String,
        /// When it ends, at most a year from now, such as 2026-12-24T12:00:00Z; a hold can be renewed
        #[arg(long, value_name = "INSTANT")]
        until: String,
        /// One line for other operators; removed with the identity, and not in the audit trail
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// The identity does not see it
        #[arg(long)]
        silent: bool,
    },
    /// End a hold now; past the promised date of a deletion, 7 days are left to cancel it
    Release {
        /// The address of an identity: did:…
        address: String,
        /// The code of the hold
        #[arg(long, value_name = "CODE")]
        code: String,
        /// One line for other operators, in the place of the one that there was
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Show the holds that are in force, of all identities or of one; at most 1000
    List {
        /// The address of an identity: did:…
        address: Option<String>,
    },
}

/// The clocks by which deletions begin.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ClockCommand {
    /// Show what the clocks show, and whether anything keeps deletions from starting because of it
    ///
    /// "deciding": the database server's clock, or this machine's for SQLite; "noted": an instant that has certainly passed,
    /// with which the deciding clock is compared.
    Show,
    /// Say what time it is, after a clock was wrong or nothing ran for days
    ///
    /// Deletions start again if the deciding clock is no further ahead of this instant than clock.greatest_gap_in_hours. What
    /// was noted before is replaced, even if it is later. The confirmation is audited. Do not copy the instant from the clock
    /// that is doubted.
    Confirm {
        /// The present, by a clock that is right, such as 2026-11-29T12:00:00Z
        #[arg(value_name = "INSTANT")]
        instant: String,
    },
}

/// Signed proof that a deletion was completed.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ReceiptCommand {
    /// Print the receipt of a completed deletion, signed (JWS)
    ///
    /// It names nobody. Check it with `reprieve receipt verify`.
    Show {
        /// The id of a deletion process: IDP and 17 letters and digits
        #[arg(value_name = "PROCESS-ID")]
        process_id: String,
    },
    /// Check that a receipt is genuine, and show what it says; needs no database and no network
    Verify {
        /// The file with the receipt; - for standard input
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
        /// Check it against the public key in this file (JWK) instead of the own one
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
    },
    /// Print the public key that others check receipts with (JWK)
    PublicKey,
}

/// The older name of what is done with the journal.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum LedgerCommand {
    /// The same as `reprieve journal replay`
    Replay(ReplayArguments),
}

/// What the deployment remembers outside its database.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum JournalCommand {
    /// Show where the journal is, whether it can be used, and what the database lacks
    Status,
    /// After a backup was restored: do again what the database has lost
    ///
    /// The database is compared with the journal. Deletions that had started are started again, and
    /// `reprieve worker run erasures` finishes them; cancellations are made again; an identity that has asked for something
    /// since is left alone. Requests that the backup does not have are listed, and made again for identities in --addresses.
    /// Exit code 70 if something is left to be decided on.
    Replay(ReplayArguments),
    /// Take the journal that is configured for this database, or begin a new one, whatever the database knew before
    ///
    /// Only if the old journal is lost for good, or after this database was copied: what the old journal had and the database
    /// lacks is not noticed any more. The adoption is audited.
    Adopt,
}

/// How the journal is replayed.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ReplayArguments {
    /// The addresses of identities, one a line; - for standard input. Their requests that the database has lost are made
    /// again, with at least 7 days to cancel
    #[arg(long, value_name = "FILE")]
    pub addresses: Option<PathBuf>,
    /// The addresses are accounts of other services whose backup, taken at this instant, was restored, such as
    /// 2026-11-24T03:00:00Z: those that were deleted since are deleted again. An identity that was deleted before is not in
    /// the backup: if such an account is there, it came back by itself
    #[arg(long, value_name = "INSTANT", requires = "addresses")]
    pub backup_taken_at: Option<String>,
    /// Ask only these erasers when an identity is deleted again, separated by commas; otherwise all that are configured
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub erasers: Vec<String>,
    /// Only say what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What others are told of, and what they have yet to be told.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum EventsCommand {
    /// Print what the events look like that are sent: the JSON Schema of one type, or of all by their names
    Schema {
        /// A type of events, such as reprieve.identityDeleted
        #[arg(value_name = "TYPE")]
        event_type: Option<String>,
    },
    /// Show events that a sink did not take for so long that they wait for somebody to look after them, the oldest first
    ///
    /// They are not sent again by themselves, and hold up nothing. `reprieve events redeliver` sends them again.
    Parked {
        /// Only those of the sink with this name
        #[arg(long, value_name = "NAME")]
        sink: Option<String>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Have events sent now that are parked or wait to be sent again: one, or all
    ///
    /// The next pass of the worker sends them, and tries failing sinks before their time. A parked event starts anew; for
    /// one that waits, the time until it is parked goes on. Events of the same identity that have to go first go first. An
    /// event whose acknowledgement was lost comes a second time, with the same id.
    Redeliver {
        /// The id of an event, with or without `-status`
        #[arg(value_name = "EVENT-ID", required_unless_present = "all", conflicts_with = "all")]
        event_id: Option<String>,
        /// Every event that is parked or waits to be sent again
        #[arg(long)]
        all: bool,
        /// Only to the sink with this name
        #[arg(long, value_name = "NAME")]
        sink: Option<String>,
    },
    /// Show events as they happen, until told to stop (SIGTERM, Ctrl-C) or until nobody reads any more
    ///
    /// This takes nothing away from any sink. With --output json, each event is a line or two of its own, as it is sent
    /// to others (CloudEvents), instead of one document.
    Follow {
        /// Begin with the oldest event that is kept, not with the next one
        #[arg(long)]
        from_beginning: bool,
    },
}
