use std::time::Duration;

use super::{BindError, Kind, Literal, Script, library};

const SCRIPT: Script = Script {
    name: "queries/test",
    text: "// What is it?\n//\nimport \"date\"\n\nbucket = \"b\"    // where\ntenant = \"\"\nstart = -1h\nevery = 1m\nids = [\"a\"]\nleast = 20\nq = 0.99\n\nafter = \"no input\"\nfrom(bucket: bucket)\n",
};

#[test]
fn the_inputs_are_the_first_run_of_assignments() {
    let inputs = SCRIPT.inputs();
    let found: Vec<_> = inputs.iter().map(|input| (input.name, input.kind)).collect();
    let expected = [
        ("bucket", Kind::Text),
        ("tenant", Kind::Text),
        ("start", Kind::Moment),
        ("every", Kind::Duration),
        ("ids", Kind::List),
        ("least", Kind::Int),
        ("q", Kind::Float),
    ];
    assert_eq!(found, expected);
    assert_eq!(inputs[0].doc, Some("where"));
    assert_eq!(SCRIPT.title(), "What is it?");
}

#[test]
fn values_take_the_place_of_defaults_and_nothing_else_changes() {
    let bound = SCRIPT
        .bind(&[
            ("tenant", Literal::text("acme")),
            ("start", Literal::ago(Duration::from_secs(7200))),
            ("ids", Literal::texts(["x", "y"])),
        ])
        .expect("it binds");
    let expected = SCRIPT
        .text
        .replace("tenant = \"\"", "tenant = \"acme\"")
        .replace("-1h", "-2h")
        .replace("[\"a\"]", "[\"x\", \"y\"]");
    assert_eq!(bound, expected);
}

#[test]
fn a_name_that_is_no_input_and_a_value_of_another_kind_are_refused() {
    let unknown = BindError::Unknown { script: "queries/test", name: "after".to_owned() };
    assert_eq!(SCRIPT.bind(&[("after", Literal::text("x"))]), Err(unknown));
    assert!(matches!(SCRIPT.bind(&[("tenant", Literal::int(1))]), Err(BindError::Kind { .. })));
}

#[test]
fn a_text_cannot_end_its_literal() {
    for (text, expected) in [
        (r#"a" or true"#, r#""a\" or true""#),
        (r"a\", r#""a\\""#),
        ("${r.x}", r#""\x24{r.x}""#),
        ("a\nb", r#""a\x0ab""#),
        ("\u{85}", r#""\xc2\x85""#),
        ("größe", "\"größe\""),
    ] {
        assert_eq!(Literal::text(text).text, expected, "{text:?}");
    }
}

#[test]
fn each_query_has_a_title_and_inputs_that_bind() {
    for script in library::QUERIES {
        assert!(script.title().contains('?'), "{}: {:?}", script.name, script.title());
        let bucket = script.inputs().into_iter().find(|input| matches!(input.name, "bucket" | "rollup_bucket"));
        assert_eq!(bucket.map(|input| input.kind), Some(Kind::Text), "{}", script.name);
    }
}
