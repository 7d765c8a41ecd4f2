//! What can happen to a spool, step by step.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::faulty::{Call, Fault};
use super::run::{make, run};
use super::*;

#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Submissions come in (tenant, bucket, lines, width).
    Admit(Vec<(usize, usize, usize, usize)>),
    /// What came in is committed together.
    Commit,
    Take(usize),
    /// One that was taken ends.
    Settle(usize, Outcome),
    /// The first part of one ends, the rest stays taken.
    SettlePart(usize, usize, Outcome),
    GiveBack(usize),
    /// A tenant's records of a bucket wait apart.
    Aside(usize, usize),
    /// It comes with the others again, if nothing of it waits apart.
    Back(usize, usize),
    /// All of a bucket do, with what waits.
    AllBack(usize),
    /// So many of a bucket are taken and end.
    Drain(usize, usize, Outcome),
    Pass(usize),
    /// What a paused bucket makes of a log: much comes and goes beside a little that stays.
    Traffic(usize),
    Later(u64),
    Fail(Call, u64, u64, Fault),
    Room(Option<u64>),
    Heal,
    Crash(Vec<u8>),
    /// A crash, and another one in the start after it.
    CrashTwice(Vec<u8>, u64, Vec<u8>),
    /// The process ends at once; what it wrote is still in the kernel's memory.
    Kill,
    Restart,
    /// The second runs in the middle of the first, after so many calls to the disk.
    Meanwhile(u64, Box<Op>, Box<Op>),
}

pub(super) fn luck() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![2 => Just(vec![]), 2 => Just(vec![255]), 4 => vec(any::<u8>(), 1..8)]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![4 => Just(Outcome::Delivered), 1 => Just(Outcome::DeadLettered)]
}

fn admit() -> impl Strategy<Value = Op> {
    let submission = (
        0..3_usize,
        0..3_usize,
        prop_oneof![4 => 1..4_usize, 1 => 5..30_usize],
        prop_oneof![4 => 0..150_usize, 1 => 300..1_500_usize],
    );
    vec(submission, 1..6).prop_map(Op::Admit)
}

fn of_core() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => admit(),
        3 => (0..3_usize).prop_map(Op::Take),
        3 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Op::Settle(which, outcome)),
        2 => (any::<usize>(), any::<usize>(), outcome()).prop_map(|(which, at, outcome)| Op::SettlePart(which, at, outcome)),
        2 => any::<usize>().prop_map(Op::GiveBack),
        1 => (0..3_usize, 0..3_usize).prop_map(|(tenant, bucket)| Op::Aside(tenant, bucket)),
        1 => (0..3_usize, 0..3_usize).prop_map(|(tenant, bucket)| Op::Back(tenant, bucket)),
        1 => (0..3_usize).prop_map(Op::AllBack),
        4 => (0..3_usize, 1..20_usize, outcome()).prop_map(|(bucket, count, outcome)| Op::Drain(bucket, count, outcome)),
    ]
}

fn fault() -> impl Strategy<Value = Op> {
    let call = prop::sample::select(vec![
        Call::Read,
        Call::Write,
        Call::SetLen,
        Call::Sync,
        Call::List,
        Call::Open,
        Call::Create,
        Call::Rename,
        Call::Remove,
        Call::SyncFolder,
        Call::Any,
    ]);
    let fault = prop_oneof![
        4 => Just(Fault::Io),
        2 => vec(any::<u8>(), 1..4).prop_map(Fault::Partly),
        2 => Just(Fault::Full),
        1 => (1..100_usize).prop_map(Fault::Short),
        3 => Just(Fault::Power),
    ];
    (call, 0..12_u64, 1..4_u64, fault).prop_map(|(call, after, times, fault)| Op::Fail(call, after, times, fault))
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => of_core(),
        8 => Just(Op::Commit),
        6 => prop_oneof![3 => 1..3_usize, 1 => 10..25_usize].prop_map(Op::Pass),
        4 => (1..6_usize).prop_map(Op::Traffic),
        1 => (0..10_u64).prop_map(Op::Later),
        3 => fault(),
        1 => prop::option::of(4_000..40_000_u64).prop_map(Op::Room),
        2 => Just(Op::Heal),
        2 => luck().prop_map(Op::Crash),
        1 => (luck(), 0..40_u64, luck()).prop_map(|(first, after, second)| Op::CrashTwice(first, after, second)),
        1 => Just(Op::Kill),
        1 => Just(Op::Restart),
        3 => (0..12_u64, prop_oneof![Just(Op::Pass(12)), Just(Op::Pass(1)), Just(Op::Commit), of_core()], of_core())
            .prop_map(|(after, first, second)| Op::Meanwhile(after, Box::new(first), Box::new(second))),
    ]
}

