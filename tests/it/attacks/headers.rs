//! What a token's header may wish for: another algorithm, another key, an extension. None is granted.

use serde_json::{Value, json};

use super::World;
use super::forge::{b64, der, hmac_signed, put_together, with};
use super::row::{Refused, Row, Status, Taken, post, row};
use crate::support::{SigningKey, claims};

const SIGNATURE: super::row::Expected = Refused(401, "token_signature");
const MALFORMED: super::row::Expected = Refused(401, "token_malformed");

pub(super) fn rows(world: &World) -> Vec<Row> {
    let mut rows = algorithms(world);
    rows.append(&mut keys(world));
    rows.append(&mut shapes(world));
    rows
}

fn bearer(name: &str, token: &str, expected: super::row::Expected) -> Row {
    row(name, &post("/v1/telemetry").bearer(token), expected)
}

/// `alg` is the sender's wish; the issuer's settings say what holds.
fn algorithms(world: &World) -> Vec<Row> {
    let keys = &world.keys;
    let mine = claims("globex").to_string();
    let good = keys.acme();
    let (signed, signature) = good.rsplit_once('.').expect("a token has parts");
    let mut rows: Vec<Row> = ["none", "None", "NONE", "nOnE", "", "null", "HS256", "RS1", "RS256 ", "rs256"]
        .iter()
        .flat_map(|alg| {
            let header = json!({ "alg": alg, "typ": "JWT" }).to_string();
            [
                bearer(&format!("alg {alg:?}, no signature"), &put_together(&header, &mine, ""), SIGNATURE),
                bearer(
                    &format!("alg {alg:?}, another's signature"),
                    &put_together(&header, &mine, signature),
                    SIGNATURE,
                ),
            ]
        })
        .collect();
    let hs = r#"{"alg":"HS256","typ":"JWT"}"#;
    let pem = keys.rsa.public_pem();
    for (what, secret) in [
        ("the public PEM", pem.as_bytes().to_vec()),
        ("the public PEM without its last newline", pem.trim_end().into()),
        ("the public PEM with CRLF", pem.replace('\n', "\r\n").into()),
        ("the public DER", der(pem)),
        ("an empty secret", Vec::new()),
    ] {
        rows.push(bearer(&format!("HS256 signed with {what}"), &hmac_signed(hs, &mine, &secret), SIGNATURE));
        let lying = r#"{"alg":"RS256","typ":"JWT"}"#;
        rows.push(bearer(&format!("the same under alg RS256: {what}"), &hmac_signed(lying, &mine, &secret), SIGNATURE));
    }
    for alg in ["RS384", "RS512", "PS256", "ES256", "EdDSA", "ES256K", "HS512"] {
        let header = json!({ "alg": alg }).to_string();
        rows.push(bearer(
            &format!("a good RS256 signature under alg {alg}"),
            &keys.rsa.sign_texts(&header, &mine),
            SIGNATURE,
        ));
    }
    let twice = r#"{"alg":"none","alg":"RS256"}"#;
    rows.push(bearer("alg twice", &keys.rsa.sign_texts(twice, &mine), MALFORMED));
    rows.push(bearer("alg is a list", &keys.rsa.sign_texts(r#"{"alg":["RS256"]}"#, &mine), MALFORMED));
    rows.push(bearer("alg is missing", &keys.rsa.sign_texts(r#"{"typ":"JWT"}"#, &mine), MALFORMED));
    rows.push(bearer("alg is null", &keys.rsa.sign_texts(r#"{"alg":null}"#, &mine), MALFORMED));
    rows.push(bearer("no signature", &format!("{signed}."), SIGNATURE));
    rows.push(bearer("half a signature", &good[..good.len() - 100], SIGNATURE));
    rows.push(bearer("a zero signature", &format!("{signed}.{}", b64([0; 256])), SIGNATURE));
    rows
}

/// Whose key it is does not stand in the token either.
fn keys(world: &World) -> Vec<Row> {
    let own: &SigningKey = &world.keys.own;
    let mine = claims("globex").to_string();
    let certificate = base64_certificate(own);
    let forged: Vec<(&str, Value)> = vec![
        ("no kid", json!({})),
        ("a made-up kid", json!({ "kid": "made-up" })),
        ("kid as a path", json!({ "kid": "../../../../etc/passwd" })),
        ("kid as a device", json!({ "kid": "/dev/null" })),
        ("kid as an address", json!({ "kid": "http://127.0.0.1:1/jwks.json" })),
        ("kid as SQL", json!({ "kid": "x' UNION SELECT 'attacker-secret';--" })),
        ("kid as a command", json!({ "kid": "key|/bin/sleep 10" })),
        ("kid with NUL and newline", json!({ "kid": "rsa\u{0}\r\nX-Tenant-ID: globex" })),
        ("kid empty", json!({ "kid": "" })),
        ("kid a number", json!({ "kid": 1 })),
        ("kid a list", json!({ "kid": ["rsa"] })),
        ("kid of 5,000 characters", json!({ "kid": "k".repeat(5_000) })),
        ("jwk: the attacker's key", json!({ "jwk": own.jwk("0") })),
        ("jku: the attacker's keys", json!({ "jku": "http://127.0.0.1:1/jwks.json", "kid": "a" })),
        ("x5u: the attacker's certificate", json!({ "x5u": "http://127.0.0.1:1/cert.pem" })),
        ("x5c: the attacker's certificate", json!({ "x5c": [certificate], "x5t": "AAAA" })),
        (
            "all of them",
            json!({ "jwk": own.jwk("0"), "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/", "kid": "0" }),
        ),
    ];
    let mut rows: Vec<Row> = forged
        .into_iter()
        .map(|(what, mut header)| {
            header["alg"] = json!("RS256");
            bearer(&format!("own key, {what}"), &own.sign_texts(&header.to_string(), &mine), SIGNATURE)
        })
        .collect();
    let large = json!({ "alg": "RS256", "kid": "k".repeat(60_000) }).to_string();
    rows.push(bearer("kid of 60,000 characters", &own.sign_texts(&large, &mine), Refused(401, "token_too_large")));
    let vast = json!({ "alg": "RS256", "kid": "k".repeat(1_000_000) }).to_string();
    rows.push(bearer("kid of a million characters", &own.sign_texts(&vast, &mine), Status(431)));
    rows
}

fn shapes(world: &World) -> Vec<Row> {
    let keys = &world.keys;
    let rsa = &keys.rsa;
    let mine = claims("globex").to_string();
    let acme = with(&json!({})).to_string();
    let good = keys.acme();
    let parts: Vec<&str> = good.split('.').collect();
    let [head, payload, signature] = parts[..] else { panic!("three parts: {good}") };
    let globex = keys.globex();
    let anothers = globex.rsplit_once('.').expect("a token has parts").1;
    let nested = rsa.sign_texts(r#"{"alg":"RS256","cty":"JWT"}"#, &good);
    let jwe = format!("{}.{}.{}.{}.{}", b64(r#"{"alg":"dir","enc":"A256GCM"}"#), "", b64("iv"), b64(&mine), b64("tag"));
    let json_form = json!({ "payload": b64(&mine), "signatures": [{ "protected": head, "signature": signature }] });
    // Sixteen bytes leave four bits of the last character that stand for nothing: another text, the same bytes.
    let loose = rsa.sign_texts(r#"{"alg":"RS256" }"#, &mine);
    let dot = loose.find('.').expect("a token has parts");
    let loose_bits = format!("{}{}{}", &loose[..dot - 1], char::from(loose.as_bytes()[dot - 1] + 1), &loose[dot..]);
    let another_header = format!("{}.{payload}.{signature}", b64(r#"{"alg":"RS256","kid":"x"}"#));
    vec![
        bearer("crit", &rsa.sign_texts(r#"{"alg":"RS256","crit":["exp"]}"#, &mine), MALFORMED),
        bearer("crit empty", &rsa.sign_texts(r#"{"alg":"RS256","crit":[]}"#, &mine), MALFORMED),
        bearer("b64 false", &rsa.sign_texts(r#"{"alg":"RS256","crit":["b64"],"b64":false}"#, &mine), MALFORMED),
        bearer("b64 false, its payload not encoded", &format!("{head}.{mine}.{signature}"), MALFORMED),
        bearer("a token in a token", &nested, MALFORMED),
        bearer("JWE", &jwe, MALFORMED),
        bearer("JWS in its JSON form", &json_form.to_string(), MALFORMED),
        bearer("another payload under a good signature", &format!("{head}.{}.{signature}", b64(&mine)), SIGNATURE),
        bearer("another token's signature", &format!("{head}.{payload}.{anothers}"), SIGNATURE),
        bearer("another header over a good signature", &another_header, SIGNATURE),
        bearer("base64 that could be written in two ways", &loose_bits, MALFORMED),
        bearer("one part", head, MALFORMED),
        bearer("two parts", &format!("{head}.{payload}"), MALFORMED),
        bearer("four parts", &format!("{good}.{signature}"), MALFORMED),
        bearer("an empty header", &format!(".{payload}.{signature}"), MALFORMED),
        bearer("an empty payload", &format!("{head}..{signature}"), MALFORMED),
        bearer("dots alone", "..", MALFORMED),
        bearer("nothing", "", MALFORMED),
        bearer("padding", &format!("{head}=.{payload}=.{signature}="), MALFORMED),
        bearer("padded signature", &format!("{head}.{payload}.{signature}=="), SIGNATURE),
        bearer("standard base64", &format!("{head}.+/{payload}.{signature}"), MALFORMED),
        bearer("a blank inside", &format!("{head}. {payload}.{signature}"), MALFORMED),
        bearer("two tokens in one header", &format!("{good}, {globex}"), MALFORMED),
        bearer("a payload that is no JSON", &rsa.sign_texts(r#"{"alg":"RS256"}"#, "tenant_id=globex"), MALFORMED),
        bearer("a payload of nothing but depth", &rsa.sign_texts(r#"{"alg":"RS256"}"#, &"[".repeat(4_000)), MALFORMED),
        bearer("a header of nothing but depth", &put_together(&"[".repeat(4_000), &mine, signature), MALFORMED),
        bearer("a payload that is not UTF-8", &format!("{head}.{}.{signature}", b64(b"{\"iss\":\"\xff\"}")), MALFORMED),
        bearer("longer than 8 KiB", &format!("{good}{}", "A".repeat(8 * 1024)), Refused(401, "token_too_large")),
        // What is not read does no harm: the token is acme's, and so is the point.
        bearer(
            "wishes on a good token are not read",
            &rsa.sign_texts(
                r#"{"alg":"RS256","typ":"at+jwt","kid":"../x","jku":"http://127.0.0.1:1/","jwk":7}"#,
                &acme,
            ),
            Taken(1),
        ),
    ]
}

/// The attacker's public key, as one would wrap it for `x5c`.
fn base64_certificate(key: &SigningKey) -> String {
    key.public_pem().lines().filter(|line| !line.starts_with('-')).collect()
}
