//! A replica is taken away, and its spool is not left behind.
