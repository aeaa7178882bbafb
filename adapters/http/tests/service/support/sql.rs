//! Changes the tables behind the service's back.

use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection, query_scalar, raw_sql,
};

/// A connection that nobody else can write beside.
#[expect(dead_code, reason = "held, not used")]
pub(crate) enum Lock {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Lock {
    pub(crate) async fn take(url: &str) -> Self {
        if url.starts_with("postgres") {
            let mut connection = PgConnection::connect(url).await.unwrap();
            let statement = raw_sql("BEGIN; LOCK TABLE deletion_processes IN EXCLUSIVE MODE");
            connection.execute(statement).await.unwrap();
            Self::Postgres(connection)
        } else {
            let mut connection = SqliteConnection::connect(url).await.unwrap();
            connection.execute(raw_sql("BEGIN IMMEDIATE")).await.unwrap();
            Self::Sqlite(connection)
        }
    }
}

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

/// How many rows there are in a table.
pub(crate) async fn count(url: &str, table: &str) -> i64 {
    let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    if url.starts_with("postgres") {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let count = query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        count
    } else {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        let count = query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        count
    }
}

/// Drops a database of the PostgreSQL server, whoever is using it.
pub(crate) async fn drop_database(url: &str) {
    let name = url.split('?').next().unwrap().rsplit('/').next().unwrap();
    let server = std::env::var(reprieve_tests::POSTGRES_URL).unwrap();
    run(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
}
