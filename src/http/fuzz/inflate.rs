//! Inflating: never more than the cap, never more memory than the cap and a decoder's window, and what was compressed comes back.

use std::io::Write;

use bytes::Bytes;

use crate::http::inflate::{Encoding, Inflate, encoding, inflate_up_to};

/// The values of `Content-Encoding` that the input's first byte chooses from.
const HEADERS: [Option<&[u8]>; 8] = [
    None,
    Some(b"gzip"),
    Some(b" X-GZIP "),
    Some(b"deflate"),
    Some(b"Br"),
    Some(b"zstd"),
    Some(b"identity"),
    Some(b"gzip, br"),
];

/// The caps that the second byte chooses from.
const CAPS: [usize; 6] = [0, 1, 100, 4 << 10, 64 << 10, 1 << 20];

/// From here on the first byte asks for a round trip as well.
const ROUND_TRIP: u8 = 0x80;

/// Inflates a body. The input is two bytes, which choose the header and the cap, and the body.
pub fn inflate(input: &[u8]) -> bool {
    let Some((&[how, cap], body)) = input.split_first_chunk() else { return false };
    let header = HEADERS[usize::from(how & !ROUND_TRIP) % HEADERS.len()];
    let max = CAPS[usize::from(cap) % CAPS.len()];
    let Ok(encoding) = encoding(header, body) else {
        assert_eq!(header, Some(&b"gzip, br"[..]), "one known encoding is taken");
        return false;
    };
    if encoding == Encoding::Identity {
        return false;
    }
    let inflated = bounded(encoding, body, max);
    match &inflated {
        Ok(plain) => {
            assert!(plain.len() <= max, "{} bytes under a cap of {max}", plain.len());
            window_is_bounded(encoding, body);
            // "Large window" brotli is no `br` (RFC 7932): WBITS would be 17 by a code that means none there.
            assert!(encoding != Encoding::Brotli || !matches!(body, [0x11 | 0x91, ..]), "a large window");
            // The cap is the only thing that a cap decides.
            assert!(bounded(encoding, body, plain.len()).is_ok_and(|again| again == plain));
            if let Some(less) = plain.len().checked_sub(1) {
                assert!(matches!(bounded(encoding, body, less), Err(Inflate::TooLarge)));
            }
        }
        Err(Inflate::TooLarge) => match bounded(encoding, body, 2 * max + 1) {
            Ok(more) => assert!(more.len() > max),
            Err(Inflate::TooLarge | Inflate::Broken) => {}
        },
        Err(Inflate::Broken) => assert!(matches!(bounded(encoding, body, 2 * max + 1), Err(Inflate::Broken))),
    }
    if how & ROUND_TRIP != 0 {
        let packed = compressed(encoding, body);
        assert!(
            bounded(encoding, &packed, body.len()).is_ok_and(|plain| plain == body),
            "{encoding:?}: what was sent comes back"
        );
    }
    inflated.is_ok()
}

/// Inflates, and holds the memory for it (zstd's own apart, which C code takes) to the cap, doubled by a vector that grows, and the window.
fn bounded(encoding: Encoding, body: &[u8], max: usize) -> Result<Bytes, Inflate> {
    let mut inflated = Err(Inflate::Broken);
    let counted = allocation_counter::measure(|| inflated = inflate_up_to(encoding, body, max));
    let window = match encoding {
        // 16 MiB by the format, and its tables.
        Encoding::Brotli => 18 << 20,
        _ => 256 << 10,
    };
    let most = 3 * max + window;
    assert!(
        counted.bytes_max <= most as u64,
        "{encoding:?}: {} bytes of memory under a cap of {max}",
        counted.bytes_max
    );
    inflated
}

/// A zstd frame that names a window beyond 8 MiB, and no size of its content that would make the window needless, is not taken.
fn window_is_bounded(encoding: Encoding, body: &[u8]) {
    let [0x28, 0xB5, 0x2F, 0xFD, descriptor, window, ..] = body else { return };
    // RFC 8878, 3.1.1.1.1: no content size (the two high bits), and no single segment (bit 5).
    if encoding == Encoding::Zstd && descriptor & 0b1110_0000 == 0 {
        let base = 1_u64 << (10 + (window >> 3));
        let size = base + base / 8 * u64::from(window & 7);
        assert!(size <= 8 << 20, "a window of {size} bytes");
    }
}

fn compressed(encoding: Encoding, plain: &[u8]) -> Vec<u8> {
    let done = "compressing to memory cannot fail";
    match encoding {
        Encoding::Identity => plain.to_vec(),
        Encoding::Gzip => {
            // Two members: what a log shipper appends is one body.
            let (first, second) = plain.split_at(plain.len() / 2);
            let member = |part: &[u8]| {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(part).expect(done);
                encoder.finish().expect(done)
            };
            [member(first), member(second)].concat()
        }
        Encoding::Deflate => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(plain).expect(done);
            encoder.finish().expect(done)
        }
        Encoding::Brotli => {
            let mut packed = Vec::new();
            brotli::CompressorWriter::new(&mut packed, 4096, 1, 18).write_all(plain).expect(done);
            packed
        }
        Encoding::Zstd => zstd::bulk::compress(plain, 1).expect(done),
    }
}
