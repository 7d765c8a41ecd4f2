//! Paths become templates, so that a thousand products are one series: `/products/123?x=1` -> `/products/:id`.

#[cfg(test)]
mod tests;

use bumpalo::Bump;
use bumpalo::collections::String as BumpString;

use crate::config::PathRule;

/// A segment longer than this, in bytes, is no name that somebody gave: `:long`.
const LONGEST_SEGMENT: usize = 64;

/// Whether a name is a path, or a URL.
pub(super) fn is_path(text: &str) -> bool {
    text.starts_with('/') || after_scheme(text).is_some()
}

/// The path of a URL or path: no scheme, no host, no query, no fragment.
pub(super) fn without_query(text: &str) -> &str {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let text = &text[..end];
    after_scheme(text).map_or(text, |rest| rest.find('/').map_or("/", |at| &rest[at..]))
}

/// What follows `scheme://`.
fn after_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    (!scheme.is_empty() && scheme.bytes().all(letters)).then_some(rest)
}

/// The template of a path: that of the first rule that fits, else each segment by what it looks like.
pub(super) fn template<'p>(path: &'p str, rules: &'p [PathRule], arena: &'p Bump) -> &'p str {
    if let Some(rule) = rules.iter().find(|rule| fits(rule, path)) {
        return by_rule(path, rule, arena);
    }
    if path.split('/').all(|segment| placeholder(segment).is_none()) {
        return path;
    }
    let mut template = BumpString::with_capacity_in(path.len() + 8, arena);
    for (place, segment) in path.split('/').enumerate() {
        if place > 0 {
            template.push('/');
        }
        template.push_str(placeholder(segment).unwrap_or(segment));
    }
    template.into_bump_str()
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path).split('/')
}

fn fits(rule: &PathRule, path: &str) -> bool {
    let mut given = segments(path);
    let each = rule.segments.iter().all(|wanted| match (wanted, given.next()) {
        (Ok(literal), Some(segment)) => literal == segment,
        (Err(_), Some(segment)) => !segment.is_empty(),
        (_, None) => false,
    });
    each && given.next().is_none()
}

fn by_rule<'p>(path: &'p str, rule: &PathRule, arena: &'p Bump) -> &'p str {
    let mut template = BumpString::with_capacity_in(path.len() + 8, arena);
    for segment in &rule.segments {
        match segment {
            Ok(literal) => template.extend(["/", literal]),
            Err(name) => template.extend(["/:", name]),
        }
    }
    template.into_bump_str()
}

/// What a segment is replaced with; none: it is a name, and stays.
///
/// A word is never taken for a hash: below 16 characters a hash must mix digits with letters, and `deadbeef` stays.
fn placeholder(segment: &str) -> Option<&'static str> {
    let bytes = segment.as_bytes();
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    let letters = bytes.iter().filter(|b| b.is_ascii_alphabetic()).count();
    if bytes.is_empty() || (digits == 0 && bytes.len() < 16) {
        return None;
    }
    if is_date(segment) {
        return Some(":date");
    }
    if is_decimal(segment) {
        return Some(":id");
    }
    if is_uuid(bytes) {
        return Some(":uuid");
    }
    let hex = bytes.iter().all(u8::is_ascii_hexdigit);
    if hex && (bytes.len() >= 16 || (bytes.len() >= 8 && digits > 0 && letters > 0)) {
        return Some(":hash");
    }
    // ULID, KSUID, nanoid: long, of letters and digits only, and too many digits for a word.
    if bytes.len() >= 20 && digits + letters == bytes.len() && digits >= 3 && letters > 0 {
        return Some(":id");
    }
    (bytes.len() > LONGEST_SEGMENT).then_some(":long")
}

/// `123`, `-5`, `12.50`
fn is_decimal(segment: &str) -> bool {
    let (whole, fraction) = segment.strip_prefix('-').unwrap_or(segment).split_once('.').unwrap_or((segment, "0"));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    number(whole) && number(fraction)
}

/// `2024-05-01`, also with a time behind a `T`, and `20240501`. Only dates that are some: 99999999 is a number.
fn is_date(segment: &str) -> bool {
    let day = segment.split_once('T').map_or(segment, |(day, _)| day);
    let bytes = day.as_bytes();
    let (year, month, date) = match bytes {
        [_, _, _, _, b'-', _, _, b'-', _, _] => (&bytes[..4], &bytes[5..7], &bytes[8..]),
        [_, _, _, _, _, _, _, _] => (&bytes[..4], &bytes[4..6], &bytes[6..]),
        _ => return false,
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u32, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u32::from(b - b'0')))
    };
    matches!((number(year), number(month), number(date)), (Some(1900..=2100), Some(1..=12), Some(1..=31)))
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}
