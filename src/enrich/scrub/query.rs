//! Query strings, fragments and the credentials of URLs, wherever a word of a string looks like a URL or a path.

use bumpalo::Bump;
use bumpalo::collections::String as BumpString;

/// The text without them; itself when it has none.
///
/// A word is a URL's or a path's when a `/` stands before its `?` or `#`, or when a `name=` stands behind it (`users?token=…`). `Save #2`, `Button#save`
/// and `Sure?` are none.
pub(in crate::enrich) fn without_queries<'p>(text: &'p str, arena: &'p Bump) -> &'p str {
    let sign = |found: bool, byte: u8| found | (byte == b'?') | (byte == b'#') | (byte == b'@');
    if !text.bytes().fold(false, sign) {
        return text;
    }
    let words = || text.split_inclusive(char::is_whitespace).map(|word| word.split_at(word.trim_end().len()));
    if words().all(|(word, _)| Cut::of(word).is_whole()) {
        return text;
    }
    let mut kept = BumpString::with_capacity_in(text.len(), arena);
    for (word, space) in words() {
        let Cut { scheme, rest, .. } = Cut::of(word);
        kept.extend([scheme, rest, space]);
    }
    kept.into_bump_str()
}

/// A word, cut: what is kept of it.
struct Cut<'w> {
    /// `https://` of a URL that bore credentials, else nothing.
    scheme: &'w str,
    rest: &'w str,
    of: usize,
}

impl<'w> Cut<'w> {
    fn of(word: &'w str) -> Self {
        let (scheme, rest) = without_credentials(word);
        let ends = rest.char_indices().filter(|(_, c)| matches!(c, '?' | '#'));
        let mut ends = ends
            .map(|(at, _)| at)
            .filter(|at| !scheme.is_empty() || rest[..*at].contains('/') || is_query(&rest[at + 1..]));
        let rest = ends.next().map_or(rest, |end| &rest[..end]);
        Self { scheme, rest, of: word.len() }
    }

    fn is_whole(&self) -> bool {
        self.scheme.len() + self.rest.len() == self.of
    }
}

/// `https://user:password@host/path` -> (`https://`, `host/path`); a word without credentials stays whole.
fn without_credentials(word: &str) -> (&str, &str) {
    let Some((scheme, rest)) = word.split_once("://") else { return ("", word) };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    match authority.rfind('@') {
        Some(at) => (&word[..scheme.len() + 3], &rest[at + 1..]),
        None => ("", word),
    }
}

/// `name=…`
fn is_query(text: &str) -> bool {
    let name = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']' | '%' | '$')));
    name.is_some_and(|end| end > 0 && text[end..].starts_with('='))
}
