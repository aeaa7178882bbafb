//! Several hosts of which one is to be asked, as libpq chooses it: `target_session_attrs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::sqlx;
use tokio::task::JoinSet;

use super::postgres::Server;
use crate::postgres_url::{HostAndPort, Target};

/// How long a host may take to answer, unless the URL says.
const ANSWER: Duration = Duration::from_secs(1);
/// How long hosts that may be better are waited for once another one suits.
const BETTER: Duration = Duration::from_millis(100);
/// The hosts are not asked again before this much time has passed.
const BETWEEN: Duration = Duration::from_millis(100);

/// What a server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]

pub(super) struct Facts {
    /// It knows what only this program has told it.
    pub(super) is_marked: bool,
    pub(super) is_read_only: bool,
    pub(super) is_standby: bool,
    /// Of a primary, if it says.
    pub(super) promotion: Option<Promotion>,
}

/// Which server was promoted last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Promotion {
    /// What PostgreSQL calls the system identifier. Timelines of different clusters have nothing to do with each other.
    pub(super) cluster: i64,
    /// Each promotion begins a higher one.
    pub(super) timeline: u32,
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
    /// The last one that was seen. A primary of the same cluster with a lower timeline was taken over from: what it still
    /// acknowledges is lost.
    last: Option<Promotion>,
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
            _ => match ask_all(server, self.current, self.last).await {
                Ok((found, promotion)) => {
                    (self.current, self.failed) = (Some(found), None);
                    self.last = promotion.or(self.last);
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

/// The place in the list of the host that suits, and how it was promoted.
async fn ask_all(
    server: &Arc<Server>,
    current: Option<usize>,
    last: Option<Promotion>,
) -> Result<(usize, Option<Promotion>), String> {
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
    let found = |answers: &[Option<Answer>], place: usize| {
        let promotion = match answers.get(place) {
            Some(Some(Ok(facts))) => facts.promotion,
            _ => None,
        };
        Ok((place, promotion))
    };
    loop {
        let next = match best(&answers, target, last) {
            Some(Choice::Final(place)) => return found(&answers, place),
            // Those that may be better get a moment more.
            Some(Choice::SoFar(place)) => match tokio::time::timeout(BETTER, asked.join_next()).await {
                Ok(next) => next,
                Err(_) => return found(&answers, place),
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
    match best(&answers, target, last) {
        Some(Choice::Final(place) | Choice::SoFar(place)) => found(&answers, place),
        // It has no connection left for a question, and those that it has given us are as good as before.
        None if current.is_some_and(|current| is_full(answers.get(current))) => {
            Ok((current.unwrap_or_default(), None))
        }
        None => Err(describe(hosts, &answers, target, last)),
    }
}

fn is_full(answer: Option<&Option<Answer>>) -> bool {
    /// `too_many_connections`
    const FULL: &str = "53300";
    matches!(answer, Some(Some(Err(sqlx::Error::Database(error)))) if error.code().as_deref() == Some(FULL))
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    /// Nothing that is still to be heard of changes it.
    Final(usize),
    /// A host that has not answered yet may be better.
    SoFar(usize),
}

/// The first in the list that suits; of several primaries the one that was promoted last, and none that was taken over from.
fn best(answers: &[Option<Answer>], target: Target, last: Option<Promotion>) -> Option<Choice> {
    let facts = |place: usize| match answers.get(place) {
        Some(Some(Ok(facts))) => Some(*facts),
        _ => None,
    };
    let suits =
        |place: &usize| facts(*place).is_some_and(|facts| facts.suit(target) && !is_stale(facts, last));
    let is_standby = |place: &usize| facts(*place).is_some_and(|facts| facts.is_standby);
    let places = || 0..answers.len();
    let all_have_answered = answers.iter().all(Option::is_some);
    let is_sought_after = matches!(target, Target::ReadWrite | Target::Primary);
    let place = match (target, places().find(is_standby)) {
        (Target::PreferStandby, Some(standby)) => standby,
        (Target::PreferStandby, None) if !all_have_answered => return None,
        _ => {
            let timeline = |place: &usize| {
                let promotion = facts(*place).and_then(|facts| facts.promotion);
                promotion.filter(|_| is_sought_after).map(|promotion| promotion.timeline)
            };
            // A maximum is the last of several that are equal.
            places().filter(suits).rev().max_by_key(timeline)?
        }
    };
    let is_decided = all_have_answered || !is_sought_after && answers.iter().take(place).all(Option::is_some);
    Some(if is_decided { Choice::Final(place) } else { Choice::SoFar(place) })
}

/// Whether another server has been promoted since.
fn is_stale(facts: Facts, last: Option<Promotion>) -> bool {
    facts
        .promotion
        .zip(last)
        .is_some_and(|(this, last)| this.cluster == last.cluster && this.timeline < last.timeline)
}

fn describe(
    hosts: &[HostAndPort],
    answers: &[Option<Answer>],
    target: Target,
    last: Option<Promotion>,
) -> String {
    let each = hosts.iter().zip(answers).map(|(host, answer)| match answer {
        Some(Ok(facts)) if is_stale(*facts, last) => {
            format!("{host} is a primary from which another server has taken over")
        }
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

    const FAILED: Answered = Some(Err(sqlx::Error::PoolTimedOut));
    const STANDBY: Answered =
        Some(Ok(Facts { is_marked: true, is_read_only: true, is_standby: true, promotion: None }));

    fn primary(timeline: u32) -> Facts {
        let promotion = (timeline > 0).then_some(Promotion { cluster: 7, timeline });
        Facts { is_marked: true, is_read_only: false, is_standby: false, promotion }
    }

    #[test]
    fn the_first_in_the_list_that_suits_is_chosen() {
        use Choice::{Final, SoFar};
        let ours = || Some(Ok(primary(3)));
        for (target, answers, expected) in [
            (Target::Any, vec![FAILED, STANDBY, ours()], Some(Final(1))),
            (Target::Any, vec![None, STANDBY, ours()], Some(SoFar(1))),
            (Target::ReadWrite, vec![FAILED, STANDBY, ours()], Some(Final(2))),
            (Target::ReadWrite, vec![None, STANDBY, ours()], Some(SoFar(2))),
            (Target::ReadWrite, vec![ours(), None, STANDBY], Some(SoFar(0))),
            (Target::ReadWrite, vec![ours(), ours()], Some(Final(0))),
            (Target::ReadWrite, vec![STANDBY, None], None),
            (Target::ReadWrite, vec![STANDBY, FAILED], None),
            (Target::Primary, vec![STANDBY, ours()], Some(Final(1))),
            (Target::Standby, vec![ours(), STANDBY], Some(Final(1))),
            (Target::ReadOnly, vec![ours(), STANDBY], Some(Final(1))),
            (Target::PreferStandby, vec![ours(), None], None),
            (Target::PreferStandby, vec![ours(), STANDBY], Some(Final(1))),
            (Target::PreferStandby, vec![None, STANDBY], Some(SoFar(1))),
            (Target::Any, vec![STANDBY, ours()], Some(Final(0))),
            (Target::PreferStandby, vec![FAILED, ours()], Some(Final(1))),
        ] {
            assert_eq!(best(&answers, target, None), expected, "{target} {answers:?}");
        }
    }

    #[test]
    fn a_primary_that_was_taken_over_from_is_not_chosen() {
        let in_cluster = |cluster, timeline| Some(Promotion { cluster, timeline });
        for (timelines, last, expected) in [
            ([1, 2], None, Some(Choice::Final(1))),
            ([2, 1], None, Some(Choice::Final(0))),
            ([2, 2], in_cluster(7, 2), Some(Choice::Final(0))),
            ([1, 1], in_cluster(7, 2), None),
            ([1, 1], in_cluster(8, 2), Some(Choice::Final(0))),
            ([1, 0], in_cluster(7, 2), Some(Choice::Final(1))),
        ] {
            let answers = timelines.map(|timeline| Some(Ok(primary(timeline))));
            assert_eq!(best(&answers, Target::ReadWrite, last), expected, "{timelines:?} {last:?}");
        }
        // Neither is one that is the only one to answer.
        assert_eq!(best(&[Some(Ok(primary(1))), FAILED], Target::ReadWrite, in_cluster(7, 2)), None);
    }
}
