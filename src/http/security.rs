//! The headers that keep a browser from making more of an answer than it is.

use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;

/// For answers that pages of other origins read. `cross-origin` is a must: a beacon's answer is one that a page may not read, and with `same-origin` the
/// browser would tell its console that the beacon failed.
pub(super) fn public() -> DefaultHeaders {
    common().add(("Cross-Origin-Resource-Policy", "cross-origin"))
}

/// For answers that no page reads.
pub(super) fn admin() -> DefaultHeaders {
    common()
        .add(("Cross-Origin-Resource-Policy", "same-origin"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::X_FRAME_OPTIONS, "DENY"))
}

/// What a handler has set itself stands.
fn common() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::CACHE_CONTROL, "no-store"))
        .add((header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
}
