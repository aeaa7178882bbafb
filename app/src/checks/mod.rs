//! What is wrong with this deployment: the one list of checks, which `reprieve check` shows and `reprieve start` logs.

mod elsewhere;
mod files;
mod opening;

use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use reprieve_application::use_cases::{
    CheckClocks, CheckDatabase, CheckDeletions, CheckDeletionsPorts, CheckEvents, CheckJournal,
};
use reprieve_application::{Area, ErrorCode, Finding, Severity};
use reprieve_cli::Failure;
use reprieve_persistence::{DatabaseUrl, Store};

use crate::configuration::Configuration;
use crate::journal::OpenJournal;
use crate::journal_configuration::JournalPlace;
use crate::receipts;

pub(crate) use self::opening::{Opened, open};

/// How much longer than the database's own time-out a check may take, so that the database says what is wrong.
const SLACK: Duration = Duration::from_secs(1);

/// What is stored, as far as it could be opened.
#[derive(Clone)]
pub(crate) enum Stored {
    /// The store and its journal.
    Open(Arc<Store>, OpenJournal),
    /// Nothing: the first command makes what there is to be.
    New,
    /// It could not be opened.
    Unknown,
}

/// The checks of a deployment.
#[derive(Clone)]
pub(crate) struct Checks {
    configuration: Configuration,
    stored: Stored,
}

/// One check, which comes to its end in time.
type Check<'a> = BoxFuture<'a, Vec<Finding>>;

/// Bounds a check in time. Where its area is about the database, that is what does not answer.
fn bounded<'a, T: IntoIterator<Item = Finding>>(
    area: Area,
    configuration: &Configuration,
    check: impl Future<Output = Result<T, Failure>> + Send + 'a,
) -> Check<'a> {
    let limit = configuration.timeout + SLACK;
    async move {
        match tokio::time::timeout(limit, check).await {
            Ok(Ok(findings)) => findings.into_iter().collect(),
            Ok(Err(failure)) => vec![Finding::failed(area, failure)],
            Err(_) => vec![too_slow(area, limit)],
        }
    }
    .boxed()
}

fn too_slow(area: Area, limit: Duration) -> Finding {
    let message = format!("there was no answer within {} seconds", limit.as_secs_f64());
    let code = (area == Area::Database).then_some(ErrorCode::DatabaseUnavailable);
    Finding::wrong(area, code, message, "make sure that what is asked runs and is not overloaded")
}

impl Checks {
    pub(crate) fn new(configuration: &Configuration, stored: Stored) -> Self {
        Self { configuration: configuration.clone(), stored }
    }

    /// What is wrong here: with files, the database and the journal.
    pub(crate) async fn here(&self) -> Vec<Finding> {
        let mut checks = self.of_store();
        checks.extend([self.journal(), self.receipts(), self.files()]);
        in_order(join_all(checks).await)
    }

    /// What is wrong with others: erasers, sinks and the issuer of tokens are connected to.
    pub(crate) async fn elsewhere(&self) -> Vec<Finding> {
        in_order(join_all(elsewhere::all(&self.configuration)).await)
    }

    /// That the store, which is open, can be written to.
    pub(crate) async fn store(&self) -> Vec<Finding> {
        let Stored::Open(store, _) = &self.stored else { return Vec::new() };
        let check = CheckDatabase::new(store.clone());
        bounded(Area::Database, &self.configuration, async move { Ok([check.execute().await]) }).await
    }

