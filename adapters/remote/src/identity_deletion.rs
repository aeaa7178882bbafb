//! The facade, answered by a server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::facade::{IdentityData, IdentityDeletionFacade, ProcessData};
use reprieve_application::ports::{Clock, Ids, TokenSigner};
use reprieve_application::use_cases::{
    CancelIdentityDeletionProcessError, GetActiveIdentityDeletionProcessError,
    GetIdentityDeletionProcessError, InitiateIdentityDeletionProcessError, IssueIdentityToken,
};
use reprieve_application::{Caller, Failure, OwnIdentity};
use reprieve_domain::{CancelError, DeletionProcessId, InitiateError, InvalidGracePeriod, Status, Timestamp};

use crate::connection::Connection;
use crate::corrected_clock::CorrectedClock;
use crate::dialogue::{Asked, Dialogue};
use crate::pause::{Pause, Timer};
use crate::question::Question;
use crate::{RemoteError, ServerUrl};

/// Which server, and how to talk to it.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// The server.
    pub server: ServerUrl,
    /// How long one answer may take.
    pub timeout: Duration,
    /// A file with the certificates (PEM) of the authorities that are trusted instead of the public ones.
    pub certificate_authorities: Option<PathBuf>,
}

/// Asks a service on behalf of the own identity.
pub struct RemoteIdentityDeletion {
    dialogue: Dialogue,
    caller: Caller,
}

impl RemoteIdentityDeletion {
    /// With what it takes to prove who asks. Nothing is sent yet.
    ///
    /// # Errors
    /// If the certificates cannot be read, or there can be no client on this machine.
    pub fn new(
        options: RemoteOptions,
        identity: OwnIdentity,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        signer: Arc<dyn TokenSigner>,
    ) -> Result<Self, RemoteError> {
        Self::with_pause(options, identity, clock, ids, signer, Box::new(Timer))
    }

    pub(crate) fn with_pause(
        options: RemoteOptions,
        identity: OwnIdentity,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        signer: Arc<dyn TokenSigner>,
        pause: Box<dyn Pause>,
    ) -> Result<Self, RemoteError> {
        let authorities = options.certificate_authorities.as_deref();
        let connection = Connection::new(options.server, options.timeout, authorities)?;
        let clock = Arc::new(CorrectedClock::new(clock));
        let caller = identity.caller();
        let tokens = IssueIdentityToken::new(identity, clock.clone(), ids.clone(), signer);
        Ok(Self { dialogue: Dialogue { connection, tokens, clock, ids, pause }, caller })
    }

    async fn list(&self) -> Result<Vec<ProcessData>, RemoteError> {
        let mut processes = self.dialogue.ask(Question::List).await.answer?.processes()?;
        processes.sort_by_key(|process| process.created_at);
        Ok(processes)
    }

    async fn get(&self, id: &DeletionProcessId) -> Result<ProcessData, RemoteError> {
        self.dialogue.ask(Question::Get(id)).await.answer?.process_with(id)
    }

    async fn open_process(&self) -> Result<Option<ProcessData>, RemoteError> {
        Ok(self.list().await?.into_iter().find(|process| process.status.is_open()))
    }

    /// Reads what became of a cancellation to which no answer came.
    async fn look_for_cancelled(
        &self,
        id: &DeletionProcessId,
        error: RemoteError,
    ) -> Result<ProcessData, Failure> {
        let Ok(process) = self.get(id).await else { return Err(RemoteError::InDoubt(error.into()).into()) };
        let by_us = process.cancelled_by_device.as_ref().is_none_or(|device| *device == self.caller.device);
        match (process.status, error) {
            (Status::Cancelled, _) if by_us => Ok(process),
            (_, refused @ RemoteError::Refused { .. }) => Err(refused.into()),
            (Status::Active, error) => Err(not_done("the deletion process is still Active", error)),
            (status @ (Status::Cancelled | Status::Deleting | Status::Deleted), _) => {
                Err(cannot_cancel(CancelError::NotActive { status }))
            }
        }
    }

