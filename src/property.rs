//! How many cases a property test tries: its own number, or `PROPTEST_CASES` when that is set (`make fuzz` sets it).

use proptest::test_runner::Config;

/// The configuration for `cases` cases. A failing case is printed; it becomes a plain test, not a file of seeds.
pub(crate) fn config(cases: u32) -> Config {
    let wished = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    Config { cases: wished.unwrap_or(cases), failure_persistence: None, ..Config::default() }
}
