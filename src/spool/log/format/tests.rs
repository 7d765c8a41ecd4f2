use super::*;

/// A segment of version 1, as it was written when there was no other. Every later version reads it; a later version's fixture stands beside it.
const GOLDEN: &[u8] = include_bytes!("../../../../tests/fixtures/log-v1/00000000000000000001.seg");

const GOLDEN_RECORDS: [(Head<'_>, &str); 4] = [
    golden(
        1,
        1_763_745_600_123_456_789,
        2,
        "acme",
        "app_observability",
        "m,tenant_id=acme v=1i 1\nm,tenant_id=acme v=2i 2\n",
    ),
    golden(2, -1, u32::MAX, "Zoë-01", "größe/ウ", "größe,ort=Zürich v=\"日本\" 9223372036854775806\n"),
    golden(3, 0, 0, "", "", ""),
    // A magic inside of a number, and a gap before it.
    golden(0xFE4C_54FF_FE4C_54FF, i64::MIN, 0xFE4C_54FF, "t", "b", "m v=1 3\n"),
];

const fn golden<'b>(
    sequence: u64,
    accepted: UnixNanos,
    points: u32,
    tenant: &'b str,
    destination: &'b str,
    lines: &'b str,
) -> (Head<'b>, &'b str) {
    (Head { sequence, accepted, points, lines: lines.len() as u32, tenant, destination }, lines)
}

fn sample(tenant: &str, lines: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let lines = lines.as_bytes();
    Head { sequence: 7, accepted: 8, points: 9, lines: lines.len() as u32, tenant, destination: "bucket" }
        .write(lines, &mut out);
    out
}

/// Puts a value into a head, and makes the head's checksum hold again.
fn forged(mut record: Vec<u8>, at: usize, value: &[u8], names: usize) -> Vec<u8> {
    record[at..at + value.len()].copy_from_slice(value);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&record[..32]), &record[FIXED..FIXED + names]);
    record[32..36].copy_from_slice(&checksum.to_le_bytes());
    record
}

#[test]
fn a_segment_of_version_1_is_read_to_the_byte() {
    assert_eq!(read_file_header(GOLDEN), Ok(1));
    let mut rest = &GOLDEN[FILE_HEADER..];
    for (head, lines) in GOLDEN_RECORDS {
        assert_eq!(read_head(rest), Read::Head(head));
        let (record, behind) = rest.split_at(head.record_len() as usize);
        assert!(is_whole(record, head.len()), "{head:?}");
        assert_eq!(&record[head.len()..], lines.as_bytes());
        rest = behind;
    }
    assert!(rest.is_empty(), "{} bytes more", rest.len());
}

#[test]
fn what_is_written_today_is_version_1_to_the_byte() {
    let mut out = file_header(1).to_vec();
    for (head, lines) in GOLDEN_RECORDS {
        head.write(lines.as_bytes(), &mut out);
    }
    assert_eq!(VERSION, 1, "a new version gets a fixture of its own, and this one is still read");
    assert!(out == GOLDEN, "the format changed without a new version");
}

#[test]
fn a_header_tells_foreign_from_damaged_from_newer() {
    let good = file_header(42);
    assert_eq!(read_file_header(&good), Ok(42));
    assert_eq!(read_file_header(&[&good[..], b"what follows"].concat()), Ok(42));
    for short in 0..FILE_HEADER {
        assert_eq!(read_file_header(&good[..short]), Err(NotOurs::Foreign), "{short} bytes");
    }
    assert_eq!(read_file_header(&[0; 4096]), Err(NotOurs::Foreign));
    for at in 0..FILE_HEADER {
        for mask in [1, 0x80, 0xFF] {
            let mut bad = good;
            bad[at] ^= mask;
            let why = if at < 12 { NotOurs::Foreign } else { NotOurs::Damaged };
            assert_eq!(read_file_header(&bad), Err(why), "byte {at}");
        }
    }
    let of_version = |version: u32| {
        let mut header = good;
        header[12..16].copy_from_slice(&version.to_le_bytes());
        let checksum = crc32c::crc32c(&header[..24]);
        header[24..].copy_from_slice(&checksum.to_le_bytes());
        read_file_header(&header)
    };
    assert_eq!(of_version(2), Err(NotOurs::Newer(2)));
    assert_eq!(of_version(u32::MAX), Err(NotOurs::Newer(u32::MAX)));
    assert_eq!(of_version(0), Err(NotOurs::Damaged), "there never was a version 0");
    assert!(NotOurs::Newer(2).to_string().contains("version 2"), "{}", NotOurs::Newer(2));
}

