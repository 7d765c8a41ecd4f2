//! One body of a proven tenant becomes lines: decode, enrich and encode in a row.
//!
//! *Comes in*: the inflated bytes and the request's [`Context`]. *Goes out*: [`Lines`], with each rejected item's index and reason. *Never*: I/O,
//! a clock of its own, or a line of another tenant than the context's.
//!
//! A line whose series the tenant's budget has no room for is written with less detail: see [`crate::admit::SeriesBudget`].

mod ladder;
#[cfg(test)]
mod tests;

use bumpalo::Bump;

use thiserror::Error;

use crate::admit::Demoted;
use crate::decode::{self, DecodeError};
use crate::enrich::{Context, Enricher, Scrubbed};
use crate::outcome::Rejection;

/// What the arena begins with: more than a usual point needs, so that it is allocated once a request.
const ARENA: usize = 4 << 10;

/// What became of one body.
#[derive(Debug, Default, PartialEq)]
pub struct Lines {
    /// Line protocol, one line a point.
    pub body: Vec<u8>,
    /// How many lines.
    pub points: usize,
    /// The items that became none, in the order sent.
    pub rejected: Vec<Rejection>,
    /// Free tags left out because the catalog does not list them.
    pub tags_dropped: u64,
    /// In how many strings each scrub rule found something.
    pub scrubbed: Scrubbed,
    /// How many points have less detail than they were sent with, for the tenant's budget of series.
    pub demoted: Demoted,
}

/// Why a body as a whole became no lines.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum Unusable {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
    /// Its lines are too large: an envelope's members and the server's tags are repeated in every line, so a small body can make large ones.
    #[error("the events make more than {limit} bytes of line protocol: send fewer of them in one request")]
    TooLarge {
        /// [`Limits::max_lines`]
        limit: usize,
    },
}

/// The bounds of one body.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most events in it: `server.max_events`.
    pub max_events: usize,
    /// Most bytes of line protocol that it may make: `server.max_inflated`, and at most [`Limits::MAX_LINES`].
    pub max_lines: usize,
}

impl Limits {
    /// 64 MiB: what one record of the spool may hold, whatever the settings say.
    pub const MAX_LINES: usize = 64 << 20;
}

/// Makes lines of a body. `charge` is told how many events there are before any is worked on (the rate is counted in points, and a
/// batch is admitted whole); its error is passed on.
pub fn ingest<E>(
    enricher: &Enricher,
    mut context: Context<'_>,
    body: &[u8],
    limits: Limits,
    charge: impl FnOnce(usize) -> Result<(), E>,
) -> Result<Result<Lines, Unusable>, E> {
    let decoded = match decode::decode(body, limits.max_events) {
        Ok(decoded) => decoded,
        Err(error) => return Ok(Err(error.into())),
    };
    charge(decoded.items.len())?;
    context.sent_at_ms = decoded.sent_at_ms;
    let at = context.received;
    let tenant = context.tenant;
    let mut judge = tenant.profile().series.judge(tenant.id().as_str(), at);
    let request = enricher.request(context, &decoded.defaults);
    let mut arena = Bump::with_capacity(ARENA);
    let mut lines = Lines { body: Vec::with_capacity(body.len()), ..Lines::default() };
    for (index, item) in decoded.items.iter().enumerate() {
        arena.reset();
        let (reason, detail) = match item {
            Ok(event) => match request.draft(event, &arena) {
                Ok(draft) => {
                    ladder::write(draft, &mut judge, &arena, &mut lines.body);
                    lines.points += 1;
                    if lines.body.len() > limits.max_lines {
                        return Ok(Err(Unusable::TooLarge { limit: limits.max_lines }));
                    }
                    continue;
                }
                Err(rejected) => (rejected.reason, rejected.detail),
            },
            Err(unreadable) => (unreadable.reason, unreadable.detail.clone()),
        };
        lines.rejected.push(Rejection { at, index, reason, detail });
    }
    // The spool counts what it holds, not what was reserved: most events of a body may have been rejected.
    if lines.body.len() < lines.body.capacity() / 2 {
        lines.body.shrink_to_fit();
    }
    lines.tags_dropped = request.tags_dropped();
    lines.scrubbed = request.scrubbed();
    lines.demoted = judge.finish();
    Ok(Ok(lines))
}