    fn of_store(&self) -> Vec<Check<'_>> {
        let Stored::Open(store, journal) = &self.stored else {
            let areas = [Area::Clocks, Area::Deletions];
            return areas.map(|area| ready(vec![self.without_store(area)]).boxed()).into();
        };
        let clocks = async {
            let check = CheckClocks::new(store.clone(), store.has_noted().await?);
            Ok([check.execute().await?])
        };
        let ports = CheckDeletionsPorts {
            switch: journal.switch(),
            tasks: store.clone(),
            processes: store.clone(),
            clock: store.clock(),
        };
        let deletions = CheckDeletions::new(ports, self.configuration.workers.most_per_hour);
        let events = CheckEvents::new(store.clone());
        let configuration = &self.configuration;
        vec![
            bounded(Area::Clocks, configuration, clocks),
            bounded(Area::Deletions, configuration, async move { Ok(deletions.execute().await?) }),
            bounded(Area::Events, configuration, async move { Ok(events.execute().await?) }),
        ]
    }

    fn without_store(&self, area: Area) -> Finding {
        match self.stored {
            Stored::New => Finding::ok(area, "nothing is stored yet"),
            Stored::Open(..) | Stored::Unknown => {
                let message = "this cannot be checked without the database and the audit key";
                Finding::wrong(area, None, message, "put these right first")
            }
        }
    }

    fn journal(&self) -> Check<'_> {
        bounded(Area::Journal, &self.configuration, async {
            let mut findings = match &self.stored {
                Stored::Open(_, journal) => CheckJournal::new(journal.journaling()).execute().await?,
                Stored::New | Stored::Unknown => match self.configuration.journal.place {
                    JournalPlace::Unnamed => return Ok(vec![Finding::failed(Area::Journal, not_named())]),
                    _ => vec![self.without_store(Area::Journal)],
                },
            };
            if let Some(finding) = self.place_of_journal().await {
                findings.retain(|finding| finding.severity != Severity::Ok);
                findings.push(finding);
            }
            Ok(findings)
        })
    }

    /// That one restore takes both the database and its journal.
    async fn place_of_journal(&self) -> Option<Finding> {
        let remedy = "name another place in journal.url, which a restore of the database does not reach";
        let wrong = |message: String| Some(Finding::wrong(Area::Journal, None, message, remedy));
        if let (Some(database), Some(folder)) = (self.configuration.database.file(), self.folder_of_journal())
        {
            return if is_below(&folder, &folder_of(database)?) {
                wrong(format!("the journal is in the folder of the database: {}", folder.display()))
            } else {
                None
            };
        }
        // A journal that is not reached is a finding of its own.
        let Stored::Open(store, journal) = &self.stored else { return None };
        if store.shares_cluster_with(journal.database()?).await.unwrap_or(false) {
            return wrong("the journal is in the same PostgreSQL cluster as the database".to_owned());
        }
        None
    }

    fn folder_of_journal(&self) -> Option<PathBuf> {
        match &self.configuration.journal.place {
            JournalPlace::Named(url) => folder_of(url.file()?),
            JournalPlace::Beside { folder, .. } => std::path::absolute(folder).ok(),
            JournalPlace::Unnamed => None,
        }
    }

    fn receipts(&self) -> Check<'_> {
        bounded(Area::Receipts, &self.configuration, async {
            let workers = &self.configuration.workers;
            let is_there = match &self.stored {
                Stored::Open(store, _) => receipts::check_signer(store, workers).await?,
                Stored::New | Stored::Unknown => receipts::check_file(workers)?,
            };
            let message = if is_there {
                "the key for receipts can be read"
            } else {
                "the key for receipts is made with the first deletion"
            };
            Ok([Finding::ok(Area::Receipts, message)])
        })
    }

    fn files(&self) -> Check<'_> {
        let journal = match &self.stored {
            Stored::Open(_, journal) => journal.database().and_then(|journal| journal.url().file()),
            Stored::New | Stored::Unknown => match &self.configuration.journal.place {
                JournalPlace::Named(url) => DatabaseUrl::file(url),
                JournalPlace::Beside { .. } | JournalPlace::Unnamed => None,
            },
        };
        ready(files::check(&self.configuration, journal)).boxed()
    }
}

fn not_named() -> Failure {
    reprieve_application::ports::JournalError::NotNamed.into()
}

/// The folder of a file, which may be relative to where the program runs.
fn folder_of(file: &Path) -> Option<PathBuf> {
    std::path::absolute(file).ok()?.parent().map(Path::to_owned)
}

/// Whether a folder is this one or in it, as far as links can be followed.
fn is_below(folder: &Path, other: &Path) -> bool {
    // Of what is not there yet, the part that is.
    let real = |path: &Path| {
        let there = path.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)));
        there.and_then(|(part, found)| Some(found.join(path.strip_prefix(part).ok()?)))
    };
    real(folder).zip(real(other)).is_some_and(|(folder, other)| folder.starts_with(other))
}

fn in_order(findings: Vec<Vec<Finding>>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = findings.into_iter().flatten().collect();
    findings.sort_by_key(|finding| finding.area);
    findings
}

/// Everything that is wrong, for an operator who reads the log of the service.
pub(crate) fn log(findings: &[Finding]) {
    for Finding { area, severity, code, message, remedy } in findings {
        let (area, code, remedy) = (area.as_str(), code.map(ErrorCode::as_str), remedy.as_deref());
        match severity {
            Severity::Ok => tracing::debug!(area, "{message}"),
            Severity::Warning => tracing::warn!(area, code, remedy, "{message}"),
            Severity::Error => tracing::error!(area, code, remedy, "{message}"),
        }
    }
}

/// All of `reprieve check`, in the order in which it is shown.
pub(crate) async fn all(
    configuration: &Configuration,
    mut found: Vec<Finding>,
    stored: Stored,
) -> Vec<Finding> {
    let checks = Checks::new(configuration, stored);
    let (here, elsewhere) = futures_util::future::join(checks.here(), checks.elsewhere()).await;
    found.push(Finding::ok(Area::Configuration, configuration.origin()));
    in_order(vec![found, here, elsewhere])
}
