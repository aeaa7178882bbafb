//! Whether files with secrets or personal data are readable by their owner only.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use reprieve_application::{Area, Finding};

use crate::configuration::{AuditKeySource, Configuration};

/// What the group and all others may do.
const OTHERS: u32 = 0o077;

/// Looks at every file that is there.
pub(super) fn check(configuration: &Configuration, journal: Option<&Path>) -> Vec<Finding> {
    let audit_key = match &configuration.audit_key {
        AuditKeySource::Configured(_) => None,
        AuditKeySource::File(file) => Some(file.as_path()),
    };
    let files = [
        ("the configuration, which has secrets", configuration.file_with_secrets()),
        ("the database", configuration.database.file()),
        ("the audit key", audit_key),
        ("the key for receipts", configuration.workers.receipt_key.as_deref()),
        ("the journal", journal),
    ];
    let found: Vec<Finding> =
        files.iter().filter_map(|(what, file)| readable_by_others(what, (*file)?)).collect();
    if found.is_empty() { vec![Finding::ok(Area::Files, "only their owner can read them")] } else { found }
}

fn readable_by_others(what: &str, file: &Path) -> Option<Finding> {
    let mode = file.metadata().ok()?.permissions().mode() & 0o7777;
    let path = file.display();
    (mode & OTHERS != 0).then(|| {
        let message = format!("{what} can be used by others than its owner: {path} has the mode {mode:04o}");
        Finding::wrong(Area::Files, None, message, format!("run `chmod 600 {path}`"))
    })
}
