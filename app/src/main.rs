//! The binary `reprieve`: configuration, wiring, and nothing else.

mod checks;
mod configuration;
mod event_configuration;
mod following;
mod http_configuration;
mod journal;
mod journal_configuration;
mod receipts;
mod serve;
mod server_configuration;
mod sinks;
mod telemetry;
mod wiring;
mod worker_configuration;
mod workers;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use reprieve_cli::{Arguments, Failure, Output, exit_code};

/// A request is a hundred small allocations, some of them freed by another thread. docs/performance.md has what it makes.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    Output::standard(arguments.options.output, |output| match run(&arguments, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            exit_code(failure.code).into()
        }
    })
}

fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), Failure> {
    reprieve_system::SystemClock::check()?;
    let configuration = configuration::load(&arguments.options);
    let telemetry = telemetry::start(arguments, configuration.as_ref().ok().map(|valid| &valid.telemetry))?;
    let wiring = wiring::Wiring::new(configuration);
    let result = wiring::runtime(&arguments.command)?.block_on(async {
        serve::survive_large_files()?;
        serve::outlive_terminals(&arguments.command)?;
        let result = reprieve_cli::run(&arguments.command, &wiring, output).await;
        wiring.close().await;
        result
    });
    telemetry.end();
    result
}
