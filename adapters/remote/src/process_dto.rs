//! A deletion process as the Consumer API writes it.

use reprieve_application::facade::ProcessData;
use reprieve_domain::{DeletionProcessId, DeviceId, Status, Timestamp};
use serde::Deserialize;

/// Members that are only there for old clients are not read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProcessDto {
    id: DeletionProcessId,
    status: Status,
    created_at: Timestamp,
    created_by_device: DeviceId,
    grace_period_ends_at: Option<Timestamp>,
    cancelled_at: Option<Timestamp>,
    cancelled_by_device: Option<DeviceId>,
    suspended_until: Option<Timestamp>,
}

impl TryFrom<ProcessDto> for ProcessData {
    type Error = &'static str;

    /// What only exists in another status is left out, as it is with a local database.
    fn try_from(dto: ProcessDto) -> Result<Self, Self::Error> {
        let cancelled = dto.status == Status::Cancelled;
        if !cancelled && dto.grace_period_ends_at.is_none() {
            return Err("a deletion process that is not cancelled has no end of its grace period");
        }
        Ok(Self {
            id: dto.id,
            status: dto.status,
            created_at: dto.created_at,
            created_by_device: dto.created_by_device,
            grace_period_ends_at: dto.grace_period_ends_at.filter(|_| !cancelled),
            cancelled_at: dto.cancelled_at.filter(|_| cancelled),
            cancelled_by_device: dto.cancelled_by_device.filter(|_| cancelled),
            suspended_until: dto.suspended_until.filter(|_| dto.status.is_open()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ProcessData, String> {
        let dto: ProcessDto = serde_json::from_str(json).map_err(|error| error.to_string())?;
        dto.try_into().map_err(ToOwned::to_owned)
    }

    #[test]
    fn a_process_of_a_backbone_is_read() {
        let process = read(
            r#"{"id": "IDP0123456789abcdefg", "status": "Active", "createdAt": "2026-12-07T20:03:07.1234567Z",
                "createdByDevice": "DVC0123456789abcdefg", "approvedAt": "2026-12-07T20:03:07.1234567Z",
                "approvedByDevice": "DVC0123456789abcdefg", "gracePeriodEndsAt": "2026-12-21T20:03:07.1234567Z",
                "gracePeriodReminder1SentAt": null, "gracePeriodReminder2SentAt": null,
                "gracePeriodReminder3SentAt": null}"#,
        )
        .unwrap();
        assert_eq!(process.status, Status::Active);
        assert_eq!(process.created_at, "2026-12-07T20:03:07.123456Z".parse().unwrap());
        assert_eq!(process.grace_period_ends_at, Some("2026-12-21T20:03:07.123456Z".parse().unwrap()));
        assert_eq!((process.cancelled_at, process.cancelled_by_device), (None, None));
    }

    #[test]
    fn a_cancelled_process_has_no_date_of_deletion_whatever_the_server_says() {
        let process = read(
            r#"{"id": "IDP0123456789abcdefg", "status": "Cancelled", "createdAt": "2026-12-07T20:03:07Z",
                "createdByDevice": "DVC0123456789abcdefg", "gracePeriodEndsAt": "2026-12-21T20:03:07Z",
                "cancelledAt": "2026-12-08T20:03:07Z", "cancelledByDevice": "DVCzzzzzzzzzzzzzzzzz"}"#,
        )
        .unwrap();
        assert_eq!(process.grace_period_ends_at, None);
        assert_eq!(process.cancelled_at, Some("2026-12-08T20:03:07Z".parse().unwrap()));
        assert_eq!(process.cancelled_by_device, Some("DVCzzzzzzzzzzzzzzzzz".parse().unwrap()));
    }

    #[test]
    fn what_is_no_process_is_not_read() {
        for json in [
            r#"{"id": "IDP0123456789abcdefg", "status": "Active", "createdAt": "2026-12-07T20:03:07Z",
                "createdByDevice": "DVC0123456789abcdefg"}"#,
            r#"{"id": "IDP0123456789abcdefg", "status": "Waiting", "createdAt": "2026-12-07T20:03:07Z",
                "createdByDevice": "DVC0123456789abcdefg", "gracePeriodEndsAt": "2026-12-21T20:03:07Z"}"#,
            r#"{"id": "../../../secret", "status": "Active", "createdAt": "2026-12-07T20:03:07Z",
                "createdByDevice": "DVC0123456789abcdefg", "gracePeriodEndsAt": "2026-12-21T20:03:07Z"}"#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
