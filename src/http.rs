//! The border to HTTP: the only room that knows actix.
