//! What the command line needs from whoever wires it.

use async_trait::async_trait;
use reprieve_application::facade::IdentityDeletionFacade;
use reprieve_application::use_cases::VerifyAuditTrail;

use crate::Failure;

/// Provides what a command asks for, when it asks: a command that needs no database opens none.
#[async_trait]
pub trait Host: Send + Sync {
    /// What can be asked on behalf of the own identity, which is created if there is none.
    ///
    /// # Errors
    /// If the configuration is not valid or the database cannot be used.
    async fn identity_deletion(&self) -> Result<Box<dyn IdentityDeletionFacade>, Failure>;

    /// The audit trail.
    ///
    /// # Errors
    /// If the configuration is not valid or the database cannot be used.
    async fn audit_trail(&self) -> Result<VerifyAuditTrail, Failure>;

    /// Brings the database to this version; returns the migrations that were applied.
    ///
    /// # Errors
    /// If the configuration is not valid or the database cannot be used.
    async fn migrate(&self) -> Result<Vec<String>, Failure>;

    /// The configuration.
    ///
    /// # Errors
    /// If it is not valid.
    fn configuration(&self) -> Result<ConfigurationInForce, Failure>;
}

/// The configuration with secrets hidden, in both forms.
#[derive(Debug, Clone)]
pub struct ConfigurationInForce {
    /// As a TOML document.
    pub toml: String,
    /// As a JSON document.
    pub json: serde_json::Value,
}
