use std::io::Write;

use actix_web::ResponseError;
use bytes::Bytes;
use futures_util::FutureExt;

use super::inflate::{Encoding, encoding, inflate};
use super::problem::Problem;
use crate::admit::Quota;
use crate::config::Limits;

const TEXT: &[u8] = br#"{"viewName":"a","actionName":"b","metrics":{"duration_ms":1}}"#;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn brotli(text: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    brotli::CompressorWriter::new(&mut packed, 4096, 5, 22).write_all(text).unwrap();
    packed
}

fn zstd_with_window(text: &[u8], window_log: u32) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(window_log).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// What a body with this header becomes under a cap, or the status of the refusal.
fn inflated(header: Option<&str>, body: Vec<u8>, max: usize) -> Result<Bytes, u16> {
    let status = |problem: Problem| problem.status_code().as_u16();
    let encoding = encoding(header.map(str::as_bytes), &body).map_err(status)?;
    let runtime = actix_web::rt::System::new();
    let quota = Quota::new(Limits::generous(), 1, 5_000, 1 << 20);
    let permit = quota.enter().unwrap();
    let plain = inflate(encoding, body.into(), max, permit.large_body());
    runtime.block_on(plain).map(|plain| plain.body).map_err(status)
}

#[test]
fn every_known_encoding_is_inflated() {
    for (header, body) in [
        (None, TEXT.to_vec()),
        (Some("identity"), TEXT.to_vec()),
        (Some("gzip"), gzip(TEXT)),
        (Some("GZIP "), gzip(TEXT)),
        (Some("deflate"), zlib(TEXT)),
        (Some("deflate"), raw_deflate(TEXT)),
        (Some("br"), brotli(TEXT)),
        (Some("zstd"), zstd_with_window(TEXT, 20)),
    ] {
        assert_eq!(inflated(header, body, 1 << 20).as_deref(), Ok(TEXT), "{header:?}");
    }
}

#[test]
fn gzip_is_known_by_its_first_bytes() {
    assert_eq!(inflated(None, gzip(TEXT), 1 << 20).as_deref(), Ok(TEXT));
}

#[test]
fn an_unknown_or_nested_encoding_is_415() {
    for header in ["compress", "gzip, gzip", "gzip, br", "snappy", "\u{7f}"] {
        assert_eq!(inflated(Some(header), gzip(TEXT), 1 << 20), Err(415), "{header}");
    }
}

#[test]
fn a_body_that_is_not_what_its_header_says_is_400() {
    for header in ["gzip", "br", "zstd", "deflate"] {
        assert_eq!(inflated(Some(header), b"{\"no\":\"such encoding\"}".to_vec(), 1 << 20), Err(400), "{header}");
    }
    let mut cut = gzip(TEXT);
    cut.truncate(cut.len() - 9);
    assert_eq!(inflated(Some("gzip"), cut, 1 << 20), Err(400));
}

#[test]
fn a_body_that_inflates_beyond_the_cap_is_413_and_to_the_cap_is_taken() {
    let zeros = vec![b' '; 1 << 20];
    let packed = [
        ("gzip", gzip(&zeros)),
        ("deflate", zlib(&zeros)),
        ("br", brotli(&zeros)),
        ("zstd", zstd_with_window(&zeros, 20)),
    ];
    for (header, body) in packed {
        assert_eq!(inflated(Some(header), body.clone(), zeros.len() - 1), Err(413), "{header}");
        assert_eq!(inflated(Some(header), body.clone(), 1000), Err(413), "{header}");
        assert_eq!(inflated(Some(header), body, zeros.len()).map(|b| b.len()), Ok(zeros.len()), "{header}");
    }
    assert_eq!(inflated(None, zeros, 1000), Err(413));
}

#[test]
fn a_zstd_window_beyond_the_bound_is_refused_before_it_is_allocated() {
    // Without its content's size in the header, a frame names the window that it wants.
    let mut text = vec![0; 20 << 20];
    for (at, byte) in text.iter_mut().enumerate() {
        *byte = (at as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3];
    }
    assert_eq!(inflated(Some("zstd"), zstd_with_window(&text, 24), 64 << 20), Err(400));
    assert!(inflated(Some("zstd"), zstd_with_window(&text, 23), 64 << 20).is_ok());
}

#[test]
fn identity_needs_no_decoder() {
    assert_eq!(encoding(None, TEXT).ok(), Some(Encoding::Identity));
}

#[test]
fn a_place_among_the_large_bodies_is_held_while_one_is_inflated_for_a_client_that_is_gone() {
    let bomb = gzip(&vec![b' '; 32 << 20]);
    let quota = Quota::new(Limits::generous(), 1, 5_000, 1 << 20);
    actix_web::rt::System::new().block_on(async {
        let permit = quota.enter().unwrap();
        let mut others = Vec::new();
        while let Some(place) = permit.large_body().now_or_never() {
            others.push(place.unwrap());
        }
        drop(others.pop());
        // Asked once, so that it begins, and dropped.
        assert!(inflate(Encoding::Gzip, bomb.into(), 64 << 20, permit.large_body()).now_or_never().is_none());
        assert!(permit.large_body().now_or_never().is_none(), "it is inflated still");
        // At most a minute, where the machine is busy.
        let mut freed = false;
        for _ in 0..60 {
            freed |= permit.large_body().await.is_ok();
            if freed {
                return;
            }
        }
        panic!("the place is never given back");
    });
}
