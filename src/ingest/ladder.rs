//! A draft becomes a line of a series that its tenant may make: whole where the budget has room, else with less detail, step by step.

use bumpalo::Bump;

use crate::admit::{Detail, Judge};
use crate::encode::encode;
use crate::enrich::Draft;

/// Appends the draft's line.
pub(super) fn write<'p>(mut draft: Draft<'p, '_>, judge: &mut Judge<'_>, arena: &'p Bump, lines: &mut Vec<u8>) {
    let renamed = draft.rename_metrics(arena, |measurement, name| judge.admits_metric(measurement, name));
    judge.demoted().metric_names += renamed;
    let whole = draft.point();
    let start = lines.len();
    let end = encode(whole, lines);
    if judge.admits(Detail::Full, &lines[start..end], whole.tags) {
        return;
    }
    for detail in [Detail::NoSession, Detail::NoFreeTags, Detail::Bare] {
        let point = draft.demoted(detail, arena);
        lines.truncate(start);
        let end = encode(&point, lines);
        if judge.admits(detail, &lines[start..end], point.tags) {
            if point.tags != whole.tags {
                judge.demoted().count(detail);
            }
            return;
        }
    }
}
