//! Steps that are taken through the spool's own doors.

use tokio::sync::oneshot;

use super::super::faulty::Call;
use super::*;

/// A step that no other step stands behind; inside of a call to the disk when `inside` says which.
pub(super) fn run(up: &Up, book: &Mutex<Book>, disk: &Faulty, op: &Op, inside: Option<Call>) {
    let lock = || book.lock().unwrap_or_else(PoisonError::into_inner);
    match op {
        Op::Admit(submissions) => {
            for (tenant, bucket, lines, width) in submissions.iter().copied() {
                let (id, submission) = make(up, &mut lock(), tenant, bucket, lines, width);
                let cost = head(&submission, 0, 0).record_len();
                if up.core.admit(&submission, cost).is_ok() {
                    let (reply, answer) = oneshot::channel();
                    lock().admitted.push((id, Append { submission, cost, reply }, answer));
                }
            }
        }
        Op::Commit => commit(up, book, disk),
        Op::Take(bucket) => take(up, book, *bucket, inside),
        Op::Settle(which, outcome) => {
            let picked = pick(&mut lock(), *which);
            if let Some(record) = picked {
                settle(book, record, *outcome);
            }
        }
        Op::SettlePart(which, at, outcome) => {
            let Some(record) = pick(&mut lock(), *which) else { return };
            let (id, first) = name_of(record.lines());
            let points = record.points() as usize;
            if points < 2 {
                return settle(book, record, *outcome);
            }
            let head = 1 + at % (points - 1);
            let bytes = {
                let starts = &lock().made[id].starts;
                starts[first + head] - starts[first]
            };
            let (head, tail) = record.split_at(bytes, u32::try_from(head).unwrap()).unwrap();
            lock().held.push(tail);
            settle(book, head, *outcome);
        }
        Op::Aside(tenant, bucket) => {
            let account = up.ledger.account(&TenantId::parse(TENANTS[*tenant]).unwrap());
            up.core.set_account_aside(&BUCKETS[*bucket].into(), &account);
        }
        Op::Back(tenant, bucket) => {
            let account = up.ledger.account(&TenantId::parse(TENANTS[*tenant]).unwrap());
            up.core.take_account_back(&BUCKETS[*bucket].into(), &account);
        }
        Op::AllBack(bucket) => up.core.take_all_back(&BUCKETS[*bucket].into()),
        Op::GiveBack(which) => {
            let picked = pick(&mut lock(), *which);
            if let Some(record) = picked {
                mark(&mut lock(), &record, Fate::Held, Fate::Waits);
                drop(record);
            }
        }
        Op::Drain(bucket, count, outcome) => {
            for _ in 0..*count {
                let before = lock().held.len();
                take(up, book, *bucket, inside);
                let taken = {
                    let mut book = lock();
                    if book.held.len() > before { book.held.pop() } else { None }
                };
                let Some(record) = taken else { return };
                settle(book, record, *outcome);
            }
        }
        Op::Pass(count) => {
            for _ in 0..*count {
                pass(up, book, disk);
            }
        }
        other => panic!("{other:?} is a step of the world"),
    }
}

pub(super) fn make(
    up: &Up,
    book: &mut Book,
    tenant: usize,
    bucket: usize,
    lines: usize,
    width: usize,
) -> (usize, Submission) {
    let id = book.made.len();
    let (mut text, mut starts) = (String::new(), vec![0]);
    for line in 0..lines {
        text.push_str(&format!("s{id},l={line} v=\"{}\" 1\n", "x".repeat(width)));
        starts.push(text.len());
    }
    let lines = Bytes::from(text);
    let points = u32::try_from(starts.len() - 1).unwrap();
    let submission = Submission {
        account: up.ledger.account(&TenantId::parse(TENANTS[tenant]).unwrap()),
        share: if tenant == 2 { 0.5 } else { 1.0 },
        destination: BUCKETS[bucket].into(),
        points,
        lines: lines.clone(),
    };
    let cost = head(&submission, 0, 0).record_len();
    let fates = vec![Fate::Out; points as usize];
    book.made.push(Made {
        tenant,
        bucket,
        lines,
        starts,
        fates,
        cost,
        sequence: 0,
        settled_for_good: false,
        unconfirmed: false,
    });
    (id, submission)
}

