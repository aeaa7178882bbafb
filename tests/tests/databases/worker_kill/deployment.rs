//! A deployment with processes that are ripe, and how it ends.

use std::collections::BTreeSet;
use std::time::Instant;

use reprieve_tests::{Contenders, Sandbox, Sql};
use serde_json::Value;

use super::{ERASERS, PATIENCE};

const AUDIT_KEY: &str = "8f1c0d3b5a79624ee0d1b2c3a4958677fedcba98765432100123456789abcdef";
/// Long enough ago that the grace period is over.
const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// A deployment with prepared processes, and what its erasers saw.
pub(crate) struct Deployment {
    pub(crate) sandbox: Sandbox,
    prepare: Contenders,
    pub(crate) identities: usize,
}

impl Deployment {
    pub(crate) fn new(sandbox: &Sandbox, erasers: &str) -> Self {
        let sandbox = sandbox.variant().with("REPRIEVE__AUDIT__KEY", AUDIT_KEY);
        let journal = sandbox.home().join("journal");
        // Only a few tasks at once, so that whoever is killed does not keep everything until its lease is over.
        sandbox.configure(&format!(
            "journal.url = 'sqlite:{}'\n[workers]\nerasures_every_in_seconds = 0.05\n[erasure]\nlease_in_seconds = 0.2\n\
             concurrency = 6\nfirst_retry_in_seconds = 0.2\nlongest_retry_in_seconds = 0.4\n{erasers}",
            journal.display()
        ));
        let _ = sandbox.line("identity status").succeeded();
        let prepare = Contenders::start(1, &sandbox.database_url(), AUDIT_KEY);
        Self { sandbox, prepare, identities: 0 }
    }

    /// So many more identities whose grace period is over.
    pub(crate) fn initiate(&mut self, count: usize) {
        let numbers = self.identities..self.identities + count;
        let tasks: Vec<String> =
            numbers.map(|number| format!("initiate did:web:example.org:{number} {LONG_AGO}")).collect();
        assert_eq!(self.prepare.race(&tasks), vec!["ok"; count]);
        self.identities += count;
    }

    /// The processes whose deletion the journal knows to have started.
    pub(crate) fn journal(&self) -> BTreeSet<String> {
        in_journal(&self.sandbox)
    }

    /// How many processes are not at their end.
    pub(crate) fn left(sql: &mut Sql) -> u64 {
        sql.count("deletion_processes WHERE status <> 'Cancelled'") + sql.count("erasure_tasks")
    }

    /// Runs passes until nothing is left.
    pub(crate) fn come_to_the_end(&self) {
        let (start, mut sql) = (Instant::now(), self.sandbox.sql());
        while Self::left(&mut sql) > 0 {
            for worker in ["deletions", "erasures"] {
                let _ = pass(&self.sandbox, worker);
            }
            assert!(start.elapsed() < PATIENCE, "{:#}", self.sandbox.json("deletions show"));
        }
    }

    /// After everything has come to its end.
    pub(crate) fn check(&self, acknowledged: &BTreeSet<(String, String)>) {
        let mut sql = self.sandbox.sql();
        let mut processes =
            sql.texts("SELECT process_id FROM audit_entries WHERE message_key = 'StartedByOwner'");
        processes.sort_unstable();
        assert_eq!(processes.len(), self.identities);
        assert_eq!(self.journal(), processes.iter().cloned().collect());
        let mut erased = sql.texts(
            "SELECT process_id || ' ' || additional_data FROM audit_entries WHERE message_key = 'DataDeleted'",
        );
        erased.sort_unstable();
        let erased: Vec<(String, String)> = erased
            .iter()
            .map(|line| {
                let (process, data) = line.split_once(' ').unwrap();
                let data: Value = serde_json::from_str(data).unwrap();
                (process.to_owned(), data["aggregateType"].as_str().unwrap().to_owned())
            })
            .collect();
        let expected: Vec<(String, String)> = processes
            .iter()
            .flat_map(|process| ERASERS.map(|eraser| (process.clone(), eraser.to_owned())))
            .collect();
        assert_eq!(erased, expected, "each eraser once");
        let unsaid: Vec<_> = erased.iter().filter(|one| !acknowledged.contains(*one)).collect();
        assert!(unsaid.is_empty(), "nobody acknowledged {unsaid:?}");
        assert_eq!(sql.count("closed_processes WHERE receipt IS NOT NULL"), self.identities as u64);
        assert_eq!(self.sandbox.json("audit verify")["processes"], self.identities);
        for process in processes.iter().take(10) {
            let receipt = self.sandbox.line(&format!("receipt show {process}")).succeeded().stdout;
            std::fs::write(self.sandbox.home().join("receipt"), receipt).unwrap();
            let verified = self.sandbox.json("receipt verify receipt");
            assert_eq!(verified["receipt"]["processId"], *process.as_str());
            assert_eq!(verified["receipt"]["erasures"].as_array().unwrap().len(), ERASERS.len());
        }
    }
}

pub(crate) fn in_journal(sandbox: &Sandbox) -> BTreeSet<String> {
    let file = sandbox.home().join("journal");
    if !file.exists() {
        return BTreeSet::new();
    }
    let mut journal = reprieve_tests::Sql::open(&format!("sqlite:{}", file.display()));
    journal.texts("SELECT process_id FROM journal_entries WHERE status = 'Deleting'").into_iter().collect()
}

/// What a pass says that comes to its end; that an eraser failed is no failure.
pub(crate) fn pass(sandbox: &Sandbox, worker: &str) -> String {
    let outcome = sandbox.line(&format!("worker run {worker} --once"));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.stdout
}
