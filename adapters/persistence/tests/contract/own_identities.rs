//! `OwnIdentities`: of all that are made, one is kept.

use std::sync::Arc;

use reprieve_application::OwnIdentity;
use reprieve_application::ports::OwnIdentities;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{Opened, on_each_database, own_identity};

on_each_database!(
    the_own_identity_is_loaded_as_it_was_kept,
    a_second_identity_is_not_kept,
    of_many_made_at_once_one_is_kept_and_everybody_gets_it,
);

/// Everything there is, to compare: a secret key has no equality of its own.
fn laid_out(identity: &OwnIdentity) -> (&str, &str, &[u8; 32], &[u8; 32]) {
    let OwnIdentity { address, device, keys } = identity;
    (address.as_str(), device.as_str(), keys.secret.expose(), &keys.public)
}

async fn loaded(opened: &Opened) -> Option<OwnIdentity> {
    OwnIdentities::load(&opened.store).await.unwrap()
}

async fn the_own_identity_is_loaded_as_it_was_kept(opened: Opened) {
    assert!(loaded(&opened).await.is_none());
    let made = own_identity(1);
    let kept = opened.store.keep(&made).await.unwrap();
    assert_eq!(laid_out(&kept), laid_out(&made));
    assert_eq!(laid_out(&loaded(&opened).await.unwrap()), laid_out(&made));
}

async fn a_second_identity_is_not_kept(opened: Opened) {
    let first = own_identity(1);
    opened.store.keep(&first).await.unwrap();
    let before = opened.sql.everything().await;
    for made in [own_identity(2), own_identity(1)] {
        let kept = opened.store.keep(&made).await.unwrap();
        assert_eq!(laid_out(&kept), laid_out(&first));
    }
    assert_eq!(opened.sql.everything().await, before);
}

async fn of_many_made_at_once_one_is_kept_and_everybody_gets_it(opened: Opened) {
    let stores = [opened.store.clone(), opened.another_store().await];
    let barrier = Arc::new(Barrier::new(16));
    let mut tasks = JoinSet::new();
    for number in 0..16_u8 {
        let [one, other] = &stores;
        let store = if number % 2 == 0 { one } else { other };
        let (store, barrier) = (store.clone(), barrier.clone());
        tasks.spawn(async move {
            barrier.wait().await;
            store.keep(&own_identity(number)).await.unwrap()
        });
    }
    let first = tasks.join_next().await.unwrap().unwrap();
    assert_eq!(laid_out(&loaded(&opened).await.unwrap()), laid_out(&first));
    for kept in tasks.join_all().await {
        assert_eq!(laid_out(&kept), laid_out(&first));
    }
    assert_eq!(opened.sql.value::<i64>("SELECT count(*) FROM own_identity").await, 1);
}
