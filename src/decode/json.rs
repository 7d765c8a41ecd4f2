//! Tolerant pieces of JSON: whatever stands in a member is read to its end, and a wrong type is told as a value.
//!
//! Members that nobody asked for are skipped by `IgnoredAny`, which serde_json does with a loop and not by recursion: depth costs no stack.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Number, Unreadable};
use crate::outcome::Reason;

/// Any JSON value; lists and objects are only named, not kept.
pub(super) enum Scalar<'b> {
    Null,
    Bool(bool),
    Number(Number),
    /// An integer above `i64::MAX`.
    Large(u64),
    Text(Cow<'b, str>),
    List,
    Object,
}

impl<'b> Scalar<'b> {
    /// What it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) | Self::Large(_) => "a number",
            Self::Text(_) => "a string",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }

    /// The number, or what it is instead.
    pub(super) fn number(&self) -> Result<Number, &'static str> {
        match *self {
            Self::Number(number) => Ok(number),
            Self::Large(number) => Ok(Number::Float(number as f64)),
            _ => Err(self.kind()),
        }
    }

    /// The text of a string, number or boolean, or what it is instead.
    pub(super) fn into_text(self) -> Result<Cow<'b, str>, &'static str> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Bool(true) => Ok(Cow::Borrowed("true")),
            Self::Bool(false) => Ok(Cow::Borrowed("false")),
            Self::Number(Number::Int(number)) => Ok(itoa::Buffer::new().format(number).to_owned().into()),
            Self::Number(Number::Float(number)) => Ok(ryu::Buffer::new().format(number).to_owned().into()),
            Self::Large(number) => Ok(itoa::Buffer::new().format(number).to_owned().into()),
            Self::Null | Self::List | Self::Object => Err(self.kind()),
        }
    }
}

/// Reads a [`Scalar`].
pub(super) struct AnyValue;

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Scalar<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(Number::Int(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Scalar::Large(value), |value| Scalar::Number(Number::Int(value))))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(Number::Float(value)))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        skip_entries(object)?;
        Ok(Scalar::Object)
    }
}

/// Reads a member's name.
pub(super) struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

/// A value that an object's pairs may hold.
pub(super) trait PairValue<'b>: Sized {
    /// Makes it, or says why not, naming the member that the pair stands in and, where that is safe to show, the pair.
    fn take(member: &str, name: &str, value: Scalar<'b>) -> Result<Self, Unreadable>;
}

impl<'b> PairValue<'b> for Number {
    fn take(member: &str, name: &str, value: Scalar<'b>) -> Result<Self, Unreadable> {
        value.number().map_err(|kind| Unreadable {
            reason: Reason::NotANumber,
            detail: format!("{} is {kind}, not a number", in_member(member, name)),
        })
    }
}

impl<'b> PairValue<'b> for Cow<'b, str> {
    fn take(member: &str, name: &str, value: Scalar<'b>) -> Result<Self, Unreadable> {
        value.into_text().map_err(|kind| Unreadable {
            reason: Reason::Malformed,
            detail: format!("{} is {kind}, not a string", in_member(member, name)),
        })
    }
}

/// A pair's place in words. Its name is the caller's own text: it is shown only when it is a plain name.
pub(super) fn in_member(member: &str, name: &str) -> String {
    if is_name(name) { format!("`{name}` in `{member}`") } else { format!("a value in `{member}`") }
}

/// Whether this can name a field or a tag: `[A-Za-z][A-Za-z0-9_.:-]{0,63}`.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-');
    name.len() <= 64
        && name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && name.as_bytes().iter().all(plain)
}

/// Reads an object of like values, such as `metrics`: the pairs in the order sent, up to `most`; the rest is skipped. The first
/// value that is of another type stands for the object. `null` is an empty object.
pub(super) struct Pairs<T> {
    member: &'static str,
    most: usize,
    values: PhantomData<T>,
}

impl<T> Pairs<T> {
    pub(super) fn of(member: &'static str, most: usize) -> Self {
        Self { member, most, values: PhantomData }
    }

    fn wrong<V>(&self, kind: &str) -> Result<V, Unreadable> {
        let detail = format!("`{}` is {kind}, not an object", self.member);
        Err(Unreadable { reason: Reason::Malformed, detail })
    }
}

impl<'de, T: PairValue<'de>> DeserializeSeed<'de> for Pairs<T> {
    type Value = Result<Vec<(Cow<'de, str>, T)>, Unreadable>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T: PairValue<'de>> Visitor<'de> for Pairs<T> {
    type Value = Result<Vec<(Cow<'de, str>, T)>, Unreadable>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while pairs.len() < self.most {
            let Some(name) = object.next_key_seed(Name)? else {
                return Ok(Ok(pairs));
            };
            match T::take(self.member, &name, object.next_value_seed(AnyValue)?) {
                Ok(value) => pairs.push((name, value)),
                Err(finding) => {
                    skip_entries(object)?;
                    return Ok(Err(finding));
                }
            }
        }
        skip_entries(object)?;
        Ok(Ok(pairs))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Ok(Vec::new()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(self.wrong("a boolean"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(self.wrong("a number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(self.wrong("a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(self.wrong("a number"))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(self.wrong("a string"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        AnyValue.visit_seq(list)?;
        Ok(self.wrong("a list"))
    }
}

fn skip_entries<'de, A: MapAccess<'de>>(mut object: A) -> Result<(), A::Error> {
    while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}
