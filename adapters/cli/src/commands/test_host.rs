//! A host for commands that ask it for keys and tokens.

use std::sync::Arc;

use async_trait::async_trait;
use reprieve_application::facade::IdentityDeletionFacade;
use reprieve_application::ports::{MockClock, MockIds, MockTokenSigner};
use reprieve_application::use_cases::{GenerateApiKey, IssueIdentityToken, VerifyAuditTrail};
use reprieve_application::{KeyPair, OwnIdentity, SecretKey};

use crate::{Arguments, Command, ConfigurationInForce, Failure, Host, Output, OutputFormat, Server};

use clap::Parser as _;

pub(super) struct TestHost;

fn clock() -> Arc<MockClock> {
    let mut clock = MockClock::new();
    clock.expect_now().returning(|| "2026-12-07T20:03:07.5Z".parse().unwrap());
    Arc::new(clock)
}

fn ids() -> Arc<MockIds> {
    let mut ids = MockIds::new();
    ids.expect_random_bytes().returning(|| Ok([0; 32]));
    Arc::new(ids)
}

/// Runs a command line and returns what it writes on standard output.
pub(super) async fn run(line: &[&str]) -> Result<String, Failure> {
    let arguments = Arguments::try_parse_from(["reprieve"].iter().chain(line)).unwrap();
    let (command, format): (Command, OutputFormat) = (arguments.command, arguments.options.output);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    super::run(&command, &TestHost, &mut Output::new(format, &mut out, &mut err)).await?;
    Ok(String::from_utf8(out).unwrap())
}

#[async_trait]
impl Host for TestHost {
    async fn issue_identity_token(&self) -> Result<IssueIdentityToken, Failure> {
        let identity = OwnIdentity {
            address: "did:web:example.org".parse().unwrap(),
            device: "DVC0123456789abcdefg".parse().unwrap(),
            keys: KeyPair { secret: SecretKey::new([7; 32]), public: [9; 32] },
        };
        let mut signer = MockTokenSigner::new();
        signer.expect_sign().returning(|claims, _| format!("token-for-{}", claims.audience));
        Ok(IssueIdentityToken::new(identity, clock(), ids(), Arc::new(signer)))
    }

    fn generate_api_key(&self) -> GenerateApiKey {
        GenerateApiKey::new(clock(), ids())
    }

    async fn identity_deletion(&self) -> Result<Box<dyn IdentityDeletionFacade>, Failure> {
        unreachable!("no command here asks for it")
    }

    async fn audit_trail(&self) -> Result<VerifyAuditTrail, Failure> {
        unreachable!("no command here asks for it")
    }

    async fn migrate(&self) -> Result<Vec<String>, Failure> {
        unreachable!("no command here asks for it")
    }

    async fn bind(&self) -> Result<Box<dyn Server>, Failure> {
        unreachable!("no command here asks for it")
    }

    fn configuration(&self) -> Result<ConfigurationInForce, Failure> {
        unreachable!("no command here asks for it")
    }
}
