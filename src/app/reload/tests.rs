//! What is decided before anything is changed.
