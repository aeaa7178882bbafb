//! What is tried on databases: on SQLite, which needs nothing, and on PostgreSQL.

mod audit;
mod backup;
mod bad_database;
mod bad_input;
mod command_line;
mod configuration_mistakes;
mod events_commands;
mod kill;
mod logs;
mod newer_database;
mod promise;
mod promises;
mod races;
mod read_only;
mod readme_session;
mod server_option;
mod service_authentication;
mod service_clients;
mod service_hang_up;
mod service_kill;
mod service_shutdown;
mod service_start;
mod telling;
mod wake_ups;
mod worker_kill;
mod worker_service;
