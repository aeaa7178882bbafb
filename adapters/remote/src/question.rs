//! What a server can be asked.

use reprieve_domain::DeletionProcessId;
use reqwest::{Method, Url};
use serde_json::json;

use crate::ServerUrl;

/// A request of the Consumer API, without what every request carries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Question<'a> {
    List,
    Get(&'a DeletionProcessId),
    Initiate { length_in_days: Option<f64> },
    Cancel(&'a DeletionProcessId),
}

impl Question<'_> {
    pub(crate) fn method(self) -> Method {
        match self {
            Self::List | Self::Get(_) => Method::GET,
            Self::Initiate { .. } => Method::POST,
            Self::Cancel(_) => Method::PUT,
        }
    }

    pub(crate) fn url(self, server: &ServerUrl) -> Url {
        match self {
            Self::List | Self::Initiate { .. } => server.processes(),
            Self::Get(id) => server.process(id),
            Self::Cancel(id) => server.cancel(id),
        }
    }

    /// A JSON document; nothing for a question that only reads.
    pub(crate) fn body(self) -> Option<String> {
        match self {
            Self::List | Self::Get(_) => None,
            Self::Initiate { length_in_days: Some(days) } => {
                Some(json!({"lengthOfGracePeriodInDays": days}).to_string())
            }
            Self::Initiate { length_in_days: None } | Self::Cancel(_) => Some(json!({}).to_string()),
        }
    }

    /// Whether the answer changes something, so that asking twice is not the same as asking once.
    pub(crate) fn changes(self) -> bool {
        match self {
            Self::List | Self::Get(_) => false,
            Self::Initiate { .. } | Self::Cancel(_) => true,
        }
    }
}
