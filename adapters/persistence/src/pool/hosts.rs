//! Several hosts of which one is to be asked, as libpq chooses it: `target_session_attrs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::sqlx;
use tokio::task::JoinSet;

use super::postgres::Server;
use crate::postgres_url::{HostAndPort, Target};

/// How long a host may take to answer, unless the URL says.
const ANSWER: Duration = Duration::from_secs(1);
/// How long hosts that stand earlier in the list are waited for once another one suits.
const EARLIER: Duration = Duration::from_millis(100);
/// The hosts are not asked again before this much time has passed.
const BETWEEN: Duration = Duration::from_millis(100);

/// What a server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]

pub(super) struct Facts {
    /// It knows what only this program has told it.
    pub(super) is_marked: bool,
    pub(super) is_read_only: bool,
    pub(super) is_standby: bool,
}

impl Facts {
    pub(super) fn suit(self, target: Target) -> bool {
        match target {
            Target::Any | Target::PreferStandby => true,
            Target::ReadWrite => !self.is_read_only,
            Target::ReadOnly => self.is_read_only,
            Target::Primary => !self.is_standby,
            Target::Standby => self.is_standby,
        }
    }
}

/// What is known of the hosts.
#[derive(Debug, Default)]
pub(super) struct Routed {
    /// The place in the list of the one that is asked.
    current: Option<usize>,
    /// When none suited, and why.
    failed: Option<(Instant, String)>,
}

impl Routed {
    pub(super) fn current(&self) -> Option<usize> {
        self.current
    }

    /// Asks all hosts at once which of them suits, and returns its place in the list. Where the answer that none does is
    /// hardly older than the question, it is the answer.
    ///
    /// # Errors
    /// If none suits.
    pub(super) async fn find(
        &mut self,
        server: &Arc<Server>,
        asked_at: Instant,
    ) -> Result<usize, sqlx::Error> {
        let failed = match &self.failed {
            Some((at, why)) if *at + BETWEEN > asked_at => why.clone(),
            _ => match ask_all(server).await {
                Ok(found) => {
                    (self.current, self.failed) = (Some(found), None);
                    return Ok(found);
                }
                Err(why) => {
                    self.failed = Some((Instant::now(), why.clone()));
                    why
                }
            },
        };
        Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::NotConnected, failed)))
    }
}

type Answer = Result<Facts, sqlx::Error>;

async fn ask_all(server: &Arc<Server>) -> Result<usize, String> {
    let (hosts, target) = (server.url().hosts(), server.url().target());
    let limit = server.url().connect_timeout().unwrap_or(ANSWER);
    let mut asked = JoinSet::new();
    for (place, host) in hosts.iter().cloned().enumerate() {
        let server = Arc::clone(server);
        asked.spawn(async move {
            let answer = tokio::time::timeout(limit, Facts::of(&server, &host)).await;
            (place, answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)))
        });
    }
    let mut answers: Vec<Option<Answer>> = hosts.iter().map(|_| None).collect();
    loop {
        let found = best(&answers, target);
        let next = match found {
            Some(Choice::Final(place)) => return Ok(place),
            // Those that stand before it get a moment more.
            Some(Choice::Earliest(place)) => match tokio::time::timeout(EARLIER, asked.join_next()).await {
                Ok(next) => next,
                Err(_) => return Ok(place),
            },
            None => asked.join_next().await,
        };
        match next {
            Some(Ok((place, answer))) => {
                if let Some(slot) = answers.get_mut(place) {
                    *slot = Some(answer);
                }
            }
            Some(Err(_)) => {}
            None => break,
        }
    }
    match best(&answers, target) {
        Some(Choice::Final(place) | Choice::Earliest(place)) => Ok(place),
        None => Err(describe(hosts, &answers, target)),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    /// Nothing that is still to be heard of changes it.
    Final(usize),
    /// A host that stands earlier in the list may still answer.
    Earliest(usize),
}

fn best(answers: &[Option<Answer>], target: Target) -> Option<Choice> {
    let first = |suits: &dyn Fn(Facts) -> bool| {
        answers.iter().position(|answer| matches!(answer, Some(Ok(facts)) if suits(*facts)))
    };
    let all_have_answered = answers.iter().all(Option::is_some);
    let place = match (target, first(&|facts| facts.is_standby)) {
        (Target::PreferStandby, None) if !all_have_answered => return None,
        (Target::PreferStandby, Some(standby)) => standby,
        _ => first(&|facts| facts.suit(target))?,
    };
    let earlier_are_pending = answers.iter().take(place).any(Option::is_none);
    Some(if earlier_are_pending { Choice::Earliest(place) } else { Choice::Final(place) })
}

fn describe(hosts: &[HostAndPort], answers: &[Option<Answer>], target: Target) -> String {
    let each = hosts.iter().zip(answers).map(|(host, answer)| match answer {
        Some(Ok(facts)) => {
            let role = if facts.is_standby { "a standby" } else { "a primary" };
            let writes = if facts.is_read_only { "read-only" } else { "writable" };
            format!("{host} is {role}, {writes}")
        }
        Some(Err(sqlx::Error::PoolTimedOut)) | None => format!("{host} did not answer in time"),
        Some(Err(error)) => format!("{host}: {error}"),
    });
    format!("no host is what target_session_attrs={target} asks for: {}", each.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answered = Option<Result<Facts, sqlx::Error>>;

    const PRIMARY: Answered = Some(Ok(Facts { is_marked: true, is_read_only: false, is_standby: false }));
    const STANDBY: Answered = Some(Ok(Facts { is_marked: true, is_read_only: true, is_standby: true }));
    const FAILED: Answered = Some(Err(sqlx::Error::PoolTimedOut));

    #[test]
    fn the_first_in_the_list_that_suits_is_chosen() {
        use Choice::{Earliest, Final};
        for (target, answers, expected) in [
            (Target::Any, vec![FAILED, STANDBY, PRIMARY], Some(Final(1))),
            (Target::ReadWrite, vec![FAILED, STANDBY, PRIMARY], Some(Final(2))),
            (Target::ReadWrite, vec![None, STANDBY, PRIMARY], Some(Earliest(2))),
            (Target::ReadWrite, vec![PRIMARY, None, None], Some(Final(0))),
            (Target::ReadWrite, vec![STANDBY, None], None),
            (Target::ReadWrite, vec![STANDBY, FAILED], None),
            (Target::Primary, vec![STANDBY, PRIMARY], Some(Final(1))),
            (Target::Standby, vec![PRIMARY, STANDBY], Some(Final(1))),
            (Target::ReadOnly, vec![PRIMARY, STANDBY], Some(Final(1))),
            (Target::PreferStandby, vec![PRIMARY, None], None),
            (Target::PreferStandby, vec![PRIMARY, STANDBY], Some(Final(1))),
            (Target::PreferStandby, vec![FAILED, PRIMARY], Some(Final(1))),
        ] {
            assert_eq!(best(&answers, target), expected, "{target} {answers:?}");
        }
    }
}
