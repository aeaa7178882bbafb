//! The bytes that are hashed: every field with its length before it, so that no two contents give the same bytes.

/// A sequence of fields, each as its length in bytes (eight bytes, big-endian) and its bytes. An absent field is the
/// length `u64::MAX` and nothing.
pub(super) struct Canonical(Vec<u8>);

impl Canonical {
    /// Starts with what the content is and in which version.
    pub(super) fn new(purpose: &str) -> Self {
        Self(Vec::with_capacity(512)).text(purpose)
    }

    pub(super) fn bytes(mut self, field: &[u8]) -> Self {
        self.0.extend_from_slice(&(field.len() as u64).to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    pub(super) fn text(self, field: &str) -> Self {
        self.bytes(field.as_bytes())
    }

    pub(super) fn number(self, field: i64) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    pub(super) fn optional(mut self, field: Option<&[u8]>) -> Self {
        let Some(field) = field else {
            self.0.extend_from_slice(&u64::MAX.to_be_bytes());
            return self;
        };
        self.bytes(field)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
