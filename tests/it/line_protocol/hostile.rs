//! Texts and numbers that a careless encoder, server or reader stumbles over.

use proptest::prelude::*;
use tagline::encode::REPLACEMENT;

/// Characters that mean something to line protocol, to JSON, to CSV or to Flux, or that a careless encoder stumbles over.
const HOSTILE: &str = ",= \\\"'\n\r\t\0\u{1}\u{1b}\u{7f}\u{80}\u{85}\u{9f}\u{a0}#/:;_${}()[]<>&|é\u{301}\u{feff}\u{fffd}\u{ffff}\u{2028}\u{200b}\u{202e}😀\u{10ffff}0i";

/// Texts that try to be more than a value.
const FORGED: [&str; 8] = [
    "x\nforged,tenant_id=globex duration_ms=1i 1",
    "x forged=1i 1\nforged f=1",
    "\",forged=\"",
    "\\\",forged=1i,x=\\\"",
    "\\",
    "\\\\",
    "a\\",
    ",tenant_id=globex",
];

/// Any text, more often a hostile one than not; empty ones too.
pub(super) fn text() -> impl Strategy<Value = String> {
    let hostile: Vec<char> = HOSTILE.chars().collect();
    let character = prop_oneof![
        4 => prop::sample::select(hostile),
        1 => any::<char>(),
        1 => prop::char::range('a', 'z'),
    ];
    let characters = prop::collection::vec(character, 0..16).prop_map(|all| all.into_iter().collect());
    prop_oneof![8 => characters, 1 => prop::sample::select(&FORGED[..]).prop_map(str::to_owned)]
}

/// Any integer, its extremes more often.
pub(super) fn whole() -> impl Strategy<Value = i64> {
    prop_oneof![4 => any::<i64>(), 1 => prop::sample::select(&[i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX][..])]
}

/// Any finite float, its extremes more often.
pub(super) fn float() -> impl Strategy<Value = f64> {
    let extremes = [
        f64::MIN,
        -f64::MIN_POSITIVE,
        -5e-324,
        -0.0,
        0.0,
        5e-324,
        f64::MIN_POSITIVE,
        f64::EPSILON,
        1e21,
        1e-7,
        f64::MAX,
    ];
    let any = (prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO).boxed();
    prop_oneof![4 => any, 1 => prop::sample::select(extremes.to_vec())]
}

/// What a name or a tag's value is stored as.
pub(super) fn stored(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == '\\' { REPLACEMENT } else { c }).collect()
}
