//! One fail-over, as it was seen, and what all of them amount to.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{Load, Service};
use crate::nodes::Nodes;

/// A cluster that has no primary for so long will have none.
const UNTIL_PROMOTED: Duration = Duration::from_mins(2);
/// A service that has taken no step for so long after that is not going to.
const UNTIL_SERVED: Duration = Duration::from_mins(1);
/// There is a step in so much time before a fault, or there was an outage already.
const BEFORE_THE_FAULT: Duration = Duration::from_secs(1);
/// What is asked of a service, in the median.
const AT_MOST: Duration = Duration::from_secs(5);

/// What became of one fault.
pub(crate) struct FailOver {
    kind: String,
    node: String,
    pub(crate) fault: Instant,
    /// When the node first took a write.
    promoted: Option<Instant>,
    /// Of each service.
    services: Vec<Served>,
}

struct Served {
    name: String,
    /// When it took the first step since the promotion.
    next: Option<Instant>,
    /// When every client had taken one.
    everybody: Option<Instant>,
    /// The longest time without a step.
    outage: Option<Duration>,
}

impl FailOver {
    /// Watches one that is about to begin.
    pub(crate) fn observe(kind: &str, node: &str, nodes: &Nodes, load: &Load) -> Self {
        let fault = Instant::now();
        let promoted = promotion(node, nodes, fault);
        let mut everybody = vec![None; load.services().len()];
        if let Some(promoted) = promoted {
            while promoted.elapsed() < UNTIL_SERVED && everybody.contains(&None) {
                for (everybody, service) in everybody.iter_mut().zip(load.services()) {
                    if everybody.is_none() && service.everybody_since(promoted) {
                        *everybody = Some(Instant::now());
                    }
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        let served = |(service, everybody): (&Service, Option<Instant>)| {
            let steps = service.acknowledged_since(fault.checked_sub(BEFORE_THE_FAULT).unwrap());
            let next = promoted.and_then(|promoted| steps.iter().find(|step| **step >= promoted).copied());
            let outage = steps.windows(2).map(|pair| pair[1] - pair[0]).max();
            Served { name: service.name().to_owned(), next, everybody, outage: next.and(outage) }
        };
        let services = load.services().iter().zip(everybody).map(served).collect();
        Self { kind: kind.to_owned(), node: node.to_owned(), fault, promoted, services }
    }

    /// For people to read.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("{:11} → {}", self.kind, self.node);
        let Some(promoted) = self.promoted else { return line + ": no primary" };
        let _ = write!(line, "  primary after {:5.2} s", (promoted - self.fault).as_secs_f64());
        let in_words = |time: Option<Duration>| time.map_or("never".to_owned(), seconds);
        let since = |instant: Option<Instant>| instant.map(|instant| instant - promoted);
        for Served { name, next, everybody, outage } in &self.services {
            let (next, all) = (in_words(since(*next)), in_words(since(*everybody)));
            let _ = write!(line, "  {name}: next {next}, all {all}, out {}", in_words(*outage));
        }
        line
    }

    /// From the promotion to the next step of a service; for ever if there was none.
    fn until_served(&self, service: usize) -> Duration {
        let times = self.promoted.zip(self.services[service].next);
        times.map_or(Duration::MAX, |(promoted, next)| next - promoted)
    }

    fn until_everybody_is_served(&self, service: usize) -> Duration {
        let times = self.promoted.zip(self.services[service].everybody);
        times.map_or(Duration::MAX, |(promoted, everybody)| everybody - promoted)
    }

    fn outage(&self, service: usize) -> Duration {
        self.services[service].next.map_or(Duration::MAX, |next| next - self.fault)
    }
}

fn promotion(node: &str, nodes: &Nodes, fault: Instant) -> Option<Instant> {
    while fault.elapsed() < UNTIL_PROMOTED {
        match nodes.writable_since(node) {
            Some(since) if since >= fault => return Some(since),
            _ => thread::sleep(Duration::from_millis(5)),
        }
    }
    None
}

/// Whether a service, which is the one with this number, was quick enough, and lines about it.
pub(crate) fn figures(of: &Service, service: usize, fail_overs: &[FailOver]) -> (bool, Vec<String>) {
    let name = of.name();
    let Some((served, line)) = spread(fail_overs, |one| one.until_served(service)) else {
        return (true, Vec::new());
    };
    let mut lines = vec![format!("{name}: from the promotion to the next step: {line}")];
    if let Some((_, line)) = spread(fail_overs, |one| one.until_everybody_is_served(service)) {
        lines.push(format!("{name}: from the promotion until every client has taken one: {line}"));
    }
    if let Some((_, line)) = spread(fail_overs, |one| one.outage(service)) {
        lines.push(format!("{name}: from the fault to the next step: {line}"));
    }
    if let Some(pause) = longest_pause(of, service, fail_overs) {
        lines.push(format!("{name}: at other times, the longest without a step: {}", seconds(pause)));
    }
    if served > AT_MOST {
        lines.push(format!("{name}: TOO SLOW: at most {} s are asked for", AT_MOST.as_secs()));
    }
    (served <= AT_MOST, lines)
}

/// The longest time without a step since the first fault that has nothing to do with waiting for a primary, such as when a
/// host comes back.
fn longest_pause(of: &Service, service: usize, fail_overs: &[FailOver]) -> Option<Duration> {
    let steps = of.acknowledged_since(fail_overs.first()?.fault);
    let in_a_fail_over = |start: Instant, end: Instant| {
        fail_overs
            .iter()
            .any(|one| end > one.fault && one.services[service].next.is_none_or(|next| start < next))
    };
    let pauses = steps.windows(2).filter(|pair| !in_a_fail_over(pair[0], pair[1]));
    pauses.map(|pair| pair[1] - pair[0]).max()
}

/// The median of all, and it with the worst one in words, also of each kind.
fn spread(fail_overs: &[FailOver], of: impl Fn(&FailOver) -> Duration) -> Option<(Duration, String)> {
    let median_and_worst = |kind: Option<&str>| {
        let asked_for = fail_overs.iter().filter(|one| kind.is_none_or(|kind| one.kind == kind));
        let mut times: Vec<Duration> = asked_for.map(&of).collect();
        times.sort_unstable();
        let middle = times.len() / 2;
        let upper = *times.get(middle)?;
        let median = if times.len().is_multiple_of(2) {
            times[middle - 1].saturating_add(upper.saturating_sub(times[middle - 1]) / 2)
        } else {
            upper
        };
        Some((median, *times.last()?, times.len()))
    };
    let (median, worst, count) = median_and_worst(None)?;
    let mut line = format!("median {}, worst {} of {count}", seconds(median), seconds(worst));
    let mut kinds: Vec<&str> = fail_overs.iter().map(|one| one.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let (median, worst, _) = median_and_worst(Some(kind))?;
        let _ = write!(line, "; {kind} {}, {}", seconds(median), seconds(worst));
    }
    Some((median, line))
}

fn seconds(time: Duration) -> String {
    if time > UNTIL_SERVED * 10 { "never".to_owned() } else { format!("{:.2} s", time.as_secs_f64()) }
}