    /// Reads what became of an initiation to which no answer came, when there were the processes `before`.
    async fn look_for_initiated(
        &self,
        before: &[ProcessData],
        error: RemoteError,
    ) -> Result<ProcessData, Failure> {
        let Ok(open) = self.open_process().await else {
            return Err(RemoteError::InDoubt(error.into()).into());
        };
        let is_new = |process: &ProcessData| before.iter().all(|known| known.id != process.id);
        match (open, error) {
            (Some(process), _) if process.created_by_device == self.caller.device && is_new(&process) => {
                Ok(process)
            }
            (_, refused @ RemoteError::Refused { .. }) => Err(refused.into()),
            (Some(ProcessData { id, status, .. }), _) => {
                Err(cannot_initiate(InitiateError::AlreadyOpen { process_id: id, status }))
            }
            (None, error) => Err(not_done("the identity has no open deletion process", error)),
        }
    }
}

fn not_done(known: &'static str, error: RemoteError) -> Failure {
    RemoteError::NotDone { known, source: error.into() }.into()
}

fn cannot_cancel(why: CancelError) -> Failure {
    CancelIdentityDeletionProcessError::from(why).into()
}

fn cannot_initiate(why: impl Into<InitiateIdentityDeletionProcessError>) -> Failure {
    why.into().into()
}

/// Whether a change may have been made although the server did not say so in words that are understood here.
fn may_be_done(doubt: bool, error: &RemoteError) -> bool {
    doubt || matches!(error, RemoteError::Unexpected { .. })
}

fn with_status(process: ProcessData, status: Status) -> Result<ProcessData, RemoteError> {
    if process.status == status {
        Ok(process)
    } else {
        Err(RemoteError::unexpected(format!("the deletion process has the status {}", process.status)))
    }
}

#[async_trait]
impl IdentityDeletionFacade for RemoteIdentityDeletion {
    fn now(&self) -> Timestamp {
        self.dialogue.clock.now()
    }

    async fn identity(&self) -> Result<IdentityData, Failure> {
        let Caller { address, device } = self.caller.clone();
        Ok(IdentityData { address, device, open_process: self.open_process().await? })
    }

    async fn initiate(&self, length_in_days: Option<f64>) -> Result<ProcessData, Failure> {
        if length_in_days.is_some_and(|days| !days.is_finite()) {
            // JSON has no such numbers.
            return Err(cannot_initiate(InvalidGracePeriod::NotFinite));
        }
        // Without a look at what there was before, a process that is there after a lost answer could be any.
        let before = self.list().await?;
        let Asked { answer, doubt } = self.dialogue.ask(Question::Initiate { length_in_days }).await;
        let initiated = answer
            .and_then(|answer| answer.process())
            .and_then(|process| with_status(process, Status::Active));
        match initiated {
            Err(error) if may_be_done(doubt, &error) => self.look_for_initiated(&before, error).await,
            other => Ok(other?),
        }
    }

    async fn cancel(&self) -> Result<ProcessData, Failure> {
        let id = match self.open_process().await? {
            None => return Err(cannot_cancel(CancelError::NoOpenProcess)),
            Some(ProcessData { id, status: Status::Active, .. }) => id,
            Some(ProcessData { status, .. }) => return Err(cannot_cancel(CancelError::NotActive { status })),
        };
        let Asked { answer, doubt } = self.dialogue.ask(Question::Cancel(&id)).await;
        let cancelled = answer
            .and_then(|answer| answer.process_with(&id))
            .and_then(|process| with_status(process, Status::Cancelled));
        match cancelled {
            Err(error) if may_be_done(doubt, &error) => self.look_for_cancelled(&id, error).await,
            other => Ok(other?),
        }
    }

    async fn active(&self) -> Result<ProcessData, Failure> {
        let active = self.open_process().await?.filter(|process| process.status == Status::Active);
        active.ok_or_else(|| GetActiveIdentityDeletionProcessError::NoneActive.into())
    }

    async fn process(&self, id: &str) -> Result<ProcessData, Failure> {
        let id = id.parse().map_err(GetIdentityDeletionProcessError::InvalidId)?;
        Ok(self.get(&id).await?)
    }

    async fn processes(&self) -> Result<Vec<ProcessData>, Failure> {
        Ok(self.list().await?)
    }
}