fn commit(up: &Up, book: &Mutex<Book>, disk: &Faulty) {
    let lock = || book.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(mut writer) = up.writer.try_lock() else { return };
    let admitted = std::mem::take(&mut lock().admitted);
    if admitted.is_empty() {
        return;
    }
    let (mut batch, mut answers) = (Vec::new(), Vec::new());
    for (id, append, answer) in admitted {
        batch.push(append);
        answers.push((id, answer));
    }
    // From here on they may be taken while others look.
    writer.commit(&up.core, batch);
    let mut book = lock();
    for (id, mut answer) in answers {
        match answer.try_recv().expect("everybody is answered") {
            Ok(()) => {
                assert!(!disk.is_off(), "accepted without power");
                let fates = &mut book.made[id].fates;
                fates.iter_mut().filter(|fate| **fate == Fate::Out).for_each(|fate| *fate = Fate::Waits);
            }
            Err(refused) => assert!(
                matches!(refused, Refused::Disk { .. } | Refused::Full { .. }) && book.made[id].fates[0] == Fate::Out,
                "{refused:?}"
            ),
        }
    }
}

fn take(up: &Up, book: &Mutex<Book>, bucket: usize, inside: Option<Call>) {
    // The keeper holds the files while it renames: a reader would wait for it, and here for ever.
    if inside == Some(Call::Rename) {
        return;
    }
    let destination = BUCKETS[bucket].into();
    // Now the one queue first, now the other.
    let aside_first = book.lock().unwrap_or_else(PoisonError::into_inner).held.len() % 2 == 1;
    let first = if aside_first { up.core.try_next_aside(&destination) } else { up.core.try_next(&destination) };
    let second = || if aside_first { up.core.try_next(&destination) } else { up.core.try_next_aside(&destination) };
    let Some(waiting) = first.or_else(second) else { return };
    let record = Record::new(Arc::clone(&up.core), waiting);
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    mark(&mut book, &record, Fate::Waits, Fate::Held);
    let (id, first) = name_of(record.lines());
    let made = &mut book.made[id];
    assert!(made.sequence == 0 || made.sequence == record.sequence());
    made.sequence = record.sequence();
    assert_eq!((TENANTS[made.tenant], BUCKETS[made.bucket]), (record.account().name(), &**record.destination()));
    assert_eq!(BUCKETS[bucket], BUCKETS[made.bucket]);
    let until = first + record.points() as usize;
    assert_eq!(made.lines.slice(made.starts[first]..made.starts[until]), *record.lines());
    book.held.push(record);
}

fn mark(book: &mut Book, record: &Record, from: Fate, to: Fate) {
    let (id, first) = name_of(record.lines());
    let until = first + record.points() as usize;
    for fate in &mut book.made[id].fates[first..until] {
        assert_eq!(*fate, from, "submission {id}, which is to be {to:?}");
        *fate = to;
    }
}

fn pick(book: &mut Book, which: usize) -> Option<Record> {
    let count = book.held.len();
    (count > 0).then(|| book.held.swap_remove(which % count))
}

fn settle(book: &Mutex<Book>, record: Record, outcome: Outcome) {
    mark(&mut book.lock().unwrap_or_else(PoisonError::into_inner), &record, Fate::Held, Fate::Ended(outcome));
    record.settle(outcome);
}

fn pass(up: &Up, book: &Mutex<Book>, disk: &Faulty) {
    let Ok(mut keeper) = up.keeper.try_lock() else { return };
    let lock = || book.lock().unwrap_or_else(PoisonError::into_inner);
    let ended: Vec<usize> =
        lock().made.iter().enumerate().filter(|(_, made)| made.has_ended()).map(|(id, _)| id).collect();
    keeper.pass(&up.core);
    up.wakes.lock().unwrap().try_iter().for_each(drop);
    drop(keeper);
    let well = up.core.health_of_log().unwrap().failed.is_none();
    if well && !disk.is_off() {
        let mut book = lock();
        ended.into_iter().for_each(|id| book.made[id].settled_for_good = true);
    }
    if let Ok(mut writer) = up.writer.try_lock() {
        let jobs: Vec<Job> = up.jobs.lock().unwrap().try_iter().collect();
        for job in jobs {
            writer.work(&up.core, job);
        }
        if up.core.writing_failed() {
            writer.probe(&up.core);
        }
    }
}
