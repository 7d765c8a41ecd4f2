//! A gateway: built from settings, run until stopped, drained in order.
