//! What deciding costs: the state machine alone, and with the audit entries sealed.

use std::path::Path;

use criterion::{BatchSize, Criterion};
use reprieve_domain::audit::{AuditKey, ChainHead};
use reprieve_domain::{
    Address, DeletionProcessId, DeviceId, GracePeriod, GracePeriodBounds, Identity, Step, Timestamp,
};
use reprieve_tests::{is_measuring, publish};

const GROUP: &str = "domain";
const DECIDED: &str = "initiate and cancel";
const SEALED: &str = "initiate and cancel, sealed";

fn main() {
    let output = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("criterion");
    let mut criterion = Criterion::default().output_directory(&output).configure_from_args();
    let input = Input::new();
    let key = AuditKey::new(b"0123456789abcdef0123456789abcdef").unwrap();

    let mut group = criterion.benchmark_group(GROUP);
    group.bench_function(DECIDED, |bencher| {
        bencher.iter_batched(|| input.clone(), Input::initiate_and_cancel, BatchSize::SmallInput);
    });
    group.bench_function(SEALED, |bencher| {
        bencher.iter_batched(
            || input.clone(),
            |input| {
                let (initiated, cancelled) = input.initiate_and_cancel();
                let head = seal(&key, &initiated, ChainHead::EMPTY);
                seal(&key, &cancelled, head)
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
    criterion.final_summary();

    if is_measuring() {
        let (decided, sealed) = (median(&output, DECIDED), median(&output, SEALED));
        let figures = format!(
            "- Initiating and cancelling, decided by the domain: **{decided:.0} ns** for both steps.\n\
             - With both audit entries and both heads sealed: **{sealed:.0} ns**, {:.0} × as long. Hashing is what \
             the domain's share costs.",
            sealed / decided,
        );
        publish("domain", &figures);
    }
}

#[derive(Clone)]
struct Input {
    identity: Identity,
    id: DeletionProcessId,
    devices: [DeviceId; 2],
    grace_period: GracePeriod,
    now: Timestamp,
}

impl Input {
    fn new() -> Self {
        let device: DeviceId = "DVC0123456789abcdefg".parse().unwrap();
        Self {
            identity: Identity::new(Address::for_public_key("localhost", b"key").unwrap()),
            id: "IDP0123456789abcdefg".parse().unwrap(),
            devices: [device.clone(), device],
            grace_period: GracePeriod::from_days(14.0, &GracePeriodBounds::default()).unwrap(),
            now: "2026-11-23T20:03:07.123456Z".parse().unwrap(),
        }
    }

    fn initiate_and_cancel(self) -> (Step, Step) {
        let [first, second] = self.devices;
        let initiated = self.identity.initiate(self.id, first, self.grace_period, self.now).unwrap();
        let identity = Identity::with_open_process(initiated.process().clone()).unwrap();
        let cancelled = identity.cancel(second, self.now).unwrap();
        (initiated, cancelled)
    }
}

fn seal(key: &AuditKey, step: &Step, head: ChainHead) -> ChainHead {
    let (entry, head) = key.seal(step.audit_entry(), head);
    std::hint::black_box((entry, key.seal_head(step.process().id(), head)));
    head
}

/// Criterion's median, in nanoseconds.
fn median(output: &Path, function: &str) -> f64 {
    let file = output.join(GROUP).join(function).join("new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    estimates["median"]["point_estimate"].as_f64().unwrap()
}
