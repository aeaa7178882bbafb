//! Domain values out of a fuzzer's bytes.
//!
//! Instants and names come from a few neighbouring values: what is interesting happens where they are equal, or one
//! microsecond apart.

use std::collections::BTreeSet;

use arbitrary::{Result, Unstructured};
use reprieve_domain::audit::AuditKey;
use reprieve_domain::{
    Address, DeletionProcessId, DeletionProcessRecord, DeviceId, EraserName, Erasure, ErasureRecord,
    FailureCode, GracePeriod, GracePeriodBounds, Identity, Reminder, Reminders, Status, Step, Timestamp,
};

/// 2026-11-23T20:03:07.123456Z.
pub const START: i64 = 1_795_464_187_123_456;

/// The length of a grace period, in microseconds.
pub const GRACE_PERIOD: i64 = 1_000;

/// The key of every chain.
pub fn audit_key() -> AuditKey {
    AuditKey::new(b"0123456789abcdef0123456789abcdef").unwrap()
}

/// The identity.
pub fn address() -> Address {
    "did:web:example.org".parse().unwrap()
}

/// One of two devices.
pub fn device(input: &mut Unstructured<'_>) -> Result<DeviceId> {
    Ok(input.choose(&["DVC0123456789abcdefg", "DVCgfedcba9876543210"])?.parse().unwrap())
}

/// The id of a process, by its number.
pub fn process_id(number: usize) -> DeletionProcessId {
    format!("IDP{number:017}").parse().unwrap()
}

/// One of three erasers.
pub fn eraser(input: &mut Unstructured<'_>) -> Result<EraserName> {
    Ok(input.choose(&["files", "mail", "posts"])?.parse().unwrap())
}

/// Why it failed.
pub fn failure() -> FailureCode {
    "timeout".parse().unwrap()
}

/// An instant near the start or near the end of a grace period that began at the start, or any other.
pub fn instant(input: &mut Unstructured<'_>) -> Result<Timestamp> {
    let micros = match input.int_in_range(0..=3)? {
        0 => START + input.int_in_range(-2..=2)?,
        1 | 2 => START + GRACE_PERIOD + input.int_in_range(-2..=2)?,
        _ => input.arbitrary()?,
    };
    Ok(Timestamp::from_unix_micros(micros).unwrap_or_else(|_| Timestamp::from_unix_micros(START).unwrap()))
}

/// A length whose end lies near those instants.
pub fn grace_period(input: &mut Unstructured<'_>) -> Result<GracePeriod> {
    let bounds = GracePeriodBounds::from_days(1.0 / 86_400_000_000.0, 3_650_000.0).unwrap();
    let micros = GRACE_PERIOD + input.int_in_range(-2..=2)?;
    Ok(GracePeriod::from_days(micros as f64 / 86_400_000_000.0, &bounds).unwrap())
}

/// A record in which every member may be anything.
pub fn record(input: &mut Unstructured<'_>) -> Result<DeletionProcessRecord> {
    let if_there = |input: &mut Unstructured<'_>| -> Result<Option<Timestamp>> {
        if input.arbitrary()? { Ok(Some(instant(input)?)) } else { Ok(None) }
    };
    Ok(DeletionProcessRecord {
        id: process_id(0),
        address: address(),
        status: *input.choose(&Status::ALL)?,
        created_at: instant(input)?,
        created_by_device: device(input)?,
        grace_period_ends_at: instant(input)?,
        reminders: Reminders::new([if_there(input)?, if_there(input)?, if_there(input)?]),
        cancelled_at: if_there(input)?,
        cancelled_by_device: if input.arbitrary()? { Some(device(input)?) } else { None },
        deletion_started_at: if_there(input)?,
        deletion_completed_at: if_there(input)?,
        erasures: if input.arbitrary()? { Some(erasures(input)?) } else { None },
    })
}

