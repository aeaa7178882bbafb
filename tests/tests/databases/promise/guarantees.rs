//! What holds whatever happens, read off everything that was asked, told and stored.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Mutex;

use reprieve_application::SecretKey;
use reprieve_application::ports::{AuditTrail, DeletionProcesses, EraseRequest};
use reprieve_domain::audit::SealedEntry;
use reprieve_domain::{DeletionProcess, DeletionProcessId, EraserName, Status};
use reprieve_system::{JwsReceiptSigner, verify_receipt};

use super::world::{World, address};

/// What clients and erasers saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// What clients were told, as the trail calls it.
    told: Mutex<Vec<(usize, DeletionProcess, &'static str)>>,
    /// In which processes somebody was asked to erase.
    asked: Mutex<BTreeSet<String>>,
    /// Which eraser acknowledged what in which process, whether or not anybody heard it.
    acknowledged: Mutex<BTreeSet<(String, String, u64)>>,
    wrong: Mutex<Vec<String>>,
}

/// How often things happened that a test must have seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) cancelled: usize,
    pub(crate) deleted: usize,
    /// Processes of an identity that had been deleted before.
    pub(crate) came_back: usize,
    pub(crate) failures: usize,
}

impl Seen {
    pub(crate) fn tell(&self, number: usize, process: DeletionProcess, key: &'static str) {
        self.told.lock().unwrap().push((number, process, key));
    }

    /// The deadlines that clients were told.
    pub(crate) fn deadlines(&self) -> Vec<i64> {
        let told = self.told.lock().unwrap();
        told.iter().map(|(_, process, _)| process.grace_period_ends_at().unix_micros()).collect()
    }

    pub(crate) fn acknowledge(&self, request: &EraseRequest, eraser: &EraserName, count: u64) {
        let what = (request.process_id.to_string(), eraser.to_string(), count);
        self.acknowledged.lock().unwrap().insert(what);
    }

    /// Whoever is asked to erase looks around.
    pub(crate) async fn ask(&self, world: &World, request: &EraseRequest) {
        let id = &request.process_id;
        self.asked.lock().unwrap().insert(id.to_string());
        let process = world.store.find(&request.address, id).await.unwrap();
        // Nothing if it is gone already, and this question comes from somebody who has slept through it.
        if let Some(status @ (Status::Active | Status::Cancelled)) = process.map(|process| process.status()) {
            self.wrong.lock().unwrap().push(format!("{id} is {status:?} and is erased"));
        }
        if !is_in_journal(world, id.as_str()).await {
            self.wrong.lock().unwrap().push(format!("{id} is not in the journal and is erased"));
        }
    }

    /// Of these identities, after everything has come to its end.
    pub(crate) async fn check(
        &self,
        world: &World,
        identities: Range<usize>,
        erasers: &[&str],
        tally: &mut Tally,
    ) {
        assert_eq!(*self.wrong.lock().unwrap(), [] as [String; 0]);
        assert_eq!(world.tasks(None).await, []);
        world.verify().await;
        let mut started = BTreeSet::new();
        for number in identities.clone() {
            let entries = world.store.entries(&address(number), None).await.unwrap();
            let mut trails: BTreeMap<&str, Vec<&SealedEntry>> = BTreeMap::new();
            for entry in &entries {
                trails.entry(&entry.process_id).or_default().push(entry);
            }
            for (id, trail) in &mut trails {
                // Not by the time that instances with different clocks have noted.
                trail.sort_unstable_by_key(|entry| entry.sequence);
                if self.check_process(world, id, trail, erasers, tally).await {
                    started.insert((*id).to_owned());
                }
            }
            let deletions = entries.iter().filter(|entry| entry.message_key == "DeletionCompleted").count();
            tally.came_back += deletions.saturating_sub(1);
            // Only what came after the identity was deleted, in the order in which the steps were stored: whoever asks may
            // have looked at the clock long before.
            for process in world.processes(number).await {
                let is_newer = deletions == 0 || world.is_newer_than_all_deletions(process.id()).await;
                assert!(is_newer && process.status() == Status::Cancelled, "{number}: {process:?} is left");
            }
            for (_, process, key) in self.told.lock().unwrap().iter().filter(|(of, ..)| *of == number) {
                let trail = trails.get(process.id().as_str()).map(Vec::as_slice).unwrap_or_default();
                assert!(trail.iter().any(|entry| entry.message_key == *key), "{process:?}: {key} is lost");
            }
        }
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        assert!(asked.is_subset(&started), "{asked:?} were asked for, {started:?} were deleted");
        self.told.lock().unwrap().clear();
    }

    /// Returns whether it was deleted.
    async fn check_process(
        &self,
        world: &World,
        id: &str,
        trail: &[&SealedEntry],
        erasers: &[&str],
        tally: &mut Tally,
    ) -> bool {
        let keys: Vec<&str> = trail.iter().map(|entry| entry.message_key.as_str()).collect();
        let count = |key: &str| keys.iter().filter(|known| **known == key).count();
        let (cancelled, started) = (count("CancelledByOwner"), count("DeletionStarted"));
        assert_eq!(
            (keys[0], count("StartedByOwner"), cancelled + started),
            ("StartedByOwner", 1, 1),
            "{id}: {keys:?}"
        );
        assert_eq!(is_in_journal(world, id).await, started == 1, "{id}: {keys:?}");
        let is_last = |key: &str| keys.last() == Some(&key);
        tally.cancelled += cancelled;
        if cancelled == 1 {
            assert!(is_last("CancelledByOwner"), "{id}: {keys:?}");
            return false;
        }
        assert!(is_last("DeletionCompleted") && count("DeletionCompleted") == 1, "{id}: {keys:?}");
        let mut erased = Vec::new();
        for entry in trail.iter().filter(|entry| entry.message_key == "DataDeleted") {
            let data: serde_json::Value = serde_json::from_str(&entry.additional_data).unwrap();
            let (name, count) = (data["aggregateType"].as_str().unwrap(), data["count"].as_str().unwrap());
            let acknowledged = (id.to_owned(), name.to_owned(), count.parse().unwrap());
            assert!(
                self.acknowledged.lock().unwrap().contains(&acknowledged),
                "{acknowledged:?} was never said"
            );
            erased.push((name.to_owned(), acknowledged.2));
        }
        erased.sort_unstable();
        assert_eq!(
            erased.iter().map(|(eraser, _)| eraser.as_str()).collect::<Vec<_>>(),
            erasers,
            "{id}: {keys:?}"
        );
        assert_eq!(receipt(world, id).await, erased, "{id}");
        tally.deleted += 1;
        tally.failures += count("ErrorDuringDeletion");
        true
    }
}

async fn is_in_journal(world: &World, id: &str) -> bool {
    world.deletions_in_journal().await.iter().any(|entry| entry.process_id.as_str() == id)
}

/// What the receipt of a process says was erased.
async fn receipt(world: &World, id: &str) -> Vec<(String, u64)> {
    let id: DeletionProcessId = id.parse().unwrap();
    let signed = world.receipt_of(&id).await.unwrap_or_else(|| panic!("{id} has no receipt"));
    let public_key = JwsReceiptSigner::new(SecretKey::new([7; 32])).public_key_jwk();
    let receipt = verify_receipt(&signed, &public_key).unwrap();
    assert_eq!(receipt["processId"], id.as_str());
    let erasures = receipt["erasures"].as_array().unwrap().iter();
    erasures.map(|one| (one["eraser"].as_str().unwrap().to_owned(), one["count"].as_u64().unwrap())).collect()
}
