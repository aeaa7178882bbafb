//! The erasers in force.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reprieve_domain::EraserName;

use crate::ports::Eraser;

/// The erasers in force, each under its name. A deletion that starts now needs every one of them to acknowledge.
#[derive(Clone, Default)]
pub struct Erasers(BTreeMap<EraserName, Arc<dyn Eraser>>);

/// Two erasers have one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there are two erasers with the name {0}")]
pub struct EraserTwice(pub EraserName);

impl Erasers {
    /// These.
    ///
    /// # Errors
    /// If two have the same name: what one acknowledges would count for both.
    pub fn new(erasers: impl IntoIterator<Item = Arc<dyn Eraser>>) -> Result<Self, EraserTwice> {
        let mut by_name = BTreeMap::new();
        for eraser in erasers {
            if let Some(other) = by_name.insert(eraser.name().clone(), eraser) {
                return Err(EraserTwice(other.name().clone()));
            }
        }
        Ok(Self(by_name))
    }

    /// Their names.
    #[must_use]
    pub fn names(&self) -> BTreeSet<EraserName> {
        self.0.keys().cloned().collect()
    }

    /// The one with this name.
    #[must_use]
    pub fn get(&self, name: &EraserName) -> Option<&Arc<dyn Eraser>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&EraserName, &Arc<dyn Eraser>)> {
        self.0.iter()
    }
}
