//! From when to when is asked, and in windows of which length.

use std::time::{Duration, UNIX_EPOCH};

use clap::Args;

use super::super::Failure;
use super::library::Given;
use super::words::length;
use crate::answers::Literal;
use crate::answers::table::rfc3339;
use crate::clock::UnixNanos;

/// Longer ranges are answered from the rollups.
const LONG: Duration = Duration::from_secs(6 * 3600);

/// More than this would be answered by nobody's data, and leaves the range of nanoseconds.
const LONGEST: Duration = Duration::from_secs(50 * 366 * 86_400);

/// About so many windows are asked for, so that they stand side by side on a terminal.
const WINDOWS: u64 = 60;

/// Lengths of windows, in seconds: each a part of the next that people use.
const STEPS: [u64; 17] =
    [1, 5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 7 * 86_400];

#[derive(Args, Clone, Debug, Default)]
pub(super) struct RangeArgs {
    /// How far back to look
    #[arg(long, value_name = "DURATION", value_parser = period, conflicts_with_all = ["from", "until"])]
    pub(super) since: Option<Duration>,
    /// From this moment: 2026-01-31T09:00:00Z, 2026-01-31T10:00+01:00, 2026-01-31
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) from: Option<UnixNanos>,
    /// To this moment [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "from")]
    pub(super) until: Option<UnixNanos>,
}

/// A round length that is at least so long.
pub(super) fn round(length: Duration) -> Duration {
    STEPS.into_iter().map(Duration::from_secs).find(|step| *step >= length).unwrap_or(length)
}

/// From when to when.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) from: UnixNanos,
    pub(super) until: UnixNanos,
    /// As the query says it: `--since 1h` stays `-1h`, by InfluxDB's own clock, whenever the query runs.
    pub(super) start: Literal,
    pub(super) stop: Literal,
    /// How far back, where the range ends now.
    pub(super) since: Option<Duration>,
}

impl Range {
    /// The range that the arguments name, or else the last `otherwise`.
    pub(super) fn of(args: &RangeArgs, otherwise: Duration, now: UnixNanos) -> Result<Self, Failure> {
        let Some(from) = args.from else {
            return Ok(Self::last(args.since.unwrap_or(otherwise), now));
        };
        let until = args.until.unwrap_or(now);
        if from >= until {
            let then = if args.until.is_some() { "--until" } else { "now" };
            return Err(Failure::Misuse(format!("--from must be before {then}: {} is not", show(from))));
        }
        let stop = args.until.map_or_else(Literal::now, Literal::moment);
        Ok(Self { from, until, start: Literal::moment(from), stop, since: None })
    }

    /// The last so long.
    pub(super) fn last(since: Duration, now: UnixNanos) -> Self {
        let from = now.saturating_sub(nanos(since)).max(0);
        Self { from, until: now, start: Literal::ago(since), stop: Literal::now(), since: Some(since) }
    }

    /// With another beginning, as an input of a script was set.
    pub(super) fn begin(&mut self, value: &Given) {
        self.since = None;
        self.from = value.at.unwrap_or(self.from);
        self.start = value.literal.clone();
    }

    /// With another end.
    pub(super) fn end(&mut self, value: &Given) {
        self.since = None;
        self.until = value.at.unwrap_or(self.until);
        self.stop = value.literal.clone();
    }

