//! The same for scripts; docs/operations.md tells the shape.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::{Found, age};
use crate::clock::UnixNanos;
use crate::spool::offline::{Row, Survey};

pub(super) fn write(found: &Found, now: UnixNanos, out: &mut dyn Write) -> io::Result<()> {
    let letters = found
        .letters
        .iter()
        .map(|(tenant, of)| (tenant.clone(), json!({ "files": of.files, "letters": of.letters, "bytes": of.bytes })));
    let spills: Vec<Value> = found
        .spills
        .iter()
        .map(|file| json!({ "file": file.name, "bytes": file.bytes, "points": file.tenants, "damaged": file.damaged }))
        .collect();
    let all = json!({
        "log": found.log.as_ref().map(|log| self::log(log, now)),
        "dead_letters": letters.collect::<Map<_, _>>(),
        "spill": spills,
    });
    writeln!(out, "{all:#}")
}

fn log(log: &Survey, now: UnixNanos) -> Value {
    let tenants = log.tenants.iter().map(|(tenant, of)| (tenant.clone(), row(of, now)));
    let damage = log
        .damage
        .iter()
        .map(|file| json!({ "file": file.file, "places": file.places, "bytes": file.bytes, "torn_bytes": file.torn }));
    let aside = log.aside.iter().map(|file| json!({ "file": file.name, "bytes": file.bytes, "why": file.why }));
    json!({
        "folder": log.folder.display().to_string(),
        "gateway": log.holder.map(|holder| json!({ "pid": holder.pid })),
        "cursor": log.generation,
        "bad_cursors": log.bad_cursors,
        "segments": log.segments,
        "segment_bytes": log.bytes,
        "total": row(&log.total(), now),
        "tenants": tenants.collect::<Map<_, _>>(),
        "damage": damage.collect::<Vec<_>>(),
        "set_aside": aside.collect::<Vec<_>>(),
    })
}

fn row(row: &Row, now: UnixNanos) -> Value {
    json!({
        "pending": {
            "points": row.points,
            "records": row.records,
            "bytes": row.bytes,
            "oldest_ns": row.oldest,
            "oldest_seconds": row.oldest.map(|at| age(at, now)),
        },
        "accepted": row.totals.accepted,
        "delivered": row.totals.delivered,
        "dead_lettered": row.totals.dead_lettered,
        "spilled": row.totals.spilled,
        "lost": row.totals.lost,
        "missing": row.missing,
    })
}
