//! What can be typed about the work that nobody has to ask for: the workers, deletions under way, receipts, the ledger.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
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
    /// Show what would be erased if this identity were deleted; nothing is erased
    Plan {
        /// The address of an identity: did:…
        address: String,
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

/// The list of deleted identities that is kept outside the database.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum LedgerCommand {
    /// After a backup was restored: find deleted identities that came back, and delete them again
    ///
    /// Everything stored is compared with the list of deleted identities, the erasure ledger. What came back is in
    /// deletion afterwards, and `reprieve worker run erasures` finishes it.
    Replay {
        /// Compare the addresses in this file as well, one a line; - for standard input. For accounts of other services
        /// whose backup was restored
        #[arg(long, value_name = "FILE", requires = "backup_taken_at")]
        addresses: Option<PathBuf>,
        /// When the backup of those services was taken, such as 2026-11-24T03:00:00Z. Who was deleted before is not in it:
        /// if such an account is there, somebody came back by themselves
        #[arg(long, value_name = "INSTANT", requires = "addresses")]
        backup_taken_at: Option<String>,
        /// Only say what came back, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
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
