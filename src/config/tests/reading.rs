//! Each mistake that one key can hold, at its line.

use super::{Case, INFLUXDB, TENANT};

#[test]
fn seven_mistakes_give_seven_findings_each_at_its_line() {
    let text = r#"[server]
listne = "0.0.0.0:8080"
drain_delay = "5 parsecs"
workers = "four"

[enrich]
session = "hash:9999"

[tenants."no good id"]
[tenants.acme]
[tenants.acme.keys.web]
key = "short"
origins = [
    "https://good.example",
    "https://bad.example/path",
]
"#;
    Case::with_influxdb(text).finds(&[
        ("settings.toml:2: server.listne: unknown key", "did you mean \"listen\"?"),
        (
            "settings.toml:3: server.drain_delay: \"5 parsecs\" is no duration; write for example \"5s\" or \"1m 30s\"",
            "",
        ),
        ("settings.toml:4: server.workers: \"four\" is wrong here", "whole number"),
        ("settings.toml:7: enrich.session: \"hash:9999\"", "1 to 4096"),
        ("settings.toml:9: tenants.no good id: ", "no tenant id"),
        ("settings.toml:12: tenants.acme.keys.web.key: the key is too short", "16 characters"),
        ("settings.toml:15: tenants.acme.keys.web.origins: \"https://bad.example/path\"", "no origin"),
    ]);
}

/// A file of one section, complete but for `line`, which stands at line 2, and what is told of it.
#[track_caller]
fn one(section: &str, line: &str, begin: &str, part: &str) {
    let text = format!("[{section}]\n{line}\n{TENANT}");
    Case::with_influxdb(&text).finds(&[(&format!("settings.toml:2: {begin}"), part)]);
}

#[test]
fn a_value_of_the_wrong_kind_or_range_is_told() {
    one("server", "workers = 2000", "server.workers: 2000 is out of range", "from 0 to 1024");
    one("server", "workers = 1.5", "server.workers: a number is wrong here", "whole number");
    one("server", "replicas = 0", "server.replicas: 0 is out of range", "");
    one("server", "drain_delay = 5", "server.drain_delay: a duration needs its unit", "\"5s\"");
    one("server", "drain_delay = \"200y\"", "server.drain_delay: ", "longer than 100 years");
    one("server", "max_body = \"1 parsec\"", "server.max_body: \"1 parsec\" is no size", "\"1MiB\"");
    one("server", "max_body = 1", "server.max_body: 1 bytes are out of range", "1KiB to 1GiB");
    one("server", "max_body = -1", "server.max_body: -1 bytes are out of range", "");
    one("server", "listen = \"localhost:8080\"", "server.listen: \"localhost:8080\"", "write \"127.0.0.1:8080\"");
    one("server", "listen = \":8080\"", "server.listen: ", "write \"0.0.0.0:8080\"");
    one(
        "server",
        "trusted_proxies = [\"10.0.0.0/33\"]",
        "server.trusted_proxies: \"10.0.0.0/33\"",
        "no address or network",
    );
    one("server", "trusted_proxies = \"10.0.0.1\"", "server.trusted_proxies: ", "list of addresses");
    one("influxdb", "gzip = \"yes\"", "influxdb.gzip: \"yes\" is wrong here", "true or false");
    one("influxdb", "url = \"https://u:p@h\"", "influxdb.url: the URL holds credentials", "token_file");
    one("influxdb", "url = \"https://h:port\"", "influxdb.url: ", "no base URL");
    one("enrich", "path_rules = [\"orders/{}\"]", "enrich.path_rules: \"orders/{}\"", "does not begin with");
    one("enrich", "path_rules = [\"/orders\"]", "enrich.path_rules: ", "no placeholder");
    one("spool", "durability = \"fsnyc\"", "spool.durability: \"fsnyc\"", "did you mean \"fsync\"?");
    one("spool", "on_full = \"drop\"", "spool.on_full: \"drop\"", "\"reject\" or \"drop_oldest\"");
    one("spool", "max_bytes = \"15MiB\"", "spool.max_bytes: ", "16MiB to 64TiB");
    one("log", "level = \"verbose\"", "log.level: \"verbose\" is no log level", "debug, trace");
    one("log", "level = \"tagline=loud\"", "log.level: \"tagline=loud\" is no log filter", "");
    one("log", "level = \" 𑴈=\"", "log.level: \" 𑴈=\" is no log filter", "ASCII");
    one("log", "format = \"xml\"", "log.format: \"xml\"", "\"json\"");
    one("tenant_defaults.limits", "spool_share = 1.5", "tenant_defaults.limits.spool_share: 1.5", "0 to 1");
    one("tenant_defaults.limits", "spool_share = nan", "tenant_defaults.limits.spool_share: NaN", "finite");
    one(
        "tenants.b.keys.k",
        "expires = \"soon\"\nkey = \"wk_b_0123456789abc\"\norigins = [\"*\"]",
        "tenants.b.keys.k.expires: \"soon\"",
        "no date",
    );
    one(
        "tenants.b.keys.k",
        "expires = 2030-01-01T00:00:00\nkey = \"wk_b_0123456789abc\"\norigins = [\"*\"]",
        "tenants.b.keys.k.expires: ",
        "offset",
    );
    one("tenants.b.keys.k", "key = \"has a space in it ok\"\norigins = [\"*\"]", "tenants.b.keys.k.key: ", "in a URL");
}

