//! Writers of archives that no encoder would write, or not in a test's time.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

/// gzip of this.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes all")
}

/// gzip of so many zeros: a multiple of a MiB.
pub(super) fn gzipped(length: u64) -> Vec<u8> {
    let checksum = if length == 1 << 20 { crc32(&vec![0; 1 << 20]) } else { 0 };
    let mut bytes = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    bytes.extend(deflated(length));
    bytes.extend(checksum.to_le_bytes());
    bytes.extend((length as u32).to_le_bytes());
    bytes
}

/// zlib of so many zeros, or of a few.
pub(super) fn zlib(length: u64) -> Vec<u8> {
    [b"\x78\x9c", &deflated(length)[..], &[0; 4]].concat()
}

/// deflate of so many zeros: a MiB that refers to nothing before it, again and again; or a few.
pub(super) fn deflated(length: u64) -> Vec<u8> {
    let block = length.min(1 << 20);
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; block as usize]).and_then(|()| encoder.flush()).expect("memory takes all");
    // The flush ends at a byte's end; an empty last block follows.
    let one = encoder.get_ref().clone();
    [one.repeat((length / block) as usize), vec![0x03, 0x00]].concat()
}

/// CRC-32 as gzip has it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A zstd frame of these blocks, with a window of 128 KiB.
pub(super) fn zstd_frame(blocks: &[u8]) -> Vec<u8> {
    let last_and_empty = [0x01, 0x00, 0x00];
    [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, (17 - 10) << 3], blocks, &last_and_empty].concat()
}

/// A zstd frame of so many zeros: blocks of 128 KiB that are one byte repeated (RFC 8878, RLE_Block).
pub(super) fn zeros_zstd(length: u64) -> Vec<u8> {
    let block = 128 << 10;
    let header = (block << 3 | 1 << 1) as u32;
    let repeated = [&header.to_le_bytes()[..3], &[0]].concat();
    zstd_frame(&repeated.repeat((length / block) as usize))
}

/// Bits, the lowest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u64, count: u32) {
        for bit in 0..count {
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> bit & 1) as u8) << self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }

    /// The window's size: up to 2^24 as RFC 7932 has it, beyond that as "large window brotli" does.
    fn window(&mut self, log: u32) {
        match log {
            16 => self.put(0, 1),
            18..=24 => self.put(u64::from(log - 17) << 1 | 1, 4),
            _ => {
                self.put(0x11, 8);
                self.put(u64::from(log), 6);
            }
        }
    }

    /// The last block, and empty.
    fn end(mut self) -> Vec<u8> {
        self.put(0b11, 2);
        self.bytes
    }
}

/// brotli of so many zeros: meta-blocks of 16 MiB of one literal and one copy of it, each in a few bytes (RFC 7932, section 9).
pub(super) fn zeros_brotli(length: u64, window: u32) -> Vec<u8> {
    const BLOCK: u64 = 1 << 24;
    /// The symbol of "one literal, then a copy with 24 bits of length more than 2118".
    const COMMAND: u64 = 399;
    const COPY_FROM: u64 = 2118;
    let mut bits = Bits::default();
    bits.window(window);
    let distances = if window > 24 { 8 } else { 6 };
    for _ in 0..length / BLOCK {
        bits.put(0, 1); // not the last
        bits.put(2, 2); // six nibbles of length
        bits.put(BLOCK - 1, 24);
        bits.put(0, 1); // compressed
        bits.put(0, 3); // one block type each
        bits.put(0, 2 + 4); // no postfix, no direct distances
        bits.put(0, 2); // context mode
        bits.put(0, 2); // one tree of literals, one of distances
        for (symbol, width) in [(0, 8), (COMMAND, 10), (16, distances)] {
            bits.put(0b01, 4); // a simple code of one symbol, which then takes no bits
            bits.put(symbol, width);
        }
        bits.put(BLOCK - 1 - COPY_FROM, 24);
        bits.put(0, 1); // distance 1
    }
    bits.end()
}

/// brotli that stores these bytes as they are.
pub(super) fn brotli_of(bytes: &[u8], window: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.window(window);
    bits.put(0, 1); // not the last
    bits.put(0, 2); // four nibbles of length
    bits.put(bytes.len() as u64 - 1, 16);
    bits.put(1, 1); // stored
    if bits.used != 0 {
        let pad = 8 - bits.used;
        bits.put(0, pad);
    }
    bits.bytes.extend_from_slice(bytes);
    bits.used = 0;
    bits.end()
}
