//! Claim values that stand for tenants, deny lists, and tenants that an issuer vouches for.

use serde_json::{Value, json};

use super::forge::{claims, with};
use super::*;

/// A gateway with one more issuer, `https://orgs.example`: its `org` stands for a tenant by a table.
fn gateway(change: impl FnOnce(&mut Settings)) -> Authenticator {
    let mut settings = settings();
    let rows =
        [("Org-7/eu", "acme"), ("42", "globex"), ("-1", "strict"), ("18446744073709551615", "keyless"), ("7", "ghost")];
    let orgs = Issuer {
        tenants: rows.map(|(value, id)| (value.to_owned(), TenantId::parse(id).unwrap())).into(),
        denied_jti: ["stolen", "17"].map(str::to_owned).into(),
        denied_sub: ["mallory@example.com".to_owned()].into(),
        ..issuer("https://orgs.example", &[Algorithm::HS256], "org", IssuerKey::Hmac(HMAC_SECRET.into()))
    };
    settings.issuers.insert("orgs".to_owned(), orgs);
    change(&mut settings);
    build(&settings).unwrap()
}

fn orgs(changes: Value) -> Request {
    let mut all = with(changes);
    all["iss"] = "https://orgs.example".into();
    request().bearer(&KEYS.hmac.token(&all))
}

fn org(value: Value) -> Request {
    orgs(json!({ "tenant_id": "globex", "org": value }))
}

#[test]
fn a_claims_value_stands_for_the_tenant_that_the_table_says() {
    let not_listed = Err(Code::TokenTenantClaim);
    let rows = vec![
        row("a text", org(json!("Org-7/eu")), Ok("acme")),
        row("a number's text", org(json!("42")), Ok("globex")),
        row("the number", org(json!(42)), Ok("globex")),
        row("a negative number", org(json!(-1)), Ok("strict")),
        row("the largest number", org(json!(u64::MAX)), Ok("keyless")),
        row("a value that is not listed", org(json!("Org-8/eu")), not_listed),
        row("a tenant's id is no value", org(json!("acme")), not_listed),
        row("another case", org(json!("org-7/EU")), not_listed),
        row("with a blank", org(json!("Org-7/eu ")), not_listed),
        row("a prefix", org(json!("Org-7")), not_listed),
        row("with a newline", org(json!("42\n")), not_listed),
        row("a number with a fraction", org(json!(42.0)), not_listed),
        row("another number", org(json!(43)), not_listed),
        row("an array", org(json!(["42"])), not_listed),
        row("an object", org(json!({ "42": 1 })), not_listed),
        row("true", org(json!(true)), not_listed),
        row("null", orgs(json!({ "org": null })), not_listed),
        row("empty", org(json!("")), not_listed),
        row("only the claim of another issuer", orgs(json!({ "tenant_id": "acme" })), not_listed),
        row("a tenant that is not there", org(json!("7")), Err(Code::TenantUnknown)),
        // The table is the one issuer's.
        row(
            "another issuer's value",
            request().bearer(&KEYS.rsa.token(&with(json!({ "tenant_id": "42" })))),
            Err(Code::TenantUnknown),
        ),
        row(
            "a number without a table",
            request().bearer(&KEYS.rsa.token(&with(json!({ "tenant_id": 42 })))),
            not_listed,
        ),
    ];
    try_all_by(&gateway(|_| ()), rows, 22);
}

