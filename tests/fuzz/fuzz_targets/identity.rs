//! Any sequence of commands, at any instants, and what must hold of an identity all the time.

#![no_main]

use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use reprieve_domain::{Deadline, DeletionProcess, EraserName, Identity, Status, Step, Timestamp};
use reprieve_fuzz::{Command, address, instant, process_id};

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

fn run(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let mut identity = Identity::new(address());
    let mut closed: Vec<DeletionProcess> = Vec::new();
    while !input.is_empty() {
        let (command, now) = (Command::arbitrary(input)?, instant(input)?);
        let newest = closed.len();
        // Now and then the process of an earlier attempt is meant, as by a timer that was set for it.
        let is_late = !matches!(command, Command::Initiate { .. }) && input.ratio(1, 8)?;
        let meant = if is_late { newest.saturating_sub(1) } else { newest };
        let before = identity.clone();
        let step = command.ask(&identity, &process_id(meant), now);
        assert_eq!(identity, before, "asking changes nothing");
        assert_eq!(
            step.is_some(),
            may(&command, &before, meant == newest, now),
            "{command:?} at {now} of {before:?}"
        );
        at_most_one_at_the_deadline(&before, now);
        if let Some(step) = step {
            check(&step, &before, &command, now);
            let process = step.into_process();
            assert_eq!(DeletionProcess::restore(process.to_record()).as_ref(), Ok(&process));
            identity = if process.status().is_open() {
                Identity::with_open_process(process).unwrap()
            } else {
                closed.push(process);
                Identity::new(address())
            };
        }
        for process in &closed {
            // Every step is one of an identity whose open process it is; a late one is refused above.
            assert!(Identity::with_open_process(process.clone()).is_err(), "final is final");
        }
    }
    Ok(())
}

/// The state machine once more, as the table that it is.
fn may(command: &Command, identity: &Identity, is_meant: bool, now: Timestamp) -> bool {
    let open = identity.open_process();
    let (status, is_over) = match open {
        None => (None, false),
        Some(open) => (Some(open.status()), now >= open.grace_period_ends_at()),
    };
    let record = open.map(DeletionProcess::to_record);
    let erasures = record.as_ref().and_then(|record| record.erasures.clone()).unwrap_or_default();
    let is_pending =
        |name: &EraserName| erasures.iter().any(|one| one.eraser == *name && !one.erasure.is_settled());
    match command {
        Command::Initiate { .. } => status.is_none(),
        Command::Cancel { .. } => status == Some(Status::Active) && !is_over,
        Command::Remind { reminder } => {
            let sent = open.and_then(|open| open.reminders().most_urgent());
            is_meant && status == Some(Status::Active) && !is_over && sent < Some(*reminder)
        }
        Command::StartDeletion { .. } => is_meant && status == Some(Status::Active) && is_over,
        Command::RecordErasure { eraser, .. }
        | Command::RecordErasureFailure { eraser }
        | Command::WaiveErasure { eraser } => {
            is_meant && status == Some(Status::Deleting) && is_pending(eraser)
        }
        Command::Complete => {
            is_meant
                && status == Some(Status::Deleting)
                && erasures.iter().all(|one| one.erasure.is_settled())
        }
    }
}

fn at_most_one_at_the_deadline(identity: &Identity, now: Timestamp) {
    let Some(open) = identity.open_process().filter(|open| open.status() == Status::Active) else { return };
    let cancelled = identity.cancel(open.created_by_device().clone(), now).is_ok();
    let started = identity.start_deletion(open.id(), Default::default(), now).is_ok();
    assert!(cancelled != started && started == open.is_ripe(now), "exactly one of the two");
    assert_eq!(started, now >= open.grace_period_ends_at(), "the end belongs to the deletion");
}

fn check(step: &Step, before: &Identity, command: &Command, now: Timestamp) {
    let (process, entry) = (step.process(), step.audit_entry());
    assert_eq!(entry.old_status, before.open_process().map(DeletionProcess::status));
    assert_eq!((entry.new_status, entry.created_at), (process.status(), now));
    assert_eq!((&entry.process_id, &entry.address), (process.id(), before.address()));
    if let Some(event) = step.event() {
        assert_eq!(
            (&event.process_id, &event.address, event.occurred_at),
            (process.id(), before.address(), now)
        );
    }
    assert!(step.event().is_some() || entry.old_status == Some(entry.new_status), "every new state is told");
    if let Some(open) = before.open_process() {
        assert_eq!(process.id(), open.id());
        assert_eq!(process.grace_period_ends_at(), open.grace_period_ends_at(), "a deadline never moves");
        assert_eq!(process.created_at(), open.created_at());
    }
    let holds = match step.deadline() {
        Deadline::IsAfter(instant) => process.grace_period_ends_at() > instant,
        Deadline::IsReachedAt(instant) => process.grace_period_ends_at() <= instant,
        Deadline::DoesNotMatter => !matches!(
            command,
            Command::Cancel { .. } | Command::Remind { .. } | Command::StartDeletion { .. }
        ),
    };
    assert!(holds, "the condition for the store is the one the domain decided by");
}
