//! `reprieve start`

use serde_json::json;

use crate::{Failure, Host, Output};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let server = host.bind().await?;
    let listening = server.listening();
    let mut text = format!("Listening on {}\n", listening.url);
    if listening.is_open {
        text.push_str("No authentication is configured: only programs on this machine can call.\n");
    }
    output.result(&json!({"url": listening.url, "open": listening.is_open}), &text)?;
    server.run().await
}
