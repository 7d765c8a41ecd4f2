//! What there is to say, for people: plain text in columns.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};

use super::super::table::{Cell, Column, Table};
use super::super::terminal::Terminal;
use super::{Found, age};
use crate::clock::UnixNanos;
use crate::spool::offline::{Row, Survey};

pub(super) fn write(found: &Found, path: &Path, memory: bool, now: UnixNanos, out: &mut dyn Write) -> io::Result<()> {
    match &found.log {
        Some(log) => {
            if memory {
                writeln!(
                    out,
                    "spool.durability is \"memory\": no gateway delivers this log; `tagline replay {}` does\n",
                    log.folder.display()
                )?;
            }
            self::log(log, now, out)?;
        }
        None if !memory => writeln!(out, "there is no log in {}", path.display())?,
        None => writeln!(
            out,
            "there is no log in {}: spool.durability is \"memory\", so what waits stands in the gateway's memory alone (its /admin/ledger says how much)",
            path.display()
        )?,
    }
    if let Some(dir) = &found.dir {
        beside(found, dir, out)?;
    }
    Ok(())
}

fn log(log: &Survey, now: UnixNanos, out: &mut dyn Write) -> io::Result<()> {
    let folder = log.folder.display();
    let segments = counted(log.segments, "segment");
    writeln!(out, "{folder}: {segments}, {}", HumanBytes(log.bytes))?;
    if let Some(holder) = log.holder {
        writeln!(
            out,
            "a gateway runs on it ({holder}): these are the figures of its last cursor; its /admin/ledger has the exact ones"
        )?;
    }
    if log.generation.is_none() && log.segments > 0 {
        writeln!(out, "there is no whole cursor: all records count as waiting, those too that were delivered")?;
    }
    writeln!(out)?;
    let mut rows = vec![
        ["tenant", "pending", "bytes", "oldest", "accepted", "delivered", "dead-lettered", "spilled", "lost"]
            .map(str::to_owned),
    ];
    rows.extend(log.tenants.iter().map(|(tenant, of)| row(tenant, of, now)));
    rows.push(row("total", &log.total(), now));
    columns(&rows, out)?;
    losses(log, out)?;
    damage(log, out)
}

fn row(name: &str, of: &Row, now: UnixNanos) -> [String; 9] {
    let count = |points: u64| HumanCount(points).to_string();
    let oldest = of.oldest.map(|at| humantime::format_duration(Duration::from_secs(age(at, now))).to_string());
    let totals = &of.totals;
    [
        name.to_owned(),
        count(of.points),
        HumanBytes(of.bytes).to_string(),
        oldest.unwrap_or_else(|| "-".to_owned()),
        count(totals.accepted),
        count(totals.delivered),
        count(totals.dead_lettered),
        count(totals.spilled),
        count(of.lost()),
    ]
}

fn losses(log: &Survey, out: &mut dyn Write) -> io::Result<()> {
    let lost = log.tenants.iter().filter(|(_, row)| row.lost() > 0);
    for (n, (tenant, row)) in lost.enumerate() {
        if n == 0 {
            writeln!(out, "\nlost, by reason:")?;
        }
        let reasons: Vec<String> =
            row.totals.lost.iter().map(|(reason, points)| format!("{reason} {}", HumanCount(*points))).collect();
        writeln!(out, "  {tenant}: {}", reasons.join(", "))?;
    }
    let missing = log.tenants.iter().filter(|(_, row)| row.missing > 0);
    for (n, (tenant, row)) in missing.enumerate() {
        if n == 0 {
            writeln!(
                out,
                "\nmissing: they wait by the cursor and stand in no segment that can be read. The next start of a gateway on this folder counts \
                 them as lost (damaged); if there is another copy of the folder, look there first:"
            )?;
        }
        writeln!(out, "  {tenant}: {} points", HumanCount(row.missing))?;
    }
    Ok(())
}

fn damage(log: &Survey, out: &mut dyn Write) -> io::Result<()> {
    let folder = log.folder.display();
    if !log.damage.is_empty() {
        writeln!(
            out,
            "\ndamage: the next start of a gateway copies these bytes aside (….damaged-AT) and goes on with the whole records; look at the disk:"
        )?;
    }
    for file in &log.damage {
        if file.places > 0 {
            let places = counted(file.places, "place");
            writeln!(out, "  {}: {} bytes in {places} with whole records behind", file.file, file.bytes)?;
        }
        if file.torn > 0 {
            writeln!(
                out,
                "  {}: {} bytes at the end that are no whole record: a write that a crash cut off, as a rule never acknowledged",
                file.file, file.torn
            )?;
        }
    }
    for name in &log.bad_cursors {
        writeln!(out, "\n{name} is not whole: a crash cut its last write off; the other one counts")?;
    }
    let (unread, kept): (Vec<_>, Vec<_>) = log.aside.iter().partition(|file| file.why.is_some());
    if !unread.is_empty() {
        writeln!(out, "\nnot read, and not in the figures:")?;
    }
    for file in unread {
        let why = file.why.as_deref().unwrap_or_default();
        writeln!(out, "  {} ({}): {why}", file.name, HumanBytes(file.bytes))?;
    }
    if !kept.is_empty() {
        writeln!(
            out,
            "\nset aside at a start, and not in the figures; `tagline replay {folder}/FILE` sends the whole records in one, then it can go:"
        )?;
    }
    for file in kept {
        writeln!(out, "  {} ({})", file.name, HumanBytes(file.bytes))?;
    }
    Ok(())
}

fn beside(found: &Found, dir: &Path, out: &mut dyn Write) -> io::Result<()> {
    if !found.letters.is_empty() {
        let dir = dir.join("dead-letters");
        writeln!(
            out,
            "\ndead letters in {}: lines that InfluxDB refused for good, each with the reason",
            dir.display()
        )?;
        let mut rows = vec![["tenant", "letters", "files", "bytes"].map(str::to_owned)];
        rows.extend(found.letters.iter().map(|(tenant, of)| {
            [
                tenant.clone(),
                HumanCount(of.letters).to_string(),
                HumanCount(of.files).to_string(),
                HumanBytes(of.bytes).to_string(),
            ]
        }));
        columns(&rows, out)?;
        writeln!(out, "once what they met is mended: `tagline replay {}`", dir.display())?;
    }
    if !found.spills.is_empty() {
        let dir = dir.join("spill");
        writeln!(out, "\nspill files in {}: what InfluxDB would not take when a gateway stopped", dir.display())?;
        let mut rows = vec![["file", "points", "bytes"].map(str::to_owned)];
        rows.extend(found.spills.iter().map(|file| {
            let points = HumanCount(file.tenants.values().sum()).to_string();
            [file.name.clone(), points, HumanBytes(file.bytes).to_string()]
        }));
        columns(&rows, out)?;
        for (file, why) in found.spills.iter().filter_map(|file| Some((file, file.damaged.as_ref()?))) {
            writeln!(out, "{}: {why}; what is whole in it can be replayed", file.name)?;
        }
        writeln!(out, "to send them: `tagline replay {}`", dir.display())?;
    }
    Ok(())
}

/// The first column to the left, the others to the right; the first row holds the titles.
fn columns<const N: usize>(rows: &[[String; N]], out: &mut dyn Write) -> io::Result<()> {
    let Some((titles, rows)) = rows.split_first() else { return Ok(()) };
    let columns = titles.iter().enumerate();
    let mut table =
        Table::new(columns.map(|(n, title)| if n == 0 { Column::left(title) } else { Column::right(title) }));
    for row in rows {
        table.row(row.iter().map(Cell::from));
    }
    table.lines(Terminal::PLAIN).iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
