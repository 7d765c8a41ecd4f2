//! What follows when a destination refuses data: division down to the bad lines, and dead letters.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::answer;
use super::batch::Batch;
use super::dead_letters::{DeadLetters, Refusal};
use super::sender::{Rest, Sender};
use crate::encode;
use crate::outcome::{Loss, Outcome};
use crate::spool::Record;
use std::io;
use std::sync::atomic::Ordering;

impl Sender {
    /// 400 or 422: by account first, then down to the bad lines.
    pub(super) async fn refused(&self, batch: Batch, status: u16, message: String, rest: &mut Rest) -> Vec<Batch> {
        if batch.accounts() > 1 {
            return batch.by_account();
        }
        if let Some(record) = batch.records().first() {
            self.suspects.add(record.account(), Instant::now());
        }
        let named: Vec<Option<String>> = if status == 400 {
            let lines: Vec<&[u8]> = batch.records().iter().flat_map(|record| encode::lines(record.lines())).collect();
            answer::named(&message, lines.into_iter())
        } else {
            Vec::new()
        };
        let named_count = named.iter().flatten().count();
        let wholly = match status {
            400 => named_count > 0 && named_count == named.len(),
            _ => answer::dropped(&message) == Some(batch.points()),
        };
        if wholly {
            return self.bury(batch, status, &message, named, rest).await;
        }
        if named_count > 0 {
            // The bad ones are named: apart they are refused wholly, and the others pass.
            let marks: Vec<bool> = named.iter().map(Option::is_some).collect();
            let (bad, good) = batch.partition(&marks);
            return [bad, good].into_iter().filter(|part| part.points() > 0).collect();
        }
        match batch.halves() {
            Ok((left, right)) => vec![right, left],
            Err(single) => self.bury(single, status, &message, named, rest).await,
        }
    }

    /// Dead letters: written and settled on a blocking thread, which no abort can stop between the two. What a full disk did not take is tried again
    /// (its spool still has it): the disk mends itself, or somebody mends it, as for requests.
    pub(super) async fn bury(
        &self,
        batch: Batch,
        status: u16,
        reason: &str,
        named: Vec<Option<String>>,
        rest: &mut Rest,
    ) -> Vec<Batch> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.shared.letter_writers).acquire_owned().await;
        let (letters, bucket, reason) =
            (Arc::clone(&self.shared.dead_letters), Arc::clone(&self.bucket), reason.to_owned());
        let points = batch.points();
        let tenants: BTreeSet<&str> = batch.records().iter().map(|record| record.account().name()).collect();
        tracing::warn!(
            bucket = &*self.bucket,
            ?tenants,
            points,
            status,
            "lines were refused for good: they lie in dead-letters/TENANT.jsonl of the spool, with the reason"
        );
        let buried = tokio::task::spawn_blocking(move || {
            let unwritten = bury(&letters, &bucket, batch, status, &reason, &named);
            drop(permit);
            unwritten
        });
        let unwritten = match buried.await {
            Ok(unwritten) => unwritten,
            Err(error) => {
                tracing::error!("dead letters were not written: {error}");
                return Vec::new();
            }
        };
        let mut again = Batch::default();
        unwritten.into_iter().for_each(|record| again.push(record));
        if again.points() == 0 {
            return Vec::new();
        }
        if self.shared.flushing.load(Ordering::Relaxed) {
            rest.left.push(again);
            return Vec::new();
        }
        tokio::time::sleep(self.shared.pace.backoff_cap).await;
        vec![again]
    }
}

/// Writes and settles; what is left the disk had no space for.
fn bury(
    letters: &DeadLetters,
    bucket: &str,
    batch: Batch,
    status: u16,
    reason: &str,
    named: &[Option<String>],
) -> Vec<Record> {
    let mut at = 0;
    let mut unwritten = Vec::new();
    for record in batch.into_records() {
        let lines = record.lines().clone();
        let refusals: Vec<Refusal<'_>> = encode::lines(&lines)
            .map(|line| {
                let reason = named.get(at).and_then(Option::as_deref).unwrap_or(reason);
                at += 1;
                Refusal { line, reason, brief: answer::brief(status, reason) }
            })
            .collect();
        let tenant = record.account().name().to_owned();
        let points = record.points();
        match letters.write(&tenant, bucket, &refusals) {
            Ok(()) => record.settle(Outcome::DeadLettered),
            Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                tracing::error!(
                    tenant,
                    bucket,
                    points,
                    "dead letters could not be written, their points stay in the spool and are tried again: {error}; make room on the disk of spool.dir"
                );
                unwritten.push(record);
            }
            Err(error) => {
                tracing::error!(
                    tenant,
                    bucket,
                    points,
                    "dead letters could not be written, the points are lost: {error}"
                );
                record.settle(Outcome::Lost(Loss::DeadLetterUnwritten));
            }
        }
    }
    unwritten
}
