//! JPEG files, without the tolerance for damage that decoders have: what is missing would be grey.

use std::borrow::Cow;

use image::ImageError;
use image::ImageFormat::Jpeg;
use image::RgbImage;
use image::error::{DecodingError, LimitError, LimitErrorKind};
use image::metadata::Orientation as Exif;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{MAX_BYTES, MAX_SIDE};

/// The one thing in which files of cameras and editors often do not keep to the rules.
const PADDING: &str = "Extra bytes between headers";
/// Stands behind the data of a sequential file in the place of the marker of its end: bits that are no code, so
/// that a decoder that needs more than the data is stopped and not supplied with zeros.
const BARRIER: [u8; 32] = {
    let mut bytes = [0; 32];
    let mut i = 0;
    while i < bytes.len() {
        bytes[i] = 0xff;
        i += 2;
    }
    bytes
};
/// Pixels of a block, of which each takes up a bit at least.
const BLOCK: usize = 64;

fn damaged(error: impl std::fmt::Display) -> ImageError {
    ImageError::Decoding(DecodingError::new(Jpeg.into(), error.to_string()))
}

/// Decodes a file to 8-bit RGB, and reads the orientation that its EXIF block states.
pub(super) fn decode(bytes: &[u8]) -> Result<(RgbImage, Exif), ImageError> {
    let Some(End { at, progressive }) = End::of(bytes) else {
        return Err(damaged("the file ends before its picture does"));
    };
    let bytes: Cow<'_, [u8]> =
        if progressive { bytes.into() } else { [&bytes[..at], &BARRIER].concat().into() };
    match pixels(&bytes, true) {
        Err(error) if error.to_string().contains(PADDING) => pixels(&bytes, false),
        decoded => decoded,
    }
}

fn pixels(bytes: &[u8], strict: bool) -> Result<(RgbImage, Exif), ImageError> {
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.dimensions().ok_or_else(|| damaged("no dimensions"))?;
    // A side is below 2^16, so that nothing overflows.
    if width.max(height) > MAX_SIDE as usize || (3 * width * height) as u64 > MAX_BYTES {
        return Err(ImageError::Limits(LimitError::from_kind(LimitErrorKind::DimensionError)));
    }
    if width * height / BLOCK / 8 > bytes.len() {
        let few = bytes.len();
        return Err(damaged(format!("{width} × {height} pixels in {few} bytes, fewer than they take up")));
    }
    let pixels = decoder.decode().map_err(damaged)?;
    let exif = decoder.exif().and_then(|exif| Exif::from_exif_chunk(exif));
    let image = RgbImage::from_raw(width as u32, height as u32, pixels);
    Ok((image.ok_or_else(|| damaged("fewer pixels than stated"))?, exif.unwrap_or(Exif::NoTransforms)))
}

/// Where a picture ends in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    /// Of the marker.
    at: usize,
    /// Whether the picture comes in several passes.
    progressive: bool,
}

impl End {
    /// Walks from marker to marker; `None` if that of the end is missing.
    fn of(bytes: &[u8]) -> Option<Self> {
        let (mut at, mut progressive) = (0, false);
        loop {
            let marker = loop {
                // What is no marker is data, or stands where it should not: 0xff before 0 is data too.
                match bytes.get(at..at + 2)? {
                    [0xff, marker @ 1..=0xfe] => break *marker,
                    _ => at += 1,
                }
            };
            match marker {
                0xd9 => return Some(Self { at, progressive }),
                // Start of the file, restarts and others without contents.
                0x01 | 0xd0..=0xd8 => at += 2,
                _ => {
                    progressive |= marker == 0xc2;
                    let &[high, low] = bytes.get(at + 2..at + 4)? else {
                        return None;
                    };
                    at += 2 + usize::from(u16::from_be_bytes([high, low]));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_behind_the_data_and_not_in_it() {
        // A thumbnail within a block of its own, data with 0xff, a restart, another pass, and a tail.
        let file = [
            &[0xff, 0xd8][..],
            &[0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9],
            &[0xff, 0xff, 0xc2, 0, 3, 9],
            &[0xff, 0xda, 0, 2, 1, 0xff, 0, 2, 0xff, 0xd3, 3],
            &[0xff, 0xda, 0, 2, 4, 5, 0xff, 0xd9, 0xff, 0xd8],
        ]
        .concat();
        let end = End::of(&file).unwrap();
        assert_eq!(end, End { at: file.len() - 4, progressive: true });
        for length in 0..end.at + 2 {
            assert_eq!(End::of(&file[..length]), None, "{length}");
        }
    }
}
