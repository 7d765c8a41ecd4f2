//! Inflating a body under its cap, by `Content-Encoding`, and gzip also by its magic bytes (a beacon cannot set a header).

use std::io::{self, Read};
use std::time::Duration;

use actix_web::http::StatusCode;
use bytes::Bytes;

use super::problem::Problem;
use crate::admit::{LargeBody, NoPlace};

/// Up to here a body is inflated on the HTTP worker; beyond, on the blocking pool, so that one bomb does not hold up the others.
const INLINE: usize = 64 * 1024;

/// The largest zstd window taken: 2^23 = 8 MiB, what its own command line tool uses up to level 19. (brotli's is 16 MiB by its format,
/// gzip's and deflate's 32 KiB.)
const ZSTD_WINDOW_LOG: u32 = 23;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The encoding of a body, from its header and its first bytes.
///
/// # Errors
/// 415 for an encoding that is not known, or for more than one.
pub(super) fn encoding(header: Option<&[u8]>, body: &[u8]) -> Result<Encoding, Problem> {
    let name = header.unwrap_or_default().trim_ascii().to_ascii_lowercase();
    match name.as_slice() {
        b"" | b"identity" if body.starts_with(&[0x1f, 0x8b]) => Ok(Encoding::Gzip),
        b"" | b"identity" => Ok(Encoding::Identity),
        b"gzip" | b"x-gzip" => Ok(Encoding::Gzip),
        b"deflate" => Ok(Encoding::Deflate),
        b"br" => Ok(Encoding::Brotli),
        b"zstd" => Ok(Encoding::Zstd),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "encoding_unknown",
            "Content-Encoding must be one of gzip, deflate, br, zstd or identity, and stand alone",
        )),
    }
}

/// A body as it was before its sender compressed it, and its place among the large ones while it is held.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) body: Bytes,
    /// Given back on drop.
    pub(super) place: Option<LargeBody>,
}

/// The body as it was before its sender compressed it: `max` bytes at the most. `place` is asked for when it inflates beyond [`INLINE`].
pub(super) async fn inflate(
    encoding: Encoding,
    body: Bytes,
    max: usize,
    place: impl Future<Output = Result<LargeBody, NoPlace>>,
) -> Result<Plain, Problem> {
    if encoding == Encoding::Identity {
        return if body.len() > max { Err(too_large(max)) } else { Ok(Plain { body, place: None }) };
    }
    if body.len() <= INLINE {
        match inflate_up_to(encoding, &body, max.min(INLINE)) {
            Err(Inflate::TooLarge) if max > INLINE => {}
            Ok(body) => return Ok(Plain { body, place: None }),
            Err(error) => return Err(error.problem(max)),
        }
    }
    let place = place.await.map_err(no_place)?;
    // The place goes with the work: that cannot be stopped, and goes on when the client is gone and nobody waits for it.
    match actix_web::web::block(move || (inflate_up_to(encoding, &body, max), place)).await {
        Ok((Ok(body), place)) => Ok(Plain { body, place: Some(place) }),
        Ok((Err(error), _)) => Err(error.problem(max)),
        // The pool is gone only when the process ends.
        Err(_) => {
            let wait = Duration::from_secs(1);
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the gateway stops").retry_after(wait))
        }
    }
}

fn no_place(none: NoPlace) -> Problem {
    match none {
        NoPlace::Share(exceeded) => exceeded.into(),
        NoPlace::Busy { retry_after } => {
            let detail = "too many large compressed bodies are being inflated; nothing of this request was taken";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(retry_after)
        }
    }
}

#[derive(Debug)]
pub(super) enum Inflate {
    TooLarge,
    Broken,
}

impl Inflate {
    fn problem(self, max: usize) -> Problem {
        match self {
            Self::TooLarge => too_large(max),
            Self::Broken => Problem::new(
                StatusCode::BAD_REQUEST,
                "body_not_inflatable",
                "the body is not what its Content-Encoding says, is cut short, or needs a window larger than 8 MiB",
            ),
        }
    }
}

fn too_large(max: usize) -> Problem {
    let detail =
        format!("the inflated body is more than server.max_inflated, {max} bytes: send fewer events in one request");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "inflated_too_large", detail)
}

pub(super) fn inflate_up_to(encoding: Encoding, body: &[u8], max: usize) -> Result<Bytes, Inflate> {
    match encoding {
        Encoding::Identity => Ok(Bytes::copy_from_slice(body)),
        Encoding::Gzip => read(flate2::read::MultiGzDecoder::new(body), max),
        // RFC 9110's deflate is zlib's format; some senders leave its header out.
        Encoding::Deflate if is_zlib(body) => read(flate2::read::ZlibDecoder::new(body), max),
        Encoding::Deflate => read(flate2::read::DeflateDecoder::new(body), max),
        // "Large window brotli" is no part of the encoding `br` (RFC 7932), and the decoder would set aside up to a gigabyte for it.
        Encoding::Brotli if body.first().is_some_and(|first| first & 0x7f == 0x11) => Err(Inflate::Broken),
        Encoding::Brotli => read(brotli::Decompressor::new(body, 8 * 1024), max),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(|_| Inflate::Broken)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(|_| Inflate::Broken)?;
            read(decoder, max)
        }
    }
}

fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [cmf, flg, ..] if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)) % 31 == 0)
}

fn read(decoder: impl Read, max: usize) -> Result<Bytes, Inflate> {
    let mut inflated = Vec::new();
    let taken: io::Result<usize> = decoder.take(max as u64 + 1).read_to_end(&mut inflated);
    match taken {
        Ok(_) if inflated.len() > max => Err(Inflate::TooLarge),
        Ok(_) => Ok(inflated.into()),
        Err(_) => Err(Inflate::Broken),
    }
}
