//! Sets outlive reloads, are shared by issuers, and end with the last one that names them.

use super::*;

#[tokio::test]
async fn a_reload_keeps_the_keys_and_fetches_nothing() {
    let provider = Provider::start(keys(&[named(&KEYS.rsa, "a")])).await;
    let mut gateway = Gateway::loaded(&provider).await;
    for _ in 0..3 {
        gateway.authenticator = build_with(&settings_for(&provider.url()), &gateway.sets).unwrap();
        assert_eq!(gateway.verify(&token(&KEYS.rsa, "RS256", Some("a"))), acme());
        gateway.sets.run_due().await;
    }
    assert_eq!(provider.count(), 1);
    assert_eq!(gateway.sets.health().len(), 1);
}

#[tokio::test]
async fn issuers_of_one_url_share_its_set_and_another_url_is_fetched_at_once() {
    let (provider, other) = (
        Provider::start(keys(&[named(&KEYS.rsa, "a")])).await,
        Provider::start(keys(&[named(&KEYS.other_rsa, "a")])).await,
    );
    let mut gateway = Gateway::loaded(&provider).await;
    let mut settings = settings_for(&provider.url());
    let second = Issuer { issuer: "https://second.example".to_owned(), ..jwks_issuer(&provider.url(), &PINNED) };
    settings.issuers.insert("second".to_owned(), second);
    let third = Issuer { issuer: "https://third.example".to_owned(), ..jwks_issuer(&other.url(), &PINNED) };
    settings.issuers.insert("third".to_owned(), third);
    gateway.authenticator = build_with(&settings, &gateway.sets).unwrap();
    let names: Vec<String> = gateway.sets.health().into_keys().collect();
    assert_eq!(names, ["idp", "second", "third"]);
    gateway.sets.run_due().await;
    gateway.sets.tried(PATIENCE).await;
    assert_eq!((provider.count(), other.count()), (1, 1));
    // One issuer's key is none of another's, though both are called the same.
    let of = |issuer: &str, signer: &Signer| {
        let claims = with(json!({ "iss": issuer }));
        gateway.verify(&signer.sign(&json!({ "alg": "RS256", "kid": "a" }).to_string(), &claims.to_string()))
    };
    assert_eq!(of("https://second.example", &KEYS.rsa), acme());
    assert_eq!(of("https://third.example", &KEYS.other_rsa), acme());
    assert_eq!(of("https://third.example", &KEYS.rsa), Err(("token_signature", None)));
    assert_eq!(of("https://rsa.example", &KEYS.other_rsa), Err(("token_signature", None)));
}

#[tokio::test]
async fn a_set_that_no_settings_name_any_more_is_forgotten() {
    let provider = Provider::start(keys(&[named(&KEYS.rsa, "a")])).await;
    let mut gateway = Gateway::loaded(&provider).await;
    gateway.authenticator = build_with(&settings(), &gateway.sets).unwrap();
    gateway.after(4_000).await;
    assert_eq!((provider.count(), gateway.sets.health().len()), (1, 0));
    // Named again, it is loaded anew: what it was then proves nothing now.
    gateway.authenticator = build_with(&settings_for(&provider.url()), &gateway.sets).unwrap();
    let good = token(&KEYS.rsa, "RS256", Some("a"));
    assert_eq!(gateway.verify(&good), Err(("issuer_keys_loading", Some(1))));
    gateway.sets.run_due().await;
    assert_eq!((gateway.verify(&good), provider.count()), (acme(), 2));
}

#[tokio::test]
async fn an_operator_can_have_every_set_fetched_at_once_and_a_withdrawn_key_is_gone() {
    let provider = Provider::start(keys(&[named(&KEYS.rsa, "stolen"), named(&KEYS.ec, "b")])).await;
    let gateway = Gateway::loaded(&provider).await;
    let stolen = token(&KEYS.rsa, "RS256", Some("stolen"));
    assert_eq!(gateway.verify(&stolen), acme());
    provider.reply(keys(&[named(&KEYS.ec, "b")]));
    gateway.sets.run_due().await;
    assert_eq!((gateway.verify(&stolen), provider.count()), (acme(), 1), "nobody asked");
    gateway.sets.refetch();
    gateway.sets.run_due().await;
    assert_eq!(provider.count(), 2);
    assert_ne!(gateway.verify(&stolen), acme(), "remembered as it was");
}

#[tokio::test]
async fn waiting_for_the_first_fetch_ends_with_it_or_in_time() {
    let mut provider = Provider::start(keys(&[named(&KEYS.rsa, "a")])).await;
    let gateway = Gateway::new(&provider.url());
    let keeper = gateway.sets.keep();
    gateway.sets.tried(PATIENCE).await;
    assert_eq!(gateway.verify(&token(&KEYS.rsa, "RS256", Some("a"))), acme());
    drop(keeper);
    provider.go_away().await;
    let gateway = Gateway::new(&provider.url());
    let keeper = gateway.sets.keep();
    gateway.sets.tried(PATIENCE).await;
    assert_eq!(gateway.fetches("unreachable"), 1);
    drop(keeper);
    // Nobody fetches: it is not waited for longer than was said.
    Gateway::new(&provider.url()).sets.tried(Duration::from_millis(50)).await;
}

#[test]
fn algorithms_of_shared_secrets_never_go_with_published_keys() {
    let clock = Clock::manual(NOW * NANOS);
    let sets = KeySets::new(clock, Arc::new(Metrics::new().unwrap())).unwrap();
    for algorithms in [vec![Algorithm::HS256], vec![Algorithm::RS256, Algorithm::HS512]] {
        let mut settings = settings_for("http://127.0.0.1:9/keys");
        settings.issuers.get_mut("idp").unwrap().algorithms = algorithms;
        let told = build_with(&settings, &sets).expect_err("a mistake");
        assert!(told.starts_with("issuers.idp: jwks_url does not go with HS"), "{told}");
    }
}
