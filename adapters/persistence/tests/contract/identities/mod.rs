//! `Identities`: what is stored is what is loaded.

mod atomicity;
mod guards;

use reprieve_application::ports::{DeletionProcesses, Loaded, Version};
use reprieve_domain::{Address, DeletionProcess, Identity, Reminder, Status, Step};

use crate::support::{
    DAY, ENDS_AT, Opened, address, at, cancel, complete, eraser, initiate, on_each_database, process_id,
    save, start, unix_micros,
};

on_each_database!(
    an_identity_that_was_never_heard_of_has_no_open_process,
    every_step_is_loaded_back_as_it_was_stored,
    every_step_leaves_its_audit_entry_and_its_event,
    a_closed_process_makes_room_for_another,
    the_ends_of_the_calendar_are_stored_exactly,
    the_longest_address_is_stored,
    identities_do_not_see_each_other,
);

async fn an_identity_that_was_never_heard_of_has_no_open_process(opened: Opened) {
    let loaded = opened.load(&address(1)).await;
    assert_eq!(loaded.value, Identity::new(address(1)));
    assert_eq!(loaded.version, Version::EMPTY);
}

type Decide = fn(&Identity) -> Step;

/// Every transition that there is.
const TO_THE_END: [Decide; 10] = [
    |identity| initiate(identity, 1, 0),
    |identity| identity.remind(&process_id(1), Reminder::First, at(2 * DAY)).unwrap(),
    |identity| identity.remind(&process_id(1), Reminder::Second, at(4 * DAY)).unwrap(),
    |identity| identity.remind(&process_id(1), Reminder::Third, at(ENDS_AT - 1)).unwrap(),
    |identity| start(identity, &["files", "mail"], ENDS_AT),
    |identity| failed(identity, "mail"),
    |identity| erased(identity, "files", 0),
    |identity| failed(identity, "mail"),
    |identity| erased(identity, "mail", u64::MAX),
    |identity| complete(identity, ENDS_AT + DAY),
];

fn failed(identity: &Identity, name: &str) -> Step {
    let failure = "timed-out".parse().unwrap();
    identity.record_erasure_failure(&process_id(1), &eraser(name), failure, at(ENDS_AT + 1)).unwrap()
}

fn erased(identity: &Identity, name: &str, count: u64) -> Step {
    identity.record_erasure(&process_id(1), &eraser(name), count, at(ENDS_AT + 2)).unwrap()
}

async fn found(opened: &Opened, owner: &Address, process: &DeletionProcess) -> DeletionProcess {
    opened.store.find(owner, process.id()).await.unwrap().unwrap()
}

async fn every_step_is_loaded_back_as_it_was_stored(opened: Opened) {
    let ada = address(1);
    for (decide, length) in TO_THE_END.into_iter().zip(1..) {
        let process = opened.step(&ada, decide).await;
        assert_eq!(found(&opened, &ada, &process).await, process);
        let loaded = opened.load(&ada).await;
        if process.status() == Status::Deleted {
            assert_eq!(loaded.value, Identity::new(ada.clone()));
            assert_eq!(loaded.version, Version::EMPTY);
        } else {
            assert_eq!(loaded.value.open_process(), Some(&process));
            assert_eq!(loaded.version.length, length);
        }
    }

    let bob = address(2);
    opened.initiated(&bob, 2).await;
    let process = opened.step(&bob, |identity| cancel(identity, ENDS_AT - 1)).await;
    assert_eq!(found(&opened, &bob, &process).await, process);
    assert_eq!(opened.load(&bob).await.value, Identity::new(bob));
}

