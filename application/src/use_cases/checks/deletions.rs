//! Whether deletions go on.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::some_of;
use crate::ports::{Clock, DeletionsSwitch, DueProcesses, ErasureTasks};
use crate::use_cases::StartDueDeletions;
use crate::{Area, ErrorCode, Failure, Finding, StoreError};

/// How many processes and tasks are counted.
const MOST: u32 = 1000;

/// Looks for what keeps deletions from going on: a pause, the limit, stuck erasers, processes that do not verify.
pub struct CheckDeletions {
    ports: CheckDeletionsPorts,
    most_per_hour: Option<NonZeroU32>,
}

/// The ports of [`CheckDeletions`].
pub struct CheckDeletionsPorts {
    /// Whether deletions are paused.
    pub switch: Arc<dyn DeletionsSwitch>,
    /// What is under way.
    pub tasks: Arc<dyn ErasureTasks>,
    /// What is due.
    pub processes: Arc<dyn DueProcesses>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl CheckDeletions {
    /// With its ports, and how many deletions start within an hour at most, if there is a limit.
    #[must_use]
    pub fn new(ports: CheckDeletionsPorts, most_per_hour: Option<NonZeroU32>) -> Self {
        Self { ports, most_per_hour }
    }

    /// What was found.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn execute(&self) -> Result<Vec<Finding>, StoreError> {
        let CheckDeletionsPorts { switch, tasks, .. } = &self.ports;
        let mut findings = Vec::new();
        let pause = match switch.pause_in_force().await {
            // That is found where the journal is looked at.
            Err(StoreError::Journal(_)) => None,
            pause => pause?,
        };
        if let Some(pause) = pause {
            findings.push(Finding::failed(Area::Deletions, StoreError::Paused(pause).into()));
        }
        let quarantined = tasks.quarantined(None, MOST).await?;
        if !quarantined.is_empty() {
            let ids: Vec<&str> = quarantined.iter().map(|process| process.process_id.as_str()).collect();
            let message = format!(
                "{} do not verify and are quarantined: {}",
                count(ids.len(), "process", "processes"),
                some_of(&ids)
            );
            let remedy = "see why with `reprieve deletions show`; cancel them or restore what was changed";
            findings.push(Finding::wrong(
                Area::Deletions,
                Some(ErrorCode::AuditTrailBroken),
                message,
                remedy,
            ));
        }
        // The stuck ones come first.
        let tasks = tasks.list(None, MOST).await?;
        let stuck = tasks.iter().filter(|task| task.stuck_since.is_some()).count();
        if stuck > 0 {
            let message = format!("{} are stuck", count(stuck, "erasure", "erasures"));
            let failure = Failure::new(ErrorCode::ErasureStuck, message);
            findings.push(Finding::failed(Area::Deletions, failure));
        }
        findings.extend(self.limit().await?);
        if findings.is_empty() {
            findings.push(Finding::ok(Area::Deletions, "nothing keeps them from going on"));
        }
        Ok(findings)
    }

    async fn limit(&self) -> Result<Option<Finding>, StoreError> {
        let CheckDeletionsPorts { processes, clock, .. } = &self.ports;
        let Some(most) = self.most_per_hour else { return Ok(None) };
        let now = clock.now();
        let started = processes.count_started_after(StartDueDeletions::an_hour_before(now)).await?;
        if started < u64::from(most.get()) {
            return Ok(None);
        }
        let later = processes.count_ripe(now).await?;
        Ok((later > 0).then(|| {
            let later = usize::try_from(later).unwrap_or(usize::MAX);
            let message = format!(
                "deletions.most_per_hour ({most}) is reached: {} start later",
                count(later, "deletion", "deletions")
            );
            let remedy = "find out whether so many were to be expected; if they were, raise the limit";
            Finding::wrong(Area::Deletions, None, message, remedy)
        }))
    }
}

/// So many, or more where counting ends.
fn count(number: usize, one: &str, many: &str) -> String {
    let at_least = if number >= MOST as usize { "at least " } else { "" };
    format!("{at_least}{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{
        MockDeletionsSwitch, MockDueProcesses, MockErasureTasks, Pause, Quarantined, TaskStatus,
    };
    use crate::use_cases::test_data::{at, clock_at};
    use reprieve_domain::TaskKind;

    struct Case {
        pause: Option<Pause>,
        quarantined: bool,
        stuck: bool,
        started: u64,
        ripe: u64,
    }

    const FINE: Case = Case { pause: None, quarantined: false, stuck: false, started: 2, ripe: 9 };

    async fn found(case: Case, most_per_hour: u32) -> Vec<(Option<ErrorCode>, String)> {
        let Case { pause, quarantined, stuck, started, ripe } = case;
        let mut switch = MockDeletionsSwitch::new();
        switch.expect_pause_in_force().returning(move || Ok(pause.clone()));
        let mut tasks = MockErasureTasks::new();
        let process_id = "IDP0123456789abcdefg";
        tasks.expect_quarantined().returning(move |_, _| {
            let process_id = process_id.to_owned();
            let found =
                Quarantined { process_id, sequence: 1, reason: "altered".to_owned(), found_at: at(1) };
            Ok(if quarantined { vec![found] } else { vec![] })
        });
        tasks.expect_list().returning(move |_, _| {
            let task = TaskStatus {
                process_id: process_id.parse().unwrap(),
                address: "did:web:example.org".parse().unwrap(),
                kind: TaskKind::Finish,
                failures: 3,
                unfinished_since: None,
                stuck_since: stuck.then(|| at(1)),
                due_at: None,
            };
            Ok(vec![task])
        });
        let mut processes = MockDueProcesses::new();
        processes.expect_count_started_after().returning(move |_| Ok(started));
        processes.expect_count_ripe().returning(move |_| Ok(ripe));
        let ports = CheckDeletionsPorts {
            switch: Arc::new(switch),
            tasks: Arc::new(tasks),
            processes: Arc::new(processes),
            clock: clock_at(10),
        };
        let check = CheckDeletions::new(ports, NonZeroU32::new(most_per_hour));
        let findings = check.execute().await.unwrap();
        findings.into_iter().map(|finding| (finding.code, finding.message)).collect()
    }

    #[tokio::test]
    async fn each_thing_that_stops_deletions_is_found_beside_the_others() {
        assert_eq!(found(FINE, 3).await.len(), 1);
        let all = Case { pause: Some(Pause::Unverified), quarantined: true, stuck: true, ..FINE };
        let found_all = found(all, 2).await;
        let codes: Vec<_> = found_all.iter().map(|(code, _)| *code).collect();
        let expected = [
            Some(ErrorCode::DeletionsPaused),
            Some(ErrorCode::AuditTrailBroken),
            Some(ErrorCode::ErasureStuck),
            None,
        ];
        assert_eq!(codes, expected);
        assert_eq!(found_all[3].1, "deletions.most_per_hour (2) is reached: 9 deletions start later");
    }

    #[tokio::test]
    async fn a_limit_that_holds_nothing_up_is_not_reached() {
        for (case, most_per_hour) in
            [(Case { ripe: 0, ..FINE }, 2), (Case { started: 2, ..FINE }, 3), (FINE, 0)]
        {
            assert_eq!(found(case, most_per_hour).await, [(None, "nothing keeps them from going on".into())]);
        }
    }
}
