//! A new version is rolled out under load, and nothing is lost.
