//! Command lines, one argument a line.

#![no_main]

use clap::Parser;
use libfuzzer_sys::fuzz_target;
use reprieve_cli::Arguments;

fuzz_target!(|text: &str| {
    if let Err(error) = Arguments::try_parse_from(std::iter::once("reprieve").chain(text.lines())) {
        // Showing the mistake must work as well.
        let _ = error.to_string();
    }
});
