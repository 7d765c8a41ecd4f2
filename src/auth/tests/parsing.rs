//! Whatever is sent as a credential: nothing panics, and nothing is proven that was not signed.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::forge::{b64, header};
use super::*;
use crate::auth::cookie;

const HMAC: &str = "https://hmac.example";

/// Any JSON, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[a-z]{0,3}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A claim: often as it should be.
fn claim(good: Value) -> impl Strategy<Value = Value> {
    prop_oneof![3 => Just(good), 1 => any_json()]
}

/// Run longer by `make fuzz`.
mod property {
    use super::*;

    proptest! {
        #![proptest_config(crate::property::config(512))]

        #[test]
        fn what_nobody_signed_proves_nothing(
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
            text in "\\PC{0,80}|[A-Za-z0-9_=.-]{0,120}|(ey[A-Za-z0-9_-]{0,30}\\.){0,4}",
            top in any_json(),
            claims in any_json(),
            signature in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let built = format!("{}.{}.{}", b64(top.to_string()), b64(claims.to_string()), b64(&signature));
            let claimed = json!({ "iss": HMAC, "aud": AUDIENCE, "exp": NOW + 60, "tid": "acme" });
            let unsigned = format!("{}.{}.{}", b64(header("HS256")), b64(claimed.to_string()), b64(&signature));
            for token in [text.as_str(), &built, &unsigned] {
                prop_assert!(request().access_token(token).verify().is_err());
                prop_assert!(request().bearer(token).verify().is_err());
                prop_assert!(request().key(token).verify().is_err());
                let cookie = format!("{COOKIE}={token}");
                prop_assert!(request().cookie(cookie).origin("https://app.example").verify().is_err());
            }
            let request = request().authorization(&bytes).cookie(&bytes).tenant(&bytes).origin(&bytes);
            prop_assert!(request.verify().is_err());
        }

        /// Signed as it should be, with claims of every shape: it proves the tenant that its one claim names, in its time, or nothing.
        #[test]
        fn a_signed_token_proves_what_it_says_and_nothing_else(
            aud in claim(json!(AUDIENCE)),
            exp in claim(json!(NOW + 60)),
            nbf in claim(json!(NOW - 60)),
            tid in claim(json!("acme")),
            more in any_json(),
        ) {
            let claims = json!({ "iss": HMAC, "aud": aud, "exp": exp, "nbf": nbf, "tid": tid, "more": more });
            let token = KEYS.hmac.sign(&header("HS256"), &claims.to_string());
            let verified = request().bearer(&token).verify();
            let as_it_should_be = tid == "acme" && aud == AUDIENCE && exp == NOW + 60 && nbf == NOW - 60;
            match verified {
                Ok(tenant) => {
                    prop_assert_eq!(Some(tenant.id().as_str()), tid.as_str());
                    prop_assert!(exp.as_f64().is_some_and(|exp| exp > (NOW - LEEWAY) as f64), "{}", exp);
                    prop_assert!(nbf.as_f64().is_some_and(|nbf| nbf <= (NOW + LEEWAY) as f64), "{}", nbf);
                    prop_assert!(aud.to_string().contains(AUDIENCE), "{}", aud);
                }
                Err(refused) => prop_assert!(!as_it_should_be, "{}", refused.code),
            }
        }

        /// Between any other cookies the one that is looked for is found whole, and only under its own name.
        #[test]
        fn a_cookie_is_found_whatever_stands_around_it(
            before in proptest::collection::vec("[a-z]{1,6}=[ -:<-~]{0,12}", 0..5),
            after in proptest::collection::vec("[a-z]{1,6}=[ -:<-~]{0,12}", 0..5),
            value in "[A-Za-z0-9._=-]{1,40}",
            noise in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut all = before.clone();
            all.push(format!("WANTED={value}"));
            all.extend(after.iter().cloned());
            let header = all.join("; ");
            prop_assert_eq!(cookie::value(&[header.as_bytes()], "WANTED").unwrap(), Some(value.as_bytes()));
            let others = [before, after].concat().join(";");
            prop_assert_eq!(cookie::value(&[others.as_bytes()], "WANTED").unwrap(), None);
            // Any bytes at all: no panic, and never more than what stands there.
            let found = cookie::value(&[&noise, &noise], "a");
            prop_assert!(found.is_err() || found == Ok(None));
        }
    }
}