fn erasures(input: &mut Unstructured<'_>) -> Result<Vec<ErasureRecord>> {
    (0..input.int_in_range(0..=3)?)
        .map(|_| {
            let erasure = match input.int_in_range(0..=2)? {
                0 => Erasure::Pending { failures: input.arbitrary()? },
                1 => Erasure::Acknowledged { at: instant(input)?, count: input.arbitrary()? },
                _ => Erasure::Waived { at: instant(input)?, code: "retired".parse().unwrap() },
            };
            Ok(ErasureRecord { eraser: eraser(input)?, erasure })
        })
        .collect()
}

/// What is asked of an identity.
#[derive(Debug, Clone)]
pub enum Command {
    Initiate { by: DeviceId, grace_period: GracePeriod },
    Cancel { by: DeviceId },
    Remind { reminder: Reminder },
    StartDeletion { erasers: BTreeSet<EraserName> },
    RecordErasure { eraser: EraserName, count: u64 },
    RecordErasureFailure { eraser: EraserName },
    WaiveErasure { eraser: EraserName },
    Complete,
}

impl Command {
    /// Any of them.
    pub fn arbitrary(input: &mut Unstructured<'_>) -> Result<Self> {
        Ok(match input.int_in_range(0..=7)? {
            0 => Self::Initiate { by: device(input)?, grace_period: grace_period(input)? },
            1 => Self::Cancel { by: device(input)? },
            2 => Self::Remind { reminder: *input.choose(&Reminder::ALL)? },
            3 => {
                let count = input.int_in_range(0..=3)?;
                Self::StartDeletion { erasers: (0..count).map(|_| eraser(input)).collect::<Result<_>>()? }
            }
            4 => Self::RecordErasure { eraser: eraser(input)?, count: input.arbitrary()? },
            5 => Self::RecordErasureFailure { eraser: eraser(input)? },
            6 => Self::WaiveErasure { eraser: eraser(input)? },
            _ => Self::Complete,
        })
    }

    /// Asks it; `id` names the process that is meant, or the new one. A refusal is nothing, after it was shown.
    pub fn ask(&self, identity: &Identity, id: &DeletionProcessId, now: Timestamp) -> Option<Step> {
        fn allowed<E: std::fmt::Display>(answer: std::result::Result<Step, E>) -> Option<Step> {
            answer.map_err(|error| error.to_string()).ok()
        }
        match self.clone() {
            Self::Initiate { by, grace_period } => {
                allowed(identity.initiate(id.clone(), by, grace_period, now))
            }
            Self::Cancel { by } => allowed(identity.cancel(by, now)),
            Self::Remind { reminder } => allowed(identity.remind(id, reminder, now)),
            Self::StartDeletion { erasers } => allowed(identity.start_deletion(id, erasers, now)),
            Self::RecordErasure { eraser, count } => {
                allowed(identity.record_erasure(id, &eraser, count, now))
            }
            Self::RecordErasureFailure { eraser } => {
                allowed(identity.record_erasure_failure(id, &eraser, failure(), now))
            }
            Self::WaiveErasure { eraser } => {
                allowed(identity.waive_erasure(id, &eraser, "retired".parse().unwrap(), now))
            }
            Self::Complete => allowed(identity.complete(id, now)),
        }
    }
}

/// The steps of one process, one after the other.
pub fn steps(input: &mut Unstructured<'_>) -> Result<Vec<Step>> {
    let (mut identity, id) = (Identity::new(address()), process_id(0));
    let start = Timestamp::from_unix_micros(START).unwrap();
    let first = Command::Initiate { by: device(input)?, grace_period: grace_period(input)? };
    let mut steps: Vec<Step> = first.ask(&identity, &id, start).into_iter().collect();
    while let Some(newest) = steps.last() {
        let Ok(next) = Identity::with_open_process(newest.process().clone()) else { break };
        identity = next;
        if input.is_empty() {
            break;
        }
        steps.extend(Command::arbitrary(input)?.ask(&identity, &id, instant(input)?));
    }
    Ok(steps)
}