    pub(super) fn length(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.until.saturating_sub(self.from)).unwrap_or(0))
    }

    /// Whether rollups answer better than points.
    pub(super) fn is_long(&self) -> bool {
        self.length() > LONG
    }

    /// The shortest round length that makes no more than about sixty windows of it.
    pub(super) fn every(&self) -> Duration {
        let seconds = self.length().as_secs();
        let fits = STEPS.into_iter().find(|step| seconds.div_ceil(*step) <= WINDOWS);
        Duration::from_secs(fits.unwrap_or_else(|| {
            const DAY: u64 = 86_400;
            seconds.div_ceil(WINDOWS).div_ceil(DAY) * DAY
        }))
    }

    /// `the last 1h`, or `2026-01-31 09:00:00 to 10:00:00 UTC`
    pub(super) fn said(&self) -> String {
        self.since.map_or_else(|| self.shown(), |since| format!("the last {}", length(since)))
    }

    /// The arguments that name it again.
    pub(super) fn arguments(&self) -> String {
        match self.since {
            Some(since) => format!("--since {}", length(since)),
            None => format!("--from {} --until {}", rfc3339(self.from), rfc3339(self.until)),
        }
    }

    /// `2026-01-31 09:00:00 to 10:00:00 UTC`; the day is not said twice.
    pub(super) fn shown(&self) -> String {
        let (from, until) = (show(self.from), show(self.until));
        let same_day = from.get(..10) == until.get(..10);
        let until = if same_day { until.get(11..).unwrap_or_default().to_owned() } else { until };
        format!("{from} to {until} UTC")
    }

    /// A moment of it, as short as the range allows: `09:00`, `09:00:10`, `01-31 09:00`, `01-31`.
    pub(super) fn short(&self, at: UnixNanos, every: Duration) -> String {
        const DAY: u64 = 86_400;
        let text = show(at);
        let part = match (self.length().as_secs(), every.as_secs()) {
            (_, every) if every > 0 && every % DAY == 0 => 5..10,
            (DAY.., _) => 5..16,
            (_, every) if every % 60 != 0 => 11..19,
            _ => 11..16,
        };
        text.get(part).unwrap_or(&text).to_owned()
    }
}

/// `2026-01-31 09:00:00`, in UTC.
pub(super) fn show(at: UnixNanos) -> String {
    let since = Duration::from_nanos(u64::try_from(at).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

/// How long ago, in its two largest units: `3h 12m`.
pub(super) fn ago(at: UnixNanos, now: UnixNanos) -> String {
    let seconds = Duration::from_nanos(u64::try_from(now.saturating_sub(at)).unwrap_or(0)).as_secs();
    let text = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

pub(super) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// `1h`, `90s`, `2days`: at least a second.
pub(super) fn period(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text).map_err(|error| error.to_string())? {
        period if period < Duration::from_secs(1) => Err("at least 1s".to_owned()),
        period if period > LONGEST => Err("at most 50 years".to_owned()),
        period => Ok(period),
    }
}

/// RFC 3339 with any offset; the seconds, the time and the `Z` (UTC) may be left out.
pub(super) fn moment(text: &str) -> Result<UnixNanos, String> {
    const FORM: &str = "write it like 2026-01-31T09:00:00Z, 2026-01-31T10:00+01:00 or 2026-01-31 (UTC)";
    let form = || FORM.to_owned();
    let (day, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00"));
    let (time, offset) = match time.rfind(['+', '-']) {
        Some(at) => (&time[..at], offset(&time[at..]).ok_or_else(form)?),
        None => (time.strip_suffix(['Z', 'z']).unwrap_or(time), 0),
    };
    // What humantime makes of other characters is its own affair.
    if !time.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.')) {
        return Err(form());
    }
    let seconds = if time.len() == 5 { ":00" } else { "" };
    let at = humantime::parse_rfc3339(&format!("{day}T{time}{seconds}Z")).map_err(|_| form())?;
    let since = at.duration_since(UNIX_EPOCH).map_err(|_| "it should be after 1970".to_owned())?;
    let at = i64::try_from(since.as_nanos()).map_err(|_| "it should be before 2262".to_owned())?;
    let at = at.saturating_sub(offset.saturating_mul(1_000_000_000));
    if at < 0 { Err("it should be after 1970".to_owned()) } else { Ok(at) }
}

/// `+02:00`, in seconds.
fn offset(text: &str) -> Option<i64> {
    let digits = |text: &str, most: i64| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| plain && *number <= most)
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let seconds = digits(hours, 23)? * 3600 + digits(minutes, 59)? * 60;
    Some(if text.starts_with('-') { -seconds } else { seconds })
}
