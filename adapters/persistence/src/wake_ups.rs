//! Waking the workers when something has been committed that makes work for them: those of this process at once, and those
//! of other instances through PostgreSQL, unless a pooler lends its connections for a transaction only.
//!
//! A step neither waits for this nor notifies other instances itself: transactions that notify commit one after the other,
//! and steps must not. What is committed within a short time is notified together. A wake-up is a hint: a worker that
//! misses one finds the work after its interval.

use reprieve_application::ports::{Alongside, TaskOutcome};
use reprieve_domain::Step;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Store;

/// What a worker can have to do after a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Events to deliver.
    Events,
    /// Erasure tasks.
    Erasures,
}

/// For each, how often this process has committed something that makes such work. What another instance has committed
/// changes no number, and wakes all the same.
#[derive(Debug, Default)]
pub(crate) struct WakeUps {
    events: watch::Sender<u64>,
    erasures: watch::Sender<u64>,
}

impl WakeUps {
    fn of(&self, due: Due) -> &watch::Sender<u64> {
        match due {
            Due::Events => &self.events,
            Due::Erasures => &self.erasures,
        }
    }

    /// After a step was committed.
    pub(crate) fn committed(&self, step: &Step, alongside: Alongside<'_>) {
        if step.event().is_some() {
            self.due(Due::Events);
        }
        let settles_a_task =
            matches!(alongside, Alongside::Task(_, TaskOutcome::Acknowledged, _) | Alongside::Waiver(_));
        if settles_a_task || !step.tasks().is_empty() {
            self.due(Due::Erasures);
        }
    }

    /// After something else was committed that makes work.
    pub(crate) fn due(&self, due: Due) {
        self.of(due).send_modify(|commits| *commits = commits.wrapping_add(1));
    }
}

impl Store {
    /// Changes whenever something has been committed that makes such work: by this process or, while the tasks of
    /// [`Store::share_wake_ups`] run, by another one.
    #[must_use]
    pub fn wake_ups(&self, due: Due) -> watch::Receiver<u64> {
        self.wake_ups.of(due).subscribe()
    }

    /// Until what is returned is dropped, notifies other instances of what is committed here, and if this one `listens`, is
    /// notified by them, over one more connection. Does nothing where instances cannot notify each other.
    #[must_use]
    pub fn share_wake_ups(&self, listens: bool) -> JoinSet<()> {
        #[cfg(feature = "postgres")]
        if self.writer.can_notify() {
            return between_instances::share(self, listens);
        }
        let _ = listens;
        JoinSet::new()
    }
}

#[cfg(feature = "postgres")]
mod between_instances {
    use std::hash::{BuildHasher as _, RandomState};
    use std::time::Duration;

    use sea_orm::ConnectionTrait as _;
    use sea_orm::sqlx;
    use tokio::task::JoinSet;
    use tokio::time::{sleep, timeout};

    use super::{Due, Store};

    /// What is committed within this time is notified together.
    const BETWEEN_NOTIFICATIONS: Duration = Duration::from_millis(100);
    /// A connection on which nothing has come for this long is asked whether it is still there …
    const QUIET: Duration = Duration::from_secs(30);
    /// … and has this long to answer.
    const ANSWER: Duration = Duration::from_secs(5);
    /// How long after a connection is lost another one is opened.
    const BEFORE_RECONNECTING: Duration = Duration::from_secs(1);

    /// The kinds of work and their channels in PostgreSQL.
    const CHANNELS: [(Due, &str); 2] =
        [(Due::Events, "reprieve_events"), (Due::Erasures, "reprieve_erasures")];

    pub(super) fn share(store: &Store, listens: bool) -> JoinSet<()> {
        // So that this one is not woken by what it notifies itself.
        let instance = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        let mut sharing = JoinSet::new();
        for (due, channel) in CHANNELS {
            let (store, instance) = (store.clone(), instance.clone());
            sharing.spawn(async move { notify(&store, due, channel, &instance).await });
        }
        if listens {
            let store = store.clone();
            sharing.spawn(async move {
                loop {
                    if let Err(error) = listen(&store, &instance).await {
                        tracing::debug!(%error, "commits of other instances do not wake the workers now");
                    }
                    sleep(BEFORE_RECONNECTING).await;
                }
            });
        }
        sharing
    }

    /// In transactions of their own. That one is lost with a server is no loss, so nothing waits for the disk.
    async fn notify(store: &Store, due: Due, channel: &str, instance: &str) {
        let mut commits = store.wake_ups(due);
        let mut notified = *commits.borrow();
        let sql = format!("SET LOCAL synchronous_commit = off; SELECT pg_notify('{channel}', '{instance}')");
        while let Ok(committed) =
            commits.wait_for(|commits| *commits != notified).await.map(|commits| *commits)
        {
            notified = committed;
            if let Err(error) = store.writer.execute_unprepared(&sql).await {
                tracing::debug!(%error, "other instances are not notified of new work");
            }
            sleep(BETWEEN_NOTIFICATIONS).await;
        }
    }

    async fn listen(store: &Store, instance: &str) -> Result<(), sqlx::Error> {
        let wake = |channel: Option<&str>| {
            for (due, _) in
                CHANNELS.iter().filter(|(_, known)| channel.is_none_or(|channel| channel == *known))
            {
                store.wake_ups.of(*due).send_modify(|_| {});
            }
        };
        let mut listener = store.writer.listen(CHANNELS.map(|(_, channel)| channel)).await?;
        // What was notified before is not known.
        wake(None);
        loop {
            match timeout(QUIET, listener.try_recv()).await {
                Ok(Ok(Some(notification))) if notification.payload() == instance => {}
                Ok(Ok(Some(notification))) => wake(Some(notification.channel())),
                Ok(lost) => return lost.map(drop),
                Err(_) => {
                    let asked = sqlx::raw_sql("SELECT 1").execute(&mut listener);
                    timeout(ANSWER, asked).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
                }
            }
        }
    }
}
