//! Deletions that have started, and their tasks.

use reprieve_application::StoreError;
use reprieve_application::ports::{
    Alongside, AuditTrail, ErasureTask, ErasureTasks, Identities, Loaded, TaskOutcome, Version, Waiver,
};
use reprieve_domain::{Address, DeletionProcess, Step, TaskKind};
use reprieve_persistence::Store;

use super::{Opened, address, at, eraser, initiate, process_id, start};

/// A process of the identity with the same number whose deletion started at this instant, at its deadline.
pub(crate) async fn started(opened: &Opened, number: usize, erasers: &[&str], now: i64) -> DeletionProcess {
    let owner = address(number);
    opened.step(&owner, |identity| initiate(identity, number, now - super::ENDS_AT)).await;
    opened.step(&owner, |identity| start(identity, erasers, now)).await
}

/// Claims tasks none of which is corrupt.
pub(crate) async fn claim(store: &Store, now: i64, lease_ends_at: i64, limit: u32) -> Vec<ErasureTask> {
    let claimed = store.claim(at(now), at(lease_ends_at), limit).await.unwrap();
    claimed.into_iter().map(Result::unwrap).collect()
}

/// Claims the only task that is due.
pub(crate) async fn claim_one(store: &Store, now: i64, lease_ends_at: i64) -> ErasureTask {
    let [task] = claim(store, now, lease_ends_at, 9).await.try_into().unwrap();
    task
}

/// Claims the task that finishes a process, and whatever else is due.
pub(crate) async fn finish(opened: &Opened, number: usize, now: i64) -> ErasureTask {
    let claimed = claim(&opened.store, now, now + 1_000_000, 1000).await;
    let id = process_id(number);
    let found = claimed.into_iter().find(|task| task.kind == TaskKind::Finish && task.process_id == id);
    found.unwrap_or_else(|| panic!("{id} is not due to be finished"))
}

/// What an operator may write, and what is not to be found anywhere else.
pub(crate) const NOTE: &str = "asked Ada herself";

/// Waives the erasure of an identity's data by this eraser, as an operator does.
pub(crate) async fn waive(
    opened: &Opened,
    number: usize,
    owner: &Address,
    name: &str,
    now: i64,
) -> Result<Waiver, StoreError> {
    let Loaded { value: identity, version } = opened.store.load(owner).await?;
    let waiver = Waiver {
        process_id: process_id(number),
        address: owner.clone(),
        eraser: eraser(name),
        waived_at: at(now),
        code: "retired".parse().unwrap(),
        note: Some(NOTE.parse().unwrap()),
    };
    let code = waiver.code.clone();
    let Ok(step) = identity.waive_erasure(&waiver.process_id, &waiver.eraser, code, at(now)) else {
        return Err(StoreError::Conflict);
    };
    opened.store.save(&step, version, Alongside::Waiver(&waiver)).await.map(|()| waiver)
}

pub(crate) async fn process_of(opened: &Opened, task: &ErasureTask) -> Loaded<DeletionProcess> {
    process_if_there(opened, task).await.unwrap()
}

pub(crate) async fn process_if_there(opened: &Opened, task: &ErasureTask) -> Option<Loaded<DeletionProcess>> {
    let mut verified = opened.store.verified(std::slice::from_ref(&task.process_id)).await.unwrap();
    verified.remove(&task.process_id).map(Result::unwrap)
}

/// Stores the step that a task led to, and what came of the task.
pub(crate) async fn record(
    store: &Store,
    task: &ErasureTask,
    (step, version): (&Step, Version),
    outcome: TaskOutcome,
    now: i64,
) -> Result<(), StoreError> {
    store.save(step, version, Alongside::Task(task, &outcome, at(now))).await
}
