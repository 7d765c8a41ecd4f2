//! Where a question becomes queries, and their answers one.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::Failure;
use super::super::terminal::Terminal;
use super::Common;
use super::range::{self, Range};
use super::words::length;
use crate::answers::{AskError, Literal, Reader, Script, Table, library};
use crate::clock::{Clock, UnixNanos, monotonic};
use crate::config::{Settings, TenantId};

/// How far back is looked for the last event of a tenant that has none in the range.
const LOOK_BACK: Duration = Duration::from_secs(30 * 86_400);

/// What every question needs.
pub(super) struct Desk<'d> {
    pub(super) common: &'d Common,
    pub(super) settings: &'d Settings,
    pub(super) terminal: Terminal,
    pub(super) now: UnixNanos,
    begun: Instant,
}

/// What an answer was made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// The points themselves.
    Points,
    /// The rollups.
    Rollups,
}

/// A query that is ready to be run.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) script: &'static Script,
    pub(super) flux: String,
    pub(super) source: Source,
    pub(super) bucket: Arc<str>,
}

/// An answer, and what is to be said of how it came about.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) script: &'static str,
    pub(super) rows: Table,
    pub(super) source: Source,
    pub(super) bucket: Arc<str>,
    pub(super) notes: Vec<String>,
}

/// What a script's inputs are to be.
pub(super) type Values<'v> = Vec<(&'v str, Literal)>;

impl<'d> Desk<'d> {
    pub(super) fn new(common: &'d Common, settings: &'d Settings, clock: &Clock, terminal: Terminal) -> Self {
        Self { common, settings, terminal, now: clock.now(), begun: monotonic() }
    }

    /// The range that is asked for.
    pub(super) fn range(&self, otherwise: Duration) -> Result<Range, Failure> {
        Range::of(&self.common.range, otherwise, self.now)
    }

    /// How long it took until now.
    pub(super) fn took(&self) -> Duration {
        monotonic().saturating_duration_since(self.begun)
    }

    /// The bucket of all that have none of their own.
    pub(super) fn default_bucket(&self) -> Arc<str> {
        let told = self.common.bucket.as_deref().map(Arc::from);
        let source = || self.settings.answers.source.as_ref().map(|source| Arc::from(source.bucket.as_str()));
        told.or_else(source).unwrap_or_else(|| self.settings.default_bucket())
    }

    /// The bucket that a tenant's points lie in.
    pub(super) fn bucket_of(&self, tenant: &TenantId) -> Arc<str> {
        let own = self.settings.tenants.get(tenant).and_then(|tenant| tenant.bucket.clone());
        own.filter(|_| self.common.bucket.is_none()).unwrap_or_else(|| self.default_bucket())
    }

    /// Binds a script of the library: these values, and where and when.
    pub(super) fn query(
        &self,
        name: &str,
        bucket: &Arc<str>,
        range: &Range,
        mut values: Values<'_>,
    ) -> Result<Query, Failure> {
        let script = library::query(name)
            .ok_or_else(|| Failure::Failed(format!("flux/queries/{name}.flux is not in this binary")))?;
        let source = if name.ends_with("-rollup") { Source::Rollups } else { Source::Points };
        let bucket = match source {
            Source::Points => Arc::clone(bucket),
            Source::Rollups => self.settings.answers.rollup_bucket.as_str().into(),
        };
        let always = [
            ("bucket", Literal::text(&bucket)),
            ("rollup_bucket", Literal::text(&self.settings.answers.rollup_bucket)),
            ("start", range.start.clone()),
            ("stop", range.stop.clone()),
        ];
        let inputs = script.inputs();
        for (name, value) in always {
            if inputs.iter().any(|input| input.name == name) && !values.iter().any(|(known, _)| *known == name) {
                values.push((name, value));
            }
        }
        let flux = script.bind(&values).map_err(|error| Failure::Misuse(error.to_string()))?;
        Ok(Query { script, flux, source, bucket })
    }

