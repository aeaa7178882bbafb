//! Audit chains as a database may contain them: nothing stops the verifier, and it accepts nothing that was changed.

#![no_main]

use libfuzzer_sys::arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use reprieve_domain::audit::{
    Chain, ChainHead, ClosedProcess, SealedEntry, StoredErasures, StoredHead, StoredProcess, StoredTask, Subject,
};
use reprieve_fuzz::{audit_key, steps};

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

fn run(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let key = audit_key();
    let chain = if input.arbitrary()? {
        let mut forged = chain(input)?;
        // Whatever it is, it was not written with the key. An empty chain is not accepted either.
        assert!(key.verify(&forged).is_err());
        forged.entries.truncate(1);
        forged
    } else {
        let steps = steps(input)?;
        let mut head = ChainHead::EMPTY;
        let mut entries = Vec::new();
        for step in &steps {
            let (entry, next) = key.seal(step.audit_entry(), head);
            entries.push(entry);
            head = next;
        }
        let Some(newest) = steps.last().map(reprieve_domain::Step::process) else { return Ok(()) };
        let stored = StoredHead {
            length: head.length,
            hash: head.hash.as_bytes().to_vec(),
            seal: key.seal_head(newest.id(), head).as_bytes().to_vec(),
            subject: newest.into(),
        };
        let sound = Chain { process_id: newest.id().to_string(), entries, head: Some(stored), tasks: None };
        assert_eq!(key.verify(&sound), Ok(()));
        let mut changed = sound.clone();
        change(input, &mut changed)?;
        if changed != sound {
            assert!(key.verify(&changed).is_err(), "not noticed: {sound:?} became {changed:?}");
        }
        changed
    };
    let _ = key.verify(&chain).map_err(|fault| fault.to_string());
    Ok(())
}

/// One change somewhere.
fn change(input: &mut Unstructured<'_>, chain: &mut Chain) -> arbitrary::Result<()> {
    let count = chain.entries.len();
    let place = input.choose_index(count)?;
    match input.int_in_range(0..=6)? {
        0 => drop(chain.entries.remove(place)),
        1 => chain.entries.insert(place, entry(input)?),
        2 => {
            let other = input.choose_index(count)?;
            chain.entries.swap(place, other);
        }
        3 => chain.entries.truncate(place),
        4 => chain.head = head(input)?,
        5 => chain.process_id = String::arbitrary(input)?,
        _ => {
            let entry = &mut chain.entries[place];
            match input.int_in_range(0..=9)? {
                0 => entry.process_id = input.arbitrary()?,
                1 => entry.sequence = input.arbitrary()?,
                2 => entry.created_at = input.arbitrary()?,
                3 => entry.old_status = input.arbitrary()?,
                4 => entry.new_status = input.arbitrary()?,
                5 => entry.message_key = input.arbitrary()?,
                6 => entry.additional_data = input.arbitrary()?,
                7 => entry.identity_hash = input.arbitrary()?,
                8 => entry.device_hash = input.arbitrary()?,
                _ => entry.hash = input.arbitrary()?,
            }
        }
    }
    Ok(())
}

fn chain(input: &mut Unstructured<'_>) -> arbitrary::Result<Chain> {
    let count = input.int_in_range(0..=4)?;
    let entries = (0..count).map(|_| entry(input)).collect::<Result<_, _>>()?;
    Ok(Chain { process_id: input.arbitrary()?, entries, head: head(input)?, tasks: tasks(input)? })
}

fn entry(input: &mut Unstructured<'_>) -> arbitrary::Result<SealedEntry> {
    Ok(SealedEntry {
        process_id: input.arbitrary()?,
        sequence: input.arbitrary()?,
        created_at: input.arbitrary()?,
        old_status: input.arbitrary()?,
        new_status: input.arbitrary()?,
        message_key: input.arbitrary()?,
        additional_data: input.arbitrary()?,
        identity_hash: input.arbitrary()?,
        device_hash: input.arbitrary()?,
        hash: input.arbitrary()?,
    })
}

fn head(input: &mut Unstructured<'_>) -> arbitrary::Result<Option<StoredHead>> {
    if !input.arbitrary()? {
        return Ok(None);
    }
    Ok(Some(StoredHead {
        length: input.arbitrary()?,
        hash: input.arbitrary()?,
        seal: input.arbitrary()?,
        subject: if input.arbitrary()? {
            Subject::Process(process(input)?)
        } else {
            Subject::Closed(ClosedProcess {
                identity_hash: input.arbitrary()?,
                status: input.arbitrary()?,
                identity_deleted_at: input.arbitrary()?,
                precedes_deletion: input.arbitrary()?,
                is_of_deletion: input.arbitrary()?,
                receipt: input.arbitrary()?,
            })
        },
    }))
}

fn process(input: &mut Unstructured<'_>) -> arbitrary::Result<StoredProcess> {
    Ok(StoredProcess {
        address: input.arbitrary()?,
        status: input.arbitrary()?,
        created_at: input.arbitrary()?,
        created_by_device: input.arbitrary()?,
        grace_period_ends_at: input.arbitrary()?,
        reminders_sent_at: input.arbitrary()?,
        cancelled_at: input.arbitrary()?,
        cancelled_by_device: input.arbitrary()?,
        deletion_started_at: input.arbitrary()?,
        deletion_completed_at: input.arbitrary()?,
        erasures: if input.arbitrary()? { StoredErasures::Absent } else { StoredErasures::Unreadable },
    })
}

fn tasks(input: &mut Unstructured<'_>) -> arbitrary::Result<Option<Vec<StoredTask>>> {
    let tasks: Option<Vec<(String, String)>> = input.arbitrary()?;
    let stored = |(eraser, address)| StoredTask { eraser, address };
    Ok(tasks.map(|tasks| tasks.into_iter().map(stored).collect()))
}
