use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use reprieve_application::PassSummary;
use reprieve_application::ports::MockIds;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const GRACE: Duration = Duration::from_secs(5);

/// Counts its passes, and notes how long after the one before each began.
struct Counted {
    passes: AtomicUsize,
    elapsed: Mutex<Vec<Duration>>,
    behaviour: Behaviour,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Passes,
    Fails,
    CannotWork,
    Panics,
    Takes(Duration),
    LeavesWork,
    LeavesRecentWork,
}

fn full() -> Failure {
    Failure::new(ErrorCode::DatabaseFull, "full")
}

#[async_trait]
impl Work for Counted {
    fn name(&self) -> &'static str {
        "counted"
    }

    async fn check(&self) -> Result<(), Failure> {
        if self.behaviour == Behaviour::CannotWork { Err(full()) } else { Ok(()) }
    }

    async fn pass(&self, mode: &Mode) -> Result<(PassSummary, Next), Failure> {
        if let Mode::Recurring { elapsed, .. } = mode {
            self.elapsed.lock().unwrap().push(*elapsed);
        }
        let number = self.passes.fetch_add(1, Ordering::SeqCst);
        let mut next = Next::WhenWoken;
        match self.behaviour {
            Behaviour::Fails => return Err(full()),
            Behaviour::Panics => std::panic::resume_unwind(Box::new(())),
            Behaviour::Takes(time) => tokio::time::sleep(time).await,
            Behaviour::LeavesWork if number < 3 => next = Next::AtOnce,
            Behaviour::LeavesRecentWork if number < 3 => next = Next::Soon,
            _ => {}
        }
        Ok((PassSummary::Outbox(Vec::new()), next))
    }
}

fn driver() -> Driver {
    let mut ids = MockIds::new();
    ids.expect_random_bytes().returning(|| Ok([255; 32]));
    Driver::new(Arc::new(ids), GRACE)
}

/// How many passes there are of such work within a time, in which something is committed after each of these pauses; and
/// how long it takes to end afterwards.
async fn passes(
    driver: &Driver,
    behaviour: Behaviour,
    committed: impl IntoIterator<Item = Duration>,
    within: Duration,
) -> (usize, Duration) {
    let work = Counted { passes: AtomicUsize::new(0), elapsed: Mutex::default(), behaviour };
    passes_of(&work, driver, committed, within).await
}

async fn passes_of(
    work: &Counted,
    driver: &Driver,
    committed: impl IntoIterator<Item = Duration>,
    within: Duration,
) -> (usize, Duration) {
    let commits = watch::Sender::new(0);
    let schedule = Schedule { interval: HOUR, wake_ups: Some(commits.subscribe()) };
    let (stop, shutdown) = watch::channel(false);
    let began = Instant::now();
    let outside = async {
        for pause in committed {
            tokio::time::sleep(pause).await;
            commits.send_modify(|commits| *commits += 1);
        }
        tokio::time::sleep_until(began + within).await;
        let passes = work.passes.load(Ordering::SeqCst);
        stop.send(true).unwrap();
        passes
    };
    let ((), passes) = tokio::join!(driver.run(work, schedule, shutdown), outside);
    (passes, began.elapsed().saturating_sub(within))
}

#[tokio::test(start_paused = true)]
async fn without_commits_a_pass_begins_after_the_interval_and_a_tenth_at_most() {
    let (passes, to_end) = passes(&driver(), Behaviour::Passes, [], HOUR * 32 / 10).await;
    assert_eq!((passes, to_end), (3, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_commit_begins_a_pass_at_once() {
    let minute = 60 * SECOND;
    let (passes, _) = passes(&driver(), Behaviour::Passes, [minute], minute + BETWEEN_WAKE_UPS / 100).await;
    assert_eq!(passes, 2);
}

#[tokio::test(start_paused = true)]
async fn many_commits_begin_few_passes_and_the_last_commit_is_seen() {
    let commits = std::iter::repeat_n(Duration::from_millis(1), 1000);
    let (passes, _) = passes(&driver(), Behaviour::Passes, commits, 10 * SECOND).await;
    assert_eq!(passes, 6);
}

#[tokio::test(start_paused = true)]
async fn what_is_committed_during_a_pass_begins_another_one() {
    let takes = Behaviour::Takes(10 * SECOND);
    let (passes, _) = passes(&driver(), takes, [SECOND], 11 * SECOND).await;
    assert_eq!(passes, 2);
}

#[tokio::test(start_paused = true)]
async fn a_pass_knows_how_long_after_the_last_one_it_begins_and_the_first_one_the_interval() {
    let (elapsed, behaviour) = (Mutex::default(), Behaviour::Passes);
    let work = Counted { passes: AtomicUsize::new(0), elapsed, behaviour };
    passes_of(&work, &driver(), [SECOND, 3 * SECOND], HOUR * 12 / 10).await;
    let longest = HOUR * 11 / 10;
    assert_eq!(*work.elapsed.lock().unwrap(), [longest, SECOND, 3 * SECOND, longest]);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_leaves_work_is_followed_at_once() {
    let (passes, _) = passes(&driver(), Behaviour::LeavesWork, [], Duration::from_millis(1)).await;
    assert_eq!(passes, 4);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_leaves_recent_work_is_followed_as_after_a_commit() {
    let within = BETWEEN_WAKE_UPS * 5 / 2;
    let (passes, _) = passes(&driver(), Behaviour::LeavesRecentWork, [], within).await;
    assert_eq!(passes, 3);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_fails_is_a_problem_until_one_is_done_and_comes_again_after_the_interval_only() {
    let driver = driver();
    assert_eq!(passes(&driver, Behaviour::Fails, [SECOND], 2 * SECOND).await.0, 1);
    assert_eq!(passes(&driver, Behaviour::Fails, [], HOUR * 12 / 10).await.0, 2);
    assert_eq!(driver.problems(), [("counted", ErrorCode::DatabaseFull)]);
    passes(&driver, Behaviour::Passes, [], SECOND).await;
    assert_eq!(driver.problems(), []);
}

#[tokio::test(start_paused = true)]
async fn what_a_pass_has_not_come_across_is_a_problem_all_the_same() {
    let driver = driver();
    passes(&driver, Behaviour::CannotWork, [], SECOND).await;
    assert_eq!(driver.problems(), [("counted", ErrorCode::DatabaseFull)]);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_panics_ends_nothing_but_itself() {
    assert_eq!(passes(&driver(), Behaviour::Panics, [], HOUR * 12 / 10).await.0, 2);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_outlasts_the_grace_is_cut_off() {
    let (passes, to_end) = passes(&driver(), Behaviour::Takes(HOUR), [], SECOND).await;
    assert_eq!((passes, to_end), (1, GRACE));
}
