//! Cases that chance would seldom meet.

use super::super::faulty::{Call, Fault};
use super::*;

fn options() -> Options {
    Options { dir: PathBuf::new(), max_bytes: LIMIT, max_memory: 0, on_full: OnFull::Reject }
}

fn admit(tenant: usize, bucket: usize, lines: usize, width: usize) -> Op {
    Op::Admit(vec![(tenant, bucket, lines, width)])
}

/// A log that rolls, is read, settled, gathered and started again.
fn script() -> Vec<Op> {
    let mut ops = Vec::new();
    for round in 0..9 {
        ops.extend([admit(0, 0, 2, 350), admit(1, 2, 1, 20), admit(0, 0, 1, 300), Op::Commit]);
        ops.push(Op::Drain(0, 2, Outcome::Delivered));
        if round % 3 == 0 {
            ops.extend([Op::Take(2), Op::GiveBack(0), Op::Pass(1)]);
        }
        if round == 4 {
            ops.push(Op::Restart);
        }
    }
    ops.extend([
        Op::Pass(12),
        Op::Drain(2, 3, Outcome::DeadLettered),
        Op::Pass(1),
        Op::Restart,
        Op::Drain(2, 99, Outcome::Delivered),
    ]);
    ops.push(Op::Pass(2));
    ops
}

#[test]
fn the_power_fails_at_every_call_and_nothing_is_lost() {
    let mut world = World::new(options());
    let before = world.disk.calls();
    let mut names: Vec<usize> = Vec::new();
    for op in script() {
        world.step(&op);
        names.push(world.disk.lengths().iter().filter(|(name, _)| name.ends_with(".seg")).count());
    }
    let calls = world.disk.calls() - before;
    assert!(names.iter().max() > Some(&4) && names.last() < Some(&2), "it rolls and gathers: {names:?}");
    world.finish();
    for (n, luck) in [&[][..], &[255], &[130, 7, 250, 61], &[10, 222, 90]].into_iter().enumerate() {
        // Each luck at a quarter of the calls, and the first at all.
        for after in (0..calls).filter(|after| n == 0 || after % 3 == n as u64 - 1) {
            let mut world = World::new(options());
            world.book().faults = true;
            world.disk.plan(Call::Any, after, 1, Fault::Power);
            for op in script() {
                world.run_until_off(&op);
                if world.disk.is_off() {
                    break;
                }
            }
            world.crash(luck);
            world.check();
            world.finish();
        }
    }
}

#[test]
fn a_failure_of_any_kind_at_every_call_costs_nothing() {
    let calls = {
        let mut world = World::new(options());
        let before = world.disk.calls();
        script().iter().for_each(|op| world.step(op));
        world.disk.calls() - before
    };
    for after in 0..calls {
        for fault in [Fault::Io, Fault::Full] {
            let mut world = World::new(options());
            world.book().faults = true;
            world.disk.plan(Call::Any, after, 1 + after % 3, fault.clone());
            for op in script() {
                world.step(&op);
            }
            world.crash(&[]);
            world.finish();
        }
    }
}

/// Segments, in each of which one record of a paused bucket waits.
fn mostly_ended(count: usize) -> World {
    let mut world = World::new(options());
    for _ in 0..count {
        for op in [admit(0, 0, 3, 700), admit(1, 2, 1, 20), Op::Commit, Op::Drain(0, 1, Outcome::Delivered)] {
            world.step(&op);
        }
    }
    world
}

fn segments(world: &World) -> usize {
    world.disk.lengths().iter().filter(|(name, _)| name.ends_with(".seg")).count()
}

#[test]
fn what_was_gathered_twice_while_an_old_file_stays_is_there_after_a_start() {
    let mut world = mostly_ended(4);
    assert_eq!(segments(&world), 4);
    // None of the old files can be removed at first; later ones can.
    world.step(&Op::Fail(Call::Remove, 0, 100_000, Fault::Io));
    world.step(&Op::Pass(30));
    for _ in 0..4 {
        for op in [admit(0, 0, 3, 700), admit(1, 2, 1, 20), Op::Commit, Op::Drain(0, 1, Outcome::Delivered)] {
            world.step(&op);
        }
    }
    world.step(&Op::Heal);
    world.step(&Op::Pass(30));
    assert!(segments(&world) <= 3);
    world.step(&Op::Crash(vec![255]));
    world.finish();
}

