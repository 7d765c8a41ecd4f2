//! How many series a tenant makes: a budget for the hour and one for the day, both in UTC.
//!
//! *Comes in*: the series of a point as it is encoded (measurement and tags). *Goes out*: whether it may stand; if not, the caller asks again
//! with [less detail](Detail), and [`Detail::Bare`] always may. *Never*: a point refused; a tag read from the text; a second tenant's budget.
//!
//! A series that the window has seen passes. A new one passes while the budget has room; without its session while the first reserve has
//! room; without its free tags while the second has; and [bare](Detail::Bare) always, since there is one bare series for each measurement of the
//! catalog. So whatever a tenant sends, an hour holds at most `budget + 2 × max(budget / 20, 50)` series and one for each measurement, on each
//! replica. The names of metrics that the catalog does not list are taken from the same budget: each makes an entry in the index too.
//!
//! The set is exact: 64 bits of SipHash-1-3 under a key of this budget's own (that of the standard library's maps, made to be
//! shown to attackers). A collision would let a series in unseen, so the hash must be one that nobody who does not know the key can build collisions
//! for; by chance, a new series meets one of a million with odds of 1 in 18 million million.

mod culprits;
mod sketch;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::UnixNanos;
use crate::config::Limits;

pub use culprits::Distinct;
use culprits::Made;
use window::{Allowance, Window};

const HOUR: UnixNanos = 3_600 * 1_000_000_000;
const DAY: UnixNanos = 24 * HOUR;
/// How many of a request's last series are known without asking the tenant's budget again.
const RECENT: usize = 32;

/// How much of what a caller sent stands in a point's series.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Detail {
    /// All of it.
    Full,
    /// The session is a field.
    NoSession,
    /// And free tags are `__other__`.
    NoFreeTags,
    /// And so is every other tag that a caller can set, sent or not: one series for each measurement.
    Bare,
}

/// How many points lost what.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Demoted {
    /// Points whose session became a field.
    pub session: u64,
    /// Points whose free tags became `__other__`.
    pub free_tags: u64,
    /// Points all of whose tags became `__other__`.
    pub all_tags: u64,
    /// Metrics stored under the name `other/N`.
    pub metric_names: u64,
}

impl Demoted {
    /// Each count with its stable name, as it stands in metrics and on `/admin/series`.
    pub fn steps(&self) -> [(&'static str, u64); 4] {
        [
            ("session", self.session),
            ("free_tags", self.free_tags),
            ("all_tags", self.all_tags),
            ("metric_names", self.metric_names),
        ]
    }

    /// One point was written with this detail, and is another than it was.
    pub fn count(&mut self, detail: Detail) {
        match detail {
            Detail::Full => {}
            Detail::NoSession => self.session += 1,
            Detail::NoFreeTags => self.free_tags += 1,
            Detail::Bare => self.all_tags += 1,
        }
    }

    fn add(&mut self, more: &Self) {
        self.session += more.session;
        self.free_tags += more.free_tags;
        self.all_tags += more.all_tags;
        self.metric_names += more.metric_names;
    }
}

/// One tenant's budget of series on this replica.
pub struct SeriesBudget {
    hour: Allowance,
    day: Allowance,
    /// Outlives a reload.
    seen: Arc<Seen>,
}

struct Seen {
    hasher: RandomState,
    windows: Mutex<Windows>,
}

struct Windows {
    /// The latest time that was asked about.
    latest: UnixNanos,
    hour: Window,
    day: Window,
}

/// What a tenant made of one window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Usage {
    /// `hour` or `day`.
    pub window: &'static str,
    /// When it began.
    pub start: UnixNanos,
    /// Series seen and let through, exactly.
    pub series: u64,
    /// The setting.
    pub budget: u32,
    /// Whether it is counted only.
    pub dry_run: bool,
    /// How many more there would have been, or with `dry_run` are: within 5% in all but 3 of 1,000 cases.
    pub beyond: u64,
    /// What became of points meanwhile.
    pub demoted: Demoted,
    /// From 80% of the budget on, what new series were made of: by tag, those of most values first.
    pub tags: Vec<(String, Distinct)>,
    /// Likewise the names of metrics that the catalog does not list, if there were any.
    pub metric_names: Option<Distinct>,
}

impl SeriesBudget {
    /// A budget of these limits, nothing of it used.
    pub fn new(limits: &Limits) -> Self {
        let windows = Windows { latest: 0, hour: Window::new(0), day: Window::new(0) };
        Self::over(limits, Arc::new(Seen { hasher: RandomState::new(), windows: Mutex::new(windows) }))
    }

    /// The same tenant's budget under new limits: what was seen stays seen.
    pub fn reloaded(&self, limits: &Limits) -> Self {
        Self::over(limits, Arc::clone(&self.seen))
    }

    fn over(limits: &Limits, seen: Arc<Seen>) -> Self {
        let dry_run = limits.dry_run;
        Self {
            hour: Allowance { name: "hour", budget: limits.series_per_hour, dry_run: dry_run.series_per_hour },
            day: Allowance { name: "day", budget: limits.series_per_day, dry_run: dry_run.series_per_day },
            seen,
        }
    }

    /// Begins a request of this tenant, received then. `tenant` is for the log.
    pub fn judge<'b>(&'b self, tenant: &'b str, received: UnixNanos) -> Judge<'b> {
        Judge { budget: self, tenant, received, recent: [0; RECENT], demoted: Demoted::default() }
    }

