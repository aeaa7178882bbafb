//! Events of every kind, of processes in every status, with and without a trace.

use proptest::prelude::*;
use reprieve_application::facade::ProcessData;
use reprieve_application::{OutgoingEvent, TraceContext};
use reprieve_domain::audit::FaultKind;
use reprieve_domain::{Address, DeletionProcessId, DeviceId, Event, EventKind, Status, Timestamp};

/// Any instant between the years 1 and 9999.
fn instant() -> impl Strategy<Value = Timestamp> {
    (-62_135_596_800_000_000_i64..=253_402_300_799_999_999)
        .prop_map(|micros| Timestamp::from_unix_micros(micros).unwrap())
}

fn process_id() -> impl Strategy<Value = DeletionProcessId> {
    "IDP[A-Za-z0-9]{17}".prop_map(|text| text.parse().unwrap())
}

fn device() -> impl Strategy<Value = DeviceId> {
    "DVC[A-Za-z0-9]{17}".prop_map(|text| text.parse().unwrap())
}

fn address() -> impl Strategy<Value = Address> {
    let enmeshed =
        any::<[u8; 32]>().prop_map(|key| Address::for_public_key("prod.enmeshed.eu", &key).unwrap());
    let other = "did:([a-df-z0-9]|[a-z0-9]{2,8})(:([A-Za-z0-9._-]|%[0-9A-Fa-f]{2}){0,9}){0,3}:([A-Za-z0-9._-]|%[0-9A-Fa-f]{2}){1,9}";
    prop_oneof![enmeshed, other.prop_map(|text| text.parse().unwrap())]
}

fn kind() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        instant().prop_map(|at| EventKind::IdentityToBeDeleted { grace_period_ends_at: at }),
        Just(EventKind::IdentityDeletionCancelled),
        (prop::sample::select(&reprieve_domain::Reminder::ALL), any::<u32>(), instant()).prop_map(
            |(reminder, days_until_deletion, grace_period_ends_at)| {
                EventKind::IdentityDeletionReminderDue { reminder, days_until_deletion, grace_period_ends_at }
            }
        ),
        prop::option::of(instant())
            .prop_map(|suspended_until| EventKind::IdentityDeletionSuspensionChanged { suspended_until }),
        Just(EventKind::IdentityDeletionStarted),
        ("[A-Za-z0-9._-]{1,64}", any::<u32>()).prop_map(|(eraser, failures)| {
            EventKind::IdentityErasureStuck { eraser: eraser.parse().unwrap(), failures }
        }),
        ("[A-Za-z0-9._-]{1,64}", "[A-Za-z0-9._-]{1,64}").prop_map(|(eraser, code)| {
            EventKind::IdentityErasureWaived { eraser: eraser.parse().unwrap(), code: code.parse().unwrap() }
        }),
        Just(EventKind::IdentityDeletionProcessQuarantined { reason: FaultKind::ProcessDiffers }),
        Just(EventKind::IdentityDeleted),
    ]
}

fn trace() -> impl Strategy<Value = TraceContext> {
    let parent = "00-[0-9a-f]{31}1-[0-9a-f]{15}1-0[01]";
    let state = prop::option::of("[a-z]{1,5}=[!-+\\--<>-~]{1,20}(,[a-z]{1,5}@v=[!-+\\--<>-~]{1,20}){0,2}");
    (parent, state).prop_map(|(parent, state)| TraceContext { parent, state })
}

/// A process in any status, as somebody sees it who may.
fn process(id: DeletionProcessId) -> impl Strategy<Value = ProcessData> {
    let parts = (prop::sample::select(&Status::ALL), instant(), device(), instant(), instant(), device());
    (parts, prop::option::of(instant())).prop_map(
        move |(
            (status, created_at, created_by_device, ends_at, cancelled_at, cancelled_by_device),
            suspended,
        )| {
            let is_cancelled = status == Status::Cancelled;
            ProcessData {
                id: id.clone(),
                status,
                created_at,
                created_by_device,
                grace_period_ends_at: (!is_cancelled).then_some(ends_at),
                cancelled_at: is_cancelled.then_some(cancelled_at),
                cancelled_by_device: is_cancelled.then_some(cancelled_by_device),
                suspended_until: suspended.filter(|_| status.is_open()),
            }
        },
    )
}

/// Any event.
pub(crate) fn event() -> impl Strategy<Value = OutgoingEvent> {
    process_id().prop_flat_map(|process_id| {
        let process = prop::option::of(process(process_id.clone()));
        let parts = ("[A-Za-z0-9]{1,32}", 1..=i64::MAX, address(), instant(), kind());
        (parts, process, prop::option::of(trace())).prop_map(
            move |((id, sequence, address, occurred_at, kind), process, trace)| OutgoingEvent {
                id,
                sequence,
                event: Event { process_id: process_id.clone(), address, occurred_at, kind },
                process,
                trace,
            },
        )
    })
}
