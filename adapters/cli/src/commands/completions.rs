//! `reprieve completions`

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use crate::{Arguments, Failure, Output};

pub(super) fn run(output: &mut Output<'_>, shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "reprieve", &mut script);
    let script = String::from_utf8_lossy(&script);
    output.result(&json!({"shell": shell.to_string(), "script": script}), &script)
}
