//! The closed list of the ends that an item can have, and the ledger that counts them.
//!
//! *Comes in*: "n points of this account were accepted", "n points ended so". *Goes out*: exact totals per tenant, and the last
//! rejections with their reasons. *Never*: a point that is counted twice, or that ends without being counted: every
//! change of an account is one step under one lock, so that each snapshot satisfies
//! `accepted = delivered + pending + dead_lettered + spilled + lost`.

mod ledger;
#[cfg(test)]
mod tests;

pub use ledger::{Account, Ledger, Rejection, Totals};

/// Why an item was refused before it was accepted. The client is told; nothing of it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(usize)]
pub enum Reason {
    /// Not an object of a known shape, or a member has the wrong JSON type.
    Malformed,
    /// A member or tag that the catalog needs is missing or empty.
    MissingMember,
    /// The catalog does not know the measurement.
    UnknownMeasurement,
    /// A name that belongs to Tagline, InfluxDB or another source (`tenant_id`, `time`, `_…`, `caddy_…`).
    ReservedName,
    /// A metric that the catalog does not list, in a measurement that takes no others.
    UnknownField,
    /// A field or tag name that is not `[A-Za-z][A-Za-z0-9_.:-]{0,63}`.
    BadName,
    /// The same name stands twice in one event.
    DuplicateName,
    /// A metric that is not a finite number (`NaN` becomes `null` in JSON).
    NotANumber,
    /// A metric outside the catalog's bounds, or outside its type.
    OutOfRange,
    /// A string longer than its bound.
    TooLong,
    /// More metrics or tags than one event may carry.
    TooMany,
    /// A timestamp that is no finite number of milliseconds InfluxDB could store.
    BadTimestamp,
    /// A time before the bucket's retention.
    TooOld,
    /// A time further ahead than the window allows.
    InFuture,
    /// The event carries no metric: there is nothing to store (204 when a whole request is so).
    Empty,
    /// The write key may not write this measurement.
    NotAllowed,
    /// The tenant's budget is used up (429).
    RateLimited,
    /// The spool is full or closed (503).
    SpoolFull,
}

impl Reason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 18] = [
        Self::Malformed,
        Self::MissingMember,
        Self::UnknownMeasurement,
        Self::ReservedName,
        Self::UnknownField,
        Self::BadName,
        Self::DuplicateName,
        Self::NotANumber,
        Self::OutOfRange,
        Self::TooLong,
        Self::TooMany,
        Self::BadTimestamp,
        Self::TooOld,
        Self::InFuture,
        Self::Empty,
        Self::NotAllowed,
        Self::RateLimited,
        Self::SpoolFull,
    ];

    /// The stable name, as it stands in answers, metrics and `gateway_outcomes`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::MissingMember => "missing_member",
            Self::UnknownMeasurement => "unknown_measurement",
            Self::ReservedName => "reserved_name",
            Self::UnknownField => "unknown_field",
            Self::BadName => "bad_name",
            Self::DuplicateName => "duplicate_name",
            Self::NotANumber => "not_a_number",
            Self::OutOfRange => "out_of_range",
            Self::TooLong => "too_long",
            Self::TooMany => "too_many",
            Self::BadTimestamp => "bad_timestamp",
            Self::TooOld => "too_old",
            Self::InFuture => "in_future",
            Self::Empty => "empty",
            Self::NotAllowed => "not_allowed",
            Self::RateLimited => "rate_limited",
            Self::SpoolFull => "spool_full",
        }
    }
}

/// How an accepted point was lost. Each is counted, logged and an alert's cause.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(usize)]
pub enum Loss {
    /// Neither InfluxDB nor the spill file took it while the gateway stopped.
    Shutdown,
    /// The destination refused it for good, and its dead letter could not be written.
    DeadLetterUnwritten,
    /// The disk no longer holds its record as it was written.
    Damaged,
    /// The spool was full, and `spool.on_full = "drop_oldest"` made room.
    DroppedOldest,
}

impl Loss {
    /// Every loss, in the order of the counters.
    pub const ALL: [Self; 4] = [Self::Shutdown, Self::DeadLetterUnwritten, Self::Damaged, Self::DroppedOldest];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::DeadLetterUnwritten => "dead_letter_unwritten",
            Self::Damaged => "damaged",
            Self::DroppedOldest => "dropped_oldest",
        }
    }
}

/// How an accepted point ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// The destination confirmed it.
    Delivered,
    /// The destination refused it for good; it lies with the dead letters, with the reason.
    DeadLettered,
    /// Set down in a file at shutdown, for `tagline replay`: no longer this process's to deliver.
    Spilled,
    /// Gone, and counted.
    Lost(Loss),
}
