//! Rows: what is presented, and the tenant or the code that must come of it.

use std::net::IpAddr;

use super::{AUTHENTICATOR, COOKIE, NANOS, NOW};
use crate::auth::{AuthError, Authenticator, Code, Presented, Tenant};
use crate::clock::UnixNanos;

/// One row of a table: what it is, what is presented, and the tenant or the code that must come of it.
pub(super) struct Row {
    name: &'static str,
    request: Request,
    expected: Result<&'static str, Code>,
}

pub(super) fn row(name: &'static str, request: Request, expected: Result<&'static str, Code>) -> Row {
    Row { name, request, expected }
}

/// An owned request, built up by the rows.
#[derive(Default)]
pub(super) struct Request {
    pub(super) authorization: Vec<Vec<u8>>,
    pub(super) access_token: Vec<String>,
    pub(super) write_keys: Vec<String>,
    pub(super) tenant_header: Vec<Vec<u8>>,
    pub(super) proxy_secret: Vec<Vec<u8>>,
    pub(super) origin: Vec<Vec<u8>>,
    pub(super) cookies: Vec<Vec<u8>>,
    pub(super) peer: Option<IpAddr>,
}

pub(super) fn request() -> Request {
    Request::default()
}

impl Request {
    pub(super) fn authorization(mut self, value: impl AsRef<[u8]>) -> Self {
        self.authorization.push(value.as_ref().to_vec());
        self
    }
    pub(super) fn bearer(self, token: &str) -> Self {
        self.authorization(format!("Bearer {token}"))
    }
    pub(super) fn access_token(mut self, token: &str) -> Self {
        self.access_token.push(token.to_owned());
        self
    }
    pub(super) fn key(mut self, key: &str) -> Self {
        self.write_keys.push(key.to_owned());
        self
    }
    pub(super) fn tenant(mut self, value: impl AsRef<[u8]>) -> Self {
        self.tenant_header.push(value.as_ref().to_vec());
        self
    }
    pub(super) fn secret(mut self, value: &str) -> Self {
        self.proxy_secret.push(value.as_bytes().to_vec());
        self
    }
    pub(super) fn origin(mut self, value: impl AsRef<[u8]>) -> Self {
        self.origin.push(value.as_ref().to_vec());
        self
    }
    pub(super) fn cookie(mut self, value: impl AsRef<[u8]>) -> Self {
        self.cookies.push(value.as_ref().to_vec());
        self
    }
    pub(super) fn peer(mut self, address: &str) -> Self {
        self.peer = Some(address.parse().expect("an address"));
        self
    }
    pub(super) fn verify(&self) -> Result<Tenant, AuthError> {
        self.verify_by(&AUTHENTICATOR, NOW * NANOS)
    }

    pub(super) fn verify_by(&self, authenticator: &Authenticator, now: UnixNanos) -> Result<Tenant, AuthError> {
        let presented = Presented {
            authorization: self.authorization.iter().map(Vec::as_slice).collect(),
            access_token: self.access_token.clone(),
            write_keys: self.write_keys.clone(),
            tenant_header: self.tenant_header.iter().map(Vec::as_slice).collect(),
            proxy_secret: self.proxy_secret.iter().map(Vec::as_slice).collect(),
            origin: self.origin.iter().map(Vec::as_slice).collect(),
            cookies: self.cookies.iter().map(Vec::as_slice).collect(),
            peer: self.peer,
            ..Presented::default()
        };
        authenticator.verify(&presented, now, &|| Ok(()))
    }

    /// Everything secret that the request carries.
    pub(super) fn secrets(&self) -> Vec<String> {
        let bytes = self
            .authorization
            .iter()
            .chain(&self.proxy_secret)
            .chain(&self.cookies)
            .map(|b| String::from_utf8_lossy(b).into_owned());
        let all = bytes.chain(self.access_token.iter().cloned()).chain(self.write_keys.iter().cloned());
        let parts: Vec<String> =
            all.flat_map(|text| text.split([' ', '.', '=', ';']).map(str::to_owned).collect::<Vec<_>>()).collect();
        parts.into_iter().filter(|part| part.len() > 10 && part != COOKIE).collect()
    }
}

/// Tries every row and tells of all that came out otherwise.
pub(super) fn try_all(rows: Vec<Row>, at_least: usize) {
    try_all_by(&AUTHENTICATOR, rows, at_least);
}

/// The same by another gateway. Each row twice: what is remembered of the first time must change nothing.
pub(super) fn try_all_by(authenticator: &Authenticator, rows: Vec<Row>, at_least: usize) {
    assert!(rows.len() >= at_least, "only {} rows", rows.len());
    let mut wrong = Vec::new();
    for Row { name, request, expected } in rows {
        let got = request.verify_by(authenticator, NOW * NANOS);
        let again = request.verify_by(authenticator, NOW * NANOS);
        assert_eq!(code_of(&got), code_of(&again), "{name}, the second time");
        if let Err(refused) = &got {
            let leaked = request.secrets().into_iter().any(|secret| refused.detail.contains(&secret));
            assert!(!leaked, "{name}: the detail holds a credential: {}", refused.detail);
            let code = Code::ALL.into_iter().find(|code| code.as_str() == refused.code).expect("a listed code");
            assert_eq!(refused.kind, code.kind(), "{name}");
            assert!(refused.detail.len() > 15, "{name}: {}", refused.detail);
        }
        let got = code_of(&got);
        let expected = expected.map_err(Code::as_str);
        if got != expected {
            wrong.push(format!("{name}: expected {expected:?}, got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn code_of(got: &Result<Tenant, AuthError>) -> Result<&str, &'static str> {
    got.as_ref().map(|tenant| tenant.id().as_str()).map_err(|refused| refused.code)
}
