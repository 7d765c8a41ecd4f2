//! The mistakes that show only when values stand side by side.

use secrecy::ExposeSecret;

use super::{Case, TENANT, ec_pem, pem, rsa_pem};

#[test]
fn a_burst_below_max_events_is_told_where_it_was_made() {
    let text = format!("[tenants.b.limits]\nburst = 4999\n[tenants.c.limits]\nburst = 5000\n{TENANT}");
    Case::with_influxdb(&text).finds(&[(
        "settings.toml:2: tenants.b.limits.burst: the burst 4999 is below server.max_events 5000",
        "raise the burst",
    )]);
    let text = format!("[tenant_defaults.limits]\nburst = 10\n{TENANT}");
    Case::with_influxdb(&text).finds(&[("settings.toml:2: tenant_defaults.limits.burst", "")]);
    let text = format!("[server]\nmax_events = 20001\n{TENANT}");
    Case::with_influxdb(&text).finds(&[("settings.toml:2: server.max_events: the burst 20000", "")]);
}

#[test]
fn two_owners_of_one_write_key_are_told_without_the_key() {
    let other = "[tenants.other.keys.a]\nkey = \"wk_acme_0123456789\"\norigins = [\"*\"]\n";
    let case = Case::with_influxdb(&format!("{TENANT}{other}"));
    case.finds(&[(
        "settings.toml:5: tenants.other.keys.a.key: tenants.acme.keys.web (",
        "settings.toml:2) has the same key",
    )]);
    assert!(!case.findings()[0].contains("0123456789"));
    let own = "[tenants.acme.keys.second]\nkey = \"wk_acme_0123456789\"\norigins = [\"*\"]\n";
    Case::with_influxdb(&format!("{TENANT}{own}"))
        .finds(&[("settings.toml:5: tenants.acme.keys.second.key: tenants.acme.keys.web", "")]);
}

#[test]
fn a_write_key_needs_a_key_and_origins_and_known_measurements() {
    Case::with_influxdb("[tenants.a.keys.k]\norigins = [\"*\"]\n")
        .finds(&[("settings.toml:1: tenants.a.keys.k.key: missing", "")]);
    Case::with_influxdb("[tenants.a.keys.k]\nkey = \"wk_acme_0123456789\"\n")
        .finds(&[("settings.toml:1: tenants.a.keys.k.origins: missing", "")]);
    let text = format!("{TENANT}measurements = [\n  \"web_vitals_lcp\",\n  \"web_vital_inp\",\n]\n");
    Case::with_influxdb(&text).finds(&[(
        "settings.toml:6: tenants.acme.keys.web.measurements: \"web_vital_inp\"",
        "did you mean \"web_vitals_inp\"?",
    )]);
}

/// An issuer with these lines beside its name and audience (lines 1 to 3).
fn issuer(lines: &str) -> Case {
    Case::with_influxdb(&format!("[issuers.i]\nissuer = \"https://i\"\naudience = \"tagline\"\n{lines}\n"))
        .beside("rsa.pem", &rsa_pem())
        .beside("ec.pem", &ec_pem())
        .beside("hmac", "0123456789abcdef0123456789abcdef\n")
}

#[test]
fn a_complete_issuer_is_good() {
    let settings = issuer("algorithms = [\"RS256\", \"PS512\"]\npublic_key_file = \"rsa.pem\"").good();
    assert_eq!(
        (settings.issuers["i"].audience.as_slice(), settings.issuers["i"].tenant_claim.as_str()),
        (&["tagline".to_owned()][..], "tenant_id")
    );
    issuer("algorithms = [\"ES256\"]\npublic_key_file = \"ec.pem\"\ntenant_claim = \"/a/b\"").good();
    issuer("algorithms = [\"HS256\"]\nhmac_secret_file = \"hmac\"").good();
    issuer("algorithms = [\"HS256\"]")
        .env(&[("TAGLINE__ISSUERS__I__HMAC_SECRET", "0123456789abcdef0123456789abcdef")])
        .good();
}

#[test]
fn an_issuer_without_audience_algorithms_or_key_is_told() {
    Case::with_influxdb("[issuers.i]\n").finds(&[
        ("settings.toml:1: issuers.i: no key", "public_key_file"),
        ("settings.toml:1: issuers.i.algorithms: missing", ""),
        ("settings.toml:1: issuers.i.audience: missing", ""),
        ("settings.toml:1: issuers.i.issuer: missing", ""),
    ]);
    issuer("algorithms = []\nhmac_secret_file = \"hmac\"")
        .finds(&[("settings.toml:1: issuers.i.algorithms: missing", "")]);
}

