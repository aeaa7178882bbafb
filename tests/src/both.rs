//! One test, two databases.

/// Makes a test on SQLite and one on PostgreSQL, which needs a server, of each of these functions. They get a fresh
/// [`Sandbox`](crate::Sandbox).
#[macro_export]
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[test]
            fn on_sqlite() {
                super::$name(&reprieve_tests::Sandbox::new());
            }

            #[test]
            #[ignore = "needs PostgreSQL: tests/run"]
            fn on_postgres() {
                super::$name(&reprieve_tests::Sandbox::postgres());
            }
        })+
    };
}
