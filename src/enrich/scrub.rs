//! What does not belong into telemetry is taken out of free strings before they become tags or fields: e-mail addresses, bearer tokens, card numbers,
//! and what the operator's own patterns find. Query strings and the credentials of URLs go first, whatever the rules.
//!
//! *Comes in*: a string as the client sent it. *Goes out*: the same string, borrowed, when nothing is found; else one in the request's arena, each find
//! replaced by its rule's name in brackets. *Never*: an allocation for a clean string; an answer that differs between two tries or two replicas.
//!
//! It is for what a page lets slip, not against a client that wants to smuggle: who sends an address as `joe at example` is not stopped.

mod find;
mod query;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ops::Range;

use aws_lc_rs::digest::{Context as Digest, SHA256};
use bumpalo::Bump;
use bumpalo::collections::String as BumpString;
use regex::Regex;

use crate::config::{Enrich, Scrub};

use super::MAX_SESSION;

pub(super) use query::without_queries;

/// In how many strings each rule found something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scrubbed {
    /// E-mail addresses.
    pub email: u64,
    /// Bearer tokens and JWTs.
    pub bearer: u64,
    /// Card numbers.
    pub card: u64,
    /// Patterns of the operator's, all together: a label of a metric must not be anybody's name.
    pub pattern: u64,
}

/// The rules that are on.
#[derive(Debug)]
pub(super) struct Scrubber {
    email: bool,
    bearer: bool,
    card: bool,
    /// `[NAME]` with its pattern, in the order of the names.
    patterns: Vec<(String, Regex)>,
}

/// What the bytes of a string say at once; most strings end here, for a few nanoseconds.
struct Signs {
    /// `@`, or a percent sign, behind which one may hide.
    at: bool,
    /// A space, or what stands for one in a URL or before a header's value.
    space: bool,
    /// `J`, which every encoded `{"` holds.
    j: bool,
    digits: u32,
}

impl Signs {
    /// Without branches, so that the compiler makes vectors of it.
    fn of(text: &str) -> Self {
        let (mut at, mut space, mut j, mut digits) = (false, false, false, 0_u32);
        for byte in text.bytes() {
            at |= (byte == b'@') | (byte == b'%');
            space |= (byte <= b' ') | (byte == b'+') | (byte == b'%') | (byte == b':') | (byte == b'=');
            j |= byte == b'J';
            digits += u32::from(byte.is_ascii_digit());
        }
        Self { at, space, j, digits }
    }
}

impl Scrubber {
    pub(super) fn new(enrich: &Enrich) -> Self {
        let compiled = |text: &String| Regex::new(text).expect("the loader has compiled it, within a smaller bound");
        let patterns = enrich.scrub_patterns.iter().map(|(name, text)| (format!("[{name}]"), compiled(text))).collect();
        let on = |rule| enrich.scrub.contains(&rule);
        find::warm_up();
        Self { email: on(Scrub::Email), bearer: on(Scrub::Bearer), card: on(Scrub::Card), patterns }
    }

    /// The string without what the rules find; at most `most` bytes of it, should the names in brackets have made it longer.
    pub(super) fn text<'p>(&self, text: &'p str, most: usize, arena: &'p Bump, counts: &Cell<Scrubbed>) -> &'p str {
        let mut kept = text;
        self.each(text, |rule, find| {
            if let Some(without) = replaced(kept, rule.mark, arena, find) {
                kept = without;
                rule.count(counts);
            }
            Look::On
        });
        &kept[..kept.floor_char_boundary(most)]
    }

    /// A session's id in which something is found is replaced as a whole, by the rule's name and 64 bits of its SHA-256 with the tenant's id: two
    /// sessions stay two, and one stays one over tries and replicas. Who guesses the id can confirm the guess: it is a pseudonym, not anonymous.
    pub(super) fn session<'p>(&self, id: &'p str, tenant: &str, arena: &'p Bump, counts: &Cell<Scrubbed>) -> &'p str {
        if id.len() > MAX_SESSION {
            // It is refused in a moment.
            return id;
        }
        let mut mark = (without_queries(id, arena).len() < id.len()).then_some("[query]");
        self.each(id, |rule, find| {
            if find(id, 0).is_none() {
                return Look::On;
            }
            rule.count(counts);
            mark = Some(rule.mark);
            Look::NoMore
        });
        let Some(mark) = mark else { return id };
        let mut digest = Digest::new(&SHA256);
        for part in ["tagline session", tenant, id] {
            digest.update(part.as_bytes());
            digest.update(&[0]);
        }
        let mut name = BumpString::from_str_in(mark, arena);
        name.push('-');
        for byte in &digest.finish().as_ref()[..8] {
            name.extend([byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16).unwrap_or('0')));
        }
        name.into_bump_str()
    }

    /// Calls `look` for every rule that can find something in `text`, until it has seen enough.
    fn each<'s>(&'s self, text: &str, mut look: impl FnMut(Rule<'s>, &Find<'_>) -> Look) {
        let signs = Signs::of(text);
        let email = Rule { mark: "[email]", field: |counts| &mut counts.email };
        let bearer = Rule { mark: "[bearer]", field: |counts| &mut counts.bearer };
        let card = Rule { mark: "[card]", field: |counts| &mut counts.card };
        if self.email && signs.at && look(email, &find::email) == Look::NoMore {
            return;
        }
        let token = self.bearer && (signs.j || signs.space) && find::may_hold_token(text);
        if token && look(bearer, &find::token) == Look::NoMore {
            return;
        }
        if self.card && signs.digits >= 13 && look(card, &find::card) == Look::NoMore {
            return;
        }
        for (mark, pattern) in &self.patterns {
            let find = |text: &str, from: usize| find::pattern(pattern, text, from);
            if look(Rule { mark, field: |counts| &mut counts.pattern }, &find) == Look::NoMore {
                return;
            }
        }
    }
}

/// The first place from an offset on that a rule is for.
type Find<'f> = dyn Fn(&str, usize) -> Option<Range<usize>> + 'f;

/// Whether the rules behind one are asked too.
#[derive(PartialEq)]
enum Look {
    On,
    NoMore,
}

/// A rule's name in brackets, and where it is counted.
struct Rule<'s> {
    mark: &'s str,
    field: fn(&mut Scrubbed) -> &mut u64,
}

impl Rule<'_> {
    fn count(&self, counts: &Cell<Scrubbed>) {
        let mut all = counts.get();
        *(self.field)(&mut all) += 1;
        counts.set(all);
    }
}

/// The text with every find replaced; none: there is none.
fn replaced<'p>(text: &'p str, mark: &str, arena: &'p Bump, find: &Find<'_>) -> Option<&'p str> {
    let mut found = find(text, 0)?;
    let mut kept = BumpString::with_capacity_in(text.len() + mark.len(), arena);
    let mut at = 0;
    loop {
        kept.push_str(&text[at..found.start]);
        kept.push_str(mark);
        at = found.end;
        let Some(next) = find(text, at) else { break };
        found = next;
    }
    kept.push_str(&text[at..]);
    Some(kept.into_bump_str())
}
