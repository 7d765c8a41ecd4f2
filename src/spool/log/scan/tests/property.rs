use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Bytes that look like the beginnings of records more often than chance would have it.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let head = (any::<u64>(), 0_u32..300, "[a-z]{0,4}").prop_map(|(sequence, lines, tenant)| {
        let mut out = Vec::new();
        let text = vec![b'x'; lines as usize];
        Head { sequence, accepted: 1, points: 1, lines, tenant: &tenant, destination: "b" }.write(&text, &mut out);
        out
    });
    let cut = (head.clone(), 0_usize..400).prop_map(|(mut record, len)| {
        record.truncate(len);
        record
    });
    let piece = prop_oneof![vec(any::<u8>(), 0..40), Just(MAGIC.to_vec()), Just(vec![0xFF; 9]), cut, head];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// That what was found lies one behind the other without a gap, to the end, and in the order that is promised.
fn covers(seen: &[Seen], from: u64, end: u64) -> Result<(), TestCaseError> {
    let mut at = from;
    for (n, found) in seen.iter().enumerate() {
        let (Seen::Record(range) | Seen::Damage(range) | Seen::Tail(range)) = found;
        prop_assert!(range.start == at && range.start < range.end, "{found:?} behind {at}");
        match found {
            Seen::Damage(_) => prop_assert!(matches!(seen.get(n + 1), Some(Seen::Record(_))), "{seen:?}"),
            Seen::Tail(_) => prop_assert_eq!(n + 1, seen.len()),
            Seen::Record(_) => {}
        }
        at = range.end;
    }
    prop_assert_eq!(at, end);
    Ok(())
}

proptest! {
    #![proptest_config(crate::property::config(200))]

    #[test]
    fn no_bytes_make_it_panic(bytes in pieces(), chunk in 1_usize..600, most in 1_usize..600) {
        let bytes = [&format::file_header(1)[..], &bytes].concat();
        let file = Bytes { most, ..Bytes::of(&bytes) };
        let seen = scan(&bytes, &file, chunk);
        covers(&seen, FILE_HEADER as u64, bytes.len() as u64)?;
        prop_assert_eq!(scan(&bytes, &Bytes::of(&bytes), WINDOW), seen, "the window changes nothing");
    }

    /// Any number of places overwritten, and the end cut off: what was not touched is given, and nothing that was not written.
    #[test]
    fn any_damage_costs_only_what_it_touches(
        lines in vec(prop_oneof![0_usize..60, 0_usize..2000], 1..12),
        damage in vec((any::<prop::sample::Index>(), pieces()), 0..5),
        keep in prop_oneof![Just(1.0), 0.0..1.0],
        chunk in 1_usize..4000,
    ) {
        let log = Log::of(&lines);
        let mut file = Bytes::of(&log.bytes);
        let mut touched = Vec::new();
        for (at, bytes) in &damage {
            let at = FILE_HEADER + at.index(log.bytes.len() - FILE_HEADER);
            let len = bytes.len().min(log.bytes.len() - at);
            file.bytes[at..at + len].copy_from_slice(&bytes[..len]);
            touched.push(at as u64..(at + len) as u64);
        }
        let kept = FILE_HEADER + ((log.bytes.len() - FILE_HEADER) as f64 * keep) as usize;
        file.bytes.truncate(kept);
        let seen = scan(&file.bytes, &file, chunk);
        covers(&seen, FILE_HEADER as u64, file.bytes.len() as u64)?;
        let whole = |record: &&Range<u64>| {
            let range = record.start as usize..record.end as usize;
            file.bytes.get(range.clone()) == Some(&log.bytes[range])
        };
        for record in log.records.iter().filter(whole) {
            prop_assert!(seen.contains(&Seen::Record(record.clone())), "{record:?} of {seen:?}");
        }
        for found in &seen {
            if let Seen::Record(range) = found && !log.records.contains(range) {
                // A piece that overwrote may be a record itself: then its head stands in that piece.
                let head = range.start + FIXED as u64;
                let piece = touched.iter().find(|piece| piece.start <= range.start && head <= piece.end);
                prop_assert!(piece.is_some(), "{range:?} was not written");
            }
        }
    }
}
