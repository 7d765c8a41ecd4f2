//! One file's bytes: as they are seen, as they are on the disk, and what may have come there in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Luck, PAGE};

#[derive(Debug)]
pub(super) struct Body {
    /// What reads give.
    seen: Vec<u8>,
    /// What is on the disk for sure. Where a sync failed, it differs from `seen` without anything to be synced.
    durable: Vec<u8>,
    /// The pages that are to be synced, with each state that they have had since the last sync.
    dirty: BTreeMap<usize, Vec<[u8; PAGE]>>,
    /// Each length since the last sync.
    lengths: Vec<usize>,
    /// The pages that have a block; others are holes.
    blocks: BTreeSet<usize>,
    open: Arc<()>,
    /// Whether a sync of it has failed.
    lost: bool,
}

impl Body {
    /// A durable one.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            seen: bytes.to_vec(),
            durable: bytes.to_vec(),
            dirty: BTreeMap::new(),
            lengths: Vec::new(),
            blocks: (0..bytes.len().div_ceil(PAGE)).collect(),
            open: Arc::new(()),
            lost: false,
        }
    }

    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Whoever holds this has the file open.
    pub(super) fn open(&self) -> Arc<()> {
        Arc::clone(&self.open)
    }

    pub(super) fn is_open(&self) -> bool {
        Arc::strong_count(&self.open) > 1
    }

    /// Writes what fits into the blocks that the file has and `free` new ones; how many bytes that were.
    pub(super) fn write(&mut self, from: &[u8], at: usize, mut free: usize) -> usize {
        let end = at + from.len();
        let mut until = at;
        while until < end {
            let page = until / PAGE;
            if !self.blocks.contains(&page) {
                if free == 0 {
                    break;
                }
                free -= 1;
                self.blocks.insert(page);
            }
            until = ((page + 1) * PAGE).min(end);
        }
        if until > at {
            if until > self.seen.len() {
                self.seen.resize(until, 0);
                self.lengths.push(until);
            }
            self.seen[at..until].copy_from_slice(&from[..until - at]);
            for page in at / PAGE..until.div_ceil(PAGE) {
                self.touch(page);
            }
        }
        until - at
    }

    pub(super) fn set_len(&mut self, len: usize) {
        let old = self.seen.len();
        self.seen.resize(len, 0);
        self.lengths.push(len);
        // What is cut off reads as zeros, should the file grow again.
        for page in len / PAGE..old.div_ceil(PAGE) {
            self.touch(page);
        }
        self.blocks.retain(|page| page * PAGE < len);
    }

    /// The page's state is one that may come to the disk.
    fn touch(&mut self, page: usize) {
        let mut state = [0; PAGE];
        let seen = self.seen.get(page * PAGE..).unwrap_or_default();
        let len = seen.len().min(PAGE);
        state[..len].copy_from_slice(&seen[..len]);
        self.dirty.entry(page).or_default().push(state);
    }

    /// Brings the dirty pages and the length to the disk.
    pub(super) fn sync(&mut self) {
        self.durable.resize(self.seen.len(), 0);
        for page in std::mem::take(&mut self.dirty).into_keys() {
            let from = (page * PAGE).min(self.seen.len());
            let to = (from + PAGE).min(self.seen.len());
            self.durable[from..to].copy_from_slice(&self.seen[from..to]);
        }
        self.lengths.clear();
    }

    /// A sync that fails: of the dirty pages, those that are picked come to the disk, and all are clean.
    pub(super) fn lose(&mut self, luck: &mut Luck<'_>) {
        self.lost = true;
        self.durable = self.picked(luck);
        self.dirty.clear();
        self.lengths.clear();
    }

    pub(super) fn lost(&self) -> bool {
        self.lost
    }

    /// The file after a crash.
    pub(super) fn crashed(&self, luck: &mut Luck<'_>) -> Self {
        Self::of(&self.picked(luck))
    }

    /// What may be on the disk now.
    fn picked(&self, luck: &mut Luck<'_>) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let len = luck.pick(self.lengths.len() + 1).checked_sub(1).map_or(bytes.len(), |n| self.lengths[n]);
        bytes.resize(len, 0);
        for (page, states) in &self.dirty {
            let Some(state) = luck.pick(states.len() + 1).checked_sub(1) else { continue };
            let whole = match luck.byte() {
                // A torn page: its first part is new, its rest as it was.
                torn @ 192..=254 => usize::from(torn - 191) * 8,
                _ => PAGE,
            };
            let from = (page * PAGE).min(len);
            let to = (page * PAGE + whole).min(len).max(from);
            bytes[from..to].copy_from_slice(&states[state][..to - from]);
        }
        bytes
    }
}
