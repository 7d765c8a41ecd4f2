//! Which published key verifies a token.

use super::*;

#[tokio::test]
async fn keys_that_are_not_here_yet_are_503_and_never_401() {
    let mut provider = Provider::start(keys(&[named(&KEYS.rsa, "a")])).await;
    let gateway = Gateway::new(&provider.url());
    let tokens = [
        token(&KEYS.rsa, "RS256", Some("a")),
        token(&KEYS.rsa, "RS256", Some("b")),
        token(&KEYS.rsa, "RS256", None),
        token(&KEYS.other_rsa, "RS256", Some("a")),
    ];
    for token in &tokens {
        assert_eq!(gateway.verify(token), Err(("issuer_keys_loading", Some(1))));
    }
    // Its server is away: the wait that is told grows with the wait that is kept.
    provider.go_away().await;
    for _ in 0..6 {
        gateway.sets.run_due().await;
        let Err(("issuer_keys_loading", Some(wait @ 1..=10))) = gateway.verify(&tokens[0]) else {
            panic!("{:?}", gateway.verify(&tokens[0]))
        };
        gateway.clock.advance(Duration::from_secs(wait + 1));
    }
    assert_eq!(gateway.fetches("unreachable"), 6);
    provider.come_back().await;
    gateway.sets.run_due().await;
    assert_eq!(gateway.verify(&tokens[0]), acme());
    assert_eq!(gateway.verify(&tokens[3]), Err(("token_signature", None)));
}

#[tokio::test]
async fn keys_of_every_kind_stand_in_one_set_and_each_verifies_its_own_tokens_only() {
    let (ec384, hmac) = (Signer::p384(), &KEYS.hmac);
    let kinds: [(&str, &Signer); 5] =
        [("RS256", &KEYS.rsa), ("PS256", &KEYS.rsa), ("ES256", &KEYS.ec), ("ES384", &ec384), ("EdDSA", &KEYS.ed)];
    let published: Vec<Value> = kinds.iter().map(|(alg, signer)| named(signer, &format!("of {alg}"))).collect();
    let provider = Provider::start(keys(&published)).await;
    let gateway = Gateway::loaded(&provider).await;
    let verify = |token: String| gateway.verify(&token);
    for (alg, signer) in kinds {
        assert_eq!(verify(token(signer, alg, Some(&format!("of {alg}")))), acme(), "{alg}");
        for (other, _) in kinds.iter().filter(|(other, _)| *other != alg) {
            let got = verify(token(signer, alg, Some(&format!("of {other}"))));
            let rsa =
                alg.ends_with("S256") && other.ends_with("S256") && !alg.starts_with('E') && !other.starts_with('E');
            assert!(got.is_err() != rsa, "{alg} with the key of {other}: {got:?}");
        }
    }
    // What is public is no secret, whatever the header says.
    for public in [KEYS.rsa.public_pem(), set(&published[..1]), published[0]["n"].as_str().unwrap().to_owned()] {
        let forged = token(&Signer::hmac(&public), "HS256", Some("of RS256"));
        assert_eq!(verify(forged), Err(("token_signature", None)));
    }
    assert_eq!(verify(token(hmac, "HS256", Some("of RS256"))), Err(("token_signature", None)));
    assert_eq!(verify(token(hmac, "none", Some("of RS256"))), Err(("token_signature", None)));
}

#[tokio::test]
async fn an_algorithm_that_is_published_but_not_pinned_is_not_taken() {
    let provider = Provider::start(keys(&[named(&KEYS.rsa, "a"), named(&KEYS.ec, "b")])).await;
    let gateway = Gateway::new(&provider.url());
    let mut settings = settings_for(&provider.url());
    settings.issuers.get_mut("idp").unwrap().algorithms = vec![Algorithm::RS256];
    let gateway = Gateway { authenticator: build_with(&settings, &gateway.sets).unwrap(), ..gateway };
    gateway.sets.run_due().await;
    assert_eq!(gateway.verify(&token(&KEYS.rsa, "RS256", Some("a"))), acme());
    assert_eq!(gateway.verify(&token(&KEYS.rsa, "PS256", Some("a"))), Err(("token_signature", None)));
    assert_eq!(gateway.verify(&token(&KEYS.ec, "ES256", Some("b"))), Err(("token_signature", None)));
}

