//! Empty library: the benchmarks of this package are in `benches/benches/`, one folder per subject.
