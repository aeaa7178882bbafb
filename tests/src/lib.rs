//! What the tests and the benchmarks share: a database of their own, and the binary.
//!
//! It knows none of the crates it helps to test; only the binary `contender` does.

mod amqp;
pub mod attacks;
mod binary;
mod both;
mod campaign;
mod contenders;
mod database;
mod eraser;
mod fake_clock;
mod http;
mod http2;
mod moments;
mod namespace;
mod nats;
mod performance;
mod private_brokers;
mod private_pgbouncer;
mod private_postgres;
mod proxy;
mod random;
mod server;
mod service;
mod sql;
mod stepper;
mod tokens;

pub use amqp::{AMQP_URL, AmqpMessage, TestAmqp};
pub use binary::{Files, Outcome, Sandbox, reprieve_binary};
pub use campaign::rounds;
pub use contenders::Contenders;
pub use database::{POOLER, POSTGRES_URL, TestDatabase};
pub use eraser::{Answer, Asked, EraserService, eraser_toml};
pub use fake_clock::{FakeClock, faketime};
pub use http::{Connection, Reply, Request};
pub use http2::{Ended, Http2, connect_from};
pub use moments::Moments;
pub use namespace::{
    drop_packets, make_read_only, on_a_network_of_its_own, on_a_small_disk, on_a_small_disk_for_servers,
    on_a_small_ext4,
};
pub use nats::{NATS_URL, NatsMessage, TestNats};
pub use performance::{is_measuring, publish};
pub use private_brokers::{PrivateNats, PrivateRabbitMq};
pub use private_pgbouncer::{PoolMode, PrivatePgBouncer};
pub use private_postgres::PrivatePostgres;
pub use proxy::Proxy;
pub use random::Random;
pub use rustix::process::Signal;
pub use server::postgres_server;
pub use service::{Service, Stop};
pub use sql::Sql;
pub use stepper::{Refusal, Stepper, Told};
pub use tokens::{Identity, Issuer, sha256_hex, unix_seconds};