#[test]
fn a_token_on_the_deny_list_is_refused_whatever_else_it_says() {
    let revoked = Err(Code::TokenRevoked);
    let rows = vec![
        row("no jti, no sub", org(json!(42)), Ok("globex")),
        row("another jti", orgs(json!({ "org": 42, "jti": "mine", "sub": "alice@example.com" })), Ok("globex")),
        row("its jti", orgs(json!({ "org": 42, "jti": "stolen" })), revoked),
        row("its jti, a number", orgs(json!({ "org": 42, "jti": 17 })), revoked),
        row("its sub", orgs(json!({ "org": 42, "sub": "mallory@example.com" })), revoked),
        row("both, and no tenant", orgs(json!({ "sub": "mallory@example.com", "jti": "stolen" })), revoked),
        row("a jti as the sub", orgs(json!({ "org": 42, "sub": "stolen" })), Ok("globex")),
        row(
            "a denied sub in another case is another",
            orgs(json!({ "org": 42, "sub": "Mallory@example.com" })),
            Ok("globex"),
        ),
        row(
            "the list is the one issuer's",
            request().bearer(&KEYS.rsa.token(&with(json!({ "jti": "stolen" })))),
            Ok("acme"),
        ),
        row(
            "a forged one learns nothing of the list",
            request().bearer(
                &Signer::hmac("another secret of thirty-two letters")
                    .token(&with(json!({ "iss": "https://orgs.example", "org": 42, "jti": "stolen" }))),
            ),
            Err(Code::TokenSignature),
        ),
    ];
    try_all_by(&gateway(|_| ()), rows, 10);
}

#[test]
fn a_token_that_was_good_is_refused_from_the_generation_on_that_denies_it() {
    let token = orgs(json!({ "org": 42, "jti": "later" }));
    let before = gateway(|_| ());
    assert_eq!(token.verify_by(&before, NOW * NANOS).unwrap().id().as_str(), "globex");
    let after = gateway(|settings| {
        settings.issuers.get_mut("orgs").unwrap().denied_jti.insert("later".to_owned());
    });
    assert_eq!(token.verify_by(&after, NOW * NANOS).unwrap_err().code, "token_revoked");
}

#[test]
fn a_tenant_that_is_not_listed_comes_in_by_an_issuer_and_by_nothing_else() {
    let new = KEYS.rsa.token(&with(json!({ "tenant_id": "newcomer" })));
    let other = KEYS.rsa.token(&with(json!({ "tenant_id": "another" })));
    let proxied = || request().peer("10.1.2.3").secret(PROXY_SECRET).tenant("newcomer");
    let upload = json!({ "iss": "tenant:newcomer", "aud": "tagline", "exp": NOW + 60, "origin": "https://a.example" });
    let upload = Signer::hmac(UPLOAD_ACME[0]).token(&upload);
    let accepting = gateway(|settings| settings.tenant_defaults.unknown = config::Unknown::Accept { most: 2 });
    let rows = vec![
        row("a proxy's header, before", proxied(), Err(Code::TenantUnknown)),
        row("an upload token", request().bearer(&upload).origin("https://a.example"), Err(Code::TokenSignature)),
        row(
            "a forged token",
            request().bearer(&KEYS.other_rsa.token(&with(json!({ "tenant_id": "newcomer" })))),
            Err(Code::TokenSignature),
        ),
        row("a token whose header says otherwise", request().bearer(&new).tenant("acme"), Err(Code::TenantMismatch)),
        row("an issuer's token", request().bearer(&new), Ok("newcomer")),
        row("through a proxy, with the token", proxied().bearer(&new), Ok("newcomer")),
        row("a proxy's header, now that it is here", proxied(), Err(Code::TenantUnknown)),
        row("by a mapped value", org(json!("7")), Ok("ghost")),
        row("no place is left", request().bearer(&other), Err(Code::TenantsFull)),
        row("who is here stays", request().bearer(&new), Ok("newcomer")),
        row("who is listed needs no place", request().bearer(&KEYS.rsa.token(&claims())), Ok("acme")),
        row(
            "the disabled stay disabled",
            request().bearer(&KEYS.rsa.token(&with(json!({ "tenant_id": "off" })))),
            Err(Code::TenantDisabled),
        ),
    ];
    try_all_by(&accepting, rows, 12);
    let tenant = request().bearer(&new).origin("https://app.example").verify_by(&accepting, NOW * NANOS).unwrap();
    assert_eq!((tenant.host(), tenant.profile().settings.limits), (None, limits()));
}