impl World {
    /// Does one step, and compares.
    pub(super) fn step(&mut self, op: &Op) {
        match op {
            Op::Fail(call, after, times, fault) => {
                self.book().faults = true;
                self.disk.plan(*call, *after, *times, fault.clone());
            }
            Op::Room(bytes) => {
                self.book().faults = true;
                self.disk.set_capacity(bytes.unwrap_or(1 << 40));
            }
            Op::Heal => self.heal(),
            Op::Traffic(rounds) => {
                for _ in 0..*rounds {
                    self.run(&Op::Admit(vec![(0, 2, 1, 40), (1, 0, 3, 300), (0, 0, 2, 500)]));
                    self.run(&Op::Commit);
                    self.run(&Op::Drain(0, 3, Outcome::Delivered));
                    self.run(&Op::Pass(1));
                }
                self.run(&Op::Pass(10));
            }
            Op::Later(seconds) => self.clock.advance(std::time::Duration::from_secs(*seconds)),
            Op::Crash(luck) => self.crash(luck),
            Op::CrashTwice(first, after, second) => {
                self.lay_down(first);
                self.disk.plan(Call::Any, *after, 1, Fault::Power);
                self.book().faults = true;
                if self.start() {
                    // It had more calls left than the start needs.
                    self.disk.heal();
                } else {
                    self.crash(second);
                }
            }
            Op::Kill => {
                self.end();
                self.start_again();
            }
            Op::Restart => {
                self.end_in_order();
                self.start_again();
            }
            Op::Meanwhile(after, first, second) => {
                let (up, book) = (self.up(), Arc::clone(&self.book));
                let second = second.clone();
                let disk = self.disk.clone();
                self.disk.meanwhile(*after, Box::new(move |call| run(&up, &book, &disk, &second, Some(call))));
                self.run(first);
                self.disk.forget();
            }
            other => self.run(other),
        }
        if self.disk.is_off() {
            self.crash(&[90, 200, 20]);
        }
        self.check();
    }

    /// A step during which the power may fail: then it is not compared with anything, and the start is the test's.
    pub(super) fn run_until_off(&mut self, op: &Op) {
        match op {
            Op::Restart => {
                self.end_in_order();
                if !self.start() && !self.disk.is_off() {
                    assert!(self.start());
                }
            }
            other => self.run(other),
        }
    }

    fn run(&self, op: &Op) {
        run(&self.up(), &self.book, &self.disk, op, None);
        self.drop_what_was_lost();
    }

    /// What the spool gave up to make room.
    fn drop_what_was_lost(&self) {
        if self.options.on_full != OnFull::DropOldest || self.disk.is_off() {
            return;
        }
        let found = self.found(&self.up().core);
        for (id, made) in self.book().made.iter_mut().enumerate() {
            if made.waits() && !found.contains_key(&id) {
                assert!(made.fates.iter().all(|fate| *fate == Fate::Waits), "submission {id} was on its way");
                made.fates.fill(Fate::Ended(Outcome::Lost(Loss::DroppedOldest)));
            }
        }
    }

    pub(super) fn heal(&self) {
        self.disk.heal();
        self.disk.set_capacity(1 << 40);
    }

    /// The process is no more.
    fn end(&mut self) {
        self.disk.forget();
        let mut book = self.book();
        let held = std::mem::take(&mut book.held);
        book.admitted.clear();
        for made in &mut book.made {
            made.fates.iter_mut().filter(|fate| **fate == Fate::Held).for_each(|fate| *fate = Fate::Waits);
        }
        drop(book);
        drop(held);
        self.up = None;
    }

    pub(super) fn end_in_order(&mut self) {
        self.run(&Op::Commit);
        self.up().core.close();
        let up = self.up();
        up.writer.lock().unwrap().seal(&up.core);
        // What is held waits again: only the rest has ended.
        drop(std::mem::take(&mut self.book().held));
        self.run(&Op::Pass(1));
        self.end();
    }

    pub(super) fn lay_down(&mut self, luck: &[u8]) {
        self.end();
        self.disk = self.disk.crash(luck);
        self.book().faults = false;
    }

    pub(super) fn crash(&mut self, luck: &[u8]) {
        self.lay_down(luck);
        self.start_again();
    }

    pub(super) fn step_start(&mut self) {
        assert!(self.start());
    }

    /// With the faults that are planned still, and else without. What cannot be read at a start is set aside: that is another test's.
    fn start_again(&mut self) {
        self.disk.let_read();
        if !self.start() {
            if self.disk.is_off() {
                self.lay_down(&[77, 255, 3]);
            }
            self.heal();
            assert!(self.start());
        }
    }

    /// All is well again: everything that waits is delivered, new is taken, and nothing is left.
    pub(super) fn finish(&mut self) {
        self.heal();
        self.book().faults = false;
        self.run(&Op::Commit);
        drop(std::mem::take(&mut self.book().held));
        for made in &mut self.book().made {
            made.fates.iter_mut().filter(|fate| **fate == Fate::Held).for_each(|fate| *fate = Fate::Waits);
        }
        self.run(&Op::Pass(70));
        for bucket in 0..BUCKETS.len() {
            self.run(&Op::Drain(bucket, usize::MAX, Outcome::Delivered));
        }
        self.check();
        assert_eq!(self.up().core.pending().points, 0, "some of it never comes");
        self.run(&Op::Pass(3));
        // As large as it may be.
        let (id, submission) = make(&self.up(), &mut self.book(), 0, 0, 1, (LIMIT - 200) as usize);
        let cost = head(&submission, 0, 0).record_len();
        let taken = self.up().core.admit(&submission, cost);
        assert_eq!(taken, Ok(()), "all is free again: {:?}", self.up().core.pending());
        self.up().core.release(&submission, cost);
        self.book().made.truncate(id);
        self.run(&Op::Admit(vec![(1, 1, 2, 10)]));
        self.run(&Op::Commit);
        assert!(self.book().made.last().unwrap().is_accepted(), "it takes new");
        self.run(&Op::Drain(1, 1, Outcome::Delivered));
        self.end_in_order();
        let left: Vec<_> = self.disk.lengths().into_iter().filter(|(name, _)| name.ends_with(".seg")).collect();
        assert_eq!(left, [], "what is done is deleted");
        assert!(self.start());
        assert_eq!(self.up().core.pending().points, 0);
        self.check();
    }
}
