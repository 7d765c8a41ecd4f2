//! What strangers' texts become: literals of Flux, or an error; never Flux.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use clap::Parser as _;

use super::super::super::{Arguments, Command, Failure};
use super::super::run;
use crate::answers::library;
use crate::clock::Clock;
use crate::config::{Settings, Sources, load_without_destination};

const NOW: i64 = 1_795_317_870_000_000_000;

/// Those of a machine on which nothing is set.
static SETTINGS: LazyLock<Settings> =
    LazyLock::new(|| load_without_destination(&Sources::default()).unwrap_or_else(|findings| panic!("{findings}")));

/// What `tagline query ARGUMENTS` prints.
async fn printed(arguments: &[&str]) -> Result<String, Failure> {
    let all = ["tagline", "query"].into_iter().chain(arguments.iter().copied());
    let parsed = Arguments::try_parse_from(all).map_err(|error| Failure::Misuse(error.to_string()))?;
    let Some(Command::Query(args)) = parsed.command else { panic!("{arguments:?} is no query") };
    let mut out = Vec::new();
    run(&args, &SETTINGS, &Clock::manual(NOW), &mut out).await?;
    Ok(String::from_utf8(out).expect("UTF-8"))
}

/// Texts that would be Flux, or end the literal that they stand in, or the line.
const ATTACKS: [&str; 16] = [
    "\"",
    "\\",
    "\\\"",
    "x\") |> yield(name: \"y\") //",
    "\" or r.tenant_id == \"globex",
    "\" + (from(bucket: \"b\") |> range(start: 0) |> findRecord(fn: (key) => true, idx: 0)).tenant_id + \"",
    "${r.tenant_id}",
    "$${x}",
    "a\nb = 1",
    "a\r\nb",
    "// comment",
    "/* comment",
    "\u{202e}evil\u{2066}",
    "\u{0}\u{1b}[2J\u{7f}\u{85}",
    "größe 日本 🚒",
    "\\x22 \\u{22} \\n",
];

#[tokio::test]
async fn no_text_is_more_than_one_literal_of_one_line() {
    let mut plain = BTreeMap::new();
    for (what, arguments) in texts("x") {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let flux = printed(&words).await.unwrap_or_else(|failure| panic!("{what}: {failure}"));
        plain.insert(what, flux);
    }
    for attack in ATTACKS {
        for (what, arguments) in texts(attack) {
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let flux = printed(&words).await.unwrap_or_else(|failure| panic!("{what} {attack:?}: {failure}"));
            let plain = &plain[&what];
            let changed: Vec<_> = flux.lines().zip(plain.lines()).filter(|(line, plain)| line != plain).collect();
            assert_eq!(flux.lines().count(), plain.lines().count(), "{what} {attack:?}: {flux}");
            let [(line, plain)] = changed[..] else { panic!("{what} {attack:?}: {changed:?}") };
            let (before, after) = plain.split_once("\"x\"").expect("the literal of the plain text");
            let literal = line.strip_prefix(before).and_then(|line| line.strip_suffix(after));
            let literal = literal.unwrap_or_else(|| panic!("{what} {attack:?}: {line}"));
            assert_eq!(literal_of(literal).as_deref(), Some(attack), "{what}: {literal}");
        }
    }
}

/// Each argument that takes any text, with this one.
fn texts(text: &str) -> Vec<(String, Vec<String>)> {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut all = vec![
        ("--view".to_owned(), owned(&["p99", "--tenant", "acme", "--flux", &format!("--view={text}")])),
        ("--action".to_owned(), owned(&["p99", "--tenant", "acme", "--flux", &format!("--action={text}")])),
        ("compare --view".to_owned(), owned(&["compare", "--tenants", "a,b", "--flux", &format!("--view={text}")])),
        ("compare --action".to_owned(), owned(&["compare", "--tenants", "a,b", "--flux", &format!("--action={text}")])),
        ("--bucket".to_owned(), owned(&["p99", "--tenant", "acme", "--flux", &format!("--bucket={text}")])),
        ("session".to_owned(), owned(&["session", "--tenant", "acme", "--flux", "--", text])),
    ];
    for (script, input) in inputs() {
        all.push((format!("{script} {input}"), owned(&["run", script, "--flux", "--set", &format!("{input}={text}")])));
    }
    all
}

/// Each input of each script that takes any text.
fn inputs() -> Vec<(&'static str, &'static str)> {
    use crate::answers::Kind;
    let all = library::QUERIES.iter().flat_map(|script| {
        let name = script.name.strip_prefix("queries/").unwrap_or(script.name);
        script.inputs().into_iter().filter(|input| input.kind == Kind::Text).map(move |input| (name, input.name))
    });
    all.filter(|(_, input)| !input.starts_with("tenant")).collect()
}

/// Reads a string literal of Flux: what it stands for, if it is one and no more.
fn literal_of(text: &str) -> Option<String> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::new();
    let mut rest = inside.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next()? {
                'x' => {
                    let digits: String = rest.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).ok()?);
                }
                c @ ('"' | '\\') => bytes.push(c as u8),
                _ => return None,
            },
            '"' | '$' => return None,
            c if c.is_control() => return None,
            c => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    String::from_utf8(bytes).ok()
}

