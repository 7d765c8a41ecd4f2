//! Tenants for the tests of the later rooms. Tests only: a release build has no way to a `Tenant` but a verified credential.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;

use crate::admit::Quota;
use crate::config::{Limits, OriginRule, Require, SessionMode, TenantId, TenantSettings, WriteKey};
use crate::outcome::Account;

use super::{Profile, Proof, Tenant};

impl Tenant {
    /// A tenant that stores its sessions so, asked from a page of `host`; may write every measurement.
    pub(crate) fn for_test(id: &str, session: SessionMode, host: Option<&str>) -> Self {
        Self {
            profile: profile(id, session, &[]),
            proof: Proof::Jwt("test".to_owned()),
            host: host.map(str::to_owned),
        }
    }

    /// A tenant whose write key is bound to these measurements.
    pub(crate) fn for_test_bound_to(id: &str, measurements: &[&str]) -> Self {
        let proof = Proof::WriteKey("test".to_owned());
        Self {
            profile: profile(id, SessionMode::Tag, measurements),
            proof,
            host: None,
        }
    }
}

fn profile(id: &str, session: SessionMode, measurements: &[&str]) -> Arc<Profile> {
    let limits = Limits {
        points_per_second: 1_000_000,
        burst: 1_000_000,
        bytes_per_second: None,
        in_flight: 1_000,
        spool_share: 1.0,
    };
    let key = WriteKey {
        key: SecretString::from("not a secret: tests only"),
        origins: vec![OriginRule::Any],
        expires: None,
        measurements: measurements.iter().map(|&m| m.to_owned()).collect(),
    };
    Arc::new(Profile {
        id: TenantId::parse(id).expect("a valid tenant id"),
        settings: TenantSettings {
            bucket: None,
            disabled: false,
            require: Require::Any,
            session,
            keys: BTreeMap::from([("test".to_owned(), key)]),
            limits,
        },
        destination: Arc::from("app_observability"),
        quota: Quota::new(limits, 1, 5_000),
        account: Account::detached(id),
    })
}
