//! Nothing of its own: the benchmarks of this package are in `benches/benches/`, one file per
//! subject.