#[test]
fn nothing_is_gathered_over_a_segment_that_was_set_aside() {
    let mut world = mostly_ended(8);
    world.end_in_order();
    // One in the middle cannot be read at this start: what waits in it is lost, and no more.
    let names: Vec<String> =
        world.disk.lengths().into_iter().map(|(name, _)| name).filter(|n| n.ends_with(".seg")).collect();
    world.disk.rename(&names[3], &format!("{}{SET_ASIDE}", names[3])).unwrap();
    world.disk.sync().unwrap();
    let start = |world: &World| {
        let ledger = Ledger::default();
        let (disk, metrics) = (Arc::new(world.disk.clone()), Arc::clone(&world.metrics));
        let parts = assemble(disk, &world.options, sizes(), &ledger, world.clock.clone(), metrics, None).unwrap();
        (parts, ledger)
    };
    let (mut parts, ledger) = start(&world);
    (0..40).for_each(|_| parts.keeper.pass(&parts.core));
    assert!(segments(&world) < 7, "some of it is gathered");
    let totals = ledger.account(&TenantId::parse("globex").unwrap()).totals();
    assert_eq!((totals.pending, totals.lost[Loss::Damaged as usize]), (7, 1));
    drop(parts);
    let (parts, _ledger) = start(&world);
    let mut count = 0;
    while let Some(waiting) = parts.core.try_next(&"paused".into()) {
        parts.core.settle(&waiting, Outcome::Delivered);
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn an_empty_segment_that_a_crash_left_is_not_the_next_ones_name() {
    let mut world = World::new(options());
    // The header comes to the disk, and no record.
    world.disk.put(&segment_name(1), &format::file_header(1));
    world.step(&Op::Restart);
    for op in [
        admit(0, 0, 1, 20),
        Op::Commit,
        Op::Drain(0, 1, Outcome::Delivered),
        Op::Pass(1),
        admit(0, 0, 1, 30),
        Op::Commit,
    ] {
        world.step(&op);
    }
    world.step(&Op::Crash(vec![]));
    world.finish();
}

#[test]
fn a_disk_that_writes_no_cursor_is_not_filled_beyond_the_bound() {
    let mut world = World::new(Options { max_memory: 1 << 20, ..options() });
    // Of a file that is there: the cursors.
    world.step(&Op::Pass(2));
    world.book().faults = true;
    world.disk.plan(Call::Open, 0, 100_000, Fault::Io);
    for _ in 0..200 {
        for op in [admit(0, 0, 3, 700), Op::Commit] {
            world.step(&op);
        }
        world.step(&Op::Drain(0, 1, Outcome::Delivered));
        world.step(&Op::Pass(1));
    }
    let files: u64 = world.disk.lengths().iter().map(|(_, len)| len).sum();
    assert!(files < 2 * LIMIT, "{files} bytes");
    world.finish();
}

#[test]
fn a_cursor_that_fails_makes_no_new_segments() {
    let mut world = World::new(options());
    world.step(&admit(0, 0, 1, 20));
    world.step(&Op::Commit);
    world.step(&Op::Fail(Call::Rename, 0, 0, Fault::Io));
    world.book().faults = true;
    world.disk.plan(Call::Open, 0, 100_000, Fault::Io);
    world.step(&Op::Pass(50));
    assert_eq!(segments(&world), 1);
    world.finish();
}

#[test]
fn a_segment_that_is_deleted_while_somebody_opens_it_is_no_trouble() {
    let world = {
        let mut world = World::new(options());
        for op in [admit(0, 0, 1, 2_100), Op::Commit, admit(0, 0, 1, 20), Op::Commit] {
            world.step(&op);
        }
        world
    };
    let up = world.up();
    let first = up.core.try_next(&"main".into()).unwrap();
    let core = Arc::clone(&up.core);
    let other = Arc::clone(&up);
    world.disk.meanwhile(
        0,
        Box::new(move |_| {
            core.settle(&first, Outcome::Delivered);
            other.keeper.lock().unwrap().pass(&core);
        }),
    );
    // Its reader may look into the first segment once more.
    up.core.lock().queues.values_mut().for_each(|queue| queue.look_among(1..3));
    let second = up.core.try_next(&"main".into()).unwrap();
    assert_eq!(second.origin.sequence, 2);
    assert_eq!(up.core.health_of_log().unwrap().set_aside, [] as [String; 0]);
}

#[test]
fn a_reader_comes_to_an_end_where_all_is_in_memory_already() {
    for rounds in 1..4 {
        let mut world = World::new(Options { max_memory: 3_000, ..options() });
        for op in [Op::Traffic(rounds), Op::Restart, Op::Take(2), Op::Traffic(2), Op::Traffic(rounds)] {
            world.step(&op);
        }
        world.finish();
    }
}

/// Refused with a full disk, after a sync and a cut that failed: its bytes outlive the process and not the power, whatever a start thinks of them.
#[test]
fn what_was_refused_may_come_back_by_the_kernel_and_go_with_the_power_and_the_ledger_balances() {
    let mut world = World::new(Options { on_full: OnFull::DropOldest, ..options() });
    let ops = [
        admit(0, 0, 1, 0),
        Op::Fail(Call::SetLen, 10, 2, Fault::Io),
        Op::Commit,
        admit(0, 0, 1, 0),
        Op::Fail(Call::Sync, 3, 2, Fault::Io),
        admit(0, 0, 1, 0),
        Op::Room(Some(6_144)),
        Op::Traffic(5),
        Op::Traffic(3),
        Op::Traffic(4),
        Op::Kill,
        Op::Crash(vec![]),
    ];
    for op in &ops {
        world.step(op);
    }
    assert!(world.book().made.iter().any(|made| made.unconfirmed), "a start found one that had been refused");
    world.finish();
}
