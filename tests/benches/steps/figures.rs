//! What was measured of one way, and how ways are compared.

use std::fmt::Write as _;
use std::time::Duration;

pub(crate) struct Figures {
    name: &'static str,
    /// Steps per second, one a round.
    rates: Vec<f64>,
    initiate: Vec<Duration>,
    cancel: Vec<Duration>,
}

impl Figures {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, rates: Vec::new(), initiate: Vec::new(), cancel: Vec::new() }
    }

    /// A turn of this length in which these pairs of an initiation and a cancellation were taken.
    pub(crate) fn add(&mut self, times: Vec<(Duration, Duration)>, length: Duration) {
        #[expect(clippy::cast_precision_loss, reason = "fewer steps in a turn than 2^52")]
        self.rates.push(2.0 * times.len() as f64 / length.as_secs_f64());
        let (initiate, cancel): (Vec<_>, Vec<_>) = times.into_iter().unzip();
        self.initiate.extend(initiate);
        self.cancel.extend(cancel);
    }

    fn row(&self) -> String {
        let times = |times: &[Duration]| {
            let milliseconds = |part| quantile(times, part).as_secs_f64() * 1000.0;
            format!("{:.2} / {:.2} ms", milliseconds(0.5), milliseconds(0.99))
        };
        let rate = quantile(&self.rates, 0.5);
        format!("| {} | {rate:.0} | {} | {} |", self.name, times(&self.initiate), times(&self.cancel))
    }

    /// The slowest of a hundred steps, of both kinds together.
    fn p99(&self) -> Duration {
        quantile(&[self.initiate.as_slice(), self.cancel.as_slice()].concat(), 0.99)
    }
}

/// The first compared with each of the others, and all in a table; `target` is for the first of the others.
pub(crate) fn compare(all: &[Figures], target: f64) -> String {
    let mut text = String::new();
    let [first, others @ ..] = all else { return text };
    for (place, other) in others.iter().enumerate() {
        // Round by round, so that a slow minute of the machine is on both sides.
        let ratios: Vec<f64> = first.rates.iter().zip(&other.rates).map(|(a, b)| a / b).collect();
        let ratio = quantile(&ratios, 0.5);
        let _ = write!(
            text,
            "- **{ratio:.2} ×** the throughput of {} (middle half of {} rounds: {:.2} to {:.2}); its p99 is {:.2} × as long",
            other.name,
            ratios.len(),
            quantile(&ratios, 0.25),
            quantile(&ratios, 0.75),
            first.p99().as_secs_f64() / other.p99().as_secs_f64(),
        );
        if place == 0 {
            let reached = if ratio >= target { "reached" } else { "**missed**" };
            let _ = write!(text, ". Target: at least {target} ×, {reached}");
        }
        text.push_str(".\n");
    }
    text.push_str("\n| | steps per second | initiate p50 / p99 | cancel p50 / p99 |\n|---|---|---|---|\n");
    for figures in all {
        let _ = writeln!(text, "{}", figures.row());
    }
    text
}

/// The value that this part of all values is not above.
fn quantile<T: Copy + PartialOrd>(values: &[T], part: f64) -> T {
    let mut values = values.to_vec();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of values"
    )]
    let place = ((values.len() - 1) as f64 * part).round() as usize;
    values[place]
}
