//! Who signs receipts, and who checks them: a deployment has one key for good.

use std::sync::Once;

use reprieve_application::ports::ReceiptChecker;
use reprieve_application::{ErrorCode, Receipt};
use reprieve_cli::Failure;
use reprieve_persistence::Store;
use reprieve_system::{JwsReceiptChecker, JwsReceiptSigner, ReceiptKeyFile};

use crate::worker_configuration::WorkerConfiguration;
use crate::workers::invalid;

/// What is remembered of the deployment: which key receipts are signed with.
const RECEIPT_KEY: &str = "receipt_key";

fn another_receipt_key(file: &ReceiptKeyFile) -> Failure {
    let message = format!("receipts were signed with another key than {}", file.path().display());
    Failure::new(ErrorCode::ReceiptKeyUnusable, message)
}

/// The file with the key that receipts are signed with.
fn receipt_key_file(configuration: &WorkerConfiguration) -> Result<ReceiptKeyFile, Failure> {
    let file = configuration.receipt_key.as_ref();
    file.map(ReceiptKeyFile::new)
        .ok_or_else(|| invalid("key receipts.key_file: is not set, and without HOME there is no default"))
}

/// Who signs receipts, for whoever only reads them: a key that is not there is not made.
pub(crate) fn receipt_signer(configuration: &WorkerConfiguration) -> Result<JwsReceiptSigner, Failure> {
    let file = receipt_key_file(configuration)?;
    let key = file.read()?.ok_or_else(|| {
        Failure::new(
            ErrorCode::ReceiptKeyUnusable,
            format!("there is no key {}: it is made with the first deletion", file.path().display()),
        )
    })?;
    Ok(JwsReceiptSigner::new(key))
}

/// Checks receipts with the key of the deployment. Where that is not at hand, what they say is compared all the same, and
/// the first receipt that is met leaves a warning.
pub(crate) struct ReceiptCheck {
    checker: JwsReceiptChecker,
    without_key: Once,
    has_key: bool,
}

impl ReceiptChecker for ReceiptCheck {
    fn is_receipt(&self, signed: &str, receipt: &Receipt) -> bool {
        if !self.has_key {
            self.without_key.call_once(|| {
                tracing::warn!(
                    "there is no receipt key here: what the receipts say is compared, but not who signed them"
                );
            });
        }
        self.checker.is_receipt(signed, receipt)
    }
}

/// Checks the receipts of this deployment.
pub(crate) async fn receipt_checker(
    store: &Store,
    configuration: &WorkerConfiguration,
) -> Result<ReceiptCheck, Failure> {
    let file = configuration.receipt_key.as_ref().map(ReceiptKeyFile::new);
    let key = file.as_ref().map(ReceiptKeyFile::read).transpose()?.flatten();
    let signer = key.map(JwsReceiptSigner::new);
    if let (Some(signer), Some(file), Some(known)) = (&signer, &file, store.remembered(RECEIPT_KEY).await?)
        && signer.key_id() != known
    {
        return Err(another_receipt_key(file));
    }
    let checker = JwsReceiptChecker::new(signer.as_ref());
    Ok(ReceiptCheck { checker, without_key: Once::new(), has_key: signer.is_some() })
}

/// Signs receipts. A deployment has one key for good: it is made once, and no other is taken for it.
pub(crate) async fn signer(
    store: &Store,
    configuration: &WorkerConfiguration,
) -> Result<JwsReceiptSigner, Failure> {
    let file = receipt_key_file(configuration)?;
    let signer = match known_signer(store, &file).await? {
        (Some(signer), true) => return Ok(signer),
        (Some(signer), false) => signer,
        (None, _) => JwsReceiptSigner::new(file.create()?),
    };
    let key_id = signer.key_id();
    if store.remember(RECEIPT_KEY, &key_id).await? != key_id {
        return Err(another_receipt_key(&file));
    }
    Ok(signer)
}

/// Whether there is a key that receipts can be signed with, or an error if they cannot; makes no key.
pub(crate) async fn check_signer(
    store: &Store,
    configuration: &WorkerConfiguration,
) -> Result<bool, Failure> {
    known_signer(store, &receipt_key_file(configuration)?).await.map(|(signer, _)| signer.is_some())
}

/// The same, as far as can be said without a database.
pub(crate) fn check_file(configuration: &WorkerConfiguration) -> Result<bool, Failure> {
    Ok(receipt_key_file(configuration)?.read()?.is_some())
}

/// The key in the file, and whether the deployment has one already, which is the same then.
async fn known_signer(
    store: &Store,
    file: &ReceiptKeyFile,
) -> Result<(Option<JwsReceiptSigner>, bool), Failure> {
    let known = store.remembered(RECEIPT_KEY).await?;
    match (file.read()?.map(JwsReceiptSigner::new), &known) {
        (Some(signer), Some(known)) if signer.key_id() != *known => Err(another_receipt_key(file)),
        (None, Some(_)) => Err(Failure::new(
            ErrorCode::ReceiptKeyUnusable,
            format!(
                "receipts were signed before, but there is no key {}; set receipts.key_file",
                file.path().display()
            ),
        )),
        (signer, _) => Ok((signer, known.is_some())),
    }
}
