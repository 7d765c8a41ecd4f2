//! All proofs of a request put together: one tenant, or a refusal.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::clock::UnixNanos;
use crate::config::{Require, Settings, TenantId};

use super::jwks::KeySets;
use super::origin::{Origin, Rule, Tuple};
use super::proxy::{Sender, TrustedProxies};
use super::token::Tokens;
use super::write_key::{self, KeyRing};
use super::{AuthError, Code, Directory, Presented, Proof, Rights, Tenant, cookie, directory};

/// No honest client sends more; each token costs a signature check.
const MAX_CREDENTIALS: usize = 4;

/// Verifies credentials against the settings in force. Built once per generation of settings; shared by all workers.
pub struct Authenticator {
    directory: Arc<Directory>,
    tokens: Tokens,
    keys: KeyRing,
    proxies: TrustedProxies,
    /// The cookie that may carry a token.
    cookie: Option<String>,
    /// Each tenant's origins, for the `host` tag and for cookies.
    origins: HashMap<TenantId, Vec<Rule>>,
}

/// One credential that held.
pub(super) struct Proven {
    pub(super) tenant: TenantId,
    pub(super) proof: Proof,
    pub(super) rights: Rights,
}

impl Authenticator {
    /// Reads keys and rules; keys that issuers publish are read from `sets` as they come. The error names the setting that is wrong
    /// and never holds a secret.
    pub fn new(settings: &Settings, directory: Arc<Directory>, sets: &KeySets) -> Result<Self, String> {
        let mut origins = HashMap::new();
        for (id, tenant) in &settings.tenants {
            origins.insert(id.clone(), write_key::listed_origins(id, tenant)?);
        }
        Ok(Self {
            tokens: Tokens::new(settings, sets)?,
            keys: KeyRing::new(&settings.tenants)?,
            proxies: TrustedProxies::new(&settings.server),
            cookie: settings.server.token_cookie.clone(),
            origins,
            directory,
        })
    }

    /// The tenants that it knows.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Proves the tenant of one request. `now` in nanoseconds since 1970.
    ///
    /// Every credential that is presented must hold, and all must prove the same tenant: a request that could be read in two
    /// ways is refused, not resolved.
    ///
    /// `may_cost` is asked before what is dear, a signature check: an address that failed too often is refused there.
    pub fn verify(
        &self,
        presented: &Presented<'_>,
        now: UnixNanos,
        may_cost: &dyn Fn() -> Result<(), AuthError>,
    ) -> Result<Tenant, AuthError> {
        let origin = Origin::read(&presented.origin)?;
        let named = one_tenant_header(&presented.tenant_header)?;
        let mut proofs = self.proofs(presented, named, &origin, now, may_cost)?;
        // A browser sends cookies unasked: beside what was sent on purpose they do not count.
        let by_cookie = proofs.is_empty();
        if by_cookie {
            proofs.extend(self.cookie(presented, &origin, now, may_cost)?);
        }
        let mut proofs = proofs.into_iter();
        let Some(mut proven) = proofs.next() else {
            return Err(self.nothing_proven(presented, named));
        };
        for other in proofs {
            if other.tenant != proven.tenant {
                return Err(Code::CredentialsConflict
                    .because("the request's credentials prove different tenants: send the one that is meant"));
            }
            let proof = if strength(&other.proof) > strength(&proven.proof) { other.proof } else { proven.proof };
            proven = Proven { tenant: proven.tenant, proof, rights: proven.rights.or(other.rights) };
        }
        if named.is_some_and(|named| named != proven.tenant.as_str().as_bytes()) {
            return Err(Code::TenantMismatch.because(
                "X-Tenant-ID names another tenant than the request's credential proves: leave the header out, or correct it",
            ));
        }
        self.admit(proven, &origin, by_cookie, now)
    }

    /// Who sends, as far as it is known: see [`TrustedProxies::client`]. No proof of anything.
    pub fn client_address(&self, presented: &Presented<'_>) -> Option<IpAddr> {
        self.proxies.client(presented)
    }

    /// Whether this is the address of a trusted proxy: nobody's own.
    pub fn is_proxy(&self, peer: IpAddr) -> bool {
        self.proxies.lists(peer)
    }

    /// Every credential of the request, verified; the cheap ones first, so that a bad one costs no signature check.
    fn proofs(
        &self,
        presented: &Presented<'_>,
        named: Option<&[u8]>,
        origin: &Origin,
        now: UnixNanos,
        may_cost: &dyn Fn() -> Result<(), AuthError>,
    ) -> Result<Vec<Proven>, AuthError> {
        let tokens = tokens(presented)?;
        if presented.write_keys.len() + tokens.len() > MAX_CREDENTIALS {
            return Err(
                Code::CredentialsTooMany.because(format!("more than {MAX_CREDENTIALS} credentials in one request"))
            );
        }
        let mut proofs = Vec::with_capacity(1);
        for key in &presented.write_keys {
            proofs.push(self.keys.verify(key, origin, now)?);
        }
        if let Some(named) = named
            && self.proxies.sender(presented)? == Sender::Trusted
        {
            // Where a token or key proves another tenant, that is a mismatch of the header and told as such.
            let tenant = tenant_of_header(named)?;
            if proofs.iter().all(|p| p.tenant == tenant) && tokens.is_empty() {
                proofs.push(Proven { tenant, proof: Proof::Proxy, rights: Rights::All });
            }
        }
        for token in tokens {
            proofs.push(self.tokens.verify(token, origin, now, may_cost)?);
        }
        Ok(proofs)
    }

