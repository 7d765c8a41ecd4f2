//! Small bodies that become large ones, and encodings that two readers would read in two ways.
//!
//! The archives are written by hand where an encoder would take long: each says again and again, in a few bytes, "a great many zeros".

mod archives;

use std::fmt::Write as _;

use self::archives::{brotli_of, deflated, gzip, gzipped, zeros_brotli, zeros_zstd, zlib, zstd_frame};
use super::World;
use super::row::{Expected, Refused, Request, Row, Taken, event, keyed, row};

const TOO_LARGE: Expected = Refused(413, "inflated_too_large");
const BROKEN: Expected = Refused(400, "body_not_inflatable");
const UNKNOWN: Expected = Refused(415, "encoding_unknown");
const EMPTY: Expected = Refused(400, "body_empty");
const NOT_JSON: Expected = Refused(400, "body_not_json");

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

pub(super) fn rows(_: &World) -> Vec<Row> {
    let mut rows = bombs();
    rows.append(&mut windows());
    rows.append(&mut nested());
    rows.append(&mut damaged());
    rows
}

fn encoded(encoding: &str, body: impl Into<Vec<u8>>) -> Request {
    let body = body.into();
    assert!(body.len() <= 1 << 20, "{} bytes are refused before they are inflated", body.len());
    keyed(body).header("Content-Encoding", encoding)
}

fn text() -> Vec<u8> {
    event().to_string().into_bytes()
}

fn bombs() -> Vec<Row> {
    let member = gzipped(MIB);
    vec![
        row("gzip: 800 MiB", &encoded("gzip", gzipped(800 * MIB)), TOO_LARGE),
        row("gzip: 800 members of 1 MiB", &encoded("gzip", member.repeat(800)), TOO_LARGE),
        row("gzip by its magic: 800 MiB", &keyed(gzipped(800 * MIB)), TOO_LARGE),
        row("deflate: 800 MiB", &encoded("deflate", zlib(800 * MIB)), TOO_LARGE),
        row("deflate without a header: 800 MiB", &encoded("deflate", deflated(800 * MIB)), TOO_LARGE),
        row("br: 10 GiB", &encoded("br", zeros_brotli(10 * GIB, 24)), TOO_LARGE),
        row("zstd: 10 GiB", &encoded("zstd", zeros_zstd(10 * GIB)), TOO_LARGE),
        row("zstd: 9.7 GiB in frames of 128 KiB", &encoded("zstd", zeros_zstd(128 << 10).repeat(80_000)), TOO_LARGE),
        // Nothing, again and again.
        row("gzip: 50,000 empty members", &encoded("gzip", gzip(b"").repeat(50_000)), EMPTY),
        row("zstd: 100,000 empty frames", &encoded("zstd", zstd_frame(&[]).repeat(100_000)), EMPTY),
        row(
            "zstd: a skipped megabyte",
            &encoded("zstd", [b"\x50\x2a\x4d\x18\xf0\xff\x0f\x00", &vec![0; 0xf_fff0][..]].concat()),
            EMPTY,
        ),
        row(
            "zstd: 100,000 skipped frames",
            &encoded("zstd", b"\x5f\x2a\x4d\x18\x00\x00\x00\x00".repeat(100_000)),
            EMPTY,
        ),
        row(
            "zstd: skipped frames, then an event",
            &encoded(
                "zstd",
                [
                    &b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc".repeat(1_000)[..],
                    &zstd::encode_all(&text()[..], 1).unwrap_or_default(),
                ]
                .concat(),
            ),
            Taken(1),
        ),
    ]
}

/// A decoder must set aside as much as the window that the body asks for.
fn windows() -> Vec<Row> {
    let zstd = |descriptor: u8, window: &[u8]| {
        let rle = [0x03, 0x00, 0x10, b' '];
        [&[0x28, 0xb5, 0x2f, 0xfd, descriptor], window, &rle].concat()
    };
    let exponent = |log: u8| [(log - 10) << 3];
    let mut rows: Vec<Row> = [24, 27, 30, 31, 41]
        .iter()
        .map(|log| row(format!("zstd: a window of 2^{log}"), &encoded("zstd", zstd(0x00, &exponent(*log))), BROKEN))
        .collect();
    // One segment: the window is the content, whose length the frame says.
    rows.push(row(
        "zstd: one segment of 10 GB",
        &encoded("zstd", zstd(0xe0, &10_000_000_000_u64.to_le_bytes())),
        BROKEN,
    ));
    rows.push(row("zstd: one segment of 2^63", &encoded("zstd", zstd(0xe0, &(1_u64 << 63).to_le_bytes())), BROKEN));
    rows.push(row("zstd: a dictionary", &encoded("zstd", zstd(0x03, &[0x68, 1, 2, 3, 4])), BROKEN));
    rows.push(row("zstd: a reserved bit", &encoded("zstd", zstd(0x08, &exponent(20))), BROKEN));
    rows.push(row("zstd: an old format's magic", &encoded("zstd", b"\x1e\xb5\x2f\xfd\x00\x00\x00\x00"), BROKEN));
    rows.push(row("br: its largest window", &encoded("br", brotli_of(&text(), 24)), Taken(1)));
    for log in [25, 28, 30] {
        rows.push(row(format!("br: a large window of 2^{log}"), &encoded("br", zeros_brotli(16 * MIB, log)), BROKEN));
    }
    let large = brotli_of(&text(), 30);
    rows.push(row("br: a large window, a small event", &encoded("br", large), BROKEN));
    rows
}

