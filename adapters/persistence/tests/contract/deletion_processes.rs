//! `DeletionProcesses`: whose processes are found, in which order, and which of them are ripe.

use reprieve_application::ports::{DeletionProcesses, OwnIdentities};
use reprieve_application::use_cases::RipeProcess;

use crate::support::{
    self, DAY, ENDS_AT, Opened, address, cancel, complete, initiate, on_each_database, own_identity,
    process_id, start,
};

on_each_database!(
    a_process_is_found_by_its_owner_alone,
    every_process_is_listed_oldest_first,
    what_is_ripe_is_found_from_the_deadline_on,
    only_active_processes_are_ripe,
    the_longest_overdue_come_first_and_no_more_than_asked_for,
    every_address_is_there_once_in_order_and_page_by_page,
);

async fn a_process_is_found_by_its_owner_alone(opened: Opened) {
    let (ada, bob) = (address(1), address(2));
    let process = opened.initiated(&ada, 1).await;
    opened.initiated(&bob, 2).await;
    let found = async |owner, id| opened.store.find(owner, &process_id(id)).await.unwrap();
    assert_eq!(found(&ada, 1).await, Some(process));
    // Somebody else's and none at all are the same answer.
    assert_eq!(found(&bob, 1).await, None);
    assert_eq!(found(&ada, 2).await, None);
    assert_eq!(found(&ada, 3).await, None);
}

async fn every_process_is_listed_oldest_first(opened: Opened) {
    let (ada, bob) = (address(1), address(2));
    opened.initiated(&bob, 9).await;
    assert_eq!(opened.processes(&ada).await, []);
    // Ids fall while time rises; the last two are of the same microsecond.
    let mut expected = Vec::new();
    for (id, created_at) in [(8, 0), (7, DAY), (6, 2 * DAY), (2, 3 * DAY), (3, 3 * DAY)] {
        opened.step(&ada, |identity| initiate(identity, id, created_at)).await;
        expected.push(opened.step(&ada, |identity| cancel(identity, created_at + 1)).await);
    }
    opened.step(&ada, |identity| initiate(identity, 5, 4 * DAY)).await;
    opened.step(&ada, |identity| start(identity, &[], 4 * DAY + ENDS_AT)).await;
    expected.push(opened.step(&ada, |identity| complete(identity, 4 * DAY + ENDS_AT)).await);
    // Of all the others the one with the latest deadline; created before them, by a clock that was put back.
    let open = opened.step(&ada, |identity| initiate(identity, 4, -DAY)).await;
    expected.insert(0, open);
    assert_eq!(opened.processes(&ada).await, expected);
}

async fn ripe(opened: &Opened, now: i64, limit: u32) -> Vec<RipeProcess> {
    support::ripe(&opened.store, now, limit).await.unwrap()
}

fn work(owner: usize, process: usize) -> RipeProcess {
    RipeProcess { address: address(owner), process_id: process_id(process) }
}

async fn what_is_ripe_is_found_from_the_deadline_on(opened: Opened) {
    opened.initiated(&address(1), 2).await;
    for (now, expected) in
        [(0, vec![]), (ENDS_AT - 1, vec![]), (ENDS_AT, vec![work(1, 2)]), (ENDS_AT + 1, vec![work(1, 2)])]
    {
        assert_eq!(ripe(&opened, now, 10).await, expected, "at {now}");
    }
}

async fn only_active_processes_are_ripe(opened: Opened) {
    for number in 1..=4 {
        opened.initiated(&address(number), number).await;
    }
    opened.step(&address(1), |identity| cancel(identity, 1)).await;
    opened.step(&address(2), |identity| start(identity, &[], ENDS_AT)).await;
    opened.step(&address(3), |identity| start(identity, &[], ENDS_AT)).await;
    opened.step(&address(3), |identity| complete(identity, ENDS_AT)).await;
    assert_eq!(ripe(&opened, 100 * DAY, 10).await, [work(4, 4)]);
}

async fn the_longest_overdue_come_first_and_no_more_than_asked_for(opened: Opened) {
    // Owner and process have the same number; 3 and 4 are of the same microsecond, 6 is not due.
    for (number, created_at) in [(1, 2), (2, 1), (4, 3), (3, 3), (5, 0), (6, DAY)] {
        opened.step(&address(number), |identity| initiate(identity, number, created_at)).await;
    }
    let expected = [work(5, 5), work(2, 2), work(1, 1), work(3, 3), work(4, 4)];
    for limit in 0..=6 {
        let first = expected.iter().take(limit).cloned().collect::<Vec<_>>();
        assert_eq!(ripe(&opened, ENDS_AT + 3, u32::try_from(limit).unwrap()).await, first);
    }
    assert_eq!(ripe(&opened, ENDS_AT + 3, u32::MAX).await, expected);
}

async fn every_address_is_there_once_in_order_and_page_by_page(opened: Opened) {
    assert_eq!(opened.store.addresses(None, 10).await.unwrap(), [""; 0]);
    for number in [3, 1, 2] {
        opened.initiated(&address(number), number).await;
        opened.step(&address(number), |identity| cancel(identity, 1)).await;
        opened.initiated(&address(number), 10 + number).await;
    }
    opened.step(&address(2), |identity| start(identity, &[], ENDS_AT)).await;
    let own = own_identity(1);
    opened.store.keep(&own).await.unwrap();
    // It is listed once even if it has a process.
    for has_process in [false, true] {
        if has_process {
            opened.initiated(&own.address, 7).await;
        }
        let mut expected =
            [address(1), address(2), address(3), own.address.clone()].map(|address| address.to_string());
        expected.sort();
        for limit in 1..=5 {
            let (mut after, mut all): (Option<String>, Vec<String>) = (None, Vec::new());
            loop {
                let page = opened.store.addresses(after, limit).await.unwrap();
                assert!(page.len() <= usize::try_from(limit).unwrap());
                let Some(last) = page.last() else { break };
                after = Some(last.clone());
                all.extend(page);
            }
            assert_eq!(all, expected, "{limit} at a time");
        }
    }
}
