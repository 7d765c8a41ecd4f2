use super::{ReadError, Table, Value, rfc3339};

fn read(text: &str) -> Result<Table, ReadError> {
    Table::parse(text.as_bytes())
}

const HEAD: &str = "#datatype,string,long,string,double,long,dateTime:RFC3339,boolean,unsignedLong\r\n\
                    #group,false,false,true,false,false,false,false,false\r\n\
                    #default,_result,,,,,,,\r\n\
                    ,result,table,tenant_id,p99,events,_time,good,big\r\n";

#[test]
fn each_type_is_read_and_a_null_is_no_value() {
    let text = format!(
        "{HEAD},,0,acme,1.5,7,2026-11-22T03:02:30.123456789Z,true,18446744073709551615\r\n,,0,,,,,,\r\n,,0,x,+Inf,-1,1950-01-01T00:00:00Z,false,0\r\n\r\n"
    );
    let table = read(&text).expect("it is annotated CSV");
    assert_eq!(table.columns(), ["tenant_id", "p99", "events", "_time", "good", "big"]);
    let rows: Vec<_> = table.rows().collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0].text("tenant_id"), Some("acme"));
    assert_eq!((rows[0].number("p99"), rows[0].number("events")), (Some(1.5), Some(7.0)));
    assert_eq!(rows[0].time("_time"), Some(1_795_316_550_123_456_789));
    assert_eq!((rows[0].get("good"), rows[0].get("big")), (Some(&Value::Bool(true)), Some(&Value::UInt(u64::MAX))));
    assert!(rows[1].cells().all(|(_, value)| value.is_none()), "{:?}", rows[1]);
    assert_eq!(rows[2].number("p99"), Some(f64::INFINITY));
    assert_eq!(rows[2].text("_time"), Some("1950-01-01T00:00:00Z"), "what cannot be a moment here is shown as it came");
}

#[test]
fn tables_of_different_columns_become_one() {
    let other = "#datatype,string,long,long,string\r\n#group,false,false,false,true\r\n#default,_result,,,all\r\n,result,table,events,view_name\r\n,,1,3,\r\n";
    let first = format!("{HEAD},,0,acme,1.5,7,2026-11-22T03:02:30Z,true,1\r\n\r\n");
    let table = read(&format!("{first}{other}\r\n")).expect("it is annotated CSV");
    assert_eq!(table.columns(), ["tenant_id", "p99", "events", "_time", "good", "big", "view_name"]);
    let rows: Vec<_> = table.rows().collect();
    assert_eq!((rows[0].number("events"), rows[0].text("view_name")), (Some(7.0), None));
    assert_eq!((rows[1].number("events"), rows[1].text("tenant_id")), (Some(3.0), None));
    assert_eq!(rows[1].text("view_name"), Some("all"), "a default stands for an empty cell");

    let mut appended = read(&first).unwrap();
    appended.append(&read(&format!("{other}\r\n")).unwrap());
    assert_eq!(appended, table);
}

#[test]
fn no_rows_are_no_error() {
    for empty in ["", "\r\n", &format!("{HEAD}\r\n\r\n")] {
        assert_eq!(read(empty).expect("it is empty").len(), 0);
    }
}

#[test]
fn a_text_keeps_its_commas_quotes_and_lines() {
    let text = "#datatype,string,long,string\r\n#group,false,false,false\r\n#default,_result,,\r\n,result,table,v\r\n,,0,\"a,\"\"b\"\"\r\nc #d\"\r\n,,0,#datatype\r\n\r\n";
    let table = read(text).expect("it is annotated CSV");
    let texts: Vec<_> = table.rows().map(|row| row.text("v").unwrap_or_default().to_owned()).collect();
    assert_eq!(texts, ["a,\"b\"\nc #d", "#datatype"]);
}

#[test]
fn an_error_after_the_first_rows_is_an_error_and_not_half_an_answer() {
    let error = "#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n,\"cannot convert \"\"q\"\" to int\",897\r\n";
    let text = format!("{HEAD},,0,acme,1.5,7,2026-11-22T03:02:30Z,true,1\r\n\r\n{error}");
    assert_eq!(read(&text), Err(ReadError::Failed("cannot convert \"q\" to int".to_owned())));
    assert!(matches!(read(error), Err(ReadError::Failed(_))));
    // A column of that name is no error.
    let column = "#datatype,string,long,string,string\r\n#group,,,,\r\n#default,_result,,,\r\n,result,table,error,reference\r\n,,0,none,x\r\n";
    assert_eq!(read(column).expect("rows").first().and_then(|row| row.text("error")), Some("none"));
}

#[test]
fn what_is_no_answer_of_influxdb_is_told_and_never_a_panic() {
    for (text, word) in [
        ("<html><body>a, b</body></html>\n", "no table"),
        ("a,b\n1,2\n", "no table"),
        (&format!("{HEAD},,0,acme,1.5\r\n"), "no table"),
        (&format!("{HEAD},,0,acme,many,7,2026-11-22T03:02:30Z,true,1\r\n"), "p99"),
        (&format!("{HEAD},,0,acme,1.5,7.5,2026-11-22T03:02:30Z,true,1\r\n"), "events"),
        (&format!("{HEAD},,0,acme,1.5,7,2026-11-22T03:02:30Z,maybe,1\r\n"), "good"),
    ] {
        match read(text) {
            Err(ReadError::Unreadable(why)) => assert!(why.contains(word), "{text:?}: {why}"),
            other => panic!("{text:?}: {other:?}"),
        }
    }
    assert!(Table::parse(b",\xff,\xfe\r\n").is_err());
}

#[test]
fn a_moment_is_shown_as_it_was_read() {
    for text in ["2026-11-22T03:02:30.123456789Z", "2026-11-22T03:02:30Z", "1970-01-01T00:00:00Z"] {
        assert_eq!(rfc3339(super::time(text).expect("a time")), text);
    }
}
