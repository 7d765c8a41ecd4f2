use super::super::terminal::Terminal;
use super::{Cell, Column, Table};

const PLAIN: Terminal = Terminal::PLAIN;

fn narrow(width: usize) -> Terminal {
    Terminal { width: Some(width), styled: false }
}

fn table() -> Table {
    let mut table = Table::new([
        Column::left("session"),
        Column::right("slowest"),
        Column::left("in").least(6),
        Column::left("trace").below(),
    ]);
    table.row(["s1".into(), "1,240 ms".into(), "CheckoutView/pay".into(), "4bf92f3577b34da6a3ce929d0e0e4736".into()]);
    table.row(["s-2".into(), "8 ms".into(), "日本".into(), Cell::default()]);
    table
}

#[test]
fn numbers_stand_to_the_right_and_no_line_ends_in_blanks() {
    let expected = [
        "session   slowest  in                trace",
        "s1       1,240 ms  CheckoutView/pay  4bf92f3577b34da6a3ce929d0e0e4736",
        "s-2          8 ms  日本",
    ];
    assert_eq!(table().lines(PLAIN), expected);
}

#[test]
fn a_wide_letter_takes_two_columns() {
    let mut table = Table::new([Column::left("view"), Column::left("x")]);
    table.row(["日本".into(), "1".into()]);
    table.row(["ab".into(), "2".into()]);
    assert_eq!(table.lines(PLAIN), ["view  x", "日本  1", "ab    2"]);
}

#[test]
fn what_must_be_whole_goes_below_where_there_is_no_room_and_the_rest_is_cut() {
    let expected = [
        "session   slowest  in",
        "s1       1,240 ms  CheckoutView/pay",
        "  4bf92f3577b34da6a3ce929d0e0e4736",
        "s-2          8 ms  日本",
    ];
    assert_eq!(table().lines(narrow(60)), expected);
    let expected = [
        "session   slowest  in",
        "s1       1,240 ms  Checkout…",
        "  4bf92f3577b34da6a3ce929d0e0e4736",
        "s-2          8 ms  日本",
    ];
    assert_eq!(table().lines(narrow(28)), expected);
    // Not below its least, and nothing else is cut.
    assert_eq!(table().lines(narrow(3))[1], "s1       1,240 ms  Check…");
}

#[test]
fn a_strangers_text_moves_no_cursor() {
    let mut table = Table::new([Column::left("view"), Column::left("x")]);
    table.row(["\u{1b}[2J\u{9b}31m\u{202e}a\nb\u{7}".into(), "1".into()]);
    let lines = table.lines(Terminal { width: None, styled: true });
    assert_eq!(lines[1], r"\u{1b}[2J\u{9b}31m\u{202e}a\nb\u{7}  1");
}

#[test]
fn a_link_takes_the_room_of_its_text_in_a_terminal_and_is_a_url_elsewhere() {
    let styled = Terminal { width: Some(80), styled: true };
    for (terminal, expected) in
        [(styled, "\u{1b}]8;;https://t/abc\u{1b}\\abc\u{1b}]8;;\u{1b}\\  2"), (PLAIN, "https://t/abc  2")]
    {
        let mut table = Table::new([Column::left(""), Column::left("")]);
        table.row([Cell::link("abc", "https://t/abc".to_owned(), terminal), "2".into()]);
        assert_eq!(table.lines(terminal), [expected]);
    }
}
