//! What an eraser answers, and what that is taken for.

use proptest::prelude::*;
use reprieve_application::ports::{EraseAnswer, ErasePlan, Eraser as _};
use tokio::net::TcpListener;

use super::service::{Reply, Service};
use super::*;

const BEYOND: &str = r#"{"count":18446744073709551616}"#;

async fn answer_to(reply: Reply) -> EraseAnswer {
    let service = Service::start([reply]).await;
    eraser(&format!("{}/a/erase", service.url)).erase(&request(None)).await
}

async fn polled(reply: Reply) -> EraseAnswer {
    let service = Service::start([reply]).await;
    let poll = format!("{}/jobs/1", service.url);
    eraser(&format!("{}/a/erase", service.url)).erase(&request(Some(&poll))).await
}

#[tokio::test]
async fn it_is_erased_when_a_204_or_a_count_says_so() {
    for (status, body, count) in [
        (200, r#"{"count":3}"#, 3),
        (200, " {\"count\" : 18446744073709551615}\r\n", u64::MAX),
        (201, r#"{"count":0}"#, 0),
        (203, r#"{"c\u006funt":0}"#, 0),
        (204, "", 0),
        (299, r#"{"count":1}"#, 1),
    ] {
        let erased = EraseAnswer::Erased { count };
        assert_eq!(answer_to(Reply::new(status, body)).await, erased, "{status} {body}");
        assert_eq!(polled(Reply::new(status, body)).await, erased, "{status} {body}");
    }
}

#[tokio::test]
async fn what_does_not_say_that_the_data_is_gone_is_a_failure() {
    for (status, body) in [
        (200, ""),
        (201, ""),
        (205, ""),
        (299, " "),
        (200, "{}"),
        (200, "null"),
        (200, "3"),
        (200, "[]"),
        (200, "[3]"),
        (200, r#"[{"count":3}]"#),
        (200, r#"{"count":null}"#),
        (200, r#"{"count":-1}"#),
        (200, r#"{"count":-0}"#),
        (200, r#"{"count":1.0}"#),
        (200, r#"{"count":1e2}"#),
        (200, r#"{"count":"3"}"#),
        (200, r#"{"count":true}"#),
        (200, r#"{"count":[3]}"#),
        (200, r#"{"Count":3}"#),
        (200, BEYOND),
        (200, r#"{"count":3"#),
        (200, r#"{"count":3}}"#),
        (200, r#"{"count":3} {"count":3}"#),
        (200, r#"{"count":3,"count":3}"#),
        (200, r#"{"count":3,"success":false}"#),
        (200, r#"{"success":true}"#),
        (200, r#"{"success":false}"#),
        (200, r#"{"data":null,"errors":[{"message":"unauthorised"}]}"#),
        (200, "<!doctype html><title>Sign in</title>"),
        (200, "done"),
        (200, "\u{feff}{\"count\":3}"),
    ] {
        let unexpected = failed(FailureCode::unexpected_answer());
        assert_eq!(answer_to(Reply::new(status, body)).await, unexpected, "{status} {body}");
        assert_eq!(polled(Reply::new(status, body)).await, unexpected, "{status} {body}");
    }
}

#[tokio::test]
async fn every_other_status_is_a_failure_and_no_redirect_is_followed() {
    let other = Service::start([Reply::new(204, "")]).await;
    for status in [300, 301, 302, 303, 304, 307, 308, 400, 401, 404, 409, 410, 429, 500, 503, 599] {
        let reply = Reply::new(status, "").with("location", other.url.clone());
        assert_eq!(answer_to(reply).await, failed(FailureCode::http_status(status)), "{status}");
    }
    assert_eq!(other.received().len(), 0);
}

#[tokio::test]
async fn who_is_at_work_says_where_and_when_to_ask() {
    let service = Service::start([
        Reply::new(202, "{"),
        Reply::new(202, "").with("location", "/jobs/1").with("retry-after", "30"),
        Reply::new(202, "").with("location", "job"),
    ])
    .await;
    let eraser = eraser(&format!("{}/a/erase", service.url));
    let working = |poll: Option<&str>, ask_in| EraseAnswer::Working {
        poll: poll.map(|poll| format!("{}{poll}", service.url)),
        ask_in,
    };
    assert_eq!(eraser.erase(&request(None)).await, working(None, None));
    let half_a_minute = Some(Duration::from_secs(30));
    assert_eq!(eraser.erase(&request(None)).await, working(Some("/jobs/1"), half_a_minute));
    // It moves on from where it is.
    let poll = format!("{}/jobs/1", service.url);
    assert_eq!(eraser.erase(&request(Some(&poll))).await, working(Some("/jobs/job"), None));
}

#[tokio::test]
async fn a_wish_when_to_be_asked_is_granted_within_reason() {
    for (text, seconds) in [
        ("0", Some(1)),
        ("1", Some(1)),
        ("3600", Some(3600)),
        ("3601", Some(3600)),
        ("18446744073709551615", Some(3600)),
        ("-1", None),
        ("soon", None),
        ("Mon, 07 Dec 2026 20:03:37 GMT", None),
    ] {
        let answer = answer_to(Reply::new(202, "").with("retry-after", text)).await;
        let ask_in = seconds.map(Duration::from_secs);
        assert_eq!(answer, EraseAnswer::Working { poll: None, ask_in }, "{text}");
    }
}

#[tokio::test]
async fn a_place_to_ask_at_elsewhere_is_refused() {
    let escaped = ADDRESS.replace(':', "%3A");
    for location in [
        "//b.example/",
        "https://127.0.0.1/",
        "http://127.0.0.1:1/",
        "http://a@127.0.0.1/",
        ADDRESS,
        "/\u{e9}",
    ]
    .into_iter()
    .chain([format!("/jobs/{ADDRESS}").as_str(), format!("/jobs/{escaped}").as_str()])
    {
        let answer = answer_to(Reply::new(202, "").with("location", location)).await;
        assert_eq!(answer, failed(FailureCode::unexpected_answer()), "{location}");
    }
}

#[tokio::test]
async fn a_place_to_ask_at_that_is_gone_is_a_failure() {
    for status in [404, 410] {
        let service = Service::start([Reply::new(status, "")]).await;
        let poll = format!("{}/jobs/1", service.url);
        let answer = eraser(&service.url).erase(&request(Some(&poll))).await;
        assert_eq!(answer, failed(FailureCode::http_status(status)));
    }
}

#[tokio::test]
async fn who_does_not_answer_in_time_has_failed() {
    let service = Service::start([Reply::Withheld, Reply::Withheld]).await;
    let options = HttpEraserOptions { timeout: Duration::from_millis(100), ..options(&service.url) };
    let eraser = HttpEraser::new(options, Arc::new(RealClock)).unwrap();
    assert_eq!(eraser.erase(&request(None)).await, failed(FailureCode::timed_out()));
    let plan = eraser.plan(&ADDRESS.parse().unwrap()).await;
    assert_eq!(plan, ErasePlan::Failed(FailureCode::timed_out()));
}

#[tokio::test]
async fn who_is_not_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(eraser(&url).erase(&request(None)).await, failed(FailureCode::unreachable()));
}

#[tokio::test]
async fn who_hangs_up_or_talks_too_much_has_not_answered() {
    let unexpected = failed(FailureCode::unexpected_answer());
    assert_eq!(answer_to(Reply::Closed).await, unexpected);
    let mut longest = br#"{"count":3}"#.to_vec();
    longest.resize(64 << 10, b' ');
    assert_eq!(answer_to(Reply::new(200, longest.clone())).await, EraseAnswer::Erased { count: 3 });
    longest.push(b' ');
    assert_eq!(answer_to(Reply::new(200, longest)).await, unexpected);
    assert_eq!(answer_to(Reply::new(200, vec![b'['; 64 << 10])).await, unexpected);
}

#[tokio::test]
async fn a_plan_is_a_number_or_nobody_knows() {
    for (reply, plan) in [
        (Reply::new(200, r#"{"count":0}"#), ErasePlan::Count(0)),
        (Reply::new(200, "{}"), ErasePlan::Unknown),
        (Reply::new(204, ""), ErasePlan::Unknown),
        (Reply::new(202, "{}"), ErasePlan::Failed(FailureCode::unexpected_answer())),
        (Reply::new(200, ""), ErasePlan::Failed(FailureCode::unexpected_answer())),
        (Reply::new(200, "[]"), ErasePlan::Failed(FailureCode::unexpected_answer())),
        (Reply::new(200, "<p>3</p>"), ErasePlan::Failed(FailureCode::unexpected_answer())),
        (Reply::new(200, r#"{"count":-1}"#), ErasePlan::Failed(FailureCode::unexpected_answer())),
        (Reply::new(200, r#"{"count":null}"#), ErasePlan::Failed(FailureCode::unexpected_answer())),
        (Reply::new(200, r#"{"errors":[]}"#), ErasePlan::Failed(FailureCode::unexpected_answer())),
        (Reply::new(405, ""), ErasePlan::Failed(FailureCode::http_status(405))),
        (Reply::new(302, ""), ErasePlan::Failed(FailureCode::http_status(302))),
        (Reply::Closed, ErasePlan::Failed(FailureCode::unexpected_answer())),
    ] {
        let service = Service::start([reply.clone()]).await;
        let answer = eraser(&service.url).plan(&ADDRESS.parse().unwrap()).await;
        assert_eq!(answer, plan, "{reply:?}");
    }
}

fn header_value() -> impl Strategy<Value = Vec<u8>> {
    let visible = prop::collection::vec(prop_oneof![0x20..0x7f_u8, 0x80..=0xff_u8], 0..40);
    prop_oneof![
        visible,
        "[/:?#%.a-z0-9@\\\\]{0,20}".prop_map(String::into_bytes),
        "[0-9]{0,25}".prop_map(String::into_bytes)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_answer_makes_asking_panic(
        status in prop_oneof![Just(200_u16), Just(202), 200..600_u16],
        location in header_value(),
        retry_after in header_value(),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            r#"\{"count":[-0-9.eE"nul]{0,25}\}?"#.prop_map(String::into_bytes),
        ],
        polls: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let reply = Reply::new(status, body).with("location", location).with("retry-after", retry_after);
            let service = Service::start([reply.clone(), reply]).await;
            let eraser = eraser(&service.url);
            let poll = polls.then(|| service.url.clone());
            if let EraseAnswer::Working { poll: Some(poll), .. } = eraser.erase(&request(poll.as_deref())).await {
                assert!(poll.starts_with(&service.url), "{poll}");
            }
            eraser.plan(&ADDRESS.parse().unwrap()).await;
        });
    }
}