#[tokio::test]
async fn what_is_no_tenant_is_refused_before_anything_is_asked() {
    for attack in ATTACKS.into_iter().chain(["", "acme ", "a.b", "a*", "acme,globex,initech"]) {
        let tenant = format!("--tenant={attack}");
        let tenants = format!("--tenants=acme,{attack}");
        for arguments in [
            &["p99", &tenant, "--flux"][..],
            &["slowest", &tenant, "--flux"],
            &["session", "x", &tenant, "--flux"],
            &["compare", &tenants, "--flux"],
            &["explain", &tenants, "--flux"],
        ] {
            // Blanks around a list's items are no part of them.
            if arguments[1].contains("acme ") || arguments[1].ends_with("acme,acme") {
                continue;
            }
            match printed(arguments).await {
                Err(Failure::Misuse(_)) => {}
                other => panic!("{arguments:?}: {other:?}"),
            }
        }
        for name in ["tenant=", "tenant_a="] {
            let script = if name == "tenant=" { "summary" } else { "compare" };
            let set = format!("{name}{attack}");
            let refused = printed(&["run", script, "--flux", "--set", &set]).await;
            assert_eq!(refused.is_err(), !attack.is_empty(), "{set}: {refused:?}");
        }
    }
    assert!(matches!(printed(&["compare", "--tenants", "acme,acme", "--flux"]).await, Err(Failure::Misuse(_))));
}

#[tokio::test]
async fn a_set_input_takes_its_own_kind_and_nothing_else() {
    for (set, expected) in [
        ("start=-2h", "start = -2h"),
        ("start=2026-11-22T03:24:30Z", "start = time(v: 1795317870000000000)"),
        ("stop=now", "stop = now()"),
        ("every=90s", "every = 90s"),
        ("tenant=globex", "tenant = \"globex\""),
        ("tenant=", "tenant = \"\""),
        ("view=a=b", "view = \"a=b\""),
    ] {
        let flux =
            printed(&["run", "percentiles", "--flux", "--set", set]).await.unwrap_or_else(|f| panic!("{set}: {f}"));
        assert!(flux.lines().any(|line| line.split(" //").next() == Some(expected)), "{set}: {flux}");
    }
    for (set, word) in [
        ("start=-1h) |> drop()", "--set start"),
        ("start=yesterday", "-1h or now"),
        ("stop=now() + 1h", "--set stop"),
        ("every=1m |> x", "--set every"),
        ("every=0s", "at least 1s"),
        ("nothing=1", "it has bucket, tenant"),
        ("tenant", "tenant=acme"),
    ] {
        match printed(&["run", "percentiles", "--flux", "--set", set]).await {
            Err(Failure::Misuse(why)) => assert!(why.contains(word), "{set}: {why}"),
            other => panic!("{set}: {other:?}"),
        }
    }
    let twice = printed(&["run", "percentiles", "--flux", "--set", "tenant=a", "--set", "tenant=b"]).await;
    assert!(matches!(&twice, Err(Failure::Misuse(why)) if why.contains("twice")), "{twice:?}");
    let near = printed(&["run", "percentile", "--flux"]).await;
    assert!(matches!(&near, Err(Failure::Misuse(why)) if why.contains("did you mean percentiles?")), "{near:?}");
}

#[tokio::test]
async fn a_long_range_is_asked_of_the_rollups_unless_points_are_wanted() {
    for (arguments, script) in [
        (&["p99", "--tenant", "acme", "--since", "6h"][..], "percentiles"),
        (&["p99", "--tenant", "acme", "--since", "7h"], "percentiles-rollup"),
        (&["p99", "--tenant", "acme", "--since", "7h", "--raw"], "percentiles"),
        (&["compare", "--tenants", "a,b", "--since", "7d"], "compare-rollup"),
        (&["tenants", "--since", "7d"], "summary-rollup"),
        (&["tenants"], "summary"),
    ] {
        let flux = printed(&[arguments, &["--flux"]].concat()).await.unwrap_or_else(|f| panic!("{arguments:?}: {f}"));
        let file = library::query(script).unwrap_or_else(|| panic!("{script} is in the library"));
        assert_eq!(flux.lines().next(), file.text.lines().next(), "{arguments:?}");
    }
}

#[tokio::test]
async fn too_many_windows_and_names_that_cannot_be_stored_are_refused() {
    let long = "x".repeat(513);
    for (arguments, word) in [
        (&["p99", "--tenant", "acme", "--since", "30d", "--every", "1s"][..], "10000 are the most"),
        (&["p99", "--tenant", "acme", "--view", &long], "513 bytes"),
        (&["p99", "--tenant", "acme", "--view", ""], "empty"),
        (&["session", &long, "--tenant", "acme"], "128"),
        (&["explain", "--tenants", "a,b", "--by", "a b"], "no tag"),
        (&["explain", "--tenants", "a,b", "--by", "a,b,c,d,e"], "four"),
        (&["explain", "--tenants", "a,b", "--most", "0"], "1 to"),
        (&["p99", "--tenant", "acme", "--since", "1h", "--from", "2026-01-01"], "cannot be used with"),
        (&["p99", "--tenant", "acme", "--until", "2026-01-01"], "--from"),
        (&["p99", "--tenant", "acme", "--json", "--csv"], "cannot be used with"),
        (&["p99", "--tenant", "acme"], "INFLUXDB_READ_TOKEN"),
        (&["run"], "required"),
    ] {
        match printed(arguments).await {
            Err(Failure::Misuse(why)) => assert!(why.contains(word), "{arguments:?}: {why}"),
            other => panic!("{arguments:?}: {other:?}"),
        }
    }
}