#[test]
fn lengths_beyond_the_maxima_are_no_record_however_well_they_are_signed() {
    let record = sample("tenant", "m v=1 1\n");
    let names = "tenantbucket".len();
    assert!(matches!(read_head(&forged(record.clone(), 8, &[1], names)), Read::Head(_)), "the forgery itself holds");
    for lines in [MAX_LINES as u32 + 1, i32::MAX as u32, u32::MAX] {
        let bytes = forged(record.clone(), 4, &lines.to_le_bytes(), names);
        assert_eq!(read_head(&bytes), Read::No, "{lines} bytes of lines");
        assert_eq!(read_head(&bytes[..FIXED]), Read::No, "and before more is read for it");
    }
    let most = forged(record.clone(), 4, &(MAX_LINES as u32).to_le_bytes(), names);
    assert!(matches!(read_head(&most), Read::Head(Head { lines, .. }) if lines as usize == MAX_LINES));
    for at in [28, 30] {
        for name in [MAX_NAME as u16 + 1, u16::MAX] {
            let bytes = forged(record.clone(), at, &name.to_le_bytes(), names);
            assert_eq!(read_head(&bytes), Read::No, "a name of {name} bytes at {at}");
            assert_eq!(read_head(&bytes[..FIXED]), Read::No);
        }
        let bytes = forged(record.clone(), at, &(MAX_NAME as u16).to_le_bytes(), names);
        assert!(matches!(read_head(&bytes), Read::More(more) if more > MAX_NAME && more <= FIXED + 2 * MAX_NAME));
    }
}

#[test]
fn a_head_asks_for_what_it_lacks_and_never_for_more() {
    let record = sample("tenant", "m v=1 1\n");
    let len = FIXED + "tenantbucket".len();
    for seen in 0..FIXED {
        assert_eq!(read_head(&record[..seen]), Read::More(FIXED), "{seen} bytes");
    }
    for seen in FIXED..len {
        assert_eq!(read_head(&record[..seen]), Read::More(len), "{seen} bytes");
    }
    assert!(matches!(read_head(&record[..len]), Read::Head(head) if head.len() == len));
}

#[test]
fn names_that_are_no_text_are_no_record() {
    let mut record = sample("tenant", "m v=1 1\n");
    record[FIXED] = 0xC3;
    let names = "tenantbucket".len();
    assert_eq!(read_head(&forged(record.clone(), 8, &[7], names)), Read::No);
    // A character cut in two by the names' border is none in either.
    record[FIXED + 5..FIXED + 7].copy_from_slice("é".as_bytes());
    record[FIXED] = b't';
    assert_eq!(read_head(&forged(record, 8, &[7], names)), Read::No);
}

#[test]
fn a_flipped_byte_anywhere_in_a_record_is_seen() {
    let record = sample("tenant", "m,tenant_id=tenant v=1 1\n");
    let head_len = FIXED + "tenantbucket".len();
    assert!(is_whole(&record, head_len));
    for at in 0..record.len() {
        for mask in [1, 0x20, 0x80, 0xFF] {
            let mut bad = record.clone();
            bad[at] ^= mask;
            let head = matches!(read_head(&bad), Read::Head(_));
            assert!(!head || !is_whole(&bad, head_len), "byte {at} ^ {mask:02x}");
            // The head vouches for itself alone: what is behind it, and the checksum of that, it does not know.
            assert_eq!(head, at >= head_len || (36..40).contains(&at), "byte {at} ^ {mask:02x}");
        }
    }
    for short in 0..record.len() {
        assert!(!is_whole(&record[..short], head_len), "{short} bytes");
    }
}

#[test]
fn the_magic_stands_in_no_text() {
    assert!(std::str::from_utf8(&MAGIC[..1]).is_err() && std::str::from_utf8(&MAGIC[3..]).is_err());
    for lead in 0..=0x10_FFFF_u32 {
        let mut bytes = [0; 4];
        let text = char::from_u32(lead).map_or("", |char| char.encode_utf8(&mut bytes));
        assert!(!text.bytes().any(|byte| byte == MAGIC[0] || byte == MAGIC[3]));
    }
}

mod property {
    use proptest::prelude::*;

    use super::*;

    /// Any text of up to `MAX_NAME` bytes.
    fn name() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[a-z0-9_-]{0,64}", Just("n".repeat(MAX_NAME))].prop_map(|mut name| {
            while name.len() > MAX_NAME {
                name.pop();
            }
            name
        })
    }

    proptest! {
        #![proptest_config(crate::property::config(256))]

        #[test]
        fn what_was_written_is_read(
            before in proptest::collection::vec(any::<u8>(), 0..64),
            (sequence, accepted, points) in any::<(u64, i64, u32)>(),
            (tenant, destination, lines) in (name(), name(), any::<String>()),
            behind in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let (tenant, destination) = (tenant.as_str(), destination.as_str());
            let head = Head { sequence, accepted, points, lines: lines.len() as u32, tenant, destination };
            let mut out = before.clone();
            head.write(lines.as_bytes(), &mut out);
            prop_assert_eq!((out.len() - before.len()) as u64, head.record_len());
            prop_assert!(out.starts_with(&before), "what stood in the buffer stays");
            out.extend_from_slice(&behind);
            let bytes = &out[before.len()..];
            prop_assert_eq!(read_head(bytes), Read::Head(head));
            let record = &bytes[..head.record_len() as usize];
            prop_assert!(is_whole(record, head.len()));
            prop_assert_eq!(&record[head.len()..], lines.as_bytes());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..200) {
            let _ = read_file_header(&bytes);
            let behind_magic = [&MAGIC[..], &bytes].concat();
            for bytes in [&bytes, &behind_magic] {
                prop_assert!(!matches!(read_head(bytes), Read::Head(_)), "2^-32");
                let _ = is_whole(bytes, cut);
            }
        }

        #[test]
        fn a_base_comes_back(base in any::<u64>()) {
            prop_assert_eq!(read_file_header(&file_header(base)), Ok(base));
        }
    }
}
