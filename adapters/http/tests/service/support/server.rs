//! One instance of the service, on a socket of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use reprieve_application::GracePeriodSettings;
use reprieve_application::ports::{Clock, Ids};
use reprieve_http::authentication::{Authentication, AuthenticationSettings};
use reprieve_http::{Ended, Service, Settings, UseCases};
use reprieve_persistence::Store;
use reprieve_system::SystemIds;
use reqwest::Method;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::client::{self, Request};
use super::deployment::metrics;
use super::{Deployment, OWN_PROCESSES, Person, soon};

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) client: reqwest::Client,
    /// The store that the service uses.
    pub(crate) store: Store,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    serving: JoinHandle<Ended>,
}

impl Server {
    pub(crate) async fn start(
        deployment: &Deployment,
        store: Store,
        authentication: AuthenticationSettings,
        settings: impl FnOnce(SocketAddr) -> Settings,
        change: impl FnOnce(&mut UseCases),
    ) -> Self {
        let clock: Arc<dyn Clock> = deployment.clock.clone();
        let ids: Arc<dyn Ids> = Arc::new(SystemIds);
        let grace_period = GracePeriodSettings::from_days(14.0, 1.0, 365.0).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut use_cases = UseCases::new(&Arc::new(store.clone()), &clock, &ids, grace_period);
        change(&mut use_cases);
        let service = Service::new(
            use_cases,
            deployment.own.caller(),
            Authentication::new(authentication, clock.clone()).unwrap(),
            clock.clone(),
            ids,
            settings(address),
            metrics(),
        );
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(reprieve_http::serve(listener, Arc::new(service), async {
            // A test that drops the server has not asked it to stop.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        }));
        Self { address, clock, client: client::new(), store, stop: Mutex::new(Some(stop)), serving }
    }

    /// The same, asked over HTTP/2 from now on.
    pub(crate) fn over_http2(mut self) -> Self {
        self.client = client::http2();
        self
    }

    /// Tells the service to stop, as a signal would.
    pub(crate) fn stop(&self) {
        self.stop.lock().unwrap().take().unwrap().send(()).unwrap();
    }

    /// How the service ended.
    pub(crate) async fn ended(mut self) -> Ended {
        soon(&mut self.serving).await.unwrap()
    }

    /// Whether the service has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.serving.is_finished()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request<'_> {
        Request::new(self, Method::from_bytes(method.as_bytes()).unwrap(), path)
    }

    pub(crate) fn get(&self, path: &str) -> Request<'_> {
        self.request("GET", path)
    }

    pub(crate) fn post(&self, path: &str) -> Request<'_> {
        self.request("POST", path)
    }

    pub(crate) fn put(&self, path: &str) -> Request<'_> {
        self.request("PUT", path)
    }

    pub(crate) fn delete(&self, path: &str) -> Request<'_> {
        self.request("DELETE", path)
    }

    /// Begins a process of this identity; returns its id.
    pub(crate) async fn initiated(&self, person: &Person) -> String {
        self.post(OWN_PROCESSES).by(person).await.result(201)["id"].as_str().unwrap().to_owned()
    }

    /// Every process of this identity as the service shows them to it.
    pub(crate) async fn listed(&self, person: &Person) -> serde_json::Value {
        self.get(OWN_PROCESSES).by(person).await.result(200)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