/// Encodings in encodings: one is undone, and only one.
fn nested() -> Vec<Row> {
    let once = gzip(&text());
    let twice = gzip(&once);
    let deep = (0..10).fold(gzipped(64 * MIB), |inner, _| gzip(&inner));
    let mut rows = vec![
        row("gzip in gzip", &encoded("gzip", twice.clone()), NOT_JSON),
        row("ten times gzip", &encoded("gzip", deep), NOT_JSON),
        row("gzip in gzip by its magic", &keyed(twice.clone()), NOT_JSON),
        row("two headers", &encoded("gzip", twice.clone()).header("Content-Encoding", "gzip"), UNKNOWN),
        row(
            "two headers, the second identity",
            &encoded("gzip", once.clone()).header("content-encoding", "identity"),
            UNKNOWN,
        ),
        row("gzip by Transfer-Encoding", &keyed(once.clone()).header("TE", "gzip"), Taken(1)),
    ];
    for name in [
        "gzip, gzip",
        "gzip,gzip",
        "identity, gzip",
        "br, gzip",
        "gzip;q=1",
        "gzip\u{a0}",
        "\"gzip\"",
        "compress",
        "zip",
        "aes128gcm",
        "dcz",
        "*",
        "gzip,",
    ] {
        rows.push(row(format!("Content-Encoding: {name}"), &encoded(name, twice.clone()), UNKNOWN));
    }
    let mut many = String::from("gzip");
    for _ in 0..1_000 {
        let _ = write!(many, ", gzip");
    }
    rows.push(row("Content-Encoding a thousand times", &encoded(&many, twice), UNKNOWN));
    rows
}

/// Cut short, changed, or not what it is called.
fn damaged() -> Vec<Row> {
    let (gz, zl) = (gzip(&text()), zlib(4_000));
    let (br, zs) = (brotli_of(&text(), 22), zstd::encode_all(&text()[..], 1).unwrap_or_default());
    let cut = |body: &[u8]| body[..body.len() - 3].to_vec();
    let mut wrong_sum = gz.clone();
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    let mut wrong_length = gz.clone();
    let length = wrong_length.len() - 4;
    wrong_length[length] ^= 1;
    // FNAME is set, and the name does not end.
    let unending_name = [&b"\x1f\x8b\x08\x08\0\0\0\0\0\xff"[..], &vec![b'n'; 1_000_000]].concat();
    vec![
        row("gzip, cut short", &encoded("gzip", cut(&gz)), BROKEN),
        row("deflate, cut short", &encoded("deflate", cut(&zl)), BROKEN),
        row("br, cut short", &encoded("br", cut(&br)), BROKEN),
        row("zstd, cut short", &encoded("zstd", cut(&zs)), BROKEN),
        row("gzip, its checksum wrong", &encoded("gzip", wrong_sum), BROKEN),
        row("gzip, its length wrong", &encoded("gzip", wrong_length), BROKEN),
        row("gzip, its name without an end", &encoded("gzip", unending_name), BROKEN),
        row("gzip, an event after it", &encoded("gzip", [gz.clone(), text()].concat()), BROKEN),
        row("gzip called br", &encoded("br", gz.clone()), BROKEN),
        row("gzip called zstd", &encoded("zstd", gz.clone()), BROKEN),
        row("gzip called deflate", &encoded("deflate", gz), BROKEN),
        row("br called gzip", &encoded("gzip", br), BROKEN),
        row("zstd called nothing", &keyed(zs), NOT_JSON),
        row("an event called gzip", &encoded("gzip", text()), BROKEN),
        row("an event called zstd", &encoded("zstd", text()), BROKEN),
        row("gzip's magic and nothing more", &keyed(b"\x1f\x8b".to_vec()), BROKEN),
        row("a ZIP archive", &keyed(b"PK\x03\x04\x14\0\0\0\x08\0".to_vec()), NOT_JSON),
    ]
}
