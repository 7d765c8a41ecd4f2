//! How a session's id is stored, and what that means for a point's time.

#[cfg(test)]
mod tests;

use bumpalo::Bump;
use xxhash_rust::xxh3::xxh3_64;

use crate::config::SessionMode;
use crate::outcome::Reason;

use super::{MAX_SESSION, Rejected};

/// A session's id, by where it goes.
#[derive(Clone, Copy)]
pub(super) enum Session<'p> {
    /// The event has none.
    None,
    /// The tag `session_id`.
    Tag(&'p str),
    /// The field `session`, and in hash mode the tag `session_bucket`.
    Field { id: &'p str, bucket: Option<&'p str> },
}

/// Places a session's id; an empty one is none.
pub(super) fn store<'p>(id: Option<&'p str>, mode: SessionMode, arena: &'p Bump) -> Result<Session<'p>, Rejected> {
    let Some(id) = id.filter(|id| !id.is_empty()) else {
        return Ok(Session::None);
    };
    if id.len() > MAX_SESSION {
        return Rejected::because(Reason::TooLong, format!("`sessionId` is longer than {MAX_SESSION} bytes"));
    }
    Ok(match mode {
        SessionMode::Tag => Session::Tag(id),
        SessionMode::Field => Session::Field { id, bucket: None },
        SessionMode::Hash(buckets) => {
            let bucket = xxh3_64(id.as_bytes()) % u64::from(buckets.max(1));
            let text = arena.alloc_str(itoa::Buffer::new().format(bucket));
            Session::Field { id, bucket: Some(text) }
        }
    })
}

impl<'p> Session<'p> {
    pub(super) fn id(&self) -> Option<&'p str> {
        match *self {
            Self::None => None,
            Self::Tag(id) | Self::Field { id, .. } => Some(id),
        }
    }

    pub(super) fn tag(&self) -> Option<(&'static str, &'p str)> {
        match *self {
            Self::Tag(id) => Some(("session_id", id)),
            Self::Field { bucket: Some(bucket), .. } => Some(("session_bucket", bucket)),
            Self::None | Self::Field { bucket: None, .. } => None,
        }
    }

    /// The same without a tag.
    pub(super) fn without_tag(self) -> Self {
        match self.id() {
            None => Self::None,
            Some(id) => Self::Field { id, bucket: None },
        }
    }

    pub(super) fn field(&self) -> Option<&'p str> {
        match *self {
            Self::Field { id, .. } => Some(id),
            Self::None | Self::Tag(_) => None,
        }
    }

    /// The six low digits of the time of the event with this `seq`. Where the session is a tag, a series belongs to one session, and `seq` counts
    /// in it. Where it is not, many sessions that count from 0 share a series, and only a hash keeps them apart: of the id and `seq` as one
    /// text, since `seq` as the hash's seed meets the last bytes of a short id and makes the digits of `s-1`, 2 those of `s-2`, 1. Either way
    /// they are the same for the same event on every replica.
    pub(super) fn low_digits(&self, seq: u64) -> i64 {
        let digits = match self {
            Self::Tag(_) => seq,
            Self::None | Self::Field { .. } => {
                let id = self.id().unwrap_or_default().as_bytes();
                let mut text = [0; MAX_SESSION + size_of::<u64>()];
                let (head, tail) = text[..id.len() + size_of::<u64>()].split_at_mut(id.len());
                head.copy_from_slice(id);
                tail.copy_from_slice(&seq.to_le_bytes());
                xxh3_64(&text[..id.len() + size_of::<u64>()])
            }
        };
        (digits % 1_000_000) as i64
    }
}
