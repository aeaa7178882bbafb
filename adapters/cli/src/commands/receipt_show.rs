//! `reprieve receipt show`

use reprieve_domain::DeletionProcessId;
use serde_json::json;

use crate::input::parse;
use crate::{Failure, Host, Output, printable};

pub(super) async fn run(host: &dyn Host, output: &mut Output<'_>, process_id: &str) -> Result<(), Failure> {
    let process_id: DeletionProcessId = parse(process_id)?;
    let signed = host.show_receipt().await?.execute(&process_id).await?;
    // The receipt alone, so that it can be piped into whatever checks it.
    output.result(&json!({"receipt": signed}), &format!("{}\n", printable::value(&signed)))
}

#[cfg(test)]
mod tests {
    use crate::commands::test_host::{TestHost, run_on};
    use reprieve_application::ErrorCode;
    use reprieve_application::ports::MockReceipts;

    const ID: &str = "IDP0123456789abcdefg";

    fn host() -> TestHost {
        let mut receipts = MockReceipts::new();
        receipts.expect_find().returning(|id| Ok((id.as_str() == ID).then(|| "a.b.c".to_owned())));
        TestHost::default().with_receipts(receipts)
    }

    #[tokio::test]
    async fn a_receipt_stands_alone() {
        let (result, out) = run_on(&host(), &["receipt", "show", ID]).await;
        assert_eq!((result, out.as_str()), (Ok(()), "a.b.c\n"));
        let (result, out) = run_on(&host(), &["receipt", "show", ID, "--output", "json"]).await;
        assert_eq!((result, out.as_str()), (Ok(()), "{\n  \"receipt\": \"a.b.c\"\n}\n"));
    }

    #[tokio::test]
    async fn an_id_that_is_none_or_has_no_receipt_is_refused() {
        for (id, code) in
            [("IDP", ErrorCode::InvalidPropertyValue), ("IDP00000000000000000", ErrorCode::RecordNotFound)]
        {
            let (result, out) = run_on(&host(), &["receipt", "show", id]).await;
            assert_eq!((result.unwrap_err().code, out.as_str()), (code, ""));
        }
    }
}
