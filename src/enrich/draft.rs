//! A point that can still be made one of fewer series: for a tenant whose budget of them is used up.
//!
//! What is taken from the tags stays apart by the time's low digits: the client's milliseconds stay.

#[cfg(test)]
mod tests;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use xxhash_rust::xxh3::Xxh3;

use crate::admit::Detail;
use crate::clock::UnixNanos;

use super::compiled::MeasurementRules;
use super::request::Request;
use super::session::Session;
use super::{FieldValue, OTHER, Point, timestamp};

type Tags<'p> = BumpVec<'p, (&'p str, &'p str)>;

/// One event's point as it was sent, and what is needed to make it with less detail.
pub struct Draft<'p, 'r> {
    pub(super) request: &'p Request<'r>,
    pub(super) rules: &'p MeasurementRules,
    pub(super) point: Point<'p>,
    /// How many of its fields, from the first, are the event's metrics.
    pub(super) metrics: usize,
    /// Which of those the catalog does not list, by bit.
    pub(super) unlisted: u64,
    pub(super) session: Session<'p>,
    /// The client's, corrected; none where the time is that of receipt.
    pub(super) millis: Option<i64>,
    pub(super) seq: Option<u64>,
}

impl<'p> Draft<'p, '_> {
    /// The point as it was sent.
    pub fn point(&self) -> &Point<'p> {
        &self.point
    }

    /// Gives each metric that the catalog does not list and `keeps` does not want the name `other/N`, N from 1 within the event. Nobody can send a
    /// metric of such a name, and it is a float like all that are not listed. The answer is how many.
    pub fn rename_metrics(&mut self, arena: &'p Bump, mut keeps: impl FnMut(&str, &str) -> bool) -> u64 {
        if self.unlisted == 0 {
            return 0;
        }
        let mut renamed = 0;
        let mut fields: Option<BumpVec<'p, _>> = None;
        for (place, (name, value)) in self.point.fields[..self.metrics].iter().enumerate() {
            if self.unlisted & 1 << place == 0 || keeps(self.point.measurement, name) {
                continue;
            }
            renamed += 1;
            let all = fields.get_or_insert_with(|| BumpVec::from_iter_in(self.point.fields.iter().copied(), arena));
            all[place] = (bumpalo::format!(in arena, "other/{}", renamed).into_bump_str(), *value);
        }
        if let Some(fields) = fields {
            self.point.fields = fields.into_bump_slice();
        }
        renamed
    }

    /// The point with less detail. Where there is nothing to take away it is the same.
    pub fn demoted(&self, detail: Detail, arena: &'p Bump) -> Point<'p> {
        // Without a free tag it is the point that lost its session alone, with that one's time: the event may become either, once and when it
        // is sent again.
        let has_free_tags = || self.point.tags.iter().any(|&(key, value)| self.is_free(key) && value != OTHER);
        let detail = if detail == Detail::NoFreeTags && !has_free_tags() { Detail::NoSession } else { detail };
        let tags = match detail {
            Detail::Full => return self.point,
            Detail::NoSession | Detail::NoFreeTags => self.fewer_tags(detail, arena),
            Detail::Bare => self.bare_tags(arena),
        };
        if *tags == *self.point.tags {
            return self.point;
        }
        let tags = tags.into_bump_slice();
        Point { tags, fields: self.fields(arena), time: self.time(detail), ..self.point }
    }

    /// Whether a caller's tag of this name is a free one of this measurement.
    fn is_free(&self, key: &str) -> bool {
        self.rules.takes_tag(key) && !self.request.rules.is_reserved(key)
    }

    fn fewer_tags(&self, detail: Detail, arena: &'p Bump) -> Tags<'p> {
        let mut tags = Tags::with_capacity_in(self.point.tags.len(), arena);
        for &(key, value) in self.point.tags {
            match key {
                "session_id" | "session_bucket" => {}
                _ if detail == Detail::NoFreeTags && self.is_free(key) => tags.push((key, OTHER)),
                _ => tags.push((key, value)),
            }
        }
        tags
    }

    /// The server's tags, and each that a caller can set in this measurement, whether this one did: which tags are there makes series too.
    fn bare_tags(&self, arena: &'p Bump) -> Tags<'p> {
        let mut tags = Tags::with_capacity_in(self.request.server_tags.len() + self.point.tags.len() + 8, arena);
        tags.extend(self.request.server_tags.iter().copied().filter(|(key, _)| *key != "host"));
        tags.extend(["action_name", "host", "view_name"].map(|key| (key, OTHER)));
        let free = self.rules.free_tags().filter(|key| self.is_free(key));
        tags.extend(free.map(|key| (key, OTHER)));
        tags.sort_unstable_by_key(|(key, _)| *key);
        tags
    }

    /// The fields, with the session behind the metrics.
    fn fields(&self, arena: &'p Bump) -> &'p [(&'p str, FieldValue<'p>)] {
        let Session::Tag(id) = self.session else { return self.point.fields };
        let mut fields = BumpVec::with_capacity_in(self.point.fields.len() + 1, arena);
        let (metrics, others) = self.point.fields.split_at(self.metrics);
        fields.extend_from_slice(metrics);
        fields.push(("session", FieldValue::Str(id)));
        fields.extend_from_slice(others);
        fields.into_bump_slice()
    }

    fn time(&self, detail: Detail) -> UnixNanos {
        let Some(millis) = self.millis else { return self.point.time };
        let low = match (self.seq, detail) {
            // As where the tenant's sessions are fields.
            (Some(seq), Detail::Full | Detail::NoSession) => self.session.without_tag().low_digits(seq),
            (Some(seq), Detail::NoFreeTags | Detail::Bare) => self.digits_of_all(seq),
            (None, _) => self.request.ticks.low_digits_of_demoted(self.request.rules.lane),
        };
        // The digits alone differ from a time that was taken: within a millisecond of the first or last that can be stored it stays.
        timestamp::nanos(millis, low).unwrap_or(self.point.time)
    }

    /// Low digits for a series that those of all other tags share: of these tags, the session and `seq`, and so the same on every replica.
    fn digits_of_all(&self, seq: u64) -> i64 {
        let mut digest = Xxh3::new();
        let id = self.session.id().unwrap_or_default();
        for text in self.point.tags.iter().flat_map(|&(key, value)| [key, value]).chain([id]) {
            digest.update(text.as_bytes());
            // In no text: so that `a`, `bc` and `ab`, `c` differ.
            digest.update(&[0xFF]);
        }
        digest.update(&seq.to_le_bytes());
        (digest.digest() % 1_000_000) as i64
    }
}
