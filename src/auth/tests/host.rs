//! The `host` tag's source: the origin's host, only where a key of the tenant lists that origin.

use super::forge::claims;
use super::*;

fn host(request: Request) -> Option<String> {
    request.verify().expect("a good credential").host().map(str::to_owned)
}

#[test]
fn the_host_is_the_origins_where_it_is_listed() {
    let app = "https://app.example";
    assert_eq!(host(request().key(KEY_ACME).origin(app)).as_deref(), Some("app.example"));
    assert_eq!(host(request().key(KEY_ACME).origin("https://App.Example:443")).as_deref(), Some("app.example"));
    assert_eq!(host(request().key(KEY_ACME).origin("http://localhost:3000")).as_deref(), Some("localhost:3000"));
    assert_eq!(host(request().key(KEY_ACME).origin("https://a.b.acme.example")).as_deref(), Some("a.b.acme.example"));
    // Listed by another key of the tenant than the one that was used.
    assert_eq!(host(request().key(KEY_ACME_ANY).origin(app)).as_deref(), Some("app.example"));
}

#[test]
fn a_token_has_a_host_too_when_the_tenant_lists_the_origin() {
    let acme = KEYS.rsa.token(&claims());
    assert_eq!(host(request().bearer(&acme).origin("https://app.example")).as_deref(), Some("app.example"));
    assert_eq!(host(request().bearer(&acme).origin("https://globex.example")), None);
    assert_eq!(host(request().bearer(&acme).origin("not an origin")), None);
    assert_eq!(host(request().bearer(&acme)), None);
}

#[test]
fn a_star_lists_no_origin() {
    assert_eq!(host(request().key(KEY_ACME_ANY).origin("https://anything.example")), None);
    assert_eq!(host(request().key(KEY_ACME_ANY).origin("null")), None);
    assert_eq!(host(request().key(KEY_ACME_ANY)), None);
}