#[test]
fn whole_numbers_stand_for_numbers() {
    let text =
        format!("[tenant_defaults.limits]\nspool_share = 1\n[measurements.m.fields.f]\nmin = 1\nmax = 2.5\n{TENANT}");
    let settings = Case::with_influxdb(&text).good();
    assert_eq!(settings.catalog.get("m").unwrap().fields["f"].bounds.unwrap().min, 1.0);
    assert_eq!(settings.tenants.values().next().unwrap().limits.spool_share, 1.0);
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_known_one() {
    one("server", "drain_dely = \"5s\"", "server.drain_dely: unknown key", "did you mean \"drain_delay\"?");
    one("server", "Listen = \"0.0.0.0:1\"", "server.Listen: unknown key", "did you mean \"listen\"?");
    one("tenants.x", "limit = { burst = 1 }", "tenants.x.limit: unknown key", "did you mean \"limits\"?");
    one(
        "measurements.m.fields.f",
        "typ = \"int\"",
        "measurements.m.fields.f.typ: unknown key",
        "did you mean \"type\"?",
    );
    one("spool", "zzz = 1", "spool.zzz: unknown key", "known here: dir, durability");
    one(
        "influxdb",
        "drain_delay = \"5s\"",
        "influxdb.drain_delay: unknown key",
        "did you mean \"server.drain_delay\"?",
    );
    let sever = format!("[sever]\nlisten = \"0.0.0.0:1\"\n{TENANT}");
    Case::with_influxdb(&sever).finds(&[("settings.toml:1: sever: unknown key", "did you mean \"server\"?")]);
    let variable = Case::with_influxdb(TENANT).env(&[("TAGLINE__SERVER__LISTNE", "0.0.0.0:1")]);
    variable.finds(&[("TAGLINE__SERVER__LISTNE: server.listne: unknown key", "did you mean \"listen\"?")]);
}

#[test]
fn a_table_is_a_table_and_named_things_are_no_arrays() {
    Case::with_influxdb(&format!("server = 5\n{TENANT}"))
        .finds(&[("settings.toml:1: server: a table is wanted", "[server]")]);
    Case::with_influxdb("[[tenants]]\nid = \"a\"\n")
        .finds(&[("settings.toml:1: tenants: named things are tables", "[tenants.NAME]")]);
    Case::empty().env(&[("TAGLINE__SERVER", "5")]).finds(&[("TAGLINE__SERVER: server: a table is wanted", "")]);
    Case::empty()
        .env(&[("TAGLINE__", "5"), ("TAGLINE__SERVER____X", "5")])
        .finds(&[("TAGLINE__: ", "empty part"), ("TAGLINE__SERVER____X: ", "empty part")]);
}

#[test]
fn broken_toml_and_unreadable_files_are_told_with_their_place() {
    Case::of("[server]\nlisten = \"0.0.0.0:1\nx = 1\n").finds(&[("settings.toml:2:", "this is not TOML")]);
    Case::of("[server]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n")
        .finds(&[("settings.toml:3:1: this is not TOML: duplicate key", "")]);
    let mut missing = Case::empty();
    missing.file = Some(missing.dir.path().join("nowhere.toml"));
    missing.finds(&[("nowhere.toml: cannot be read", "No such file")]);
    // A tenants file that is missing is one finding, not a gateway without tenants as well.
    Case::with_influxdb("tenants_file = \"t.toml\"\n").finds(&[("t.toml: cannot be read", "tenants_file")]);
    let beside =
        Case::with_influxdb("tenants_file = \"t.toml\"\n").beside("t.toml", "[tenants.a]\n[server]\nworkers = 1\n");
    beside.finds(&[("t.toml:2: server: only [tenants.ID] and [tenant_defaults] may stand", "")]);
}

#[test]
fn a_secret_never_stands_in_toml_and_is_never_echoed() {
    let text = format!(
        "[influxdb]\ntoken = \"the-token-in-toml\"\n[server]\nproxy_secret = \"proxy-in-toml-0123\"\n[issuers.a]\nhmac_secret = \"hmac-in-toml\"\nissuer = \"i\"\naudience = \"a\"\nalgorithms = [\"HS256\"]\n{TENANT}"
    );
    let case = Case::of(&text).env(&INFLUXDB[..2]).env(&[("TAGLINE__SERVER__TRUSTED_PROXIES", "10.0.0.1")]);
    case.finds(&[
        ("settings.toml:2: influxdb.token: a secret may not stand in TOML; name a file in `token_file`, or set INFLUXDB_TOKEN", ""),
        ("settings.toml:4: server.proxy_secret: a secret may not", "`proxy_secret_file`, or set TAGLINE__SERVER__PROXY_SECRET"),
        ("settings.toml:6: issuers.a.hmac_secret: a secret may not", "TAGLINE__ISSUERS__A__HMAC_SECRET"),
    ]);
    assert!(!case.findings().join("").contains("in-toml"));
}
