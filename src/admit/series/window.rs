//! One hour or one day of a tenant: the series seen in it, and what did not fit.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use super::culprits::{Culprits, Made};
use super::sketch::Sketch;
use super::{Demoted, Detail};

/// 4,096 registers: a standard error of 1.6%.
const BEYOND_BITS: u32 = 12;

/// What the settings allow in one window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Allowance {
    pub(super) name: &'static str,
    pub(super) budget: u32,
    /// Counted, and nothing changed.
    pub(super) dry_run: bool,
}

impl Allowance {
    /// How many series points without a session may make beyond the budget, and so many again those without free tags: a twentieth of the
    /// budget, and at least 50.
    fn reserve(self) -> u32 {
        (self.budget / 20).max(50)
    }
}

/// The keys are hashes already.
#[derive(Debug, Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        debug_assert!(false, "only whole keys are hashed");
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[derive(Debug)]
pub(super) struct Window {
    /// Which hour or day since 1970 it is.
    pub(super) index: i64,
    seen: HashSet<u64, BuildHasherDefault<Same>>,
    /// How many of them were taken from the budget, from the reserve without sessions, and from that without free tags.
    used: [u32; 3],
    /// Whole series for which there was no room.
    beyond: Option<Sketch>,
    pub(super) culprits: Culprits,
    pub(super) demoted: Demoted,
}

impl Window {
    pub(super) fn new(index: i64) -> Self {
        Self {
            index,
            seen: HashSet::default(),
            used: [0; 3],
            beyond: None,
            culprits: Culprits::default(),
            demoted: Demoted::default(),
        }
    }

    pub(super) fn has(&self, key: u64) -> bool {
        self.seen.contains(&key)
    }

    /// Where a new series of this detail would be taken from: the budget's place in `used`, or its reserve's.
    pub(super) fn room(&self, allowed: Allowance, detail: Detail) -> Option<usize> {
        let reserve = match detail {
            Detail::Full | Detail::Bare => None,
            Detail::NoSession => Some(1),
            Detail::NoFreeTags => Some(2),
        };
        if self.used[0] < allowed.budget {
            return Some(0);
        }
        reserve.filter(|&place| self.used[place] < allowed.reserve())
    }

    /// Takes a new series in.
    pub(super) fn take(&mut self, key: u64, place: usize) {
        self.used[place] += 1;
        self.seen.insert(key);
    }

    /// A new series is wanted as it was sent. Whether it is the first of the window that there is no room for.
    pub(super) fn notice(&mut self, key: u64, made: Made<'_>, allowed: Allowance) -> bool {
        let full = self.used[0] >= allowed.budget;
        if full || u64::from(self.used[0]) * 5 >= u64::from(allowed.budget) * 4 {
            self.culprits.see(made);
        }
        let first = full && self.beyond.is_none();
        if full {
            self.beyond.get_or_insert_with(|| Sketch::new(BEYOND_BITS)).insert(key);
        }
        first
    }

    /// How many series were seen and let through.
    pub(super) fn series(&self) -> u64 {
        self.used.iter().map(|&used| u64::from(used)).sum()
    }

    /// How many more there would have been, about.
    pub(super) fn beyond(&self) -> u64 {
        self.beyond.as_ref().map_or(0, Sketch::estimate)
    }
}
