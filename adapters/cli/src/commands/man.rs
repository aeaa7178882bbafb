//! `reprieve man`

use std::io;
use std::path::Path;

use clap::CommandFactory;
use reprieve_application::ErrorCode;
use serde_json::json;

use crate::{Arguments, Failure, Output, printable};

pub(super) fn run(output: &mut Output<'_>, directory: Option<&Path>) -> Result<(), Failure> {
    let command = Arguments::command();
    let failed = |error: io::Error| {
        Failure::new(ErrorCode::SystemFailed, format!("the manual pages cannot be written: {error}"))
    };
    let Some(directory) = directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).map_err(failed)?;
        let page = String::from_utf8_lossy(&page);
        return output.result(&json!({"page": page}), &page);
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(command, directory).map_err(failed)?;
    let directory = directory.display().to_string();
    output.result(
        &json!({"directory": directory}),
        &format!("Manual pages written to {}\n", printable::value(&directory)),
    )
}