    /// What is asked; exit code 2 where nothing says what.
    pub(super) fn reader(&self) -> Result<Reader, Failure> {
        let source = self.settings.answers.source.as_ref().ok_or_else(|| {
            Failure::Misuse(
                "query needs an InfluxDB that it may read: set influxdb.url, org and read_token (INFLUXDB_URL, INFLUXDB_ORG, INFLUXDB_READ_TOKEN); `tagline setup` prints them"
                    .to_owned(),
            )
        })?;
        Reader::new(source, self.common.timeout).map_err(failed)
    }

    /// Runs a query.
    pub(super) async fn ask(&self, reader: &Reader, query: Query) -> Result<Answer, Failure> {
        let rows = reader.ask(&query.flux).await.map_err(failed)?;
        let Query { script, flux: _, source, bucket } = query;
        Ok(Answer { script: script.name, rows, source, bucket, notes: Vec::new() })
    }

    /// Runs the query of the rollups, and that of the points where the rollups have nothing.
    pub(super) async fn ask_first(&self, reader: &Reader, rollups: Query, points: Query) -> Result<Answer, Failure> {
        let bucket = Arc::clone(&rollups.bucket);
        let why = match reader.ask(&rollups.flux).await {
            Ok(rows) if rows.is_empty() => {
                format!("{bucket} holds no rollups of it; `tagline rollup --since 7d` makes them of the past")
            }
            Ok(rows) => {
                let Query { script, flux: _, source, bucket } = rollups;
                return Ok(Answer { script: script.name, rows, source, bucket, notes: Vec::new() });
            }
            Err(AskError::NotFound { .. }) => {
                format!(
                    "there is no bucket {bucket} of rollups, or the token may not read it; `tagline setup` makes it"
                )
            }
            Err(error) => return Err(failed(error)),
        };
        let mut answer = self.ask(reader, points).await?;
        if !answer.rows.is_empty() {
            answer.notes.push(format!("Made of the points themselves, which is slow for long ranges: {why}."));
        }
        Ok(answer)
    }

    /// Prints the query instead of running it, if that is what is wanted.
    pub(super) fn only_flux(&self, query: &Query, out: &mut dyn Write) -> Result<bool, Failure> {
        if self.common.flux {
            out.write_all(query.flux.as_bytes()).map_err(unwritten)?;
        }
        Ok(self.common.flux)
    }

    /// Why there is nothing of a tenant: when it sent last.
    pub(super) async fn nothing_of(&self, reader: &Reader, tenant: &TenantId, range: &Range, what: &str) -> Failure {
        let back = Range::last(LOOK_BACK.max(range.since.unwrap_or_default()), self.now);
        let last = match self.query("last-event", &self.bucket_of(tenant), &back, vec![("tenant", text(tenant))]) {
            Ok(query) => reader.ask(&query.flux).await.ok(),
            Err(_) => None,
        };
        let last = last.as_ref().and_then(Table::first).and_then(|row| row.time("last"));
        let known = self.settings.tenants.contains_key(tenant);
        let when = match last {
            Some(last) => {
                format!("Its last event came {} ago, at {} UTC", range::ago(last, self.now), range::show(last))
            }
            None if known => format!("Nor did any event of it come within {}", length(LOOK_BACK)),
            None => format!(
                "Nor did any event of it come within {}: is {tenant} the right id? `tagline query tenants --since 30d` lists them",
                length(LOOK_BACK)
            ),
        };
        Failure::Failed(format!("{tenant} has no {what} in {}. {when}.", range.said()))
    }
}

/// A tenant's id, which needs no escaping and gets it all the same.
pub(super) fn text(tenant: &TenantId) -> Literal {
    Literal::text(tenant.as_str())
}

pub(super) fn failed(error: AskError) -> Failure {
    match error {
        AskError::Settings(why) => Failure::Misuse(why),
        error => Failure::Failed(error.to_string()),
    }
}

/// Nobody reads the answer any more (`… | head`): no reason to complain.
const NOBODY_READS: &str = "nobody reads the answer";

pub(super) fn unwritten(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Failed(NOBODY_READS.to_owned()),
        _ => Failure::Failed(format!("the answer could not be written: {error}")),
    }
}

pub(super) fn unless_nobody_reads(failure: Failure) -> Result<(), Failure> {
    if failure == Failure::Failed(NOBODY_READS.to_owned()) { Ok(()) } else { Err(failure) }
}
