//! `[issuers.NAME]`

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use secrecy::ExposeSecret;

use super::super::finding::Findings;
use super::super::section::Section;
use super::super::settings::{Algorithm, Issuer, IssuerKey, Secret, TenantSettings, UPLOAD_ISSUER, Unknown};
use super::super::{TenantId, values};

const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// Shorter shared secrets can be searched for offline, by whoever holds one token (RFC 7518, 3.2, asks for 256 bits).
const MIN_HMAC: usize = 32;

/// The issuers of all layers. Each needs an issuer, an audience, algorithms and one key that fits them.
pub(super) fn issuers(root: &Section<'_>, findings: &mut Findings) -> BTreeMap<String, Issuer> {
    let mut by_claim: BTreeMap<String, Section<'_>> = BTreeMap::new();
    let mut issuers = BTreeMap::new();
    for (name, section) in root.named("issuers") {
        if let Some(claim) = section.text("issuer") {
            if let Some(first) = by_claim.get(claim) {
                let other = format!("{} ({}) has the same issuer", first.own_key(), first.place("issuer"));
                section.wrong(findings, "issuer", format!("{other}: a token would name both; leave one out"));
            } else {
                by_claim.insert(claim.to_owned(), section.clone());
            }
        }
        issuers.extend(issuer(&section, findings).map(|issuer| (name, issuer)));
    }
    issuers
}

fn issuer(section: &Section<'_>, findings: &mut Findings) -> Option<Issuer> {
    let mut missing = |key: &str, what: &str| findings.add(section.own_place(), section.key(key), what);
    if !section.has("issuer") {
        missing("issuer", "missing; write the `iss` claim of its tokens, such as \"https://login.example\"");
    }
    if !section.has("audience") || (section.texts("audience").is_empty() && !section.was_refused("audience")) {
        missing("audience", "missing: tokens made for other services would be taken; write what `aud` must name");
    }
    let algorithms = section.list("algorithms", values::algorithm);
    if algorithms.is_empty() && !section.was_refused("algorithms") {
        missing("algorithms", "missing: name the only ones that are taken, such as [\"RS256\"]");
    }
    if section.text("issuer").is_some_and(|claim| claim.starts_with(UPLOAD_ISSUER)) {
        let why = "the upload tokens of the tenants' own backends are called so";
        section.wrong(
            findings,
            "issuer",
            format!("begins with \"{UPLOAD_ISSUER}\": {why}; let the issuer have another name"),
        );
    }
    let leeway = section.duration("leeway").unwrap_or(Duration::from_secs(30));
    if leeway > MAX_LEEWAY {
        section.wrong(findings, "leeway", "more than 5 minutes: tokens would outlive their end by far; write \"30s\"");
    }
    Some(Issuer {
        key: key(section, &algorithms, findings)?,
        issuer: section.text("issuer")?.to_owned(),
        audience: section.texts("audience").into_iter().map(str::to_owned).collect(),
        algorithms,
        tenant_claim: section.text("tenant_claim").unwrap_or("tenant_id").to_owned(),
        leeway,
        tenants: tenants(section, findings),
        denied_jti: section.texts("denied_jti").into_iter().map(str::to_owned).collect(),
        denied_sub: section.texts("denied_sub").into_iter().map(str::to_owned).collect(),
    })
}

/// Which tenant each value of the claim stands for.
fn tenants(section: &Section<'_>, findings: &mut Findings) -> BTreeMap<String, TenantId> {
    let rows = section.sub("tenants");
    if section.has("tenants") && rows.names().is_empty() && !section.was_any_refused("tenants") {
        // Whoever takes the last row out means that the issuer speaks for nobody, and not for everybody.
        let message =
            "lists no value, so that the issuer would speak for every tenant; list some, or leave the table out";
        section.wrong(findings, "tenants", message);
    }
    let tenant = |value: String| rows.read(&value, values::tenant_id).map(|tenant| (value, tenant));
    rows.names().into_iter().filter_map(tenant).collect()
}

