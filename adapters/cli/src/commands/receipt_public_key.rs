//! `reprieve receipt public-key`

use reprieve_application::ErrorCode;
use serde_json::Value;

use crate::{Failure, Host, Output};

pub(super) fn run(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let jwk = host.receipt_public_key()?;
    let json: Value = serde_json::from_str(&jwk).map_err(|error| {
        Failure::new(ErrorCode::SystemFailed, format!("the public key is not a JWK: {error}"))
    })?;
    // A JWK in both formats, so that either can be the file that a receipt is checked with.
    output.result(&json, &format!("{}\n", jwk.trim_end()))
}

#[cfg(test)]
mod tests {
    use crate::commands::test_host::{PUBLIC_KEY, run};
    use serde_json::Value;

    #[tokio::test]
    async fn both_formats_are_the_key_itself() {
        assert_eq!(run(&["receipt", "public-key"]).await.unwrap(), format!("{PUBLIC_KEY}\n"));
        let json = run(&["receipt", "public-key", "--output", "json"]).await.unwrap();
        let [json, expected] =
            [json.as_str(), PUBLIC_KEY].map(|text| serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(json, expected);
    }
}
