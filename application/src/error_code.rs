//! The one table of error codes.

use std::fmt;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// A stable code for everything that can be refused or go wrong. Scripts and clients compare these texts; they
        /// never change. Every refusal that enmeshed knows has enmeshed's code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)+
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

error_codes! {
    /// The calling identity has no process that is Active.
    NoActiveIdentityDeletionProcess = "error.runtime.identityDeletionProcess.noActiveIdentityDeletionProcess",
    /// The calling identity has an open process already.
    ActiveIdentityDeletionProcessAlreadyExists =
        "error.runtime.identityDeletionProcess.activeIdentityDeletionProcessAlreadyExists",
    /// There is no such record, or it is somebody else's.
    RecordNotFound = "error.runtime.recordNotFound",
    /// An input is malformed or out of bounds.
    InvalidPropertyValue = "error.runtime.validation.invalidPropertyValue",
    /// The same as [`Self::RecordNotFound`], for clients of a Backbone.
    PlatformRecordNotFound = "error.platform.recordNotFound",
    /// An id is malformed, for clients of a Backbone.
    PlatformInvalidId = "error.platform.validation.invalidId",
    /// The same as [`Self::ActiveIdentityDeletionProcessAlreadyExists`], for clients of a Backbone.
    OnlyOneActiveDeletionProcessAllowed =
        "error.platform.validation.device.onlyOneActiveDeletionProcessAllowed",
    /// The process is not in the status that the step starts from.
    DeletionProcessIsNotInRequiredStatus =
        "error.platform.validation.device.deletionProcessIsNotInRequiredStatus",
    /// The grace period is over: it cannot be cancelled any more.
    GracePeriodHasAlreadyExpired = "error.platform.validation.device.gracePeriodHasAlreadyExpired",
    /// The grace period runs: the deletion cannot start yet.
    GracePeriodHasNotYetExpired = "error.platform.validation.device.gracePeriodHasNotYetExpired",
    /// An input is malformed or out of bounds, for clients of a Backbone.
    PlatformInvalidPropertyValue = "error.platform.validation.invalidPropertyValue",
    /// No valid token, for clients of a Backbone.
    PlatformUnauthorized = "error.platform.unauthorized",
    /// The API key lacks the scope, for clients of a Backbone.
    PlatformForbidden = "error.platform.forbidden",
    /// No valid API key.
    ConnectorUnauthorized = "error.connector.unauthorized",
    /// The API key lacks the scope.
    ConnectorForbidden = "error.connector.forbidden",
    /// There is no such route.
    RouteDoesNotExist = "error.connector.http.routeDoesNotExist",
    /// The route knows no such method.
    MethodNotAllowed = "error.connector.http.methodNotAllowed",
    /// The body is not JSON.
    InvalidJsonInPayload = "error.connector.validation.invalidJsonInPayload",
    /// The idempotency key is malformed.
    IdempotencyKeyInvalid = "error.reprieve.http.idempotencyKeyInvalid",
    /// The idempotency key was used for another request.
    IdempotencyKeyReused = "error.reprieve.http.idempotencyKeyReused",
    /// The body is larger than allowed.
    PayloadTooLarge = "error.reprieve.http.payloadTooLarge",
    /// The identity asks more often than allowed.
    TooManyRequests = "error.reprieve.http.tooManyRequests",
    /// The service has more requests at hand than it takes.
    Overloaded = "error.reprieve.http.overloaded",
    /// The request was not answered in time; whether a step was taken is unknown.
    TimedOut = "error.reprieve.http.timedOut",
    /// The check of the deployment has found something that is not as it should be.
    CheckFailed = "error.reprieve.check.failed",
    /// The keys that the issuer of tokens has now cannot be fetched, so that its tokens cannot be verified.
    IssuerUnavailable = "error.reprieve.http.issuerUnavailable",
    /// The configuration is not valid.
    ConfigurationInvalid = "error.reprieve.configuration.invalid",
    /// The audit trail is not what was written.
    AuditTrailBroken = "error.reprieve.audit.trailBroken",
    /// The audit key is not the one the database was written with.
    AuditKeyMismatch = "error.reprieve.audit.keyMismatch",
    /// The audit key cannot be read, or is none.
    AuditKeyUnusable = "error.reprieve.audit.keyUnusable",
    /// A backup is to be written to a file that is there already.
    BackupFileExists = "error.reprieve.backup.fileExists",
    /// This kind of database is backed up by its own tools.
    BackupNotSupported = "error.reprieve.backup.notSupported",
    /// The backup cannot be written; nothing is left of it.
    BackupFailed = "error.reprieve.backup.failed",
    /// The clock is too far ahead of what was noted to be believed: no deletion is started.
    ClockAhead = "error.reprieve.clock.ahead",
    /// The clock is behind an instant that has passed: no deletion process is created.
    ClockBehind = "error.reprieve.clock.behind",
    /// The clocks of this machine and of the database disagree: only cancelling works.
    ClocksDisagree = "error.reprieve.clock.disagrees",
    /// The clock of this machine shows a time that cannot be.
    ClockUnusable = "error.reprieve.clock.unusable",
    /// Others changed the same process again and again; nothing was done.
    DatabaseConflict = "error.reprieve.database.conflict",
    /// A row is nothing this program can have written.
    DatabaseCorrupt = "error.reprieve.database.corrupt",
    /// There is no room left for the database.
    DatabaseFull = "error.reprieve.database.full",
    /// The database was written by a newer version of this program.
    DatabaseNewer = "error.reprieve.database.newerVersion",
    /// The database has not been migrated to this version of the program.
    DatabaseNotMigrated = "error.reprieve.database.notMigrated",
    /// The database cannot be written to.
    DatabaseReadOnly = "error.reprieve.database.readOnly",
    /// The database was not reached, or failed.
    DatabaseUnavailable = "error.reprieve.database.unavailable",
    /// Deletions are paused: none starts, and no eraser is asked.
    DeletionsPaused = "error.reprieve.deletions.paused",
    /// A sink has refused an event for so long that somebody has to look after it.
    EventsParked = "error.reprieve.events.parked",
    /// An eraser has failed for so long that somebody has to look after it.
    ErasureStuck = "error.reprieve.erasure.stuck",
    /// The eraser has acknowledged, or its erasure was waived: there is nothing to waive.
    ErasureNotPending = "error.reprieve.erasure.notPending",
    /// The journal is missing, although the database knows one; nothing irreversible is done without it.
    JournalMissing = "error.reprieve.journal.missing",
    /// The journal is not the one that the database knows.
    JournalForeign = "error.reprieve.journal.foreign",
    /// The configuration does not say where the journal is, and there is no place that goes without saying.
    JournalNotNamed = "error.reprieve.journal.notNamed",
    /// The journal cannot be used; nothing irreversible is done without it.
    JournalUnavailable = "error.reprieve.journal.unavailable",
    /// The journal has entries that cannot be read or are not sealed with the audit key.
    JournalCorrupt = "error.reprieve.journal.corrupt",
    /// The database lacks what its journal has: it was put back to an earlier state.
    DatabaseOlderThanJournal = "error.reprieve.journal.databaseOlder",
    /// The erasure ledger of an older version cannot be read.
    LedgerUnavailable = "error.reprieve.ledger.unavailable",
    /// The key for receipts cannot be read, or is none.
    ReceiptKeyUnusable = "error.reprieve.receipt.keyUnusable",
    /// The receipt is not signed with the key it is checked against, or is none.
    ReceiptInvalid = "error.reprieve.receipt.invalid",
    /// The command is about a database of one's own, but a server is named.
    CommandLocalOnly = "error.reprieve.command.localOnly",
    /// The server was not reached, did not answer, or said that it cannot answer now.
    ServerUnavailable = "error.reprieve.server.unavailable",
    /// The server did not accept the token that proves who asks.
    ServerUnauthorized = "error.reprieve.server.unauthorized",
    /// The server answered something that is not in its interface.
    ServerUnexpectedAnswer = "error.reprieve.server.unexpectedAnswer",
    /// A result could not be written out, although what was asked for is done.
    OutputFailed = "error.reprieve.output.failed",
    /// The operating system refused something the program cannot do without.
    SystemFailed = "error.reprieve.system.failed",
}

