//! `reprieve database migrate`

use serde_json::json;

use crate::{Failure, Host, Output};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let applied = host.migrate().await?;
    let text = if applied.is_empty() {
        "Database is up to date\n".to_owned()
    } else {
        format!("Applied {}\n", applied.join("\nApplied "))
    };
    output.result(&json!({"applied": applied}), &text)
}