#[test]
fn an_algorithm_and_a_key_that_do_not_fit_are_told() {
    issuer("algorithms = [\"HS256\"]\npublic_key_file = \"rsa.pem\"")
        .finds(&[("settings.toml:4: issuers.i.algorithms: HS256 needs a shared secret", "anybody could sign")]);
    issuer("algorithms = [\"RS256\"]\nhmac_secret_file = \"hmac\"")
        .finds(&[("settings.toml:4: issuers.i.algorithms: RS256 needs a public key", "")]);
    issuer("algorithms = [\"ES256\"]\npublic_key_file = \"rsa.pem\"")
        .finds(&[("settings.toml:5: issuers.i.public_key_file: ", "no public key for ES256")]);
    issuer("algorithms = [\"RS256\"]\npublic_key_file = \"ec.pem\"")
        .finds(&[("settings.toml:5: issuers.i.public_key_file: ", "no public key for RS256")]);
    issuer("algorithms = [\"RS256\"]\npublic_key_file = \"rsa.pem\"\nhmac_secret_file = \"hmac\"")
        .finds(&[("settings.toml:5: issuers.i.public_key_file: ", "leave one of the two out")]);
    issuer("algorithms = [\"none\"]\npublic_key_file = \"rsa.pem\"")
        .finds(&[("settings.toml:4: issuers.i.algorithms: \"none\"", "nobody signed")]);
}

#[test]
fn a_key_file_that_is_of_no_use_is_told() {
    let with = |name: &str| issuer(&format!("algorithms = [\"RS256\"]\npublic_key_file = \"{name}\""));
    with("nowhere.pem")
        .finds(&[("settings.toml:5: issuers.i.public_key_file: nowhere.pem cannot be read", "No such file")]);
    with("hmac").finds(&[("settings.toml:5: issuers.i.public_key_file: hmac is not PEM", "BEGIN PUBLIC KEY")]);
    let private = with("private.pem").beside("private.pem", &pem("PRIVATE KEY", b"not a key, but named like one"));
    private.finds(&[("settings.toml:5: issuers.i.public_key_file: private.pem holds a private key", "pubout")]);
    let short = issuer("algorithms = [\"HS256\"]\nhmac_secret_file = \"short\"").beside("short", "0123456789\n");
    short.finds(&[("settings.toml:5: issuers.i.hmac_secret_file: the secret is too short", "32 bytes")]);
}

#[test]
fn two_issuers_with_one_claim_and_a_long_leeway_are_told() {
    let row = "issuer = \"https://i\"\naudience = \"t\"\nalgorithms = [\"RS256\"]\npublic_key_file = \"rsa.pem\"\n";
    let text = format!("[issuers.a]\n{row}[issuers.b]\n{row}leeway = \"1h\"\n");
    let case = Case::with_influxdb(&text).beside("rsa.pem", &rsa_pem());
    case.finds(&[
        ("settings.toml:7: issuers.b.issuer: issuers.a (settings.toml:2) has the same issuer", ""),
        ("settings.toml:11: issuers.b.leeway: more than 5 minutes", ""),
    ]);
}

#[test]
fn a_secret_and_its_file_are_one_too_many() {
    let case = Case::with_influxdb(&format!("[influxdb]\ntoken_file = \"t\"\n{TENANT}")).beside("t", "token\n");
    case.finds(&[("settings.toml:2: influxdb.token_file: `token` is set too, by INFLUXDB_TOKEN", "leave one")]);
    let file = format!("[influxdb]\nurl = \"http://i\"\norg = \"o\"\ntoken_file = \"t\"\n{TENANT}");
    Case::of(&file).finds(&[("settings.toml:4: influxdb.token_file: t cannot be read", "")]);
    Case::of(&file).beside("t", "\n").finds(&[("settings.toml:4: influxdb.token_file: t is empty", "")]);
    Case::of(&file)
        .beside("t", "a\nb\n")
        .finds(&[("settings.toml:4: influxdb.token_file: t is empty or holds more than one line", "")]);
    Case::of(&file).beside("t", "token\r\n").good();
}

#[test]
fn trusted_proxies_and_their_secret_come_together() {
    Case::with_influxdb(&format!("[server]\ntrusted_proxies = [\"10.0.0.1\"]\n{TENANT}"))
        .finds(&[("settings.toml:2: server.trusted_proxies: there is no proxy_secret", "`proxy_secret_file`")]);
    let secret = [("TAGLINE__SERVER__PROXY_SECRET", "sixteen-characters")];
    Case::with_influxdb(TENANT)
        .env(&secret)
        .finds(&[("TAGLINE__SERVER__PROXY_SECRET: server.proxy_secret: no proxy is trusted", "")]);
    let both = format!("[server]\ntrusted_proxies = [\"10.0.0.1\"]\n{TENANT}");
    Case::with_influxdb(&both).env(&secret).good();
    Case::with_influxdb(&both)
        .env(&[("TAGLINE__SERVER__PROXY_SECRET", "short")])
        .finds(&[("TAGLINE__SERVER__PROXY_SECRET: ", "too short")]);
}

