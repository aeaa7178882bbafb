//! What a receiver answers, and what that is taken for.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::service::{Reply, Service};
use super::*;

async fn answer_to(reply: Reply) -> Result<(), SendError> {
    let service = Service::start([reply]).await;
    sink(&format!("{}/a/hook", service.url)).send(&deleted()).await
}

#[tokio::test]
async fn a_2xx_takes_the_message_and_nothing_else_does() {
    for status in [200, 201, 202, 204, 226, 299] {
        let body = if status == 204 { "" } else { "no" };
        assert_eq!(answer_to(Reply::new(status, body)).await, Ok(()), "{status}");
    }
    for status in [300, 301, 302, 303, 304, 307, 308, 400, 401, 404, 409, 410, 413, 429, 500, 503, 599] {
        let reply = Reply::new(status, "").with("retry-after", "1");
        assert_eq!(answer_to(reply).await, refused(FailureCode::http_status(status)), "{status}");
    }
}

#[tokio::test]
async fn a_redirect_that_leaves_the_request_as_it_is_is_followed_on_the_same_server() {
    for status in [307, 308] {
        let service = Service::start([
            Reply::new(status, "there").with("location", "b?c"),
            Reply::new(status, "").with("location", "/d"),
            Reply::new(status, "").with("location", "/e"),
            Reply::new(200, ""),
        ])
        .await;
        let mut options = options(&format!("{}/a/hook", service.url));
        options.headers.insert("x-api-key".to_owned(), "1".into());
        assert_eq!(sink_with(options).send(&deleted()).await, Ok(()));
        let received = service.received();
        let urls: Vec<_> = received.iter().map(|request| request.url.as_str()).collect();
        assert_eq!(urls, ["/a/hook", "/a/b?c", "/d", "/e"]);
        for request in &received {
            assert_eq!(
                (&request.method, &request.headers, &request.body),
                (&received[0].method, &received[0].headers, &received[0].body)
            );
        }
    }
}

#[tokio::test]
async fn at_most_three_redirects_are_followed() {
    let again = Reply::new(307, "").with("location", "/a/hook");
    let service = Service::start(vec![again; 10]).await;
    let answer = sink(&format!("{}/a/hook", service.url)).send(&deleted()).await;
    assert_eq!(answer, refused(FailureCode::http_status(307)));
    assert_eq!(service.received().len(), 4);
}

#[tokio::test]
async fn no_other_redirect_is_followed_and_nobody_else_hears_of_it() {
    let other = Service::start([]).await;
    let port = other.address.port();
    for status in [301, 302, 303, 307, 308] {
        for location in [
            other.url.clone(),
            format!("//127.0.0.1:{port}/"),
            format!("http://localhost:{port}/"),
            format!("http://2130706433:{port}/"),
        ] {
            let service = Service::start([Reply::new(status, "").with("location", location.clone())]).await;
            let answer = sink(&service.url).send(&deleted()).await;
            assert_eq!(answer, refused(FailureCode::http_status(status)), "{location}");
            assert_eq!(service.received().len(), 1);
        }
    }
    for status in [301, 302, 303] {
        let service = Service::start([Reply::new(status, "").with("location", "/here")]).await;
        assert_eq!(sink(&service.url).send(&deleted()).await, refused(FailureCode::http_status(status)));
        assert_eq!(service.received().len(), 1);
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn who_does_not_answer_in_time_has_not_taken_it() {
    let service = Service::start([Reply::Withheld]).await;
    let options = WebhookSinkOptions { timeout: Duration::from_millis(200), ..options(&service.url) };
    let sink = sink_with(options);
    assert_eq!(tell(&sink).await, refused(FailureCode::timed_out()));
    assert_eq!(service.received().len(), 1);
}

#[tokio::test]
async fn redirects_have_no_more_time_than_one_answer() {
    let again = Reply::new(307, "").with("location", "/");
    let service = Service::start([again.clone(), again, Reply::Withheld]).await;
    let options = WebhookSinkOptions { timeout: Duration::from_millis(500), ..options(&service.url) };
    assert_eq!(tell(&sink_with(options)).await, refused(FailureCode::timed_out()));
    assert_eq!(service.received().len(), 3);
}

#[tokio::test]
async fn who_is_not_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(tell(&sink(&url)).await, unreachable());
}

#[tokio::test]
async fn who_accepts_and_never_says_hello_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let options = WebhookSinkOptions { timeout: Duration::from_millis(400), ..options(&url) };
    assert_eq!(tell(&sink_with(options)).await, unreachable());
}

#[tokio::test]
async fn a_long_answer_is_not_read_to_its_end() {
    let long = vec![b' '; 32 << 20];
    let service =
        Service::start([Reply::new(200, long.clone()), Reply::new(500, long), Reply::new(200, "")]).await;
    let sink = sink(&service.url);
    let began = Instant::now();
    assert_eq!(tell(&sink).await, Ok(()));
    assert_eq!(tell(&sink).await, refused(FailureCode::http_status(500)));
    assert_eq!(tell(&sink).await, Ok(()));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(service.connections(), 3, "what is not read to its end is closed");
}

/// Two messages fit into half of a lease, each of which may take a quarter.
#[tokio::test]
async fn the_rest_of_an_answer_is_not_waited_for_when_the_time_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answering = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n").await;
                // The rest never comes.
                let _ = stream.read(&mut [0; 4096]).await;
            });
        }
    });
    let options = WebhookSinkOptions { timeout: Duration::from_millis(300), ..options(&url) };
    let began = Instant::now();
    assert_eq!(sink_with(options).send(&to_be_deleted()).await, Ok(()));
    assert!(began.elapsed() < Duration::from_millis(1200), "{:?}", began.elapsed());
    answering.abort();
}
