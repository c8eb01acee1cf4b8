//! Empty library: the benchmarks of this package are in `benches/`, one folder per subject.
