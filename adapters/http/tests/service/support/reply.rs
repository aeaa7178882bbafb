//! What came back.

use reqwest::header::HeaderMap;
use serde_json::Value;

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// What was asked for, if the status is this one.
    #[track_caller]
    pub(crate) fn result(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.json()["result"].take()
    }

    /// The same, if it is a refusal with this status and code.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{}", self.body);
        self
    }

    /// The code of a failure; nothing for a success.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }

    /// A failure without what makes it different from any other of its kind.
    pub(crate) fn without_id_and_time(&self) -> (u16, Value) {
        let mut body = self.json();
        let error = body["error"].as_object_mut().unwrap();
        assert!(error.remove("id").is_some() && error.remove("time").is_some());
        (self.status, body)
    }

    /// Everything that a repetition has to repeat.
    pub(crate) fn repeated(&self) -> (u16, Option<&str>, &str) {
        (self.status, self.header("content-type"), &self.body)
    }
}