impl ErrorCode {
    /// Whether the answer is a plain no to what was asked (bad input, wrong state), rather than something an operator
    /// has to look after.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        match self {
            Self::NoActiveIdentityDeletionProcess
            | Self::ActiveIdentityDeletionProcessAlreadyExists
            | Self::RecordNotFound
            | Self::InvalidPropertyValue
            | Self::PlatformRecordNotFound
            | Self::PlatformInvalidId
            | Self::OnlyOneActiveDeletionProcessAllowed
            | Self::DeletionProcessIsNotInRequiredStatus
            | Self::GracePeriodHasAlreadyExpired
            | Self::GracePeriodHasNotYetExpired
            | Self::PlatformInvalidPropertyValue
            | Self::PlatformUnauthorized
            | Self::PlatformForbidden
            | Self::ConnectorUnauthorized
            | Self::ConnectorForbidden
            | Self::RouteDoesNotExist
            | Self::MethodNotAllowed
            | Self::InvalidJsonInPayload
            | Self::IdempotencyKeyInvalid
            | Self::IdempotencyKeyReused
            | Self::PayloadTooLarge
            | Self::TooManyRequests
            | Self::CheckFailed
            | Self::ConfigurationInvalid
            | Self::AuditTrailBroken
            | Self::BackupFileExists
            | Self::BackupNotSupported
            | Self::DeletionsPaused
            | Self::ErasureNotPending
            | Self::ReceiptInvalid
            | Self::CommandLocalOnly => true,
            Self::AuditKeyMismatch
            | Self::AuditKeyUnusable
            | Self::BackupFailed
            | Self::ClockAhead
            | Self::ClockBehind
            | Self::ClockUnusable
            | Self::ClocksDisagree
            | Self::DatabaseConflict
            | Self::DatabaseCorrupt
            | Self::DatabaseFull
            | Self::DatabaseNewer
            | Self::DatabaseNotMigrated
            | Self::DatabaseReadOnly
            | Self::DatabaseUnavailable
            | Self::IssuerUnavailable
            | Self::ErasureStuck
            | Self::EventsParked
            | Self::DatabaseOlderThanJournal
            | Self::JournalCorrupt
            | Self::JournalForeign
            | Self::JournalMissing
            | Self::JournalNotNamed
            | Self::JournalUnavailable
            | Self::LedgerUnavailable
            | Self::ReceiptKeyUnusable
            | Self::ServerUnavailable
            | Self::ServerUnauthorized
            | Self::ServerUnexpectedAnswer
            | Self::OutputFailed
            | Self::Overloaded
            | Self::SystemFailed
            | Self::TimedOut => false,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// An error with a stable code. Its `Display` and its sources are the message.
pub trait Coded: std::error::Error {
    /// The code.
    fn code(&self) -> ErrorCode;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_codes_of_enmeshed_are_spelled_as_enmeshed_spells_them() {
        use ErrorCode as C;
        for (code, text) in [
            (
                C::NoActiveIdentityDeletionProcess,
                "error.runtime.identityDeletionProcess.noActiveIdentityDeletionProcess",
            ),
            (
                C::ActiveIdentityDeletionProcessAlreadyExists,
                "error.runtime.identityDeletionProcess.activeIdentityDeletionProcessAlreadyExists",
            ),
            (C::RecordNotFound, "error.runtime.recordNotFound"),
            (C::InvalidPropertyValue, "error.runtime.validation.invalidPropertyValue"),
            (C::PlatformRecordNotFound, "error.platform.recordNotFound"),
            (C::PlatformInvalidId, "error.platform.validation.invalidId"),
            (
                C::OnlyOneActiveDeletionProcessAllowed,
                "error.platform.validation.device.onlyOneActiveDeletionProcessAllowed",
            ),
            (
                C::DeletionProcessIsNotInRequiredStatus,
                "error.platform.validation.device.deletionProcessIsNotInRequiredStatus",
            ),
            (
                C::GracePeriodHasAlreadyExpired,
                "error.platform.validation.device.gracePeriodHasAlreadyExpired",
            ),
            (C::GracePeriodHasNotYetExpired, "error.platform.validation.device.gracePeriodHasNotYetExpired"),
        ] {
            assert_eq!(code.as_str(), text);
        }
    }

    #[test]
    fn no_two_codes_are_the_same_and_each_has_the_form_of_a_code() {
        let texts: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), ErrorCode::ALL.len());
        for text in texts {
            assert!(text.starts_with("error."), "{text}");
            assert!(text.split('.').all(|part| part.bytes().all(|b| b.is_ascii_alphanumeric())), "{text}");
        }
    }

    #[test]
    fn the_documentation_has_every_code_and_no_other() {
        let page = include_str!("../../docs/error-codes.md");
        let documented: HashSet<(&str, &str)> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
            .filter_map(|(code, rest)| Some((code, rest.split_once(" | ")?.0)))
            .collect();
        let exit_code = |code: &ErrorCode| if code.is_refusal() { "1" } else { "70" };
        let known = ErrorCode::ALL.iter().map(|code| (code.as_str(), exit_code(code))).collect();
        assert_eq!(documented, known);
    }
}
