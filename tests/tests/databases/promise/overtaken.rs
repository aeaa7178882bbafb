//! A worker that sleeps at whatever it waits for until its leases are over and another has its tasks.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use reprieve_tests::TestDatabase;
use tokio::time::timeout;

use super::on_each_database;
use super::world::{END, SECOND, TestEraser, World};

on_each_database!(whoever_is_overtaken_leaves_it_to_whoever_has_it,);

/// How often one is overtaken, each time a little later in its pass.
const MOMENTS: i64 = 40;

async fn whoever_is_overtaken_leaves_it_to_whoever_has_it(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    let other = world.instance(0).await;
    let mut overtaken = 0;
    for (number, moment) in (0..MOMENTS).enumerate() {
        let start = moment * 2 * END;
        world.set(start);
        let process = world.initiate(number).await;
        world.set(start + END);
        world.start_deletions().await;
        let sleeper = world.erasures();
        let mut sleeper = Box::pin(sleeper.execute());
        let mut left = moment;
        let pass = poll_fn(|context| match sleeper.as_mut().poll(context) {
            Poll::Ready(pass) => Poll::Ready(Some(pass)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => {
                left -= 1;
                Poll::Pending
            }
        })
        .await;
        let mut passes = Vec::new();
        if let Some(pass) = pass {
            passes.push(pass.unwrap());
        } else {
            world.set(start + END + 121 * SECOND);
            let waker = other.erasures();
            let mut waker = tokio::spawn(async move { waker.execute().await.unwrap() });
            // It may have to wait for a lock that the sleeper holds.
            let waited = timeout(Duration::from_millis(100), &mut waker).await;
            passes.push(sleeper.await.unwrap());
            passes.push(match waited {
                Ok(pass) => pass.unwrap(),
                Err(_) => waker.await.unwrap(),
            });
            overtaken += 1;
        }
        world.set(start + END + 242 * SECOND);
        passes.push(world.erase().await);
        assert!(passes.iter().all(|pass| pass.broken == 0), "moment {moment}: {passes:?}");
        assert_eq!(passes.iter().map(|pass| pass.completed).sum::<u64>(), 1, "moment {moment}: {passes:?}");
        let audited = ["StartedByOwner", "DeletionStarted", "DataDeleted", "DeletionCompleted"];
        assert_eq!(world.audited(number).await, audited, "moment {moment}");
        assert!(world.receipt(&process).await.is_some());
    }
    println!("{overtaken} were overtaken");
    assert!(overtaken > 5);
    assert_eq!(world.tasks(None).await, []);
    world.verify().await;
}
