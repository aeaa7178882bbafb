//! "Delete my account" in a service of its own: a photo service that keeps its accounts in memory and uses nothing but
//! the domain crate.
//!
//! `cargo run -p reprieve-domain --example photo_service`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::{BTreeSet, HashMap};
use std::error::Error;

use reprieve_domain::audit::{AuditKey, Chain, ChainHead, SealedEntry, StoredHead};
use reprieve_domain::{
    Address, CancelError, DeletionProcess, DeletionProcessId, DeviceId, GracePeriod, GracePeriodBounds,
    Identity, State, Step, Timestamp,
};

/// What the service keeps of an account. A database would keep the same in rows.
struct Account {
    photos: u64,
    identity: Identity,
    audit_entries: Vec<SealedEntry>,
    head: ChainHead,
}

struct PhotoService {
    accounts: HashMap<Address, Account>,
    audit_key: AuditKey,
}

impl PhotoService {
    /// The service's own use case: the photos stay where they are until the grace period is over.
    fn delete_my_account(
        &mut self,
        who: &Address,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<Timestamp, Box<dyn Error>> {
        let length = GracePeriod::from_days(30.0, &GracePeriodBounds::default())?;
        // A service draws this from a random source.
        let id: DeletionProcessId = "IDPphotoService00001".parse()?;
        let account = self.accounts.get(who).ok_or("no such account")?;
        let step = account.identity.initiate(id, device, length, now)?;
        let ends_at = step.process().grace_period_ends_at();
        self.store(who, step)?;
        Ok(ends_at)
    }

    /// Second thoughts. Too late is an answer, not an accident: the person is told.
    fn keep_my_account(
        &mut self,
        who: &Address,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<String, Box<dyn Error>> {
        let account = self.accounts.get(who).ok_or("no such account")?;
        match account.identity.cancel(device, now) {
            Ok(step) => {
                self.store(who, step)?;
                Ok("your account stays".to_owned())
            }
            Err(CancelError::GracePeriodHasExpired { ended_at }) => {
                Ok(format!("too late, the grace period has ended at {ended_at}"))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// What a timer does: the photos go, and only then is the account called deleted.
    fn delete_if_ripe(&mut self, who: &Address, now: Timestamp) -> Result<bool, Box<dyn Error>> {
        let account = self.accounts.get(who).ok_or("no such account")?;
        let Some(process) = account.identity.open_process().filter(|process| process.is_ripe(now)) else {
            return Ok(false);
        };
        let (id, photos) = (process.id().clone(), "photos".parse()?);
        let step = account.identity.start_deletion(&id, BTreeSet::from([photos]), now)?;
        self.store(who, step)?;

        let account = self.accounts.get_mut(who).ok_or("no such account")?;
        let erased = std::mem::take(&mut account.photos);
        let step = account.identity.record_erasure(&id, &"photos".parse()?, erased, now)?;
        self.store(who, step)?;
        let step = self.accounts.get(who).ok_or("no such account")?.identity.complete(&id, now)?;
        self.store(who, step)?;
        Ok(true)
    }

    /// Process and audit entry together. A database does this in one transaction, and only if nobody else has stored a
    /// step since the identity was loaded.
    fn store(&mut self, who: &Address, step: Step) -> Result<(), Box<dyn Error>> {
        let account = self.accounts.get_mut(who).ok_or("no such account")?;
        let (sealed, head) = self.audit_key.seal(step.audit_entry(), account.head);
        println!("  audit: {} {}", sealed.message_key, sealed.additional_data);
        account.audit_entries.push(sealed);
        account.head = head;
        if matches!(step.process().state(), State::Cancelled(_) | State::Deleted(_)) {
            let process = step.into_process();
            self.verify(who, &process)?;
            self.accounts.get_mut(who).ok_or("no such account")?.identity = Identity::new(who.clone());
        } else {
            account.identity = Identity::with_open_process(step.into_process())?;
        }
        Ok(())
    }

    fn verify(&self, who: &Address, process: &DeletionProcess) -> Result<(), Box<dyn Error>> {
        let account = self.accounts.get(who).ok_or("no such account")?;
        let chain = Chain {
            process_id: process.id().to_string(),
            entries: account.audit_entries.clone(),
            head: Some(StoredHead {
                length: account.head.length,
                hash: account.head.hash.as_bytes().to_vec(),
                seal: self.audit_key.seal_head(process.id(), account.head).as_bytes().to_vec(),
                subject: process.into(),
            }),
            tasks: None,
        };
        self.audit_key.verify(&chain).map_err(|fault| fault.to_string())?;
        println!("  audit: {} entries verified", chain.entries.len());
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let key: Vec<u8> = (1..=32).collect();
    let ada: Address = "did:web:photos.example:users:ada".parse()?;
    let phone: DeviceId = "DVCphone000000000001".parse()?;
    let account = |photos| Account {
        photos,
        identity: Identity::new(ada.clone()),
        audit_entries: Vec::new(),
        head: ChainHead::EMPTY,
    };
    let mut service = PhotoService {
        accounts: HashMap::from([(ada.clone(), account(1204))]),
        audit_key: AuditKey::new(&key)?,
    };

    println!("Ada deletes her account on 1 December and changes her mind at Christmas.");
    let ends_at = service.delete_my_account(&ada, phone.clone(), "2026-12-01T09:00:00Z".parse()?)?;
    println!("  she has time until {ends_at}");
    println!("  {}", service.keep_my_account(&ada, phone.clone(), "2026-12-25T18:00:00Z".parse()?)?);

    println!("In January she means it.");
    service.accounts.insert(ada.clone(), account(1204));
    let ends_at = service.delete_my_account(&ada, phone.clone(), "2027-01-02T09:00:00Z".parse()?)?;
    println!("  {}", service.keep_my_account(&ada, phone, ends_at)?);
    println!("  deleted: {}", service.delete_if_ripe(&ada, ends_at)?);
    println!("  photos left: {}", service.accounts.get(&ada).map_or(0, |account| account.photos));
    Ok(())
}
