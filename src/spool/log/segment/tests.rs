use super::*;

fn owner(name: &str) -> Owner {
    Owner { account: Account::detached(name), destination: "b".into() }
}

#[test]
fn what_was_passed_over_and_what_ended_are_ranges_of_ended_sequences() {
    let (mut segment, acme) = (Segment::new(100), owner("acme"));
    for sequence in [101, 102, 105, 300] {
        segment.add(sequence, sequence * 10, 7, &acme, Tally::one(2, 10));
    }
    assert_eq!((segment.next, segment.first_waiting(), segment.len), (301, Some(101), 3_010));
    assert_eq!(segment.ended_ranges().collect::<Vec<_>>(), [100..101, 103..105, 106..300]);
    assert!(segment.end(101, &acme, Tally::one(2, 10)));
    assert!(!segment.end(101, &acme, Tally::one(2, 10)), "it ends once");
    assert!(segment.end(105, &acme, Tally::one(2, 10)));
    assert_eq!(segment.ended_ranges().collect::<Vec<_>>(), [100..102, 103..300]);
    assert_eq!((segment.first_waiting(), segment.waiting().points), (Some(102), 4));
    assert!(segment.waits(300) && !segment.waits(301) && !segment.waits(99));
}

#[test]
fn a_segment_is_done_when_it_is_sealed_and_everything_ended() {
    let (mut segment, acme) = (Segment::new(1), owner("acme"));
    segment.add(1, 28, 7, &acme, Tally::one(1, 10));
    segment.end(1, &acme, Tally::one(1, 10));
    assert!(!segment.is_done());
    segment.sealed = true;
    assert!(segment.is_done() && segment.oldest().is_none() && segment.owners().next().is_none());
}

#[test]
fn a_place_is_at_or_before_the_record() {
    let (mut segment, acme) = (Segment::new(1), owner("acme"));
    for sequence in 1..=2_000 {
        segment.add(sequence, 28 + (sequence - 1) * 10, i64::try_from(sequence).unwrap(), &acme, Tally::one(1, 10));
    }
    for sequence in 1..=2_000 {
        let true_place = 28 + (sequence - 1) * 10;
        let place = segment.place(sequence);
        assert!(place <= true_place && true_place - place < EVERY * 10, "{sequence}: {place}");
    }
    for sequence in 1..=1_000 {
        segment.end(sequence, &acme, Tally::one(1, 10));
    }
    let oldest = segment.oldest().unwrap();
    assert!((746..=1_001).contains(&oldest), "{oldest}");
}
