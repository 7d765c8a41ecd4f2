//! Query strings, fragments, session ids in paths and the credentials of URLs, wherever a word of a string looks like a URL or a path.

use bumpalo::Bump;
use bumpalo::collections::String as BumpString;

/// The text without them; itself when it has none.
///
/// A word is a URL's or a path's when a `/` stands before its `?` or `#`, or when a `name=` stands behind it (`users?token=…`). `Save #2`, `Button#save`
/// and `Sure?` are none. `;jsessionid=`, which servlets write into paths, ends a word as a query does; other parameters of paths are parts of them.
pub(in crate::enrich) fn without_queries<'p>(text: &'p str, arena: &'p Bump) -> &'p str {
    let sign = |found: bool, byte: u8| found | (byte == b'?') | (byte == b'#') | (byte == b'@') | (byte == b';');
    if !text.bytes().fold(false, sign) {
        return text;
    }
    let words = || text.split_inclusive(char::is_whitespace).map(|word| word.split_at(word.trim_end().len()));
    if words().all(|(word, _)| pieces(word).map(str::len).sum::<usize>() == word.len()) {
        return text;
    }
    let mut kept = BumpString::with_capacity_in(text.len(), arena);
    for (word, space) in words() {
        kept.extend(pieces(word).chain([space]));
    }
    kept.into_bump_str()
}

/// What is kept of a word.
fn pieces(word: &str) -> impl Iterator<Item = &str> {
    let ends = word.char_indices().filter(|(_, c)| matches!(c, '?' | '#' | ';')).map(|(at, _)| at);
    let is_end = |at: &usize| match word.as_bytes()[*at] {
        b';' => is_session(&word[at + 1..]),
        _ => word[..*at].contains('/') || is_query(&word[at + 1..]),
    };
    let end = ends.into_iter().find(is_end).unwrap_or(word.len());
    Pieces(&word[..end])
}

/// The parts of a word between the credentials of its URLs: `https://user:password@host/path` -> `https://`, `host/path`.
struct Pieces<'w>(&'w str);

impl<'w> Iterator for Pieces<'w> {
    type Item = &'w str;

    fn next(&mut self) -> Option<&'w str> {
        if self.0.is_empty() {
            return None;
        }
        let Some(scheme) = self.0.find("://") else { return Some(std::mem::take(&mut self.0)) };
        let (piece, rest) = self.0.split_at(scheme + "://".len());
        let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
        self.0 = &rest[authority.rfind('@').map_or(0, |at| at + 1)..];
        Some(piece)
    }
}

/// `jsessionid=…`
fn is_session(text: &str) -> bool {
    let name = text.as_bytes().get(.."jsessionid=".len());
    name.is_some_and(|name| name.eq_ignore_ascii_case(b"jsessionid="))
}

/// `name=…`
fn is_query(text: &str) -> bool {
    let name = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']' | '%' | '$')));
    name.is_some_and(|end| end > 0 && text[end..].starts_with('='))
}
