//! Write keys and their origins.

use super::*;

const APP: &str = "https://app.example";

fn from(origin: &str) -> Request {
    request().key(KEY_ACME).origin(origin)
}

#[test]
fn a_write_key_proves_its_tenant_only_from_its_origins() {
    let not_allowed = Err(Code::OriginNotAllowed);
    let malformed = Err(Code::OriginMalformed);
    let rows = vec![
        row("its origin", from(APP), Ok("acme")),
        row("scheme and host in capitals", from("HTTPS://APP.Example"), Ok("acme")),
        row("the default port", from("https://app.example:443"), Ok("acme")),
        row("a subdomain", from("https://shop.acme.example"), Ok("acme")),
        row("a subdomain of a subdomain", from("https://a.b.acme.example"), Ok("acme")),
        row("a port that is listed", from("http://localhost:3000"), Ok("acme")),
        row("another tenant's origin", from("https://globex.example"), not_allowed),
        row("another scheme", from("http://app.example"), not_allowed),
        row("another port", from("https://app.example:8443"), not_allowed),
        row("the listed port missing", from("http://localhost"), not_allowed),
        row("the rule as a prefix", from("https://app.example.evil.com"), not_allowed),
        row("the rule as a suffix", from("https://evilapp.example"), not_allowed),
        row("trailing dot", from("https://app.example."), not_allowed),
        row("user information", from("https://app.example@evil.com"), malformed),
        row("user information before", from("https://evil@app.example"), malformed),
        row("a path", from("https://app.example/"), malformed),
        row("the domain of the subdomains itself", from("https://acme.example"), not_allowed),
        row("a label that only ends so", from("https://evilacme.example"), not_allowed),
        row("the suffix in the middle", from("https://shop.acme.example.evil.com"), not_allowed),
        row("a subdomain with a port", from("https://shop.acme.example:8443"), not_allowed),
        row("a subdomain over http", from("http://shop.acme.example"), not_allowed),
        row("a subdomain with a trailing dot", from("https://shop.acme.example."), not_allowed),
        row("an empty subdomain", from("https://.acme.example"), malformed),
        row("an empty label", from("https://a..acme.example"), malformed),
        row("a subdomain that holds a port", from("https://evil.com:80.acme.example"), malformed),
        row("a subdomain that holds a slash", from("https://evil.com/.acme.example"), malformed),
        row("a subdomain that holds a fragment", from("https://evil.com#.acme.example"), malformed),
        row("a backslash", from("https://evil.com\\.acme.example"), malformed),
        row("letters that are not ASCII", from("https://äpp.acme.example"), malformed),
        row("bytes that are no text", request().key(KEY_ACME).origin(b"https://\xff.acme.example"), malformed),
        row("no scheme", from("app.example"), malformed),
        row("an empty Origin", from(""), malformed),
        row("two origins in one header", from("https://app.example https://evil.com"), malformed),
        row("null", from("null"), not_allowed),
        row("no Origin", request().key(KEY_ACME), Err(Code::OriginMissing)),
        row("no Origin, key for any", request().key(KEY_ACME_ANY), Ok("acme")),
        row("null, key for any", request().key(KEY_ACME_ANY).origin("null"), Ok("acme")),
        row("any page, key for any", request().key(KEY_ACME_ANY).origin("https://elsewhere.example"), Ok("acme")),
        row("two Origins", from(APP).origin(APP), Err(Code::HeaderDuplicated)),
        row("unknown key", request().key("tk_nobody").origin(APP), Err(Code::WriteKeyUnknown)),
        row("a key's prefix", request().key(&KEY_ACME[..8]).origin(APP), Err(Code::WriteKeyUnknown)),
        row("empty key", request().key("").origin(APP), Err(Code::WriteKeyUnknown)),
        row("a very long key", request().key(&"k".repeat(100_000)).origin(APP), Err(Code::WriteKeyUnknown)),
        row("a key that ends now", request().key(KEY_ACME_OLD), Err(Code::WriteKeyExpired)),
        row("a key that ends in a nanosecond", request().key(KEY_ACME_VITALS), Ok("acme")),
        row("disabled tenant", request().key(KEY_OFF), Err(Code::TenantDisabled)),
        row(
            "a tenant that requires a JWT",
            request().key(KEY_STRICT).origin("https://strict.example"),
            Err(Code::TenantRequiresJwt),
        ),
    ];
    try_all(rows, 45);
}

#[test]
fn a_key_may_be_bound_to_measurements() {
    let bound = request().key(KEY_ACME_VITALS).verify().unwrap();
    assert!(bound.may_write("web_vitals_lcp"));
    assert!(!bound.may_write("frontend_performance"));
    let free = request().key(KEY_ACME_ANY).verify().unwrap();
    assert!(free.may_write("frontend_performance"));
    let both = request().key(KEY_ACME_VITALS).key(KEY_ACME_ANY).verify().unwrap();
    assert!(both.may_write("frontend_performance"));
    let twice = request().key(KEY_ACME_VITALS).key(KEY_ACME_VITALS).verify().unwrap();
    assert!(twice.may_write("web_vitals_lcp") && !twice.may_write("frontend_performance"));
}
