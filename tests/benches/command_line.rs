//! What the whole process of `reprieve identityDeletion cancel` costs on SQLite, beside a process that does nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reprieve_tests::{Sandbox, is_measuring, publish, reprieve_binary};
use wait4::Wait4;

/// What one process took.
struct Cost {
    /// By the process itself and by the kernel for it.
    processor: Duration,
    wall: Duration,
    /// In KiB.
    peak_memory: u64,
}

fn main() {
    let rounds = if is_measuring() { 200 } else { 1 };
    let sandbox = Sandbox::new();
    let command = |verb: &str| {
        let mut command = sandbox.command();
        command.args(["identityDeletion", verb]);
        command
    };
    let (mut init, mut cancel, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        init.push(cost(&mut command("init")));
        cancel.push(cost(&mut command("cancel")));
        nothing.push(cost(&mut Command::new("/bin/true")));
    }
    if !is_measuring() {
        println!("a whole command: ok");
        return;
    }

    let processor = median(&cancel, |cost| cost.processor.as_secs_f64() * 1000.0);
    let memory = median(&cancel, |cost| mebibytes(cost.peak_memory * 1024));
    let size = mebibytes(size(reprieve_binary()));
    let row = |name: &str, costs: &[Cost]| {
        format!(
            "| {name} | {:.2} ms | {:.2} ms | {:.1} MiB |\n",
            median(costs, |cost| cost.processor.as_secs_f64() * 1000.0),
            median(costs, |cost| cost.wall.as_secs_f64() * 1000.0),
            median(costs, |cost| mebibytes(cost.peak_memory * 1024)),
        )
    };
    let target = |reached: bool| if reached { "reached" } else { "**missed**" };
    publish(
        "a whole command",
        &format!(
            "- **{:.1} ×** the processor time of a process that does nothing: **{processor:.2} ms**. Target: less than \
             15 ms, {}.\n\
             - **{memory:.1} MiB** of memory at its peak. Target: less than 20 MiB, {}.\n\
             - The binary, with PostgreSQL built in, has **{size:.1} MiB**. Target: less than 20 MiB, {}.\n\n\
             | median of {rounds} | processor, own and kernel | wall | peak memory |\n|---|---|---|---|\n{}{}{}",
            processor / median(&nothing, |cost| cost.processor.as_secs_f64() * 1000.0),
            target(processor < 15.0),
            target(memory < 20.0),
            target(size < 20.0),
            row("`reprieve identityDeletion cancel`", &cancel),
            row("`reprieve identityDeletion init`", &init),
            row("`/bin/true`", &nothing),
        ),
    );
}

fn cost(command: &mut Command) -> Cost {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let usage = command.spawn().unwrap().wait4().unwrap();
    let wall = start.elapsed();
    assert!(usage.status.success(), "{command:?} failed");
    let used = usage.rusage;
    Cost { processor: used.utime + used.stime, wall, peak_memory: used.maxrss / 1024 }
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().len()
}

#[expect(clippy::cast_precision_loss, reason = "files and processes are smaller than 2^52 bytes")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
