use proptest::collection::vec;
use proptest::prelude::*;

use super::ops::op;
use super::*;

proptest! {
    #![proptest_config(crate::property::config(150))]

    #[test]
    fn nothing_accepted_is_lost_and_nothing_is_invented(
        ops in vec(op(), 1..60),
        memory in prop_oneof![Just(0), Just(3_000), Just(1 << 20)],
    ) {
        run(&ops, memory, OnFull::Reject);
    }

    #[test]
    fn what_is_dropped_to_make_room_is_counted_and_never_on_its_way(
        ops in vec(op(), 1..60),
        memory in prop_oneof![Just(0), Just(3_000), Just(1 << 20)],
    ) {
        run(&ops, memory, OnFull::DropOldest);
    }
}

fn run(ops: &[Op], max_memory: u64, on_full: OnFull) {
    let mut world = World::new(Options { dir: PathBuf::new(), max_bytes: LIMIT, max_memory, on_full });
    for op in ops {
        world.step(op);
    }
    world.finish();
}