async fn every_step_leaves_its_audit_entry_and_its_event(opened: Opened) {
    let (ada, mut entries, mut events) = (address(1), Vec::new(), Vec::new());
    for (decide, sequence) in TO_THE_END.into_iter().zip(1..) {
        let Loaded { value, version } = opened.load(&ada).await;
        let step = decide(&value);
        save(&opened.store, &step, version).await.unwrap();
        let entry = step.audit_entry();
        entries.push(format!(
            "{} {sequence} {} {} {} {}",
            entry.process_id,
            entry.created_at.unix_micros(),
            entry.old_status.map_or("nothing", Status::as_str),
            entry.new_status,
            entry.action.message_key(),
        ));
        if let Some(event) = step.event() {
            let data = serde_json::to_string(event).unwrap();
            let occurred_at = event.occurred_at.unix_micros();
            events.push(format!(
                "{} {sequence} {ada} {} {occurred_at} {data}",
                entry.process_id,
                event.kind.name()
            ));
        }
    }
    assert!(entries.len() > events.len(), "some steps are nobody else's business");
    let stored = "SELECT process_id || ' ' || sequence || ' ' || created_at || ' ' || coalesce(old_status, 'nothing') \
                  || ' ' || new_status || ' ' || message_key FROM audit_entries ORDER BY sequence";
    assert_eq!(opened.sql.column::<String>(stored).await, entries);
    let stored = "SELECT process_id || ' ' || revision || ' ' || address || ' ' || event_type || ' ' || occurred_at \
                  || ' ' || data FROM outbox ORDER BY position";
    assert_eq!(opened.sql.column::<String>(stored).await, events);
}

async fn a_closed_process_makes_room_for_another(opened: Opened) {
    let ada = address(1);
    for id in 1..=3 {
        let process = opened.initiated(&ada, id).await;
        assert_eq!(opened.load(&ada).await.value.open_process(), Some(&process));
        opened.step(&ada, |identity| cancel(identity, 1)).await;
        assert_eq!(opened.load(&ada).await.value.open_process(), None);
    }
    opened.initiated(&ada, 4).await;
    opened.step(&ada, |identity| start(identity, &[], ENDS_AT)).await;
    opened.step(&ada, |identity| complete(identity, ENDS_AT)).await;
    let again = opened.step(&ada, |identity| initiate(identity, 5, ENDS_AT)).await;
    assert_eq!(opened.load(&ada).await.value.open_process(), Some(&again));
}

async fn the_ends_of_the_calendar_are_stored_exactly(opened: Opened) {
    let first = at(-unix_micros(62_135_596_800_000_000));
    let last = first.checked_add_micros(315_537_897_599_999_999).unwrap();
    assert_eq!(last.to_string(), "9999-12-31T23:59:59.999999Z");
    for (number, created_at) in [first, last.checked_add_micros(-ENDS_AT).unwrap()].into_iter().enumerate() {
        let now = created_at.micros_since(at(0));
        let process = opened.step(&address(number), |identity| initiate(identity, number, now)).await;
        assert_eq!(process.created_at(), created_at);
        assert_eq!(opened.load(&address(number)).await.value.open_process(), Some(&process));
    }
}

async fn the_longest_address_is_stored(opened: Opened) {
    let longest: Address = format!("did:web:{}", "a".repeat(Address::MAX_LENGTH - 8)).parse().unwrap();
    let process = opened.initiated(&longest, 1).await;
    assert_eq!(opened.load(&longest).await.value.open_process(), Some(&process));
}

async fn identities_do_not_see_each_other(opened: Opened) {
    let process = opened.initiated(&address(1), 1).await;
    // Addresses are compared byte by byte: letters that differ in their case are different letters.
    for stranger in
        ["did:web:example.org:users:2", "did:web:example.org:Users:1", "did:web:example.org:users:%31"]
    {
        let stranger: Address = stranger.parse().unwrap();
        assert_eq!(opened.load(&stranger).await.value, Identity::new(stranger.clone()));
        assert_eq!(opened.store.find(&stranger, process.id()).await.unwrap(), None);
        assert_eq!(opened.store.list(&stranger).await.unwrap(), []);
    }
}
