//! What the shell is told.

use reprieve_application::ErrorCode;

/// 1 for a refusal, 70 for what an operator has to look after (`EX_SOFTWARE` of sysexits.h).
#[must_use]
pub fn exit_code(code: ErrorCode) -> u8 {
    if code.is_refusal() { 1 } else { 70 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_ends_with_1_and_anything_else_with_70() {
        assert_eq!(exit_code(ErrorCode::RecordNotFound), 1);
        assert_eq!(exit_code(ErrorCode::DatabaseFull), 70);
    }
}