    /// What was made of this hour and this day.
    pub fn usage(&self, now: UnixNanos) -> [Usage; 2] {
        let mut windows = self.seen.lock();
        windows.turn(now);
        let told = |window: &Window, allowed: Allowance, length: UnixNanos| Usage {
            window: allowed.name,
            start: window.index * length,
            series: window.series(),
            budget: allowed.budget,
            dry_run: allowed.dry_run,
            beyond: window.beyond(),
            demoted: window.demoted,
            tags: window.culprits.tags(),
            metric_names: window.culprits.metric_names(),
        };
        [told(&windows.hour, self.hour, HOUR), told(&windows.day, self.day, DAY)]
    }

    /// How many series stand in this hour and this day: cheaper than [`Self::usage`].
    pub fn series(&self, now: UnixNanos) -> [u64; 2] {
        let mut windows = self.seen.lock();
        windows.turn(now);
        [windows.hour.series(), windows.day.series()]
    }

    /// The settings, for this hour and this day.
    pub fn budgets(&self) -> [u32; 2] {
        [self.hour.budget, self.day.budget]
    }
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Windows> {
        // Counts and sets are changed in single steps: what a panic left is at most one series off.
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Windows {
    /// Begins new windows when it is time. Requests come in no strict order, and one whose body took long must not bring the last hour
    /// back: time goes on here, and never back, but where a clock was set back by more than a day.
    fn turn(&mut self, at: UnixNanos) {
        self.latest = if at < self.latest.saturating_sub(DAY) { at } else { at.max(self.latest) };
        for (window, length) in [(&mut self.hour, HOUR), (&mut self.day, DAY)] {
            let index = self.latest.div_euclid(length);
            if window.index != index {
                *window = Window::new(index);
            }
        }
    }
}

/// One request's questions to its tenant's budget.
pub struct Judge<'b> {
    budget: &'b SeriesBudget,
    tenant: &'b str,
    received: UnixNanos,
    /// Keys that passed, each at its own place: events of one request are often of few series.
    recent: [u64; RECENT],
    demoted: Demoted,
}

impl Judge<'_> {
    /// Whether a point may stand under this series, which is encoded: measurement and tags. `tags` are told as the culprits, where it may not.
    pub fn admits(&mut self, detail: Detail, series: &[u8], tags: &[(&str, &str)]) -> bool {
        if detail == Detail::Bare {
            return true;
        }
        let mut hasher = self.budget.seen.hasher.build_hasher();
        hasher.write(series);
        self.passes(hasher.finish(), detail, Made::Series(tags))
    }

    /// Whether a metric that the catalog does not list may keep its name.
    pub fn admits_metric(&mut self, measurement: &str, name: &str) -> bool {
        let mut hasher = self.budget.seen.hasher.build_hasher();
        hasher.write(measurement.as_bytes());
        // No text holds this byte, so that this is never the key of a series.
        hasher.write_u8(0xFF);
        hasher.write(name.as_bytes());
        self.passes(hasher.finish(), Detail::Full, Made::MetricName(name))
    }

    fn passes(&mut self, key: u64, detail: Detail, made: Made<'_>) -> bool {
        let place = (key % RECENT as u64) as usize;
        if self.recent[place] == key {
            return true;
        }
        let SeriesBudget { hour, day, seen } = self.budget;
        let mut windows = seen.lock();
        windows.turn(self.received);
        let Windows { hour: this_hour, day: today, .. } = &mut *windows;
        // What passed in this hour passed in this day.
        if this_hour.has(key) {
            self.recent[place] = key;
            return true;
        }
        let known = today.has(key);
        let hour_room = this_hour.room(*hour, detail);
        let day_room = if known { None } else { today.room(*day, detail) };
        let mut crossed = [None; 2];
        if detail == Detail::Full {
            crossed[0] = this_hour.notice(key, made, *hour).then_some(*hour);
            crossed[1] = (!known && today.notice(key, made, *day)).then_some(*day);
        }
        let passes = (hour_room.is_some() || hour.dry_run) && (known || day_room.is_some() || day.dry_run);
        if passes {
            if let Some(from) = hour_room {
                this_hour.take(key, from);
            }
            if let Some(from) = day_room {
                today.take(key, from);
            }
            self.recent[place] = key;
        }
        let told = [(crossed[0], &this_hour.culprits), (crossed[1], &today.culprits)];
        let told = told.map(|(allowed, culprits)| allowed.map(|allowed| (allowed, culprits.worst())));
        drop(windows);
        for (allowed, worst) in told.into_iter().flatten() {
            warn(self.tenant, allowed, worst);
        }
        passes
    }

    /// What was written with less detail.
    pub fn demoted(&mut self) -> &mut Demoted {
        &mut self.demoted
    }

    /// The request's lines stand: counts what was demoted.
    pub fn finish(self) -> Demoted {
        if self.demoted != Demoted::default() {
            let mut windows = self.budget.seen.lock();
            windows.hour.demoted.add(&self.demoted);
            windows.day.demoted.add(&self.demoted);
        }
        self.demoted
    }
}

/// Once for each tenant and window.
fn warn(tenant: &str, allowed: Allowance, worst: Option<(String, u64)>) {
    let Allowance { name: window, budget, dry_run } = allowed;
    let (made_by, values) = worst.unwrap_or_default();
    let what_follows = if dry_run {
        "dry_run: nothing is changed"
    } else {
        "until the window ends sessions become fields, then tags become `__other__`; no point is lost"
    };
    tracing::warn!(
        tenant,
        window,
        budget,
        made_by,
        values,
        "the budget of series is used up, most of all by the tag `made_by`; {what_follows}. /admin/series names the values"
    );
}

impl fmt::Debug for SeriesBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let windows = self.seen.lock();
        f.debug_struct("SeriesBudget")
            .field("hour", &self.hour)
            .field("day", &self.day)
            .field("series", &[windows.hour.series(), windows.day.series()])
            .finish_non_exhaustive()
    }
}
