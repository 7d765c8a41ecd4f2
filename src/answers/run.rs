//! Asks an InfluxDB, and says in a sentence why there is no answer.

#[cfg(test)]
mod tests;

use std::time::Duration;

use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::json;
use thiserror::Error;

use super::table::{ReadError, Table};
use crate::config::{Secret, Source};
use crate::deliver::influx::{self, Connection};

/// What an answer may weigh. A person reads none of that size; what asks for it asks for raw points.
const MOST_BYTES: usize = 64 << 20;

/// An InfluxDB that is asked.
///
/// The requests are made here, by the client that delivery uses for its own: see [`super::table`] for why `influxdb2` does not read
/// the answers.
#[derive(Debug)]
pub struct Reader {
    http: reqwest::Client,
    url: String,
    org: String,
    token: Secret,
    timeout: Duration,
}

/// Why there is no answer: what, where, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum AskError {
    /// The settings cannot make a client.
    #[error("{0}")]
    Settings(String),
    /// Nobody listens, or the connection broke.
    #[error("InfluxDB at {url} cannot be asked: {why}. Is it up, and is influxdb.url (INFLUXDB_URL) right?")]
    Away {
        /// Where.
        url: String,
        /// What happened.
        why: String,
    },
    /// It took too long.
    #[error(
        "InfluxDB at {url} gave no whole answer within {}. Ask for a shorter range, without --raw, or give it longer: --timeout 5m",
        humantime::format_duration(*.timeout)
    )]
    Slow {
        /// Where.
        url: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// 401, 403.
    #[error(
        "InfluxDB at {url} refuses the token ({status}). influxdb.read_token (INFLUXDB_READ_TOKEN) must be one that may read in the organisation {org:?}; `tagline setup` makes one"
    )]
    Denied {
        /// Where.
        url: String,
        /// In which organisation.
        org: String,
        /// The status.
        status: u16,
    },
    /// 404: no bucket, or no organisation.
    #[error(
        "InfluxDB at {url} does not find what is asked for in the organisation {org:?}: {message}. It is not there, or the token may not read it; `tagline setup` makes buckets and a token for them"
    )]
    NotFound {
        /// Where.
        url: String,
        /// In which organisation.
        org: String,
        /// InfluxDB's words.
        message: String,
    },
    /// The query cannot be run, or failed while it ran.
    #[error("InfluxDB at {url} could not run the query: {message}. `--flux` prints the query, to try it by hand")]
    Query {
        /// Where.
        url: String,
        /// InfluxDB's words.
        message: String,
    },
    /// 429, 5xx.
    #[error("InfluxDB at {url} cannot answer now ({status}: {message}). Try again in a moment")]
    Busy {
        /// Where.
        url: String,
        /// The status.
        status: u16,
        /// InfluxDB's words.
        message: String,
    },
    /// More than can be shown.
    #[error("the answer of InfluxDB at {url} is larger than {} MiB. Ask for a shorter range, or for fewer rows", MOST_BYTES >> 20)]
    TooLarge {
        /// Where.
        url: String,
    },
    /// No InfluxDB.
    #[error("what answers at {url} is no InfluxDB 2 ({why}). Is influxdb.url (INFLUXDB_URL) right?")]
    Odd {
        /// Where.
        url: String,
        /// What came.
        why: String,
    },
}

impl Reader {
    /// A client of this InfluxDB whose every question may take so long.
    ///
    /// # Errors
    /// A URL or a token that cannot be used.
    pub fn new(source: &Source, timeout: Duration) -> Result<Self, AskError> {
        let Source { url, org, bucket: _, token } = source;
        let connection = Connection { url, org, token: token.expose_secret(), timeout, gzip: false };
        let http = influx::http(&connection)
            .and_then(|builder| builder.build().map_err(|error| format!("influxdb.url {url:?}: {error}")))
            .map_err(AskError::Settings)?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { http, url, org: org.clone(), token: token.clone(), timeout })
    }

    /// Runs a query and waits for the whole answer.
    ///
    /// # Errors
    /// No answer, or none that is whole.
    pub async fn ask(&self, flux: &str) -> Result<Table, AskError> {
        let body = json!({
            "query": flux,
            "type": "flux",
            "dialect": { "header": true, "delimiter": ",", "annotations": ["datatype", "group", "default"] },
        });
        let request = self
            .http
            .post(format!("{}/api/v2/query", self.url))
            .query(&[("org", &self.org)])
            .header("Authorization", format!("Token {}", self.token.expose_secret()))
            .header("Content-Type", "application/json")
            .header("Accept", "application/csv")
            .body(body.to_string());
        let mut response = request.send().await.map_err(|error| self.away(error))?;
        let status = response.status();
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.away(error))? {
            if answer.len() + chunk.len() > MOST_BYTES {
                return Err(AskError::TooLarge { url: self.url.clone() });
            }
            answer.extend_from_slice(&chunk);
        }
        if status != StatusCode::OK {
            return Err(self.refused(status, &answer));
        }
        let url = self.url.clone();
        Table::parse(&answer).map_err(|error| match error {
            ReadError::Failed(message) => AskError::Query { url, message: shown(&message) },
            ReadError::Unreadable(why) => AskError::Odd { url, why: shown(&why) },
        })
    }

    fn away(&self, error: reqwest::Error) -> AskError {
        let url = self.url.clone();
        // A host that takes no connection is away; one that took the question is slow.
        if error.is_timeout() && !error.is_connect() {
            return AskError::Slow { url, timeout: self.timeout };
        }
        AskError::Away { url, why: crate::deliver::failure(error) }
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> AskError {
        let (url, org) = (self.url.clone(), self.org.clone());
        let parsed: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let message = parsed.as_ref().and_then(|value| value.get("message")).and_then(serde_json::Value::as_str);
        match (status.as_u16(), message) {
            (status @ (401 | 403), _) => AskError::Denied { url, org, status },
            (404, Some(message)) => {
                let message = message.strip_prefix("failed to initialize execute state: ").unwrap_or(message);
                AskError::NotFound { url, org, message: shown(message) }
            }
            (400 | 422, Some(message)) => AskError::Query { url, message: shown(message) },
            (500, Some(message)) => AskError::Query { url, message: shown(message) },
            (status @ (429 | 500..), message) => {
                AskError::Busy { url, status, message: shown(message.unwrap_or("no reason given")) }
            }
            (status, _) => AskError::Odd { url, why: format!("it answered {status}") },
        }
    }
}

/// A server's words, for a terminal: on one line, without control characters, and not endless.
fn shown(message: &str) -> String {
    const MOST: usize = 500;
    let words = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = words.chars().filter(|c| !c.is_control()).take(MOST).collect();
    if words.chars().count() > MOST {
        shown.push('…');
    }
    shown.trim_end_matches('.').to_owned()
}
