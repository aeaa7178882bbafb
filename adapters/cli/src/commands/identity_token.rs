//! `reprieve identity token`

use serde_json::json;

use crate::{Failure, Host, Output};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>, audience: &str) -> Result<(), Failure> {
    let token = host.issue_identity_token().await?.execute(audience)?;
    // The token alone, so that it can be the value of a variable.
    let text = format!("{}\n", token.expose());
    output.result(&json!({"token": token.expose(), "expiresAt": token.expires_at}), &text)
}

#[cfg(test)]
mod tests {
    use crate::commands::test_host::run;
    use reprieve_application::ErrorCode;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_token_stands_alone_so_that_a_shell_can_take_it() {
        let line = ["identity", "token", "--audience", "https://reprieve.example"];
        assert_eq!(run(&line).await.unwrap(), "token-for-https://reprieve.example\n");
    }

    #[tokio::test]
    async fn a_program_is_told_how_long_it_holds() {
        let line = ["identity", "token", "--audience", "a", "--output", "json"];
        let json: Value = serde_json::from_str(&run(&line).await.unwrap()).unwrap();
        assert_eq!(json, json!({"token": "token-for-a", "expiresAt": "2026-12-07T20:08:07.000000Z"}));
    }

    #[tokio::test]
    async fn a_token_for_nobody_is_refused() {
        let failure = run(&["identity", "token", "--audience", ""]).await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::InvalidPropertyValue);
    }
}
