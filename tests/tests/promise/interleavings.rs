//! Everybody at once, on real databases.
