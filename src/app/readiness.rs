//! The named checks of `/readyz`.

use crate::deliver::{LaneState, View};
use crate::http::{Check, CheckStatus, Lifecycle, Readiness};
use crate::spool::{Pending, Spool};

pub(super) fn readiness(lifecycle: Lifecycle, spool: Spool, delivery: View) -> Readiness {
    let checks = move || {
        let mut checks = vec![spool_check(spool.pending())];
        checks.extend(delivery.lanes().into_iter().map(|(bucket, lane)| lane_check(&bucket, &lane)));
        checks
    };
    Readiness { lifecycle, checks: Box::new(checks) }
}

/// Degraded from nine tenths on: there is still time to look.
fn spool_check(pending: Pending) -> Check {
    let full = pending.bytes.saturating_mul(10) >= pending.limit.saturating_mul(9);
    let detail = full.then(|| {
        format!(
            "{} of {} bytes wait for delivery; new requests get 503 when it is full. See the destination's check",
            pending.bytes, pending.limit
        )
    });
    let status = if full { CheckStatus::Degraded } else { CheckStatus::Ok };
    Check { name: "spool".to_owned(), status, detail }
}

fn lane_check(bucket: &str, lane: &LaneState) -> Check {
    let (status, detail) = match lane {
        LaneState::Flowing => (CheckStatus::Ok, None),
        LaneState::BackingOff => {
            let detail = "the destination is away or overloaded; accepted points are kept and tried again";
            (CheckStatus::Degraded, Some(detail.to_owned()))
        }
        LaneState::Paused(why) => (CheckStatus::Degraded, Some(why.clone())),
    };
    Check { name: format!("destination:{bucket}"), status, detail }
}
