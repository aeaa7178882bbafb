//! The part of enmeshed's Backbone that identities use: what they see, and what they are let in with.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use crate::support::{
    CORE_KEY, DAY, Deployment, OWN_PROCESSES, Person, SECOND, START, after, cancel_of, own_process,
};

const NOT_FOUND: &str = "error.platform.recordNotFound";
const INVALID_ID: &str = "error.platform.validation.invalidId";

#[tokio::test]
async fn a_process_begins_and_is_cancelled_in_the_backbones_words_with_null_for_what_is_not_there() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let alice = Person::new();
    let at_laptop = alice.with_another_device();
    let (device, laptop, ends_at) = (&alice.device, &at_laptop.device, after(14 * DAY));

    let begun = server.post(OWN_PROCESSES).by(&alice).await;
    let id = begun.result(201)["id"].as_str().unwrap().to_owned();
    let process = |status: &str, ends_at: &str, cancelled_at: &str, cancelled_by: &str| {
        format!(r#"{{"id":"{id}","status":"{status}","createdAt":"{START}","createdByDevice":"{device}","#)
            + &format!(
                r#""approvedAt":"{START}","approvedByDevice":"{device}","gracePeriodEndsAt":{ends_at},"#
            )
            + r#""gracePeriodReminder1SentAt":null,"gracePeriodReminder2SentAt":null,"#
            + r#""gracePeriodReminder3SentAt":null,"#
            + &format!(r#""cancelledAt":{cancelled_at},"cancelledByDevice":{cancelled_by}}}"#)
    };
    let active = process("Active", &format!("\"{ends_at}\""), "null", "null");
    assert_eq!(begun.body, format!(r#"{{"result":{active}}}"#));
    let shown = server.get(&own_process(&id)).by(&alice).await;
    assert_eq!((shown.status, &shown.body), (200, &begun.body));

    deployment.clock.set(SECOND);
    let cancelled = server.put(&cancel_of(&id)).by(&at_laptop).await;
    let after_it = process("Cancelled", "null", &format!("\"{}\"", after(SECOND)), &format!("\"{laptop}\""));
    assert_eq!((cancelled.status, cancelled.body), (200, format!(r#"{{"result":{after_it}}}"#)));

    let listed = server.get(OWN_PROCESSES).by(&alice).await;
    assert_eq!((listed.status, listed.body), (200, format!(r#"{{"result":[{after_it}]}}"#)));
}

#[tokio::test]
async fn every_own_process_is_listed_oldest_first() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let alice = Person::new();
    assert_eq!(server.listed(&alice).await, json!([]));
    let mut ids = Vec::new();
    for second in 0..3 {
        deployment.clock.set(second * SECOND);
        let id = server.initiated(&alice).await;
        server.put(&cancel_of(&id)).by(&alice).await.result(200);
        ids.push(json!(id));
    }
    deployment.clock.set(3 * SECOND);
    ids.push(json!(server.initiated(&alice).await));
    let listed = server.listed(&alice).await;
    let processes = listed.as_array().unwrap().iter();
    assert_eq!(processes.clone().map(|process| process["id"].clone()).collect::<Vec<_>>(), ids);
    let statuses: Vec<_> = processes.map(|process| process["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["Cancelled", "Cancelled", "Cancelled", "Active"]);
}

#[tokio::test]
async fn sent_reminders_are_shown() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let alice = Person::new();
    let id = server.initiated(&alice).await;
    for (reminder, micros) in [
        (reprieve_domain::Reminder::First, 1),
        (reprieve_domain::Reminder::Second, 2),
        (reprieve_domain::Reminder::Third, 3),
    ] {
        deployment
            .step(&alice, |identity, open| identity.remind(open.id(), reminder, after(micros)).unwrap())
            .await;
    }
    let process = server.get(&own_process(&id)).by(&alice).await.result(200);
    for (number, micros) in [(1, 1), (2, 2), (3, 3)] {
        assert_eq!(process[format!("gracePeriodReminder{number}SentAt")], json!(after(micros)));
    }
}

#[tokio::test]
async fn what_does_not_exist_and_what_is_somebody_elses_look_the_same() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let (alice, bob) = (Person::new(), Person::new());
    let bobs = server.initiated(&bob).await;
    let nobodys = "IDP0123456789abcdefg";
    for (method, path) in [("GET", own_process as fn(&str) -> String), ("PUT", cancel_of)] {
        let ask = async |id: &str| {
            let reply = server.request(method, &path(id)).by(&alice).await.refused(404, NOT_FOUND);
            let (status, body) = reply.without_id_and_time();
            (status, body.to_string().replace(id, "…"), reply.headers.len())
        };
        assert_eq!(ask(&bobs).await, ask(nobodys).await);
    }
}

#[tokio::test]
async fn an_id_that_is_none_is_refused() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let alice = Person::new();
    for id in [
        "x",
        "IDP",
        "IDP0123456789abcdef",
        "IDP0123456789abcdefgh",
        "idp0123456789abcdefg",
        "DVC0123456789abcdefg",
        "IDP0123456789abcdef-",
        "IDP0123456789abcdef%C3%A9",
        "IDP0123456789abcdef%00",
        "IDP0123456789abcdef%2F",
        "%20IDP0123456789abcdefg",
        &"a".repeat(5000),
    ] {
        server.get(&own_process(id)).by(&alice).await.refused(400, INVALID_ID);
        server.put(&cancel_of(id)).by(&alice).await.refused(400, INVALID_ID);
    }
    let no_text = server.get(&own_process("%FF")).by(&alice).await;
    no_text.refused(400, "error.platform.validation.invalidPropertyValue");
}

#[tokio::test]
async fn without_a_valid_token_nothing_is_told_and_the_reason_neither() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let (alice, bob) = (Person::new(), Person::new());
    let now = server.clock.now();
    let changed = |change: &dyn Fn(&mut serde_json::Value, &mut serde_json::Value)| {
        let mut token = alice.token(now);
        change(&mut token.header, &mut token.claims);
        format!("Bearer {}", alice.sign(&token))
    };
    let valid = alice.authorization(now);
    let unsigned = format!("{}.", valid.rsplit_once('.').unwrap().0);
    let with_other_claims = {
        let (header, rest) = valid.split_once('.').unwrap();
        let claims = BASE64_URL_SAFE_NO_PAD.encode(bob.token(now).claims.to_string());
        format!("{header}.{claims}.{}", rest.split_once('.').unwrap().1)
    };
    for authorization in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer x".to_owned(),
        "Basic YTpi".to_owned(),
        valid.replace("Bearer ", ""),
        unsigned,
        with_other_claims,
        format!("{valid}x"),
        format!("Bearer {}", "a".repeat(9000)),
        changed(&|_, claims| claims["nmshd_address"] = json!(bob.address.as_str())),
        changed(&|_, claims| claims["aud"] = json!("https://another.example.org")),
        changed(&|_, claims| claims["exp"] = json!(claims["iat"].as_i64().unwrap() - 31)),
        changed(&|_, claims| claims["exp"] = json!(claims["iat"].as_i64().unwrap() + 301)),
        changed(&|_, claims| claims["device_id"] = json!("DVC")),
        changed(&|header, _| header["alg"] = json!("none")),
    ] {
        let mut told = Vec::new();
        for (method, path) in [
            ("POST", OWN_PROCESSES.to_owned()),
            ("GET", OWN_PROCESSES.to_owned()),
            ("GET", own_process("IDP0123456789abcdefg")),
            ("PUT", cancel_of("IDP0123456789abcdefg")),
            ("PUT", cancel_of("nonsense")),
        ] {
            let mut request = server.request(method, &path).body("nonsense");
            if !authorization.is_empty() {
                request = request.header("authorization", &authorization);
            }
            let reply = request.await.refused(401, "error.platform.unauthorized");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
            told.push(reply.message());
        }
        told.dedup();
        assert_eq!(told, ["a valid bearer token is needed"], "{authorization}");
    }
    let twice = server.get(OWN_PROCESSES).by(&alice).by(&alice).await;
    twice.refused(401, "error.platform.unauthorized");
    let by_key = server.get(OWN_PROCESSES).with_key(CORE_KEY).await;
    by_key.refused(401, "error.platform.unauthorized");
    assert_eq!(server.listed(&alice).await, json!([]));
}

#[tokio::test]
async fn a_token_is_good_until_it_expires_and_no_longer() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let alice = Person::new();
    let authorization = alice.authorization(server.clock.now());
    let ask = async || server.get(OWN_PROCESSES).header("authorization", &authorization).await.status;
    // It was made for a whole second, 123,456 µs before the start, and 30 seconds are let pass.
    let end = (300 + 30) * SECOND - 123_456;
    for (micros, status) in [(0, 200), (end - 1, 200), (end, 401)] {
        deployment.clock.set(micros);
        assert_eq!(ask().await, status, "{micros}");
    }
}
