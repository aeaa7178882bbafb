//! What needs no server: nothing but the binary, and of these some a mount namespace.

mod architecture;
mod broken_clock;
mod configuration;
mod documentation;
mod full_disk;
mod service_configuration;
mod service_telemetry;
mod streams;
mod usage;
