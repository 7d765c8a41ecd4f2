//! The shapes of a body, told apart by what stands in it.
//!
//! A body is an object or a list of items. An object with `events` is an envelope; any other object is one item.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::json::AnyValue;
use super::members::Members;
use super::{DEFAULT_MEASUREMENT, DecodeError, Decoded, Defaults, Event, Unreadable, salvage};
use crate::outcome::Reason;

type Item<'b> = Result<Event<'b>, Unreadable>;

/// How a list's items are read.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Reading {
    /// Straight from the body: one value that cannot be held ends it all.
    Direct,
    /// Each cut out first, then read on its own.
    ItemByItem,
}

/// Reads a body. The outer error is the parser's, the inner one ours.
pub(super) fn read(
    text: &str,
    max_events: usize,
    reading: Reading,
) -> Result<Result<Decoded<'_>, DecodeError>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let body = BodyShape(Items { max_events, reading }).deserialize(&mut json)?;
    json.end()?;
    Ok(body)
}

impl<'b> Members<'b> {
    fn into_body(mut self, max_events: usize) -> Result<Decoded<'b>, DecodeError> {
        let sent_at_ms = self.sent_at_ms;
        let items = match self.events.take() {
            None if !self.is_event() => {
                return Err(DecodeError::UnknownShape("the object has no member of any of them"));
            }
            None => vec![self.into_item().map(with_measurement)],
            Some(List::Other) => return Err(DecodeError::UnknownShape("`events` is not a list")),
            Some(List::TooMany(found)) => {
                return Err(DecodeError::TooManyEvents { found, limit: max_events });
            }
            Some(List::Of(items)) => return Ok(self.into_envelope(items)),
        };
        if max_events == 0 {
            return Err(DecodeError::TooManyEvents { found: 1, limit: 0 });
        }
        Ok(Decoded { items, sent_at_ms, defaults: Defaults::default() })
    }

    /// What is wrong with a member that stands for all events is wrong with each of them.
    fn into_envelope(self, mut items: Vec<Item<'b>>) -> Decoded<'b> {
        let too_long = self.measurement.as_ref().is_some_and(|name| name.len() > 64);
        let finding = self.finding.or_else(|| {
            too_long.then(|| Unreadable {
                reason: Reason::UnknownMeasurement,
                detail: "`measurement` is longer than any in the catalog".to_owned(),
            })
        });
        if let Some(finding) = finding {
            let detail = format!("in the envelope: {}", finding.detail);
            for item in &mut items {
                *item = Err(Unreadable { reason: finding.reason, detail: detail.clone() });
            }
            return Decoded { items, ..Decoded::default() };
        }
        if let Some(measurement) = &self.measurement {
            for event in items.iter_mut().flatten().filter(|event| event.measurement.is_empty()) {
                event.measurement = measurement.clone();
            }
        }
        Decoded {
            items: items.into_iter().map(|item| item.map(with_measurement)).collect(),
            sent_at_ms: self.sent_at_ms,
            defaults: Defaults { session_id: self.session_id, view_name: self.view_name, tags: self.tags },
        }
    }
}

fn with_measurement(mut event: Event<'_>) -> Event<'_> {
    if event.measurement.is_empty() {
        event.measurement = Cow::Borrowed(DEFAULT_MEASUREMENT);
    }
    event
}

/// A list of items, read.
pub(super) enum List<'b> {
    Of(Vec<Item<'b>>),
    /// How many there were; none is kept.
    TooMany(usize),
    /// It was no list.
    Other,
}

/// Reads a list of items.
#[derive(Clone, Copy)]
pub(super) struct Items {
    max_events: usize,
    reading: Reading,
}

impl<'de> DeserializeSeed<'de> for Items {
    type Value = List<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

/// Writes the visits of a visitor for all that is neither a list nor an object.
macro_rules! scalars_are {
    ($value:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok($value("null"))
        }

        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value("a boolean"))
        }

        fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value("a number"))
        }

        fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value("a number"))
        }

        fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value("a number"))
        }

        fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
            Ok($value("a string"))
        }
    };
}

impl<'de> Visitor<'de> for Items {
    type Value = List<'de>;

    scalars_are!(|_| List::Other);

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        AnyValue.visit_map(object)?;
        Ok(List::Other)
    }

    /// Past the limit items are counted and no longer kept.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < self.max_events {
            let item = match self.reading {
                Reading::Direct => list.next_element_seed(ItemShape)?,
                Reading::ItemByItem => list.next_element::<&RawValue>()?.map(|raw| alone(raw.get())),
            };
            let Some(item) = item else {
                return Ok(List::Of(items));
            };
            items.push(item);
        }
        let mut found = items.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            found += 1;
        }
        Ok(if found > self.max_events { List::TooMany(found) } else { List::Of(items) })
    }
}

fn alone(raw: &str) -> Item<'_> {
    let read = ItemShape.deserialize(&mut serde_json::Deserializer::from_str(raw));
    read.unwrap_or_else(|_| Err(salvage::why_unreadable(raw)))
}

/// Reads one item of a list.
struct ItemShape;

impl ItemShape {
    fn no_object<'b>(kind: &str) -> Item<'b> {
        Err(Unreadable { reason: Reason::Malformed, detail: format!("the item is {kind}, not an object") })
    }
}

impl<'de> DeserializeSeed<'de> for ItemShape {
    type Value = Item<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ItemShape {
    type Value = Item<'de>;

    scalars_are!(Self::no_object);

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        Ok(Members::read(object, None)?.into_item())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        AnyValue.visit_seq(list)?;
        Ok(Self::no_object("a list"))
    }
}

/// Reads a whole body.
struct BodyShape(Items);

impl<'de> DeserializeSeed<'de> for BodyShape {
    type Value = Result<Decoded<'de>, DecodeError>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BodyShape {
    type Value = Result<Decoded<'de>, DecodeError>;

    scalars_are!(|_| Err(DecodeError::UnknownShape("it is neither an object nor a list")));

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        Ok(Members::read(object, Some(self.0))?.into_body(self.0.max_events))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Ok(match self.0.visit_seq(list)? {
            List::TooMany(found) => Err(DecodeError::TooManyEvents { found, limit: self.0.max_events }),
            List::Of(items) => {
                let items = items.into_iter().map(|item| item.map(with_measurement)).collect();
                Ok(Decoded { items, ..Decoded::default() })
            }
            List::Other => Ok(Decoded::default()),
        })
    }
}
