//! No text is more than a text: tried on a real InfluxDB.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tagline::answers::{Literal, Script};

use super::{ask, json};
use crate::support::{Bucket, influx, now_ms};

/// The texts that Flux gives back for these, byte for byte: as JSON of its own making, since its CSV tells no empty text from none.
async fn echoed(bucket: &Bucket, texts: &[String]) -> Vec<String> {
    let (mut head, mut rows) = (String::new(), String::new());
    for n in 0..texts.len() {
        writeln!(head, "text_{n} = \"\"").unwrap();
        writeln!(rows, "    {{n: {n}, text: text_{n}}},").unwrap();
    }
    let text = format!(
        "// An echo?\nimport \"array\"\nimport \"json\"\n\n{}\n\narray.from(rows: [\n{rows}])\n    |> map(fn: (r) => ({{n: r.n, json: string(v: json.encode(v: {{text: r.text}}))}}))\n",
        head.trim_end()
    );
    // A script's text is a file's of the repository, and lives as long.
    let script = Script { name: "queries/echo", text: Box::leak(text.into_boxed_str()) };
    let names: Vec<String> = (0..texts.len()).map(|n| format!("text_{n}")).collect();
    let values: Vec<(&str, Literal)> =
        names.iter().zip(texts).map(|(name, text)| (name.as_str(), Literal::text(text))).collect();
    let flux = script.bind(&values).expect("it binds");
    let mut rows = bucket.query(&flux).await;
    rows.sort_by_key(|row| row.int("n"));
    let text =
        |json: &str| serde_json::from_str::<serde_json::Value>(json).expect("JSON")["text"].as_str().map(str::to_owned);
    rows.iter().map(|row| text(row.text("json")).expect("a text")).collect()
}

#[tokio::test]
async fn every_text_comes_back_from_influxdb_byte_for_byte() {
    let bucket = influx().bucket("echo");
    let mut texts: Vec<String> = [
        " ",
        "\"",
        "\\",
        "\\\"",
        "\\\\",
        "\\n",
        "\n",
        "\r\n",
        "\r",
        "\t",
        "\0",
        "$",
        "${",
        "${x}",
        "$${x}",
        "\\${x}",
        "{x}",
        "\\x24{x}",
        "\\x22",
        "\\u{22}",
        "//",
        "/*",
        "*/",
        "'",
        "`",
        "\") |> drop() //",
        "\u{7f}",
        "\u{80}",
        "\u{85}",
        "\u{a0}",
        "\u{2028}",
        "\u{2029}",
        "\u{feff}",
        "\u{202e}",
        "\u{fffd}",
        "\u{ffff}",
        "\u{10ffff}",
        "größe",
        "日本",
        "🚒👩‍🚒",
        "e\u{301}",
    ]
    .map(str::to_owned)
    .into();
    texts.push((1..=0xff_u8).map(char::from).collect());
    texts.push("\\".repeat(1001));
    let any = prop_oneof![any::<String>(), "[\"\\\\${}x\n\r/*a ]{0,24}", "\\PC{0,40}"];
    let mut runner = TestRunner::new(ProptestConfig::default());
    texts.extend((0..400).map(|_| any.new_tree(&mut runner).expect("a text").current()));
    // Flux's own array.from fails (500, "column size mismatch") where the last text of a column is empty: it stands alone.
    texts.retain(|text| !text.is_empty());
    assert_eq!(echoed(&bucket, &[String::new()]).await, [""]);
    for texts in texts.chunks(150) {
        let back = echoed(&bucket, texts).await;
        assert_eq!(back.len(), texts.len());
        for (text, back) in texts.iter().zip(&back) {
            assert_eq!(text, back);
        }
    }
}

#[tokio::test]
async fn no_argument_reads_another_tenants_rows() {
    let bucket = influx().bucket("inject");
    let now = now_ms() * 1_000_000;
    let lines = ["acme", "globex"].map(|tenant| {
        format!(
            "frontend_performance,tenant_id={tenant},view_name=V,action_name=a,session_id=s-{tenant} duration_ms=5i {}\n",
            now - 60_000_000_000
        )
    });
    assert_eq!(bucket.write(lines.concat()).await.status, 204);
    let own = json(&bucket, &["p99", "--tenant", "acme", "--view", "V"]).await;
    assert_eq!(own["rows"][0]["events"], 1, "the plain question has a row: {own}");

    let all = format!("from(bucket: \"{}\") |> range(start: -1h)", bucket.name());
    for attack in [
        "V\" or true or r.tenant_id == \"globex".to_owned(),
        "V\" // \ntenant = \"globex\" // ".to_owned(),
        "${\"V\"}".to_owned(),
        "\\x22 or true or r.tenant_id == \\x22globex".to_owned(),
        format!("\"\n{all} |> yield(name: \"all\")\nx = \""),
        format!("${{{all} |> yield(name: \"all\")}}"),
    ] {
        for arguments in [
            &["p99", "--tenant", "acme", &format!("--view={attack}")][..],
            &["slowest", "--tenant", "acme", &format!("--action={attack}")],
            &["session", "--tenant", "acme", "--", &attack],
            &["run", "summary", "--set", "tenant=acme", "--set", &format!("view={attack}")],
        ] {
            // It is a name that nothing bears, and no mistake in a query.
            let ran = ask(&bucket, arguments).await;
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{arguments:?}: {ran:?}");
            assert!(ran.stderr.contains(" has no "), "{arguments:?}: {}", ran.stderr);
        }
    }
    // A bucket is one name, too.
    let ran =
        ask(&bucket, &["p99", "--tenant", "acme", &format!("--bucket={}\") |> limit(n: 1) //", bucket.name())]).await;
    assert!(ran.code == Some(1) && ran.stderr.contains("could not find bucket"), "{ran:?}");
}