/// Tells of claim values that stand for a tenant which does not exist, and of "accept" where nobody could vouch.
pub(super) fn hold_together(
    root: &Section<'_>,
    tenants: &BTreeMap<TenantId, TenantSettings>,
    unknown: Unknown,
    findings: &mut Findings,
) {
    let is_known = |id: &TenantId| tenants.contains_key(id) || root.sub("tenants").was_refused(id.as_str());
    if unknown == Unknown::Reject {
        for (_, issuer) in root.named("issuers") {
            let rows = issuer.sub("tenants");
            for value in rows.names() {
                if let Some(id) = rows.read(&value, values::tenant_id).filter(|id| !is_known(id)) {
                    let message = format!(
                        "there is no tenant {id}; add [tenants.{id}], or set tenant_defaults.unknown = \"accept\""
                    );
                    rows.wrong(findings, &value, message);
                }
            }
        }
    } else if root.sub("issuers").names().is_empty() && !root.was_any_refused("issuers") {
        let message =
            "no issuer is listed, so that nobody could vouch for a tenant; add [issuers.NAME], or write \"reject\"";
        root.sub("tenant_defaults").wrong(findings, "unknown", message);
    }
}

fn is_hmac(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

/// The ways to give a key: of an issuer, one.
const KEYS: [[&str; 2]; 3] =
    [["hmac_secret", "hmac_secret_file"], ["public_key_file", "public_key_file"], ["jwks_url", "jwks_url"]];

fn key(section: &Section<'_>, algorithms: &[Algorithm], findings: &mut Findings) -> Option<IssuerKey> {
    let given: Vec<&str> = KEYS.iter().flatten().filter(|key| section.has(key)).copied().collect();
    let kinds = KEYS.map(|kind| kind.iter().any(|key| section.has(key)));
    let [hmac, public, jwks] = kinds;
    if kinds.iter().filter(|given| **given).count() > 1 {
        let (last, first) = (given[given.len() - 1], given[0]);
        let why = if hmac {
            "a shared secret is set too, and who knows one kind of key could sign for the other".to_owned()
        } else {
            format!("`{first}` is set too, and an issuer has its keys from one place")
        };
        section.wrong(findings, last, format!("{why}; leave one of the two out"));
        return None;
    }
    if given.is_empty() {
        let message = "no key; set `jwks_url` or `public_key_file`, or `hmac_secret_file` for HS algorithms";
        findings.add(section.own_place(), section.own_key(), message);
        return None;
    }
    let misfit = algorithms.iter().find(|algorithm| is_hmac(**algorithm) != hmac);
    if let Some(algorithm) = misfit {
        let message = if hmac {
            format!(
                "{algorithm:?} needs a public key, and a shared secret is set; set `public_key_file` instead, or take HS256"
            )
        } else {
            format!(
                "{algorithm:?} needs a shared secret, and a public key is set: anybody could sign with what is public; take RS256 or ES256"
            )
        };
        section.wrong(findings, "algorithms", message);
    }
    if hmac {
        return long_secret(section, "hmac_secret", "hmac_secret_file", findings).map(IssuerKey::Hmac);
    }
    if jwks {
        return section.read("jwks_url", values::jwks_url).map(|url| IssuerKey::Jwks { url });
    }
    debug_assert!(public);
    let (path, pem) = section.file_text("public_key_file", findings)?;
    if let Some(message) = wrong_pem(&pem, &path, algorithms) {
        section.wrong(findings, "public_key_file", message);
    }
    Some(IssuerKey::PublicPem { pem, path })
}

/// A shared secret that signs.
pub(super) fn long_secret(section: &Section<'_>, key: &str, file_key: &str, findings: &mut Findings) -> Option<Secret> {
    let secret = section.secret(key, file_key, findings)?;
    if secret.expose_secret().len() < MIN_HMAC {
        let key = if section.has(key) { key } else { file_key };
        section.wrong(
            findings,
            key,
            format!("the secret is too short; {MIN_HMAC} bytes or more, from a random source"),
        );
    }
    Some(secret)
}

/// What is wrong with a public key for these algorithms. What the file holds is never echoed.
fn wrong_pem(pem: &str, path: &Path, algorithms: &[Algorithm]) -> Option<String> {
    let path = path.display();
    if pem.contains("PRIVATE KEY") {
        return Some(format!(
            "{path} holds a private key, which has no business here; write its public half (openssl pkey -pubout)"
        ));
    }
    if !pem.contains("-----BEGIN ") {
        return Some(format!("{path} is not PEM; it must begin with -----BEGIN PUBLIC KEY-----"));
    }
    let fits = |algorithm: &Algorithm| match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem.as_bytes()).is_ok(),
        Algorithm::EdDSA => DecodingKey::from_ed_pem(pem.as_bytes()).is_ok(),
        _ => DecodingKey::from_rsa_pem(pem.as_bytes()).is_ok(),
    };
    let misfit = algorithms.iter().filter(|algorithm| !is_hmac(**algorithm)).find(|algorithm| !fits(algorithm))?;
    Some(format!("{path} holds no public key for {misfit:?}; take the issuer's own key and algorithm"))
}