#[tokio::test]
async fn without_kid_a_token_is_taken_only_where_one_key_can_be_meant() {
    let provider = Provider::start(keys(&[KEYS.rsa.jwk(), KEYS.ec.jwk()])).await;
    let gateway = Gateway::loaded(&provider).await;
    assert_eq!(gateway.verify(&token(&KEYS.rsa, "RS256", None)), acme());
    assert_eq!(gateway.verify(&token(&KEYS.ec, "ES256", None)), acme());
    // A key without a name is not meant by any.
    assert_eq!(gateway.verify(&token(&KEYS.rsa, "RS256", Some(""))), Err(("issuer_keys_loading", Some(1))));

    let provider = Provider::start(keys(&[named(&KEYS.rsa, "a"), named(&KEYS.other_rsa, "b")])).await;
    let gateway = Gateway::loaded(&provider).await;
    for _ in 0..3 {
        assert_eq!(gateway.verify(&token(&KEYS.rsa, "RS256", None)), Err(("token_key_unknown", None)));
    }
    gateway.sets.run_due().await;
    assert_eq!(provider.count(), 1, "no newer set would tell");
}

#[tokio::test]
async fn a_kid_that_two_keys_have_means_neither() {
    let twice = [named(&KEYS.rsa, "a"), named(&KEYS.other_rsa, "a"), named(&KEYS.ec, "a"), named(&KEYS.ec, "a")];
    let provider = Provider::start(keys(&twice)).await;
    let gateway = Gateway::loaded(&provider).await;
    for signer in [&KEYS.rsa, &KEYS.other_rsa] {
        assert_eq!(gateway.verify(&token(signer, "RS256", Some("a"))), Err(("token_key_unknown", None)));
    }
    // Of another kind there is one, published twice.
    assert_eq!(gateway.verify(&token(&KEYS.ec, "ES256", Some("a"))), acme());
}

#[tokio::test]
async fn a_kid_is_compared_and_nothing_else() {
    let evil = Provider::start(keys(&[named(&KEYS.other_rsa, "a")])).await;
    let provider = Provider::start(keys(&[named(&KEYS.rsa, "a")])).await;
    let gateway = Gateway::loaded(&provider).await;
    let header = |more: Value| {
        let mut header = json!({ "alg": "RS256", "kid": "a" });
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        KEYS.other_rsa.sign(&header.to_string(), &claims())
    };
    // Keys that the token brings, or says where to get.
    for more in [
        json!({ "jku": evil.url() }),
        json!({ "x5u": evil.url() }),
        json!({ "jwk": KEYS.other_rsa.jwk() }),
        json!({ "x5c": [b64(KEYS.other_rsa.public_pem())] }),
    ] {
        assert_eq!(gateway.verify(&header(more.clone())), Err(("token_signature", None)), "{more}");
    }
    for kid in [json!(["a"]), json!({ "a": 1 }), json!(7), json!(true)] {
        assert_eq!(gateway.verify(&header(json!({ "kid": kid }))), Err(("token_malformed", None)), "{kid}");
    }
    assert_eq!(gateway.verify(&header(json!({ "kid": "k".repeat(257) }))), Err(("token_key_unknown", None)));
    let twice = r#"{"alg":"RS256","kid":"b","kid":"a"}"#;
    assert_eq!(gateway.verify(&KEYS.rsa.sign(twice, &claims())), Err(("token_malformed", None)));
    // The first of these costs the minute's one fetch.
    assert_eq!(gateway.verify(&header(json!({ "kid": "z" }))), Err(("issuer_keys_loading", Some(1))));
    gateway.sets.run_due().await;
    let url = evil.url();
    let kids = [
        "",
        "A",
        "a ",
        "a\0",
        "../../a",
        "/dev/null",
        "a' OR '1'='1",
        "a\" OR 1=1 --",
        "${jndi:x}",
        url.as_str(),
        "*",
        "%61",
    ];
    let verify = |kid: &str| gateway.verify(&token(&KEYS.rsa, "RS256", Some(kid)));
    for kid in kids {
        assert_eq!(verify(kid), Err(("issuer_keys_loading", Some(60))), "{kid:?}");
    }
    // The next one looks for them all.
    gateway.after(60).await;
    assert_eq!(verify(kids[0]), Err(("issuer_keys_loading", Some(1))));
    gateway.after(1).await;
    for kid in kids {
        assert_eq!(verify(kid), Err(("token_key_unknown", None)), "{kid:?}");
    }
    assert_eq!((provider.count(), evil.count()), (3, 0));
}
