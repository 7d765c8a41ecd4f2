//! Where in a string something stands that a built-in rule is for: the first place from `from` on.

use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regex::Regex;

/// An address by its shape, the `@` also percent-encoded, once or more. What follows the last dot begins with two letters, so that `react@18.2.0` is none;
/// letters are those of any script.
static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r#"(?:"[^"@]*"|[\w.+%'~!$&*^{|}-]+)(?:@|%(?:25)*40)[\w.-]*\w\.[^\W\d_]{2}(?:[\w.-]*\w)?"#)
});

/// `Bearer` and what follows it, or anything that begins like the Base64 of `{"`: a JWT, whole or cut.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"\b(?i:bearer)(?:[\s+:=]|%20)+[A-Za-z0-9._~+/=%-]{3,}|eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)*")
});

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("written above, and a test uses it")
}

/// Compiles the patterns, so that no request waits for it.
pub(super) fn warm_up() {
    LazyLock::force(&EMAIL);
    LazyLock::force(&TOKEN);
}

/// Ends of file names that are no top-level domains: `logo@2x.png` is a picture for dense screens.
const PICTURES: [&str; 7] = [".png", ".jpg", ".jpeg", ".webp", ".gif", ".svg", ".avif"];

pub(super) fn email(text: &str, from: usize) -> Option<Range<usize>> {
    let mut from = from;
    loop {
        let found = EMAIL.find_at(text, from)?;
        let (start, end) = (found.start(), found.end());
        let local = found.as_str().rfind(['@', '%']).unwrap_or_default();
        let domain = &found.as_str()[local..];
        if is_version(domain.strip_prefix('@').unwrap_or_else(|| domain.get("%40".len()..).unwrap_or_default())) {
            // An address may follow in what was read as its domain.
            from = start + local + 1;
        } else if PICTURES.iter().any(|picture| found.as_str().ends_with(picture)) {
            from = end;
        } else {
            return Some(start..end);
        }
    }
}

/// `1.2.3…` or `v1.2…`: what stands behind a package's `@` and begins so is its version, `shop@2024.11.ab12cd3`, and no domain.
fn is_version(domain: &str) -> bool {
    let bytes = domain.strip_prefix('v').unwrap_or(domain).as_bytes();
    let major = digits(bytes);
    let Some((b'.', rest)) = bytes[major..].split_first() else { return false };
    let minor = digits(rest);
    major > 0 && minor > 0 && rest.get(minor).is_some_and(|byte| byte.is_ascii_punctuation())
}

/// Whether [`token`] is worth asking.
pub(super) fn may_hold_token(text: &str) -> bool {
    text.contains("eyJ") || text.as_bytes().windows(6).any(|six| six.eq_ignore_ascii_case(b"bearer"))
}

pub(super) fn token(text: &str, from: usize) -> Option<Range<usize>> {
    let mut from = from;
    loop {
        let found = TOKEN.find_at(text, from)?;
        let stands_apart = || !text[..found.start()].ends_with(|before: char| before.is_ascii_alphanumeric());
        if !found.as_str().starts_with("eyJ") || stands_apart() || begins_an_object(found.as_str()) {
            return Some(found.range());
        }
        // `surveyJsonUploader`; a token may still follow in it.
        from = found.start() + "eyJ".len();
    }
}

/// Whether this is the Base64 of a JSON object's beginning, `{"alg":…`, by its first twelve characters.
fn begins_an_object(token: &str) -> bool {
    let Some(Ok(json)) = token.get(..12).map(|head| URL_SAFE_NO_PAD.decode(head)) else { return false };
    let name = json.get(2..).unwrap_or_default();
    let end = name.iter().position(|byte| *byte == b'"').unwrap_or(name.len());
    let behind = name.get(end + 1).is_none_or(|byte| matches!(byte, b':' | b' '));
    behind && name[..end].iter().all(u8::is_ascii_graphic)
}

/// A card number: 13 to 19 digits, alone or in groups with one space or dash (of any kind), `+` or `%20` between them, in a range that schemes issue, with the right check
/// digit. Digits that a letter touches are a part of something else, a UUID say, and so are all others of a UUID and those behind a decimal point; clocks in
/// milliseconds begin with 1.
pub(super) fn card(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        if bytes[at] == b'%' && bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
            at += 3;
            continue;
        }
        if let Some(end) = uuid_at(bytes, at) {
            at = end;
            continue;
        }
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let fraction = matches!(bytes[..at], [.., before, b'.'] if before.is_ascii_digit());
        let touched = fraction || text[..at].ends_with(char::is_alphabetic);
        if !touched && let Some(end) = card_at(text, at) {
            return Some(at..end);
        }
        at += digits(&bytes[at..]);
    }
    None
}

/// The end of the longest card number that begins here with a group of digits.
fn card_at(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut number = [0_u8; 19];
    let mut length = 0;
    let mut at = start;
    let mut longest = None;
    loop {
        let group = digits(&bytes[at..]);
        if group == 0 || length + group > number.len() {
            return longest;
        }
        number[length..length + group].copy_from_slice(&bytes[at..at + group]);
        length += group;
        at += group;
        let ends = !text[at..].starts_with(char::is_alphabetic);
        let digits = &number[..length];
        if ends && length >= 13 && is_issued(digits) && has_check_digit(digits) {
            longest = Some(at);
        }
        // Issuers print groups of four or more, the last one aside: shorter ones are numbers in a row.
        at += match text[at..].chars().next() {
            _ if group < 4 => return longest,
            Some('%') if text[at..].starts_with("%20") => 3,
            // No line's end; and the dashes from the hyphen to the en dash.
            Some(c)
                if "+-\u{a0}\u{202f}".contains(c)
                    || matches!(c, ' ' | '\u{2000}'..='\u{200a}' | '\u{2010}'..='\u{2013}') =>
            {
                c.len_utf8()
            }
            _ => return longest,
        };
    }
}

/// The end of the UUID that begins here.
fn uuid_at(bytes: &[u8], start: usize) -> Option<usize> {
    let uuid = bytes.get(start..start + 36)?;
    let shaped = uuid.iter().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    shaped.then_some(start + 36)
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Whether a scheme issues numbers of this length that begin so (ISO/IEC 7812): Mastercard and Mir 22 to 27, Diners, Amex and JCB 30 and 34 to 39, Visa 4,
/// Mastercard, Maestro, Discover, UnionPay and RuPay 5, 6, 81 and 82, Troy 97. Thirteen digits have only old ones of Visa and Maestro's: others are goods' (EAN).
fn is_issued(number: &[u8]) -> bool {
    let shortest = match number {
        [b'4'..=b'6', ..] => 13,
        [b'3', b'0' | b'4'..=b'9', ..] => 14,
        [b'2', b'2'..=b'7', ..] | [b'8', b'1' | b'2', ..] | [b'9', b'7', ..] => 16,
        _ => return false,
    };
    number.len() >= shortest
}

/// Luhn's formula.
pub(super) fn has_check_digit(number: &[u8]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0') << (place % 2);
            digit / 10 + digit % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

/// What an operator's pattern finds. An empty match (`\b`) holds nothing: the search goes on behind the next character.
pub(super) fn pattern(pattern: &Regex, text: &str, from: usize) -> Option<Range<usize>> {
    let mut from = from;
    loop {
        let found = pattern.find_at(text, from)?;
        if !found.is_empty() {
            return Some(found.range());
        }
        from = found.end() + text[found.end()..].chars().next()?.len_utf8();
    }
}
