//! Changes the tables behind the service's back.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection, raw_sql};

/// Runs statements that both databases understand.
pub(crate) async fn run(url: &str, sql: &str) {
    let statement = raw_sql(AssertSqlSafe(sql.to_owned()));
    if url.starts_with("postgres") {
        let mut connection = PgConnection::connect(url).await.unwrap();
        connection.execute(statement).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        connection.execute(statement).await.unwrap();
        connection.close().await.unwrap();
    }
}

/// Drops a database of the PostgreSQL server, whoever is using it.
pub(crate) async fn drop_database(url: &str) {
    let name = url.split('?').next().unwrap().rsplit('/').next().unwrap();
    let server = std::env::var(reprieve_tests::POSTGRES_URL).unwrap();
    run(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
}
