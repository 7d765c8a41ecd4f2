//! The readers of single values, and that no text at all upsets the loader.

use proptest::prelude::*;

use super::Case;
use crate::config::values;
use crate::config::{OriginRule, PathRule, SessionMode};

#[test]
fn readers_read() {
    assert_eq!(values::size("1MiB"), Ok(1 << 20));
    assert_eq!((values::size("256 kB"), values::size("7")), (Ok(256_000), Ok(7)));
    assert!(values::size("99999999999TiB").is_err() && values::size("-1").is_err() && values::size("1.5MiB").is_err());
    assert_eq!(values::session("hash:4096"), Ok(SessionMode::Hash(4096)));
    assert!(["hash:0", "hash:4097", "hash:", "Tag"].iter().all(|text| values::session(text).is_err()));
    assert_eq!(values::origin("*"), Ok(OriginRule::Any));
    assert_eq!(values::origin("HTTPS://App.Example:443"), Ok(OriginRule::Exact("https://app.example".into())));
    assert_eq!(values::origin("http://[::1]:3000"), Ok(OriginRule::Exact("http://[::1]:3000".into())));
    let subdomains = OriginRule::Subdomains { scheme: "https://".into(), suffix: ".example.com:8443".into() };
    assert_eq!(values::origin("https://*.example.com:8443"), Ok(subdomains));
    for bad in [
        "app.example",
        "https://a/",
        "https://*",
        "https://a.*.b",
        "https://",
        "https://a b",
        "null",
        "https://u@h",
        "https://a:x",
    ] {
        assert!(values::origin(bad).is_err(), "{bad}");
    }
    let rule = PathRule { segments: vec![Ok("orders".into()), Err("id".into()), Err("line".into())] };
    assert_eq!(values::path_rule("/orders/{}/{line}"), Ok(rule));
    assert!(["/a//{}", "/a{b}", "/{a b}", "/a/{}?q", ""].iter().all(|text| values::path_rule(text).is_err()));
    assert_eq!(values::instant("1970-01-02"), Ok(86_400_000_000_000));
    assert_eq!(values::instant("2000-03-01T01:00:00+01:00"), Ok(951_868_800_000_000_000));
    assert_eq!(values::instant("2024-02-29T23:59:59.5Z"), Ok(1_709_251_199_500_000_000));
    assert!(values::instant("9999-01-01").is_err());
    assert!(values::algorithm("none").unwrap_err().contains("nobody signed"));
    assert!(values::algorithm("RS265").unwrap_err().contains("did you mean \"RS256\""));
}

/// Run longer by `make fuzz`.
mod property {
    use super::*;

    proptest! {
        #![proptest_config(crate::property::config(256))]

        /// Whatever stands in a file or a variable: findings or settings, never a panic.
        #[test]
        fn no_text_makes_the_loader_panic(text in any::<String>(), key in "[A-Z_]{0,30}", value in any::<String>()) {
            let case = Case::of(&text).env(&[(&format!("TAGLINE__{key}"), &value)]);
            let _ = case.load();
            let toml = toml_string(&text);
            let lines = ["enrich.session", "enrich.path_rules", "influxdb.url", "server.listen", "tenants.a.keys.b.origins", "log.level", "tenants.a.keys.b.expires"];
            let all: String = lines.iter().map(|key| format!("{key} = {toml}\n")).collect();
            let _ = Case::of(&all).load();
            let _ = (values::origin(&text), values::url(&text), values::path_rule(&text), values::instant(&text));
            let _ = (values::size(&text), values::network(&text), values::tag_value(&text), values::duration(&text));
        }

        /// Dates agree with another implementation.
        #[test]
        fn instants_agree_with_humantime(seconds in 0_u64..9_000_000_000) {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            let nanos = values::instant(&humantime::format_rfc3339_seconds(time).to_string());
            prop_assert_eq!(nanos, Ok(seconds as i64 * 1_000_000_000));
        }
    }
}

fn toml_string(text: &str) -> String {
    let escaped: String = text.chars().map(|c| format!("\\U{:08X}", c as u32)).collect();
    format!("\"{escaped}\"")
}