#[test]
fn a_file_holds_the_proxies_secrets_one_a_line() {
    let config = format!("[server]\ntrusted_proxies = [\"10.0.0.1\"]\nproxy_secret_file = \"p\"\n{TENANT}");
    let holding = |text: &str| Case::with_influxdb(&config).beside("p", text);
    let secrets = |text: &str| {
        let settings = holding(text).good();
        settings.server.proxy_secrets.iter().map(|secret| secret.expose_secret().to_owned()).collect::<Vec<_>>()
    };
    let [first, second] = ["the-first-of-the-secrets", "the-second-of-them-all"];
    assert_eq!(secrets(first), [first]);
    assert_eq!(secrets(&format!("{first}\r\n{second}\n")), [first, second]);
    let place = "settings.toml:3: server.proxy_secret_file: ";
    holding(&format!("{first}\nshort")).finds(&[(place, "too short")]);
    for text in
        ["", "\n", &format!("{first}\n\n{second}"), &format!("{first}\n").repeat(5), &format!("{first}\t{second}")]
    {
        holding(text).finds(&[(&format!("{place}p must hold one secret a line, 4 at the most"), "")]);
    }
}

#[test]
fn listeners_and_sizes_that_contradict_each_other_are_told() {
    let text = format!("[server]\nlisten = \"0.0.0.0:8081\"\n{TENANT}");
    Case::with_influxdb(&text).finds(&[("settings.toml:2: server.listen: ", "are one")]);
    Case::with_influxdb(&format!("[server]\nlisten = \"0.0.0.0:0\"\nadmin_listen = \"0.0.0.0:0\"\n{TENANT}")).good();
    let text = format!("[server]\nmax_body = \"9MiB\"\n{TENANT}");
    Case::with_influxdb(&text).finds(&[("settings.toml:2: server.max_body: max_inflated is smaller", "")]);
}

#[test]
fn a_file_without_tenants_and_issuers_is_told() {
    Case::with_influxdb("[server]\nworkers = 1\n")
        .finds(&[("settings.toml: configures no tenant and no issuer", "[tenants.ID]")]);
}

#[test]
fn reserved_and_badly_formed_names_are_told() {
    let at = |text: &str, wanted: (&str, &str)| Case::with_influxdb(&format!("{text}\n{TENANT}")).finds(&[wanted]);
    for name in ["caddy_http_requests", "gateway_outcomes", "_internal"] {
        at(&format!("[measurements.{name}]"), (&format!("settings.toml:1: measurements.{name}: "), "is reserved"));
    }
    at("[measurements.\"bad name\"]", ("settings.toml:1: measurements.bad name: ", "no name of a measurement"));
    at(&format!("[measurements.{}]", "m".repeat(65)), ("settings.toml:1: ", "no name of a measurement"));
    for name in [
        "tenant_id",
        "session_id",
        "session",
        "session_bucket",
        "host",
        "instance",
        "trace_id",
        "time",
        "_x",
        "view_name",
    ] {
        at(
            &format!("[measurements.m]\nfields.{name} = {{}}"),
            (&format!("settings.toml:2: measurements.m.fields.{name}: \"{name}\" is re"), ""),
        );
        at(
            &format!("[measurements.m]\ntags = [\"{name}\"]"),
            (&format!("settings.toml:2: measurements.m.tags: \"{name}\" is re"), ""),
        );
        at(
            &format!("[enrich.static_tags]\n{name} = \"x\""),
            (&format!("settings.toml:2: enrich.static_tags.{name}: \"{name}\" is re"), ""),
        );
    }
    at(
        "[measurements.m]\nneeds = [\"tenant_id\"]",
        ("settings.toml:2: measurements.m.needs: \"tenant_id\" is reserved", ""),
    );
    at(
        "[measurements.m]\nneeds = [\"f\"]\nfields.f = {}",
        ("settings.toml:3: measurements.m.fields.f: it is a tag", ""),
    );
    at(
        "[measurements.m]\ntags = [\"f\"]\nfields.f = {}",
        ("settings.toml:3: measurements.m.fields.f: it is a tag", ""),
    );
    at(
        "[measurements.m.fields.f]\nmin = 2\nmax = 1.5",
        ("settings.toml:2: measurements.m.fields.f.min: min 2 is greater", "exchange"),
    );
}

#[test]
fn static_tags_hold_what_a_tag_can_hold() {
    let at = |value: &str, part: &str| {
        let case = Case::with_influxdb(&format!("[enrich.static_tags]\nenv = {value}\n{TENANT}"));
        case.finds(&[("settings.toml:2: enrich.static_tags.env: ", part)]);
    };
    at("\"\"", "empty");
    at("\"a\\nb\"", "control character");
    at("'a\\'", "backslash");
    at("5", "wanted: tag value");
    let field = Case::with_influxdb(&format!("[enrich.static_tags]\nduration_ms = \"x\"\n{TENANT}"));
    field.finds(&[("settings.toml:2: enrich.static_tags.duration_ms: it is a field of the measurement", "")]);
    let good = Case::with_influxdb(&format!("[enrich.static_tags]\nenv = \"prod eu,=1\"\n{TENANT}")).good();
    assert_eq!(good.enrich.static_tags["env"], "prod eu,=1");
}
