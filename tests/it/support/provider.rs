//! An identity provider's key server: HTTP on loopback, that publishes the keys it is given and can go away.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use tempfile::TempDir;

use serde_json::{Value, json};

/// Answers every GET with the keys of the moment, under an ETag, while it is open.
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    /// Of one that speaks TLS: a folder with the certificate that proves it.
    certificate: Option<TempDir>,
}

#[derive(Default)]
struct Shared {
    open: bool,
    document: String,
    requests: u64,
}

impl Provider {
    /// One that takes connections and closes them without a word, until [`Provider::open`].
    pub fn away() -> Self {
        Self::listen(None)
    }

    /// One that speaks TLS, with a certificate for this address that nobody trusts but who has [`Provider::certificate_file`].
    pub fn with_tls(proven: IpAddr, keys: &[Value]) -> Self {
        let provider = Self::listen(Some(proven));
        provider.open(keys);
        provider
    }

    fn listen(tls: Option<IpAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the kernel's choice");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Mutex::new(Shared::default()));
        let serving = Arc::clone(&shared);
        let (acceptor, certificate) = tls.map(certified).unzip();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that goes away in the middle is its own trouble, and so is one that does not like the certificate.
                let _ = match &acceptor {
                    None => answer(client, &serving),
                    Some(acceptor) => acceptor.accept(client).map_or(Ok(()), |client| answer(client, &serving)),
                };
            }
        });
        Self { address, shared, certificate }
    }

    /// One that publishes these keys.
    pub fn with(keys: &[Value]) -> Self {
        let provider = Self::away();
        provider.open(keys);
        provider
    }

    /// Publishes these keys from now on.
    pub fn open(&self, keys: &[Value]) {
        let mut shared = self.shared.lock().expect("no holder panics");
        (shared.open, shared.document) = (true, json!({ "keys": keys }).to_string());
    }

    /// Closes every connection without a word, from now on.
    pub fn close(&self) {
        self.shared.lock().expect("no holder panics").open = false;
    }

    /// How many requests it got while it was open.
    pub fn requests(&self) -> u64 {
        self.shared.lock().expect("no holder panics").requests
    }

    /// Where the keys are.
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/.well-known/jwks.json", self.address)
    }

    /// What a client must trust to believe one that speaks TLS.
    pub fn certificate_file(&self) -> PathBuf {
        self.certificate.as_ref().expect("it speaks TLS").path().join("certificate.pem")
    }
}

/// A server's end of TLS, and a folder with its certificate, which is its own authority.
fn certified(address: IpAddr) -> (SslAcceptor, TempDir) {
    let key = PKey::from_rsa(openssl::rsa::Rsa::generate(2_048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "a test's issuer").unwrap();
    let name = name.build();
    let mut certificate = X509::builder().unwrap();
    certificate.set_version(2).unwrap();
    certificate.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    certificate.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    let alternative =
        SubjectAlternativeName::new().ip(&address.to_string()).build(&certificate.x509v3_context(None, None));
    certificate.append_extension(alternative.unwrap()).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    let certificate = certificate.build();
    let folder = TempDir::with_prefix("tagline-tls-").expect("a temporary folder");
    std::fs::write(folder.path().join("certificate.pem"), certificate.to_pem().unwrap())
        .expect("a file in a new folder");
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_private_key(&key).unwrap();
    acceptor.set_certificate(&certificate).unwrap();
    (acceptor.build(), folder)
}

fn answer(mut client: impl Read + Write, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut client).lines();
    let mut head = Vec::new();
    while let Some(line) = lines.next().transpose()?.filter(|line| !line.is_empty()) {
        head.push(line.to_ascii_lowercase());
    }
    let document = {
        let mut shared = shared.lock().expect("no holder panics");
        if !shared.open {
            return Ok(());
        }
        shared.requests += 1;
        shared.document.clone()
    };
    let etag =
        format!("\"{:x}\"", document.bytes().fold(5_381_u64, |hash, byte| hash.wrapping_mul(33) ^ u64::from(byte)));
    let common = format!("ETag: {etag}\r\nCache-Control: max-age=300\r\nConnection: close\r\n");
    if head.contains(&format!("if-none-match: {etag}")) {
        return write!(client, "HTTP/1.1 304 Not Modified\r\n{common}\r\n");
    }
    write!(client, "HTTP/1.1 200 OK\r\n{common}Content-Length: {}\r\n\r\n{document}", document.len())
}
