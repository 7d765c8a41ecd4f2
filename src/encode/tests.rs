use influxdb_line_protocol::{FieldValue as Parsed, ParsedLine, parse_lines};
use proptest::prelude::*;

use super::*;

fn line(point: &Point<'_>) -> String {
    let mut line = Vec::new();
    encode(point, &mut line);
    String::from_utf8(line).unwrap()
}

fn field<'p>(name: &'p str, value: FieldValue<'p>) -> Point<'p> {
    // A leaked slice: a test's point may live as long as it likes.
    Point { measurement: "m", tags: &[], fields: Box::leak(Box::new([(name, value)])), time: 1 }
}

#[test]
fn a_point_is_one_line() {
    let point = Point {
        measurement: "frontend_performance",
        tags: &[("action_name", "fetch users"), ("tenant_id", "acme"), ("view_name", "a,b=c")],
        fields: &[
            ("duration_ms", FieldValue::Int(13)),
            ("ratio", FieldValue::Float(0.5)),
            ("trace_id", FieldValue::Str("say \"hi\" \\")),
        ],
        time: -7,
    };
    let wanted = "frontend_performance,action_name=fetch\\ users,tenant_id=acme,view_name=a\\,b\\=c \
                  duration_ms=13i,ratio=0.5,trace_id=\"say \\\"hi\\\" \\\\\" -7\n";
    assert_eq!(line(&point), wanted);
}

#[test]
fn what_a_tag_cannot_hold_is_replaced() {
    for (value, wanted) in [
        ("a\nforged,tenant_id=evil x=1", "a_forged\\,tenant_id\\=evil\\ x\\=1"),
        ("ends in \\", "ends\\ in\\ _"),
        ("\\\\", "__"),
        ("\0\t\r\x7F\u{85}\u{9F}", "______"),
        ("\u{A0}\u{2028}ü😀", "\u{A0}\u{2028}ü😀"),
        ("\"quoted\"", "\"quoted\""),
    ] {
        let point = Point { tags: &[("t", value)], ..field("f", FieldValue::Int(1)) };
        assert_eq!(line(&point), format!("m,t={wanted} f=1i 1\n"));
    }
}

#[test]
fn numbers_are_written_so_that_they_read_back() {
    for (value, wanted) in [
        (FieldValue::Int(i64::MIN), "-9223372036854775808i"),
        (FieldValue::Int(i64::MAX), "9223372036854775807i"),
        (FieldValue::Float(-0.0), "-0.0"),
        (FieldValue::Float(1.0), "1.0"),
        (FieldValue::Float(f64::MAX), "1.7976931348623157e308"),
        (FieldValue::Float(5e-324), "5e-324"),
        (FieldValue::Float(-1e-7), "-1e-7"),
    ] {
        assert_eq!(line(&field("f", value)), format!("m f={wanted} 1\n"));
    }
}

#[test]
fn an_empty_tag_is_left_out_and_no_line_is_a_comment() {
    let point = Point { measurement: "#m", tags: &[("a", ""), ("b", "1")], ..field("f", FieldValue::Int(1)) };
    assert_eq!(line(&point), "_m,b=1 f=1i 1\n");
}

#[test]
fn lines_are_cut_where_the_server_cuts_them() {
    let mut body = Vec::new();
    let points = [
        field("text", FieldValue::Str("two\nlines, a=\"b\" \\")),
        Point { tags: &[("t", "a\"b=\" c")], ..field("f", FieldValue::Str("\n")) },
        field("a\"b", FieldValue::Int(1)),
    ];
    for point in &points {
        encode(point, &mut body);
        body.push(b'\n');
    }
    let cut: Vec<_> = lines(&body).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let wanted: Vec<_> = points.iter().map(|point| line(point).trim_end_matches('\n').to_owned()).collect();
    assert_eq!(cut, wanted);
    assert_eq!(lines(b"").count(), 0);
    assert_eq!(lines(b"m f=1\nm f=2").count(), 2, "the last newline may be missing");
}

#[test]
fn a_buffer_that_is_large_enough_is_not_allocated_again() {
    let point = Point { tags: &[("a", "plain"), ("b", "es ca=ped\n")], ..field("f", FieldValue::Str("\"\\")) };
    let mut buffer = Vec::with_capacity(1 << 10);
    let counted = allocation_counter::measure(|| {
        encode(&point, &mut buffer);
    });
    assert_eq!(counted.count_total, 0);
}

