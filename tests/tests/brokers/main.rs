//! What needs message brokers, `RabbitMQ` and NATS, besides PostgreSQL.

mod relay_kill;
