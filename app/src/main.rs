//! The binary `reprieve`: configuration, wiring, and nothing else.

mod configuration;
mod telemetry;
mod wiring;

use std::process::ExitCode;

use clap::Parser;
use reprieve_cli::{Arguments, Failure, Output, exit_code};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    telemetry::start(arguments.options.verbose);
    Output::standard(arguments.options.output, |output| match run(&arguments, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            exit_code(failure.code).into()
        }
    })
}

fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), Failure> {
    let wiring = wiring::Wiring::new(configuration::load(&arguments.options));
    wiring::runtime()?.block_on(async {
        let result = reprieve_cli::run(&arguments.command, &wiring, output).await;
        wiring.close().await;
        result
    })
}
