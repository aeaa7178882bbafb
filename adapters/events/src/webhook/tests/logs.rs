//! What nobody reads in a log, however much is logged.

use std::io::{self, Write};
use std::sync::Mutex;

use tracing::Level;

use super::service::{Reply, Service};
use super::*;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn neither_who_is_deleted_nor_a_secret_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let away = Reply::new(307, "hidden").with("location", format!("/hidden/{ADDRESS}"));
    let service = Service::start([away, Reply::new(200, ""), Reply::Closed, Reply::new(500, ADDRESS)]).await;
    let mut options = options(&format!("{}/hidden?key=hidden", service.url));
    options.headers.insert("x-api-key".to_owned(), "hidden".into());
    let sink = sink_with(options.clone());
    for expected in
        [Ok(()), refused(FailureCode::unexpected_answer()), refused(FailureCode::http_status(500))]
    {
        assert_eq!(tell(&sink).await, expected);
    }
    drop(service);
    options.url = "http://127.0.0.1:1/hidden".parse().unwrap();
    assert_eq!(tell(&sink_with(options.clone())).await, unreachable());
    options.url = "http://localhost:1/hidden".parse().unwrap();
    options.allowed_hosts = hosts(&["localhost"]);
    assert_eq!(tell(&sink_with(options)).await, unreachable());

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("a webhook gave no answer").count(), 3, "{text}");
    assert!(text.contains("sink=crm"), "{text}");
    for secret in ["hidden", "users:ada", &SECRET[6..]] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}
