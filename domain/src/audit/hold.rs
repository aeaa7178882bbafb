//! Holds as they are remembered: sealed, in the database and in the journal.

use super::canonical::Canonical;
use super::{AuditKey, KeyedHash};
use crate::Hold;

/// A hold as it was placed, changed or released last, of an identity that is named by its keyed hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedHold {
    /// The identity.
    pub identity_hash: KeyedHash,
    /// Grows with each change of the hold with this code of this identity.
    pub revision: i64,
    /// The hold.
    pub hold: Hold,
}

impl AuditKey {
    /// The keyed hash over all of it. The operator's note is not part of it: it goes with the identity.
    #[must_use]
    pub fn hold_seal(&self, remembered: &RememberedHold) -> KeyedHash {
        let RememberedHold { identity_hash, revision, hold } = remembered;
        let Hold { code, placed_at, ends_at, is_silent } = hold;
        let content = Canonical::new("hold")
            .bytes(identity_hash.as_bytes())
            .number(*revision)
            .text(code.as_str())
            .number(placed_at.unix_micros())
            .number(ends_at.unix_micros())
            .number(i64::from(*is_silent));
        self.chain_hash(&content)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Timestamp;

    #[test]
    fn any_difference_changes_the_seal() {
        let key = AuditKey::new(&(0..32).collect::<Vec<u8>>()).unwrap();
        let at = |micros| Timestamp::from_unix_micros(micros).unwrap();
        let hold =
            Hold { code: "legal".parse().unwrap(), placed_at: at(1), ends_at: at(2), is_silent: false };
        let one = RememberedHold { identity_hash: [1; 32].into(), revision: 1, hold: hold.clone() };
        let of = |hold| RememberedHold { hold, ..one.clone() };
        let different = [
            one.clone(),
            RememberedHold { identity_hash: [2; 32].into(), ..one.clone() },
            RememberedHold { revision: 2, ..one.clone() },
            of(Hold { code: "dispute".parse().unwrap(), ..hold.clone() }),
            of(Hold { placed_at: at(0), ..hold.clone() }),
            of(Hold { ends_at: at(3), ..hold.clone() }),
            of(Hold { is_silent: true, ..hold.clone() }),
        ];
        let seals: BTreeSet<String> = different.iter().map(|hold| key.hold_seal(hold).to_string()).collect();
        assert_eq!(seals.len(), different.len());
    }
}
