//! What fails beneath a service, twice in a row, and everything that comes after it: what was acknowledged is stored, what
//! was not is refused with a code, and it goes on by itself as soon as it can.

mod clocks;
mod file_size_limit;
mod files_that_move;
mod full_disk;
mod interrupted_server;
mod io_errors;
mod poolers;
mod read_only_server;
mod two_faults;
mod urls;
mod vanished_server;
