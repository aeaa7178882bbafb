//! Whether those are there that this deployment calls.

use std::sync::Arc;

use futures_util::future::{FutureExt as _, ready};
use reprieve_application::ports::Clock;
use reprieve_application::{Area, Finding};
use reprieve_cli::Failure;
use reprieve_domain::FailureCode;
use reprieve_http::authentication::Authentication;
use reprieve_system::SystemClock;

use super::{Check, bounded};
use crate::configuration::Configuration;
use crate::sinks::sink;
use crate::workers;

pub(super) fn all(configuration: &Configuration) -> Vec<Check<'_>> {
    let mut checks = erasers(configuration);
    checks.extend(sinks(configuration));
    checks.push(issuer(configuration));
    checks
}

fn now(findings: Vec<Finding>) -> Check<'static> {
    ready(findings).boxed()
}

fn reached(area: Area, name: &str, result: Result<(), FailureCode>, key: &str) -> Finding {
    match result {
        Ok(()) => Finding::ok(area, format!("{name} is reached")),
        Err(code) => {
            let message = format!("{name} is not reached: {code}");
            let remedy = format!("make sure that it runs, lets us in, and is right in {key}");
            Finding::wrong(area, None, message, remedy)
        }
    }
}

fn erasers(configuration: &Configuration) -> Vec<Check<'_>> {
    let erasers = match workers::erasers_to_start_with(&configuration.workers) {
        Ok(erasers) => erasers,
        Err(failure) => return vec![now(vec![Finding::failed(Area::Erasers, failure)])],
    };
    if erasers.names().is_empty() {
        let message = "none is configured: nothing is erased but what is stored here";
        return vec![now(vec![Finding::ok(Area::Erasers, message)])];
    }
    let check = |eraser: Arc<dyn reprieve_application::ports::Eraser>| {
        bounded(Area::Erasers, configuration, async move {
            let result = eraser.reach().await;
            Ok([reached(Area::Erasers, eraser.name().as_str(), result, "erasure.erasers")])
        })
    };
    erasers.iter().map(|(_, eraser)| check(eraser.clone())).collect()
}

fn sinks(configuration: &Configuration) -> Vec<Check<'_>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let events = &configuration.events;
    if events.sinks.is_empty() {
        return vec![now(vec![Finding::ok(Area::Events, "no sink is configured")])];
    }
    let check = |one| match sink(one, events, &clock) {
        Err(failure) => now(vec![Finding::failed(Area::Events, failure)]),
        Ok(sink) => bounded(Area::Events, configuration, async move {
            let result = sink.reach().await;
            Ok([reached(Area::Events, sink.name().as_str(), result, "events.sinks")])
        }),
    };
    events.sinks.iter().map(check).collect()
}

fn issuer(configuration: &Configuration) -> Check<'_> {
    let mut settings = configuration.http.authentication.clone();
    if settings.issuer.is_none() {
        return now(vec![Finding::ok(Area::Authentication, "no issuer of tokens is configured")]);
    }
    // Its audience may follow from the address that is listened on.
    settings.self_signed = None;
    bounded(Area::Authentication, configuration, async move {
        let wrong = |error: &dyn std::error::Error| {
            let message = format!("the keys of the issuer of tokens are not there: {}", in_full(error));
            let remedy = "make sure that the issuer answers, and that http.issuer is right";
            Finding::wrong(Area::Authentication, None, message, remedy)
        };
        let finding = match Authentication::new(settings, Arc::new(SystemClock)) {
            Err(error) => wrong(&error),
            Ok(authentication) => match authentication.check_issuer().await {
                Err(error) => wrong(&error),
                Ok(_) => Finding::ok(Area::Authentication, "the keys of the issuer of tokens are there"),
            },
        };
        Ok::<_, Failure>([finding])
    })
}

/// An error and its sources.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
