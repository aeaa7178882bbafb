//! The PostgreSQL server of a benchmark, which does without one where there is none.

use sqlx::{Connection, PgConnection};

use crate::POSTGRES_URL;

/// The URL of a server on which databases can be made: the one that [`POSTGRES_URL`] names, or else one on the default
/// port, where `tests/run` looks as well.
///
/// # Errors
/// Why there is none, in words for people.
pub async fn postgres_server() -> Result<String, String> {
    if let Ok(named) = std::env::var(POSTGRES_URL) {
        return Ok(named);
    }
    let user = std::env::var("USER").unwrap_or_default();
    for role in [user.as_str(), "postgres"] {
        let url = format!("postgres://{role}@127.0.0.1:5432/postgres");
        if can_make_databases(&url).await.unwrap_or(false) {
            return Ok(url);
        }
    }
    Err(format!(
        "{POSTGRES_URL} is not set, and no server on 127.0.0.1:5432 lets `{user}` or `postgres` make databases"
    ))
}

async fn can_make_databases(url: &str) -> Result<bool, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let question = "SELECT (rolcreatedb OR rolsuper) AND NOT pg_is_in_recovery() FROM pg_roles \
        WHERE rolname = current_user";
    let answer = sqlx::query_scalar(question).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(answer)
}
