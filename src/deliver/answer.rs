//! What a destination's answer means for the batch: the table of the delivery contract.

use influxdb2::RequestError;

/// The answer to one write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// 204: stored.
    Done,
    /// 400, 422: some lines are bad. The message may echo a tenant's data.
    Refused {
        /// The status.
        status: u16,
        /// InfluxDB's own words.
        message: String,
    },
    /// 413: the body is too large.
    TooLarge,
    /// 401, 403: the token is wrong, or may not write here.
    Denied(u16),
    /// 404: no such bucket (or organisation).
    NotFound,
    /// 429, 5xx, a timeout, a refused connection, a disk error: the same write can succeed later.
    Later {
        /// What happened, without any data.
        why: String,
        /// Whether the batch itself may be the cause (a 5xx, a timeout): if its neighbours pass, it is divided.
        suspicious: bool,
    },
    /// An answer that no InfluxDB 2 gives: something else listens at the URL.
    Odd(u16),
}

impl Answer {
    pub(crate) fn of(result: Result<(), RequestError>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(RequestError::Http { status, text }) => Self::of_status(status.as_u16(), &text),
            Err(RequestError::ReqwestProcessing { source }) => {
                let suspicious = source.is_timeout() && !source.is_connect();
                Self::Later { why: failure(source), suspicious }
            }
            // Neither a body of ours nor an empty 204 is (de)serialised: it would be the crate's own trouble, and passing.
            Err(error) => Self::Later { why: error.to_string(), suspicious: true },
        }
    }

    fn of_status(status: u16, text: &str) -> Self {
        match status {
            400 | 422 => Self::Refused { status, message: message(text) },
            413 => Self::TooLarge,
            401 | 403 => Self::Denied(status),
            404 => Self::NotFound,
            // The crate keeps only status and text of an answer: a `Retry-After` does not reach us, the back-off stands in for it.
            429 => Self::Later { why: "InfluxDB answered 429 (too many requests)".to_owned(), suspicious: false },
            500.. => Self::Later { why: format!("InfluxDB answered {status}"), suspicious: true },
            _ => Self::Odd(status),
        }
    }
}

/// InfluxDB's error is a JSON object; a proxy's may be anything.
fn message(text: &str) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let message = parsed.as_ref().and_then(|value| value.get("message")).and_then(serde_json::Value::as_str);
    message.unwrap_or(text).to_owned()
}

/// A transport error in words, with its innermost cause (the outer ones say "error sending request").
pub(crate) fn failure(error: reqwest::Error) -> String {
    let kind = if error.is_connect() {
        "no connection"
    } else if error.is_timeout() {
        "the write timed out"
    } else {
        "the connection failed"
    };
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    format!("{kind}: {cause}")
}

/// For each line of `lines`, why InfluxDB cannot parse it, if the message of a 400 names it: `unable to parse '<line>': <why>`.
pub(crate) fn named<'l>(message: &str, lines: impl Iterator<Item = &'l [u8]>) -> Vec<Option<String>> {
    const MARK: &str = "unable to parse '";
    const END: &str = "': ";
    let mut whys = std::collections::HashMap::new();
    let mut chunks = message.split(MARK);
    chunks.next();
    for chunk in chunks {
        // The line itself may hold `': `: every place where it could end is a candidate, and only a true line of the batch counts.
        for (at, _) in chunk.match_indices(END).take(8) {
            whys.insert(&chunk.as_bytes()[..at], chunk[at + END.len()..].trim_end());
        }
    }
    lines.map(|line| whys.get(line.trim_ascii_start()).map(|why| (*why).to_owned())).collect()
}

/// How many points a 422 says were dropped (`… dropped=3 …`). The last one counts: what stands before may echo a tag.
pub(crate) fn dropped(message: &str) -> Option<u64> {
    let (_, count) = message.rsplit_once("dropped=")?;
    count.trim().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The reason without the tenant's data, for the admin listener.
pub(crate) fn brief(status: u16, why: &str) -> String {
    let why = match why.split_once("unable to parse '") {
        Some((_, rest)) => format!("unable to parse: {}", rest.rsplit_once("': ").map_or("", |(_, why)| why)),
        // A retention's refusal shows the series key of a point, tags and all.
        None => why.split(" - oldest point").next().unwrap_or_default().to_owned(),
    };
    let why: String = why.chars().take(200).collect();
    format!("{status}: {why}")
}
