//! Fuzz targets of this room: see [`crate::fuzz`].

mod headers;
mod inflate;

pub use headers::headers;
pub use inflate::inflate;
