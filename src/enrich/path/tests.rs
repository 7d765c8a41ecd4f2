use super::*;

fn templated(path: &str) -> String {
    template(without_query(path), &[], &Bump::new()).to_owned()
}

#[test]
fn queries_fragments_schemes_and_hosts_are_cut() {
    for (path, wanted) in [
        ("/a?token=secret", "/a"),
        ("/a#section", "/a"),
        ("/a#x?y", "/a"),
        ("https://app.example/a/b?c=d", "/a/b"),
        ("https://user:secret@app.example:8443/a", "/a"),
        ("https://app.example", "/"),
        ("https://app.example?x=1", "/"),
        ("/go?to=https://evil.example/x", "/go"),
        ("/proxy/https://other.example/x", "/proxy/https://other.example/x"),
        ("", ""),
        ("?x", ""),
    ] {
        assert_eq!(without_query(path), wanted, "{path}");
    }
}

#[test]
fn what_varies_becomes_a_placeholder_and_names_stay() {
    let names = [
        "/",
        "/products",
        "/api/v2/users/me",
        "/deadbeef",
        "/feedface/decade",
        "/index.html",
        "/a-long-article-slug-of-2024-in-words",
        "/users/{id}",
        "/app.3f2a1b9c.js",
        "/iphone15",
        "/covid19",
        "/2024-recap",
        "/products/",
        "/übersicht",
        "//",
    ];
    for path in names {
        assert_eq!(templated(path), path);
    }
    for (path, wanted) in [
        ("/products/123", "/products/:id"),
        ("/products/123/", "/products/:id/"),
        ("/products/-5/12.50", "/products/:id/:id"),
        ("/a/99999999", "/a/:id"),
        ("/a/123e4567-e89b-12d3-a456-426614174000/b", "/a/:uuid/b"),
        ("/a/123E4567-E89B-12D3-A456-426614174000", "/a/:uuid"),
        ("/commit/3f2a1b9c", "/commit/:hash"),
        ("/commit/da39a3ee5e6b4b0d3255bfef95601890afd80709", "/commit/:hash"),
        ("/commit/abcdefabcdefabcd", "/commit/:hash"),
        ("/day/2024-05-01", "/day/:date"),
        ("/day/2024-05-01T10:00:00Z", "/day/:date"),
        ("/day/20240501", "/day/:date"),
        ("/day/20241301", "/day/:id"),
        ("/n/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/n/:id"),
        ("users/7", "users/:id"),
        ("GET /users/7", "GET /users/:id"),
    ] {
        assert_eq!(templated(path), wanted, "{path}");
    }
    assert_eq!(templated(&format!("/a/{}/b", "x-".repeat(40))), "/a/:long/b");
}

#[test]
fn configured_rules_come_first() {
    let segment = |text: &str| match text.strip_prefix(':') {
        Some(name) => Err(name.to_owned()),
        None => Ok(text.to_owned()),
    };
    let rule = |text: &str| PathRule { segments: text.split('/').map(segment).collect() };
    let rules = [rule("shop/:shop/orders/:order"), rule("year/2024")];
    let arena = Bump::new();
    for (path, wanted) in [
        ("/shop/best-shoes/orders/7", "/shop/:shop/orders/:order"),
        ("/shop/best-shoes/orders/7/", "/shop/:shop/orders/:order"),
        ("/shop/best-shoes/orders", "/shop/best-shoes/orders"),
        ("/shop/best-shoes/orders/7/lines", "/shop/best-shoes/orders/:id/lines"),
        ("/shop//orders/7", "/shop//orders/:id"),
        ("/year/2024", "/year/2024"),
        ("/year/2025", "/year/:id"),
    ] {
        assert_eq!(template(path, &rules, &arena), wanted, "{path}");
    }
}
