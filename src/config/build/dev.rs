//! The tenant of a gateway that nobody configured.

use std::collections::BTreeMap;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use super::super::TenantId;
use super::super::settings::{OriginRule, Secret, TenantSettings, WriteKey};
use super::tenants::Defaults;

/// 64 characters that need no escaping in a URL: six bits each.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The tenant `demo`, with one write key `demo` that any origin may use, a `curl` too.
pub(super) fn demo_tenant(defaults: &Defaults) -> Option<(TenantId, TenantSettings)> {
    let key = WriteKey { key: random_key(), origins: vec![OriginRule::Any], expires: None, measurements: Vec::new() };
    let keys = BTreeMap::from([("demo".to_owned(), key)]);
    let settings = TenantSettings { keys, ..defaults.of_unknown().tenant };
    Some((TenantId::parse("demo")?, settings))
}

/// 24 characters, 144 bits of the system's random source.
fn random_key() -> Secret {
    let mut bytes = [0_u8; 24];
    SystemRandom::new().fill(&mut bytes).expect("without a random source no key, of ours or of TLS, can be made");
    let text: String = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect();
    Secret::from(text)
}
