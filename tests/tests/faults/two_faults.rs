//! The course of every test here: steps, a fault, steps that are refused, its end, and all of that once more; then a restart.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use reprieve_tests::{Connection, Refusal, Request, Sandbox, Service, Stepper, Told};

/// As soon as a fault is over, the service has so long to serve again, and to say that it does or that it doesn't.
const SOON: Duration = Duration::from_secs(1);
/// More steps than the log of the database has room for.
const MANY: usize = 2_000;

/// How the service ends before everything is compared.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Stopped,
    Killed,
}

/// What is done to a service, and how it is to take it.
pub(crate) struct Course<'a> {
    pub(crate) sandbox: &'a Sandbox,
    /// How many people take steps at the same time.
    pub(crate) people: u64,
    pub(crate) end: End,
    /// How many steps may be acknowledged, and stored, before the fault is felt.
    pub(crate) unharmed: usize,
    /// Whether what was refused must not be stored either.
    pub(crate) exactly: bool,
    /// Whether it may find a way to serve while the fault lasts.
    pub(crate) may_go_on: bool,
    /// The binary, or a program that becomes it.
    pub(crate) command: Command,
}

impl<'a> Course<'a> {
    /// Of a full disk and the like.
    pub(crate) fn new(sandbox: &'a Sandbox, people: u64) -> Self {
        sandbox.configure(Stepper::TOML);
        let mut command = sandbox.command();
        command.arg("start");
        let end = if people == 1 { End::Stopped } else { End::Killed };
        Self { sandbox, people, end, unharmed: MANY, exactly: true, may_go_on: false, command }
    }

    /// Goes through all of it. `fault` is to begin and to end the fault; it gets the number of the process.
    pub(crate) fn run(mut self, fault: &mut dyn FnMut(bool, u32)) {
        let mut service = Service::try_start(&mut self.command).unwrap();
        let mut people = Stepper::several(service.address(), self.people);
        let mut found = Found::default();
        all_go_on(&mut people, 6);
        for round in 1..=2 {
            fault(true, service.process_id());
            let refused = in_parallel(&mut people, |person| person.until_refused(2, self.unharmed));
            for refusals in &refused {
                if refusals.len() < 2 && !self.may_go_on {
                    found.push(format!("fault {round}: not refused twice"));
                }
            }
            found.extend(refused.iter().flatten().filter_map(|refusal| wrong(round, refusal)));
            if !self.may_go_on {
                found.extend(
                    not_ready_soon(&service, 503).map(|seen| format!("during fault {round}: {seen}")),
                );
            }
            let more = in_parallel(&mut people, |person| (0..4).filter(|_| person.step().is_ok()).count());
            println!("fault {round}: acknowledged while it lasts, after two refusals: {more:?}");
            fault(false, service.process_id());
            for took in in_parallel(&mut people, |person| person.until_acknowledged(5 * SOON)) {
                match took {
                    Ok(took) => {
                        println!("after fault {round}: serves again after {took:?}");
                        if took > SOON {
                            found.push(format!("after fault {round}: serves again only after {took:.0?}"));
                        }
                    }
                    Err(refusal) => {
                        found.push(format!("after fault {round}: does not serve again: {refusal}"));
                    }
                }
            }
            found.extend(not_ready_soon(&service, 200).map(|seen| format!("after fault {round}: {seen}")));
            for refusal in in_parallel(&mut people, |person| person.until_refused(1, 10)).iter().flatten() {
                found.push(format!("after fault {round}, when it served again: {refusal}"));
            }
        }
        match self.end {
            End::Stopped => {
                let code = service.stop().code;
                if code != 0 {
                    found.push(format!("it ended with {code}"));
                }
            }
            End::Killed => service.kill(),
        }
        found.extend(self.compared(&people));
        // And once more, with all that.
        service = Service::try_start(&mut self.command).unwrap();
        for person in &mut people {
            person.turn_to(service.address());
        }
        for refusal in in_parallel(&mut people, |person| person.until_refused(1, 4)).iter().flatten() {
            found.push(format!("after the restart: {refusal}"));
        }
        service.kill();
        found.extend(self.compared(&people));
        println!("{} steps were acknowledged", Told::together(&people).steps());
        found.assert_none();
    }

    fn compared(&self, people: &[Stepper]) -> Vec<String> {
        let told = Told::together(people);
        let mut found =
            if self.exactly { told.differs_from(self.sandbox) } else { told.missing_in(self.sandbox) };
        let verified = self.sandbox.line("audit verify");
        if verified.code != 0 {
            found.push(format!("{verified:?}"));
        }
        let mut sql = self.sandbox.sql();
        if !sql.is_postgres() && sql.text("PRAGMA integrity_check") != "ok" {
            found.push("the file is damaged".to_owned());
        }
        found
    }
}

/// What is wrong, and how often. Everything is looked at before a test fails.
#[derive(Default)]
pub(crate) struct Found(BTreeMap<String, usize>);

impl Found {
    pub(crate) fn push(&mut self, what: String) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn extend(&mut self, all: impl IntoIterator<Item = String>) {
        all.into_iter().for_each(|what| self.push(what));
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.iter().map(|(what, count)| format!("{count} × {what}")).collect()
    }

    pub(crate) fn assert_none(self) {
        let lines = self.lines();
        assert!(lines.is_empty(), "found:\n{}", lines.join("\n"));
    }
}

/// What is wrong with a refusal: it has a status and a code of its own.
fn wrong(round: usize, refusal: &Refusal) -> Option<String> {
    let known = refusal.code.starts_with("error.reprieve.database.");
    let right = matches!(refusal.status, 500 | 503) && known && refusal.took < Duration::from_secs(12);
    (!right).then(|| format!("fault {round}: refused with {refusal}"))
}

/// All at the same time.
pub(crate) fn in_parallel<T: Send>(people: &mut [Stepper], act: impl Fn(&mut Stepper) -> T + Sync) -> Vec<T> {
    let act = &act;
    thread::scope(|scope| {
        let acting: Vec<_> = people.iter_mut().map(|person| scope.spawn(move || act(person))).collect();
        acting.into_iter().map(|acting| acting.join().unwrap()).collect()
    })
}

/// Each takes so many steps, and none is refused.
pub(crate) fn all_go_on(people: &mut [Stepper], steps: usize) {
    let refused = in_parallel(people, |person| person.until_refused(1, steps));
    assert!(refused.iter().all(Vec::is_empty), "{refused:?}");
}

/// What readiness says instead, if it does not say this soon.
pub(crate) fn not_ready_soon(service: &Service, status: u16) -> Option<String> {
    let start = Instant::now();
    loop {
        let asked = Instant::now();
        let reply = Connection::open(service.address()).unwrap().send(&Request::get("/health/ready"));
        let said = reply.map_or(0, |reply| reply.status);
        if said == status {
            return None;
        }
        if start.elapsed() > SOON {
            let late = if asked.elapsed() > SOON { ", answered late" } else { "" };
            return Some(format!("readiness is {said} and not {status}{late}"));
        }
        thread::sleep(Duration::from_millis(20));
    }
}
