//! Logs, on standard error. They carry ids of processes, never an address.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging: warnings, with `verbose` what Reprieve does, and with more what it does in detail.
pub(crate) fn start(verbose: u8) {
    let own = match verbose {
        0 => Level::WARN,
        1 => Level::INFO,
        2 => Level::DEBUG,
        _ => Level::TRACE,
    };
    // Libraries below log statements and values; they are not let through, however verbose.
    let filter = Targets::new().with_target("reprieve", own).with_default(Level::WARN);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = layer.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // Fails only if somebody else started logging, and then it is started.
    let _ = tracing_subscriber::registry().with(layer).with(filter).try_init();
}
