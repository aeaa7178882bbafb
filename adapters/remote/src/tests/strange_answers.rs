//! Whatever is answered: an error, never a panic, and nobody else is told anything.

use proptest::prelude::*;
use reprieve_application::facade::IdentityDeletionFacade as _;
use serde_json::json;

use super::service::{Fate, Reply, active, cancel};
use super::{DEVICE, Service, UNEXPECTED, World};

#[tokio::test]
async fn what_is_no_answer_to_the_question_is_unexpected() {
    let mut cancelled = active("IDP0123456789abcdefg", DEVICE);
    cancel(&mut cancelled, DEVICE);
    for reply in [
        Reply::new(200, ""),
        Reply::new(204, ""),
        Reply::new(200, "<html>"),
        Reply::new(200, [0xff, 0xfe, 0x00]),
        Reply::new(200, "[".repeat(100_000)),
        Reply::new(200, r#"{"result": null}"#),
        Reply::new(200, r#"{"result": "yes"}"#),
        Reply::new(200, r#"{"result": [1]}"#),
        Reply::new(400, ""),
        Reply::new(404, "<html>not found</html>"),
        Reply::new(418, r#"{"error": {"code": "error.tea"}}"#),
        Reply::new(500, r#"{"error": {"code": "error.platform.unexpected"}}"#),
    ] {
        let World { service, facade, .. } = World::with_active_process().await;
        service.state().always = Fate::Instead(reply.clone());
        for failure in [facade.processes().await.unwrap_err(), facade.cancel().await.unwrap_err()] {
            assert_eq!(failure.code.as_str(), UNEXPECTED, "{reply:?}");
        }
        assert_eq!(service.asked().len(), 2, "it is not asked again");
    }
}

#[tokio::test]
async fn another_process_than_the_one_that_was_asked_for_is_unexpected() {
    let World { service, facade, .. } = World::with_active_process().await;
    let other = json!({"result": active("IDPzzzzzzzzzzzzzzzzz", DEVICE)}).to_string();
    service.plan([Fate::Instead(Reply::new(200, other))]);
    assert_eq!(facade.process("IDP0123456789abcdefg").await.unwrap_err().code.as_str(), UNEXPECTED);
}

#[tokio::test]
async fn a_success_that_shows_no_success_is_none() {
    let World { service, facade, .. } = World::with_active_process().await;
    let still_active = json!({"result": active("IDP0123456789abcdefg", DEVICE)}).to_string();
    service.plan([Fate::Usual, Fate::Instead(Reply::new(200, still_active))]);
    assert_eq!(facade.cancel().await.unwrap_err().code.as_str(), UNEXPECTED);
}

#[tokio::test]
async fn a_redirection_is_not_followed_so_that_no_token_goes_elsewhere() {
    let elsewhere = Service::start().await;
    for status in [301, 302, 303, 307, 308] {
        let World { service, facade, .. } = World::with_active_process().await;
        service.state().always = Fate::Instead(Reply::new(status, "").with("location", &elsewhere.url));
        let failure = facade.cancel().await.unwrap_err();
        assert_eq!(failure.code.as_str(), UNEXPECTED);
        assert!(failure.message.contains("redirection"), "{failure:?}");
    }
    assert_eq!(elsewhere.asked(), [""; 0]);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_it() {
    let World { service, facade, .. } = World::with_active_process().await;
    let mut body = br#"{"result": []"#.to_vec();
    body.resize(8 << 20, b' ');
    body.push(b'}');
    service.state().always = Fate::Instead(Reply::new(200, body));
    let failure = facade.processes().await.unwrap_err();
    assert_eq!(failure.code.as_str(), UNEXPECTED);
    assert!(failure.message.contains("more than 1048576 bytes"), "{failure:?}");
}

fn reply() -> impl Strategy<Value = Reply> {
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100),
        r#"\{"(result|error)": ?(\[|\{|"[a-zA-Z.]{0,20}"|[0-9]{1,4})[^\x00-\x1f]{0,40}"#
            .prop_map(String::into_bytes),
        (any::<bool>(), any::<bool>()).prop_map(|(cancelled, list)| {
            let mut process = active("IDP0123456789abcdefg", DEVICE);
            if cancelled {
                cancel(&mut process, DEVICE);
            }
            json!({"result": if list { json!([process]) } else { process }}).to_string().into_bytes()
        }),
    ];
    // Statuses below 200 are no final answers, and hyper refuses to send them.
    (200_u16..600, body, "[ -~]{0,20}").prop_map(|(status, body, header)| {
        Reply::new(status, body).with("retry-after", &header).with("date", &header)
    })
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        2 => Just(Fate::Usual),
        1 => Just(Fate::Ignored),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::AnswerCut),
        2 => reply().prop_map(Fate::Instead),
        2 => reply().prop_map(Fate::DoneBut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_answers_make_it_panic_or_do_a_step_twice(fates in prop::collection::vec(fate(), 0..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let World { service, facade, .. } = World::new().await;
            service.plan(fates);
            let _ = facade.initiate(None).await;
            assert!(service.state().steps <= 1);
            let _ = facade.identity().await;
            let _ = facade.cancel().await;
            assert!(service.state().steps <= 2);
        });
    }
}
