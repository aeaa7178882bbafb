//! What a refusal of the service is called here.

use reprieve_application::ErrorCode;

/// The code that the command line shows for a code of the service: always the one it shows for a local database. Nothing
/// for a code that is no plain refusal, which only the server's operator can do something about.
pub(crate) fn local_code(code: &str) -> Option<ErrorCode> {
    const SAME: [ErrorCode; 5] = [
        ErrorCode::NoActiveIdentityDeletionProcess,
        ErrorCode::ActiveIdentityDeletionProcessAlreadyExists,
        ErrorCode::RecordNotFound,
        ErrorCode::InvalidPropertyValue,
        ErrorCode::GracePeriodHasAlreadyExpired,
    ];
    match code {
        "error.platform.recordNotFound" => Some(ErrorCode::RecordNotFound),
        "error.platform.validation.invalidId" | "error.platform.validation.invalidPropertyValue" => {
            Some(ErrorCode::InvalidPropertyValue)
        }
        "error.platform.validation.device.onlyOneActiveDeletionProcessAllowed" => {
            Some(ErrorCode::ActiveIdentityDeletionProcessAlreadyExists)
        }
        // A process was found Active and is not any more.
        "error.platform.validation.device.deletionProcessIsNotInRequiredStatus" => {
            Some(ErrorCode::NoActiveIdentityDeletionProcess)
        }
        code => SAME.into_iter().find(|same| same.as_str() == code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_service_is_called_what_a_local_one_is_called() {
        for (code, expected) in [
            ("error.platform.recordNotFound", Some(ErrorCode::RecordNotFound)),
            ("error.platform.validation.invalidId", Some(ErrorCode::InvalidPropertyValue)),
            ("error.platform.validation.invalidPropertyValue", Some(ErrorCode::InvalidPropertyValue)),
            (
                "error.platform.validation.device.onlyOneActiveDeletionProcessAllowed",
                Some(ErrorCode::ActiveIdentityDeletionProcessAlreadyExists),
            ),
            (
                "error.platform.validation.device.deletionProcessIsNotInRequiredStatus",
                Some(ErrorCode::NoActiveIdentityDeletionProcess),
            ),
            (
                "error.platform.validation.device.gracePeriodHasAlreadyExpired",
                Some(ErrorCode::GracePeriodHasAlreadyExpired),
            ),
            // The server's own troubles are not this machine's.
            ("error.reprieve.database.unavailable", None),
            ("error.reprieve.configuration.invalid", None),
            ("error.platform.quotaExceeded", None),
            ("", None),
        ] {
            assert_eq!(local_code(code), expected, "{code}");
        }
    }
}
