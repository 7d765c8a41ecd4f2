//! TLS: certificates of its own authority or of files, HTTP/2, and plain HTTP that is sent there.

use super::{Edge, HOST};
use crate::support::authority::{Authority, Issued};
use crate::support::service::Service;
use crate::support::{Caddy, http};
use openssl::ssl::{SslConnector, SslMethod, SslVersion};
use std::net::TcpStream;

/// A handshake with what `offer` says; what was agreed on, or why not.
fn handshake(
    caddy: &Caddy,
    name: &str,
    offer: impl FnOnce(&mut openssl::ssl::SslConnectorBuilder),
) -> Result<(String, String), String> {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_ca_file(caddy.authority_file()).unwrap();
    offer(&mut connector);
    let stream = TcpStream::connect(caddy.address()).unwrap();
    let stream = connector.build().connect(name, stream).map_err(|error| error.to_string())?;
    let protocol = stream.ssl().selected_alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    Ok((stream.ssl().version_str().to_owned(), protocol.unwrap_or_default()))
}

#[tokio::test]
async fn http_2_and_tls_1_3_are_offered_and_nothing_below_tls_1_2() {
    let caddy = Caddy::for_sites(&[HOST]).start().await;
    let agreed = handshake(&caddy, HOST, |offer| offer.set_alpn_protos(b"\x02h2\x08http/1.1").unwrap());
    assert_eq!(agreed, Ok(("TLSv1.3".to_owned(), "h2".to_owned())));
    let agreed = handshake(&caddy, HOST, |offer| offer.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap());
    assert_eq!(agreed.map(|(version, _)| version), Ok("TLSv1.2".to_owned()));
    let old = handshake(&caddy, HOST, |offer| {
        offer.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
        offer.set_min_proto_version(None).unwrap();
        offer.set_max_proto_version(Some(SslVersion::TLS1_1)).unwrap();
    });
    assert!(old.is_err(), "{old:?}");
    // Nobody has a certificate for a host that is not listed.
    let other = handshake(&caddy, "other.app.test", |_| ());
    assert!(other.is_err(), "{other:?}");
}

#[tokio::test]
async fn http_3_is_not_advertised_since_the_load_balancer_brings_tcp_alone() {
    let edge = Edge::start().await;
    let answer = edge.caddy.request(HOST, "GET", "/", &[], b"");
    assert_eq!(answer.header("alt-svc"), None, "{answer:?}");
}

#[tokio::test]
async fn plain_http_is_sent_to_https_without_the_port_that_only_the_pod_knows() {
    let edge = Edge::start().await;
    let ask = |host: &str, target: &str| {
        let request = crate::support::caddy::request_bytes(host, "GET", target, &[], b"");
        http::Connection::open(edge.caddy.http_address()).exchange(request)
    };
    for target in ["/", "/a/b?c=d&e=%20f", "/v1/telemetry?k=v"] {
        let answer = ask(HOST, target);
        assert_eq!(answer.status, 308);
        assert_eq!(answer.header("location"), Some(format!("https://{HOST}{target}").as_str()));
    }
    // Nor is anybody sent to a host of a stranger's choice.
    for host in ["evil.example", "acme.app.test.evil.example"] {
        let answer = ask(host, "/");
        assert_eq!((answer.status, answer.header("location")), (421, None), "{host}");
    }
    assert!(edge.app.received().is_empty(), "{:?}", edge.app.received());
}

#[tokio::test]
async fn certificates_of_files_are_served_for_listed_hosts_under_a_wildcard_and_renewed_at_sigusr1() {
    let (authority, app) = (Authority::new(), Service::app());
    let folder = tempfile::TempDir::with_prefix("tagline-tls-").unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |issued: &Issued| {
        std::fs::write(path("tls.crt"), &issued.certificate).unwrap();
        std::fs::write(path("tls.key"), &issued.key).unwrap();
    };
    let first = authority.issue("*.app.test");
    write(&first);
    std::fs::write(path("ca.crt"), authority.certificate()).unwrap();
    let mut caddy = Caddy::for_sites(&[HOST, "globex.app.test"])
        .variable("CADDY_TLS", format!("{} {}", path("tls.crt"), path("tls.key")))
        .trusting(path("ca.crt"))
        .app(app.address())
        .start()
        .await;
    for host in [HOST, "globex.app.test"] {
        assert_eq!(caddy.request(host, "GET", "/", &[], b"").status, 200, "{host}");
        assert_eq!(shown(&caddy, host), first.certificate, "{host}");
    }
    // The certificate would do for it; the list does not.
    assert_eq!(caddy.request("initech.app.test", "GET", "/", &[], b"").status, 421);

    let renewed = authority.issue("*.app.test");
    write(&renewed);
    assert_eq!(shown(&caddy, HOST), first.certificate, "nobody told it yet");
    caddy.reload("successfully reloaded config from file").await;
    assert_eq!(shown(&caddy, HOST), renewed.certificate);
    assert_eq!(caddy.request(HOST, "GET", "/", &[], b"").status, 200);
}

/// The certificate that is shown for a name (PEM).
fn shown(caddy: &Caddy, name: &str) -> Vec<u8> {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_ca_file(caddy.authority_file()).unwrap();
    let stream = connector.build().connect(name, TcpStream::connect(caddy.address()).unwrap()).unwrap();
    stream.ssl().peer_certificate().expect("a server shows one").to_pem().unwrap()
}
