//! What is stored, compared with what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Instant;

use reprieve_tests::Sql;

use crate::fail_over::FailOver;
use crate::load::{Seen, Service, Step, Told};

/// How many faults of a kind are shown.
const SHOWN: usize = 10;

/// A process as it is stored.
#[derive(Default, Debug)]
struct Stored {
    address: String,
    status: String,
    /// The keys of its audit entries, in their order.
    entries: Vec<String>,
    /// The types of its events, in their order.
    events: Vec<String>,
}

/// What is wrong.
#[derive(Default)]
struct Faults {
    lost: Vec<String>,
    twice: Vec<String>,
    untold: Vec<String>,
}

/// Whether the database of the last primary has exactly what the clients of a service were told, and lines about it.
pub(crate) fn compare(url: &str, service: &Service, fail_overs: &[FailOver]) -> (bool, Vec<String>) {
    let stored = read(url);
    service.seen(|seen| {
        let faults = faults(&stored, seen, fail_overs);
        let repeated = seen.acknowledged.iter().filter(|told| told.attempts > 1).count();
        let failures: Vec<String> =
            seen.failures.iter().map(|(what, count)| format!("{what} ({count})")).collect();
        let name = service.name();
        let mut lines = vec![
            format!(
                "{name}: {} steps acknowledged, {repeated} of them when repeated, {} never answered: {} lost, {} done \
                 twice, {} stored that nobody was told of, {} refused",
                seen.acknowledged.len(),
                seen.unanswered.len(),
                faults.lost.len(),
                faults.twice.len(),
                faults.untold.len(),
                seen.surprises.len(),
            ),
            format!("{name}: attempts that failed: {}", failures.join(", ")),
        ];
        let kinds = [
            ("LOST", &faults.lost),
            ("TWICE", &faults.twice),
            ("NOT TOLD", &faults.untold),
            ("REFUSED", &seen.surprises),
        ];
        for (kind, those) in kinds {
            lines.extend(those.iter().take(SHOWN).map(|one| format!("{name}: {kind}: {one}")));
        }
        (kinds.iter().all(|(_, those)| those.is_empty()), lines)
    })
}

fn read(url: &str) -> BTreeMap<String, Stored> {
    let mut sql = Sql::open(url);
    let mut stored: BTreeMap<String, Stored> = BTreeMap::new();
    let mut fill = |query: &str, put: fn(&mut Stored, &[&str])| {
        for row in sql.texts(query) {
            let fields: Vec<&str> = row.split(' ').collect();
            put(stored.entry(fields[0].to_owned()).or_default(), &fields[1..]);
        }
    };
    fill("SELECT id || ' ' || address || ' ' || status FROM deletion_processes", |process, fields| {
        fields[0].clone_into(&mut process.address);
        fields[1].clone_into(&mut process.status);
    });
    fill(
        "SELECT process_id || ' ' || message_key FROM audit_entries ORDER BY process_id, sequence",
        |process, fields| process.entries.push(fields[0].to_owned()),
    );
    fill(
        "SELECT process_id || ' ' || event_type FROM outbox ORDER BY process_id, revision, position",
        |process, fields| process.events.push(fields[0].to_owned()),
    );
    stored
}

fn faults(stored: &BTreeMap<String, Stored>, seen: &Seen, fail_overs: &[FailOver]) -> Faults {
    let mut faults = Faults::default();
    let mut told_of: BTreeMap<&str, BTreeMap<bool, &Told>> = BTreeMap::new();
    for told in &seen.acknowledged {
        let steps = told_of.entry(told.id.as_deref().unwrap()).or_default();
        if steps.insert(told.step == Step::Cancelled, told).is_some() {
            faults.twice.push(format!("acknowledged to two requests: {told:?}"));
        }
    }
    let maybe_cancelled: BTreeSet<&str> =
        seen.unanswered.iter().filter_map(|told| told.id.as_deref()).collect();
    for (id, steps) in &told_of {
        let cancelled = steps.contains_key(&true);
        let newest = steps.values().last().unwrap();
        let (entries, events): (&[&str], &[&str]) = if cancelled {
            (&["StartedByOwner", "CancelledByOwner"], &["IdentityToBeDeleted", "IdentityDeletionCancelled"])
        } else {
            (&["StartedByOwner"], &["IdentityToBeDeleted"])
        };
        let status = if cancelled { "Cancelled" } else { "Active" };
        let fault = |told: &Told, process: &dyn Debug| {
            format!("{} acknowledged {}; stored: {process:?}", describe(told), when(told.at, fail_overs))
        };
        match stored.get(*id) {
            None => faults.lost.extend(steps.values().map(|told| fault(told, &"nothing"))),
            Some(process) => {
                let right = process.address == newest.address
                    && process.status == status
                    && process.entries == entries
                    && process.events == events;
                let more = process.entries.len() > entries.len() || process.events.len() > events.len();
                if !right && !more {
                    faults.lost.push(fault(newest, process));
                } else if !right && !maybe_cancelled.contains(id) {
                    faults.twice.push(fault(newest, process));
                }
            }
        }
    }
    let addresses: BTreeSet<&str> = seen.acknowledged.iter().map(|told| told.address.as_str()).collect();
    let maybe_initiated: BTreeSet<&str> =
        seen.unanswered.iter().filter(|told| told.id.is_none()).map(|told| told.address.as_str()).collect();
    for (id, process) in stored {
        let address = process.address.as_str();
        if addresses.contains(address)
            && !maybe_initiated.contains(address)
            && !told_of.contains_key(id.as_str())
        {
            faults.untold.push(format!("{id}: {process:?}"));
        }
    }
    faults
}

fn describe(told: &Told) -> String {
    let Told { step, id, address, attempts, .. } = told;
    format!("{step:?} {} of {address}, attempt {attempts},", id.as_deref().unwrap_or_default())
}

/// Between which faults.
fn when(at: Instant, fail_overs: &[FailOver]) -> String {
    match fail_overs.iter().rposition(|one| one.fault <= at) {
        Some(number) => {
            format!("{:.2} s after fault {}", (at - fail_overs[number].fault).as_secs_f64(), number + 1)
        }
        None => "before the first fault".to_owned(),
    }
}
