//! Nothing of its own: the tests of this package are in `tests/tests/`, one file per subject.
