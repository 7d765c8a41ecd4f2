//! The closed list of refusals, each with its stable name and its class.
//!
//! 401 asks for another credential; 403 says that the credential was understood and another copy of it would not help.

use super::{AuthError, Refusal};

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the codes; docs/identity.md explains each")]
pub enum Code {
    CredentialMissing,
    TokenMalformed,
    TokenTooLarge,
    TokenSignature,
    TokenKeyUnknown,
    TokenIssuerUnknown,
    TokenAudience,
    TokenExpired,
    TokenNotYetValid,
    TokenRevoked,
    TokenLifetime,
    WriteKeyUnknown,
    WriteKeyExpired,
    ProxySecret,
    ProxyNotTrusted,
    TokenTenantClaim,
    TenantUnknown,
    TenantsFull,
    TenantDisabled,
    TenantRequiresJwt,
    TenantMismatch,
    TenantHeaderMalformed,
    CredentialsConflict,
    CredentialsTooMany,
    OriginMissing,
    OriginNotAllowed,
    OriginMalformed,
    HeaderDuplicated,
    AddressLimited,
    IssuerKeysLoading,
}

impl Code {
    /// Every code, 401 first, 503 last.
    pub const ALL: [Self; 30] = [
        Self::CredentialMissing,
        Self::TokenMalformed,
        Self::TokenTooLarge,
        Self::TokenSignature,
        Self::TokenKeyUnknown,
        Self::TokenIssuerUnknown,
        Self::TokenAudience,
        Self::TokenExpired,
        Self::TokenNotYetValid,
        Self::TokenRevoked,
        Self::TokenLifetime,
        Self::WriteKeyUnknown,
        Self::WriteKeyExpired,
        Self::ProxySecret,
        Self::ProxyNotTrusted,
        Self::TokenTenantClaim,
        Self::TenantUnknown,
        Self::TenantsFull,
        Self::TenantDisabled,
        Self::TenantRequiresJwt,
        Self::TenantMismatch,
        Self::TenantHeaderMalformed,
        Self::CredentialsConflict,
        Self::CredentialsTooMany,
        Self::OriginMissing,
        Self::OriginNotAllowed,
        Self::OriginMalformed,
        Self::HeaderDuplicated,
        Self::IssuerKeysLoading,
        Self::AddressLimited,
    ];

    /// The stable name, as it stands in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CredentialMissing => "credential_missing",
            Self::TokenMalformed => "token_malformed",
            Self::TokenTooLarge => "token_too_large",
            Self::TokenSignature => "token_signature",
            Self::TokenKeyUnknown => "token_key_unknown",
            Self::TokenIssuerUnknown => "token_issuer_unknown",
            Self::TokenAudience => "token_audience",
            Self::TokenExpired => "token_expired",
            Self::TokenNotYetValid => "token_not_yet_valid",
            Self::TokenRevoked => "token_revoked",
            Self::TokenLifetime => "token_lifetime",
            Self::WriteKeyUnknown => "write_key_unknown",
            Self::WriteKeyExpired => "write_key_expired",
            Self::ProxySecret => "proxy_secret",
            Self::ProxyNotTrusted => "proxy_not_trusted",
            Self::TokenTenantClaim => "token_tenant_claim",
            Self::TenantUnknown => "tenant_unknown",
            Self::TenantsFull => "tenants_full",
            Self::TenantDisabled => "tenant_disabled",
            Self::TenantRequiresJwt => "tenant_requires_jwt",
            Self::TenantMismatch => "tenant_mismatch",
            Self::TenantHeaderMalformed => "tenant_header_malformed",
            Self::CredentialsConflict => "credentials_conflict",
            Self::CredentialsTooMany => "credentials_too_many",
            Self::OriginMissing => "origin_missing",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::OriginMalformed => "origin_malformed",
            Self::HeaderDuplicated => "header_duplicated",
            Self::AddressLimited => "address_limited",
            Self::IssuerKeysLoading => "issuer_keys_loading",
        }
    }

    /// Its class: 401, 403, 429 or 503.
    pub fn kind(self) -> Refusal {
        match self {
            Self::CredentialMissing
            | Self::TokenMalformed
            | Self::TokenTooLarge
            | Self::TokenSignature
            | Self::TokenKeyUnknown
            | Self::TokenIssuerUnknown
            | Self::TokenAudience
            | Self::TokenExpired
            | Self::TokenNotYetValid
            | Self::TokenRevoked
            | Self::TokenLifetime
            | Self::WriteKeyUnknown
            | Self::WriteKeyExpired
            | Self::ProxySecret
            | Self::ProxyNotTrusted => Refusal::Unauthenticated,
            Self::TokenTenantClaim
            | Self::TenantUnknown
            | Self::TenantsFull
            | Self::TenantDisabled
            | Self::TenantRequiresJwt
            | Self::TenantMismatch
            | Self::TenantHeaderMalformed
            | Self::CredentialsConflict
            | Self::CredentialsTooMany
            | Self::OriginMissing
            | Self::OriginNotAllowed
            | Self::OriginMalformed
            | Self::HeaderDuplicated => Refusal::Forbidden,
            Self::IssuerKeysLoading => Refusal::Unavailable,
            Self::AddressLimited => Refusal::Limited,
        }
    }

    /// The refusal with this code. `detail` must hold no part of a credential.
    pub(super) fn because(self, detail: impl Into<String>) -> AuthError {
        AuthError { kind: self.kind(), code: self.as_str(), detail: detail.into(), retry_after: None }
    }
}
