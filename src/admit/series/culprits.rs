//! Who makes the series: by tag, how many values it had in new series, and a few of them.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use super::sketch::Sketch;

/// The most tags that are told apart. They are names of the catalog, so that no caller can fill this up.
const MOST_TAGS: usize = 64;
/// The samples kept of one tag: the first different ones.
const SAMPLES: usize = 5;
/// The longest sample, bytes.
const LONGEST_SAMPLE: usize = 64;
/// 1,024 registers: a standard error of 3.3%.
const REGISTER_BITS: u32 = 10;

/// What made a key that was not seen before.
#[derive(Clone, Copy, Debug)]
pub(super) enum Made<'a> {
    /// A series with these tags.
    Series(&'a [(&'a str, &'a str)]),
    /// A metric's name that the catalog does not list.
    MetricName(&'a str),
}

/// One tag's different values, or the different names of metrics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Distinct {
    /// How many, within 10% in all but 3 of 1,000 cases (exact when there are few).
    pub values: u64,
    /// The first of them, each cut at 64 bytes.
    pub samples: Vec<String>,
}

#[derive(Debug)]
struct Values {
    sketch: Sketch,
    samples: Vec<Box<str>>,
}

/// Empty until the first new series is shown.
#[derive(Debug, Default)]
pub(super) struct Culprits {
    hasher: RandomState,
    tags: BTreeMap<Box<str>, Values>,
    metric_names: Option<Values>,
}

impl Culprits {
    pub(super) fn see(&mut self, made: Made<'_>) {
        match made {
            Made::Series(tags) => {
                for (tag, value) in tags {
                    let hash = self.hasher.hash_one(value);
                    if let Some(values) = self.tags.get_mut(*tag) {
                        values.see(value, hash);
                    } else if self.tags.len() < MOST_TAGS {
                        self.tags.entry(Box::from(*tag)).or_insert_with(Values::new).see(value, hash);
                    }
                }
            }
            Made::MetricName(name) => {
                let hash = self.hasher.hash_one(name);
                self.metric_names.get_or_insert_with(Values::new).see(name, hash);
            }
        }
    }

    /// The tags, those of most values first.
    pub(super) fn tags(&self) -> Vec<(String, Distinct)> {
        let mut tags: Vec<_> = self.tags.iter().map(|(tag, values)| (tag.to_string(), values.distinct())).collect();
        tags.sort_by(|(tag, one), (other, two)| two.values.cmp(&one.values).then_with(|| tag.cmp(other)));
        tags
    }

    /// What had most values, in words.
    pub(super) fn worst(&self) -> Option<(String, u64)> {
        let names = self.metric_names().map(|names| ("the names of metrics".to_owned(), names));
        let tag = self.tags().into_iter().next();
        let worse = |(name, distinct): (String, Distinct)| (name, distinct.values);
        names.into_iter().chain(tag).map(worse).max_by_key(|(_, values)| *values)
    }

    pub(super) fn metric_names(&self) -> Option<Distinct> {
        self.metric_names.as_ref().map(Values::distinct)
    }
}

impl Values {
    fn new() -> Self {
        Self { sketch: Sketch::new(REGISTER_BITS), samples: Vec::new() }
    }

    fn see(&mut self, value: &str, hash: u64) {
        self.sketch.insert(hash);
        if self.samples.len() < SAMPLES {
            let cut = &value[..value.floor_char_boundary(LONGEST_SAMPLE)];
            if self.samples.iter().all(|sample| **sample != *cut) {
                self.samples.push(Box::from(cut));
            }
        }
    }

    fn distinct(&self) -> Distinct {
        let samples = self.samples.iter().map(|sample| sample.to_string()).collect();
        Distinct { values: self.sketch.estimate(), samples }
    }
}
