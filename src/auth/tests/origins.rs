//! Origins read and rules written.

use proptest::prelude::*;

use super::*;
use crate::auth::origin::{Origin, Rule, Tuple};

fn admits(rule: &OriginRule, origin: &str) -> bool {
    Rule::new(rule).unwrap().admits(&Origin::read(&[origin.as_bytes()]).unwrap())
}

#[test]
fn rules_are_normalised_as_origins_are() {
    let rules = [
        OriginRule::Exact("HTTPS://App.Example:443".to_owned()),
        OriginRule::Exact("https://app.example".to_owned()),
        OriginRule::Subdomains { scheme: "https://".to_owned(), suffix: ".Example:443".to_owned() },
        OriginRule::Subdomains { scheme: "https".to_owned(), suffix: ".example".to_owned() },
    ];
    for rule in rules {
        assert!(admits(&rule, "https://app.example"), "{rule:?}");
        assert!(!admits(&rule, "https://app.example:444"), "{rule:?}");
    }
}

#[test]
fn a_rule_keeps_the_port_that_it_names() {
    let rule = rule_from_text("https://*.example.com:8443").unwrap();
    assert!(admits(&rule, "https://a.example.com:8443"));
    assert!(!admits(&rule, "https://a.example.com"));
    assert!(!admits(&rule, "https://a.example.com:18443"));
}

#[test]
fn other_schemes_and_addresses_are_origins_too() {
    for text in ["capacitor://localhost", "chrome-extension://abcdef", "http://[::1]:3000", "http://127.0.0.1:8080"] {
        let rule = rule_from_text(text).unwrap_or_else(|| panic!("{text}"));
        assert!(admits(&rule, text), "{text}");
    }
}

#[test]
fn what_is_no_origin_is_no_rule() {
    for text in [
        "",
        "app.example",
        "https://",
        "https://app.example/",
        "https://*",
        "https://a.*.example",
        "https://*.",
        "null",
        "https://a b",
    ] {
        assert_eq!(rule_from_text(text), None, "{text}");
    }
}

/// Run longer by `make fuzz`.
mod property {
    use super::*;

    proptest! {
        #![proptest_config(crate::property::config(256))]

        #[test]
        fn reading_an_origin_never_panics_and_is_stable(text in "\\PC{0,40}|https?://[a-zA-Z0-9.:@/\\[\\]-]{0,30}") {
            if let Some(tuple) = Tuple::parse(&text) {
                let again = Tuple::parse(&format!("{}://{}", text.split("://").next().unwrap(), tuple.authority()));
                prop_assert_eq!(again, Some(tuple));
            }
        }

        /// Whatever stands before or after a listed host, it is another host.
        #[test]
        fn no_addition_to_a_listed_origin_passes(before in "[a-z0-9.@:/-]{0,8}", after in "[a-z0-9.@:/-]{0,8}") {
            prop_assume!(!(before.is_empty() && (after.is_empty() || after == ":443")));
            let rule = rule_from_text("https://app.example").unwrap();
            let origin = format!("https://{before}app.example{after}");
            // Leading zeros of a port are the same port.
            prop_assume!(!(before.is_empty() && after.strip_prefix(':').is_some_and(|p| p.parse() == Ok(443u16))));
            prop_assert!(!admits(&rule, &origin), "{}", origin);
        }
    }
}
