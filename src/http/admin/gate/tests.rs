use super::*;

#[test]
fn only_names_that_somebody_could_own_are_public() {
    for host in [
        "",
        "localhost",
        "localhost:8081",
        "LOCALHOST:8081",
        "127.0.0.1",
        "127.0.0.1:8081",
        "10.0.3.7:8081",
        "[::1]:8081",
        "[::1]",
        "::1",
        "tagline-admin",
        "tagline-admin:8081",
        "tagline-0.tagline.observability.svc.cluster.local:8081",
        "tagline.observability.svc:8081",
        "tagline.internal.",
        "app.localhost",
    ] {
        assert!(!is_public_name(host), "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:8081",
        "evil.example.",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "127.0.0.1.evil.example:8081",
        "local.example",
        "a.notlocal",
        "0x7f.1",
        "127.1",
        "evil.example:port",
        "[evil.example]",
        "[::1].evil.example",
        "svc.evil.co:1",
    ] {
        assert!(is_public_name(host), "{host}");
    }
}