    /// The token in the cookie, if there is one. Any page can make a browser send it, so the page must be known: a request whose page
    /// cannot be one of the tenant's is refused before anything is verified.
    fn cookie(
        &self,
        presented: &Presented<'_>,
        origin: &Origin,
        now: UnixNanos,
        may_cost: &dyn Fn() -> Result<(), AuthError>,
    ) -> Result<Option<Proven>, AuthError> {
        let Some(name) = &self.cookie else { return Ok(None) };
        let Some(token) = cookie::value(&presented.cookies, name)? else { return Ok(None) };
        match origin {
            Origin::Tuple(_) => {}
            Origin::Absent => {
                return Err(Code::OriginMissing.because(
                    "a token in a cookie counts only with an Origin; a server sends it as Authorization: Bearer",
                ));
            }
            Origin::Malformed => return Err(Origin::malformed()),
            Origin::Opaque => return Err(cookie_origin()),
        }
        let token = std::str::from_utf8(token);
        let token = token.map_err(|_| Code::TokenMalformed.because(format!("the cookie {name} holds no JWT")))?;
        self.tokens.verify(token, origin, now, may_cost).map(Some)
    }

    /// The request's origin, if it is one of the tenant's.
    fn listed<'o>(&self, tenant: &TenantId, origin: &'o Origin) -> Option<&'o Tuple> {
        let Origin::Tuple(tuple) = origin else { return None };
        let rules = self.origins.get(tenant).map(Vec::as_slice).unwrap_or_default();
        rules.iter().any(|rule| rule.lists(tuple)).then_some(tuple)
    }

    fn admit(&self, proven: Proven, origin: &Origin, by_cookie: bool, now: UnixNanos) -> Result<Tenant, AuthError> {
        let profile = match (self.directory.listed(&proven.tenant), &proven.proof) {
            (Some(profile), _) => Arc::clone(profile),
            // Only an issuer vouches: a proxy's header is no statement of who the customers are. And a cookie needs listed origins.
            (None, Proof::Jwt(_)) if !by_cookie => self.directory.vouched(&proven.tenant, now)?,
            (None, _) => return Err(directory::unknown()),
        };
        if profile.settings.disabled {
            return Err(Code::TenantDisabled.because("the tenant is switched off here"));
        }
        // An upload token counts as well: the tenant's own backend minted it for this page, minutes ago.
        let by_token = matches!(proven.proof, Proof::Jwt(_) | Proof::UploadToken(_));
        if profile.settings.require == Require::Jwt && !by_token {
            return Err(Code::TenantRequiresJwt
                .because("this tenant takes JWTs only (require = \"jwt\"): send one as Authorization: Bearer"));
        }
        let listed = self.listed(&proven.tenant, origin);
        if by_cookie && listed.is_none() {
            return Err(cookie_origin());
        }
        let host = listed.map(|tuple| tuple.authority().to_owned());
        Ok(Tenant { profile, proof: proven.proof, host, rights: proven.rights })
    }

    fn nothing_proven(&self, presented: &Presented<'_>, named: Option<&[u8]>) -> AuthError {
        let sender = named.map(|_| self.proxies.sender(presented));
        match sender {
            Some(Err(error)) => error,
            Some(Ok(Sender::Unproven)) => {
                Code::ProxySecret.because("X-Tenant-ID came from a trusted proxy's address, but without X-Proxy-Secret: let the proxy set it")
            }
            Some(Ok(Sender::Stranger { showed_secret: true })) => Code::ProxyNotTrusted.because(
                "X-Tenant-ID is believed only from an address in server.trusted_proxies, with server.proxy_secret set: this peer is none",
            ),
            Some(Ok(_)) => Code::CredentialMissing.because(
                "X-Tenant-ID alone proves nothing, except from a trusted proxy: send a JWT (Authorization: Bearer) or a write key (?k=)",
            ),
            None => Code::CredentialMissing
                .because("send a JWT (Authorization: Bearer, or ?access_token=) or a write key (?k=, the path, or X-Api-Key)"),
        }
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}

fn cookie_origin() -> AuthError {
    Code::OriginNotAllowed.because(
        "the page's origin is none of the tenant's, so its cookie does not count: list it in the tenant's origins, or send the token as Authorization: Bearer",
    )
}

fn one_tenant_header<'r>(headers: &[&'r [u8]]) -> Result<Option<&'r [u8]>, AuthError> {
    match headers {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(Code::HeaderDuplicated
            .because("X-Tenant-ID came more than once: a proxy must replace the client's copy, not add to it")),
    }
}

fn tenant_of_header(named: &[u8]) -> Result<TenantId, AuthError> {
    std::str::from_utf8(named).ok().and_then(TenantId::parse).ok_or_else(|| {
        Code::TenantHeaderMalformed
            .because("the trusted proxy's X-Tenant-ID is no tenant id (1 to 64 of A-Z a-z 0-9 _ -): is it an unfilled placeholder?")
    })
}

/// The tokens of the request. Other schemes than Bearer (a staging site's Basic) are not ours to judge.
fn tokens<'p>(presented: &'p Presented<'_>) -> Result<Vec<&'p str>, AuthError> {
    let mut tokens = Vec::new();
    for header in &presented.authorization {
        let scheme_end = header.iter().position(|b| *b == b' ').unwrap_or(header.len());
        let (scheme, token) = header.split_at(scheme_end);
        if scheme.eq_ignore_ascii_case(b"bearer") {
            let token = std::str::from_utf8(token.trim_ascii());
            tokens
                .push(token.map_err(|_| Code::TokenMalformed.because("Authorization: Bearer is followed by no JWT"))?);
        }
    }
    tokens.extend(presented.access_token.iter().map(String::as_str));
    Ok(tokens)
}

fn strength(proof: &Proof) -> u8 {
    match proof {
        Proof::WriteKey(_) => 0,
        Proof::Proxy => 1,
        Proof::UploadToken(_) => 2,
        Proof::Jwt(_) => 3,
    }
}
