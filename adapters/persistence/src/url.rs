//! Which database: the one text an operator gives.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

#[cfg(feature = "postgres")]
use crate::postgres_url::{InvalidPostgresUrl, PostgresUrl};

/// Where the database is: `sqlite:<path>` or `postgres://…`.
///
/// A SQLite path may be absolute or relative and may end with `?mode=ro`. What is printed never contains a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(Kind);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite {
        path: PathBuf,
        read_only: bool,
    },
    #[cfg(feature = "postgres")]
    Postgres(Box<PostgresUrl>),
}

/// A text that names no database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabaseUrl {
    /// Neither `sqlite:` nor `postgres:`.
    #[error("a database URL starts with sqlite: or postgres://")]
    Scheme,
    /// `sqlite:` and no path.
    #[error("a SQLite URL names a file: sqlite:<path>")]
    NoPath,
    /// A parameter that SQLite URLs do not have here.
    #[error("a SQLite URL knows the parameter mode with the values ro and rwc only")]
    Parameter,
    /// Not a PostgreSQL URL; what is wrong with it.
    #[cfg(feature = "postgres")]
    #[error("not a PostgreSQL URL: {0}")]
    Postgres(#[from] InvalidPostgresUrl),
    /// This build knows SQLite only.
    #[error("this build knows SQLite only")]
    PostgresNotBuilt,
}

impl DatabaseUrl {
    /// The SQLite database in this file.
    #[must_use]
    pub fn sqlite_file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Sqlite { path: path.into(), read_only: false })
    }

    /// The file, if it is a SQLite database.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Sqlite { path, .. } => Some(path),
            #[cfg(feature = "postgres")]
            Kind::Postgres(_) => None,
        }
    }

    /// Whether there is a file, where it is one: connecting would make it.
    ///
    /// # Errors
    /// If there is none and none could be made, as far as that is known before.
    pub fn is_there(&self) -> io::Result<bool> {
        let Some(file) = self.file() else { return Ok(true) };
        if file.exists() {
            return Ok(true);
        }
        if matches!(self.kind(), Kind::Sqlite { read_only: true, .. }) {
            return Err(io::ErrorKind::NotFound.into());
        }
        // A path that is relative to where the program runs has no folder that could be in the way.
        let Some(folder) = file.ancestors().skip(1).find(|folder| folder.exists()) else { return Ok(false) };
        let found = folder.metadata()?;
        if found.is_dir() && !found.permissions().readonly() {
            return Ok(false);
        }
        let problem = format!("{} is no folder that can be written to", folder.display());
        Err(io::Error::other(problem))
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }

    fn sqlite(rest: &str) -> Result<Self, InvalidDatabaseUrl> {
        let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let read_only = match parameters {
            "" | "mode=rwc" => false,
            "mode=ro" => true,
            _ => return Err(InvalidDatabaseUrl::Parameter),
        };
        // sqlite:relative, sqlite:/absolute, sqlite://relative and sqlite:///absolute are all in use.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains('\0') || path == ":memory:" {
            return Err(InvalidDatabaseUrl::NoPath);
        }
        Ok(Self(Kind::Sqlite { path: PathBuf::from(path), read_only }))
    }

    #[cfg(feature = "postgres")]
    fn postgres(rest: &str) -> Result<Self, InvalidDatabaseUrl> {
        Ok(Self(Kind::Postgres(Box::new(PostgresUrl::parse(rest)?))))
    }

    #[cfg(not(feature = "postgres"))]
    fn postgres(_: &str) -> Result<Self, InvalidDatabaseUrl> {
        Err(InvalidDatabaseUrl::PostgresNotBuilt)
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("sqlite:") {
            Self::sqlite(rest)
        } else if let Some(rest) =
            text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"))
        {
            Self::postgres(rest)
        } else {
            Err(InvalidDatabaseUrl::Scheme)
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Sqlite { path, read_only } => {
                // Two slashes at the start of a path would be read as those of the URL.
                let slashes = if path.as_os_str().as_encoded_bytes().starts_with(b"//") { "//" } else { "" };
                let mode = if *read_only { "?mode=ro" } else { "" };
                write!(formatter, "sqlite:{slashes}{}{mode}", path.display())
            }
            #[cfg(feature = "postgres")]
            Kind::Postgres(url) => write!(formatter, "{url}"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_of_a_sqlite_file_is_read() {
        for (text, path) in [
            ("sqlite:a/b.db", "a/b.db"),
            ("sqlite://a/b.db", "a/b.db"),
            ("sqlite:/a/b.db", "/a/b.db"),
            ("sqlite:///a/b.db?mode=rwc", "/a/b.db"),
            ("sqlite:a b \u{e9}.db?mode=ro", "a b \u{e9}.db"),
            ("sqlite:////a/b.db", "//a/b.db"),
        ] {
            let url: DatabaseUrl = text.parse().unwrap();
            assert_eq!(url.file(), Some(Path::new(path)), "{text}");
            assert_eq!(url.to_string().parse::<DatabaseUrl>(), Ok(url), "{text}");
        }
    }

    #[test]
    fn what_names_no_database_is_refused() {
        for (text, error) in [
            ("", InvalidDatabaseUrl::Scheme),
            ("mysql://a", InvalidDatabaseUrl::Scheme),
            ("/a/b.db", InvalidDatabaseUrl::Scheme),
            ("sqlite:", InvalidDatabaseUrl::NoPath),
            ("sqlite::memory:", InvalidDatabaseUrl::NoPath),
            ("sqlite://", InvalidDatabaseUrl::NoPath),
            ("sqlite:a?mode=memory", InvalidDatabaseUrl::Parameter),
            ("sqlite:a?key=b", InvalidDatabaseUrl::Parameter),
        ] {
            assert_eq!(text.parse::<DatabaseUrl>(), Err(error), "{text}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_password_is_never_printed() {
        for text in [
            "postgres://ada:hunter2@db.example.org/reprieve",
            "postgresql://ada@db.example.org/reprieve?password=hunter2&sslmode=require",
            "postgresql://ada@db.example.org/reprieve?password=#hunter2",
            "postgres://ada:hunter2?hunter2@db.example.org,db2.example.org:5433/reprieve",
        ] {
            let url: DatabaseUrl = text.parse().unwrap();
            let shown = format!("{url} {url:?}");
            assert!(!shown.contains("hunter2") && shown.contains("postgres://ada"), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_panic(text in "(sqlite:|postgres://|postgresql://)?.*") {
            let _ = text.parse::<DatabaseUrl>().map(|url| url.to_string());
        }
    }
}
