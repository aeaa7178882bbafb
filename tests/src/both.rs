//! One test, two databases.

/// Writes tests that run on SQLite and, where there is a server, on PostgreSQL. Each gets a fresh
/// [`Sandbox`](crate::Sandbox).
#[macro_export]
macro_rules! on_both_databases {
    ($(fn $name:ident($sandbox:ident: $type:ty) $body:block)+) => {
        $(mod $name {
            #[expect(clippy::wildcard_imports, reason = "the body was written one level above")]
            use super::*;

            fn body($sandbox: $type) $body

            #[test]
            fn on_sqlite() {
                body(&reprieve_tests::Sandbox::new());
            }

            #[test]
            #[ignore = "needs PostgreSQL: tests/run"]
            fn on_postgres() {
                body(&reprieve_tests::Sandbox::postgres());
            }
        })+
    };
}
