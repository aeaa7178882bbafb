//! What the command line needs from whoever wires it.

use async_trait::async_trait;
use reprieve_application::facade::IdentityDeletionFacade;
use reprieve_application::use_cases::{GenerateApiKey, IssueIdentityToken, VerifyAuditTrail};

use crate::Failure;

/// Provides what a command asks for, when it asks: a command that needs no database opens none.
#[async_trait]
pub trait Host: Send + Sync {
    /// What can be asked on behalf of the own identity, which is created if there is none: of the own database, or of the
    /// server that is named.
    ///
    /// # Errors
    /// If the configuration is not valid or the database cannot be used.
    async fn identity_deletion(&self) -> Result<Box<dyn IdentityDeletionFacade>, Failure>;

    /// Tokens of the own identity, which is created if there is none.
    ///
    /// # Errors
    /// If the configuration is not valid or the database cannot be used.
    async fn issue_identity_token(&self) -> Result<IssueIdentityToken, Failure>;

    /// API keys, for which nothing is opened.
    fn generate_api_key(&self) -> GenerateApiKey;

    /// The audit trail of the own database.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn audit_trail(&self) -> Result<VerifyAuditTrail, Failure>;

    /// Brings the own database to this version; returns the migrations that were applied.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn migrate(&self) -> Result<Vec<String>, Failure>;

    /// The service, listening.
    ///
    /// # Errors
    /// If the configuration is not valid, or the database or the address cannot be used.
    async fn bind(&self) -> Result<Box<dyn Server>, Failure>;

    /// The configuration.
    ///
    /// # Errors
    /// If it is not valid.
    fn configuration(&self) -> Result<ConfigurationInForce, Failure>;
}

/// A service that listens.
#[async_trait]
pub trait Server: Send {
    /// Where it listens.
    fn listening(&self) -> &Listening;

    /// Answers requests until it is told to stop.
    ///
    /// # Errors
    /// If it has to end in another way.
    async fn run(self: Box<Self>) -> Result<(), Failure>;
}

/// Where a service listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// Its URL, with the port it got.
    pub url: String,
    /// Whether everybody on this machine may call, because no authentication is configured.
    pub is_open: bool,
}

/// The configuration with secrets hidden, in both forms.
#[derive(Debug, Clone)]
pub struct ConfigurationInForce {
    /// As a TOML document.
    pub toml: String,
    /// As a JSON document.
    pub json: serde_json::Value,
}