/// Any text, with the characters that break formats far more often than chance would have them.
fn hostile() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => proptest::sample::select(",= \"\\\n\r\t\0#_a1.:é\u{7F}\u{85}\u{A0}\u{2028}\u{FEFF}😀".chars().collect::<Vec<_>>()),
        1 => any::<char>(),
    ];
    proptest::collection::vec(character, 0..12).prop_map(|characters| characters.into_iter().collect())
}

fn value() -> impl Strategy<Value = (i64, f64, String, u8)> {
    let integer = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(0)];
    let float = prop_oneof![
        any::<f64>().prop_filter("finite", |float| float.is_finite()),
        proptest::sample::select(vec![-0.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 1e16, 1e-7]),
    ];
    (integer, float, hostile(), 0..3_u8)
}

/// What a name reads back as: what it cannot hold is replaced, and nothing else.
fn written(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || c == '\\' { REPLACEMENT } else { c }).collect()
}

fn assert_same(point: &Point<'_>, parsed: &ParsedLine<'_>) {
    let mut measurement = written(point.measurement);
    if measurement.starts_with('#') {
        measurement.replace_range(..1, "_");
    }
    assert_eq!(parsed.series.measurement.as_str(), measurement);
    let tags: Vec<_> =
        point.tags.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (written(k), written(v))).collect();
    let parsed_tags: Vec<_> =
        parsed.series.tag_set.iter().flatten().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    assert_eq!(parsed_tags, tags);
    assert_eq!(parsed.field_set.len(), point.fields.len());
    for ((name, value), (parsed_name, parsed_value)) in point.fields.iter().zip(&parsed.field_set) {
        assert_eq!(parsed_name.as_str(), written(name));
        match (value, parsed_value) {
            (FieldValue::Int(number), Parsed::I64(parsed)) => assert_eq!(number, parsed),
            (FieldValue::Float(number), Parsed::F64(parsed)) => {
                assert_eq!(number.to_bits(), parsed.to_bits())
            }
            (FieldValue::Str(text), Parsed::String(parsed)) => assert_eq!(*text, parsed.as_str()),
            other => panic!("another type: {other:?}"),
        }
    }
    assert_eq!(parsed.timestamp, Some(point.time));
}

/// Run longer by `make fuzz`.
mod property {
    use super::*;

    proptest! {
        #![proptest_config(crate::property::config(1000))]

        #[test]
        fn every_line_parses_back_to_the_same_point(
            measurement in hostile(),
            tags in proptest::collection::vec((hostile(), hostile()), 0..5),
            fields in proptest::collection::vec((hostile(), value()), 1..5),
            time in any::<i64>(),
        ) {
            let name = |name: &String| if name.is_empty() { "x".to_owned() } else { name.clone() };
            let (measurement, tag_keys): (_, Vec<_>) = (name(&measurement), tags.iter().map(|(k, _)| name(k)).collect());
            let field_keys: Vec<_> = fields.iter().map(|(k, _)| name(k)).collect();
            let tags: Vec<_> = tag_keys.iter().zip(&tags).map(|(k, (_, v))| (k.as_str(), v.as_str())).collect();
            let fields: Vec<_> = field_keys.iter().zip(&fields).map(|(k, (_, (int, float, text, which)))| {
                let value = match which {
                    0 => FieldValue::Int(*int),
                    1 => FieldValue::Float(*float),
                    _ => FieldValue::Str(text),
                };
                (k.as_str(), value)
            }).collect();
            let point = Point { measurement: &measurement, tags: &tags, fields: &fields, time };
            let mut body = Vec::new();
            // Twice: a line must not reach into the next one either.
            encode(&point, &mut body);
            encode(&point, &mut body);
            let text = std::str::from_utf8(&body).unwrap();
            let parsed: Vec<_> = parse_lines(text).collect();
            prop_assert_eq!(parsed.len(), 2, "{}", text);
            prop_assert_eq!(lines(&body).count(), 2, "{}", text);
            for parsed in parsed {
                assert_same(&point, &parsed.unwrap_or_else(|error| panic!("{error}: {text}")));
            }
        }
    }
}
