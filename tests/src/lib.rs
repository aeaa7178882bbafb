//! What the black-box tests and the benchmarks share.
