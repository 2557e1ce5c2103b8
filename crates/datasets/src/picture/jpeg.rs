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

use super::markers::{Markers, Model};
use super::{MAX_BYTES, MAX_SIDE, exif};

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
/// An Adobe segment up to its last byte, the transform.
const ADOBE: [u8; 15] = *b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0";
/// Pixels of a block, of which each takes up a bit at least.
const BLOCK: usize = 64;

fn damaged(error: impl std::fmt::Display) -> ImageError {
    ImageError::Decoding(DecodingError::new(Jpeg.into(), error.to_string()))
}

/// Decodes a file to 8-bit RGB, and reads the orientation that its EXIF block states.
///
/// The file's colours are made out here, by libjpeg's rules, and stated to the decoder in the one way that it cannot
/// mistake: its own rules differ where a JFIF and an Adobe segment, or names of components, disagree.
pub(super) fn decode(bytes: &[u8]) -> Result<(RgbImage, Exif), ImageError> {
    let Some(markers) = Markers::of(bytes) else {
        return Err(damaged("the file ends before its picture does"));
    };
    let model = markers.model(bytes).ok_or_else(|| damaged("expected one, three or four components"))?;
    let bytes = rebuilt(bytes, &markers, model);
    match pixels(&bytes, true) {
        Err(error) if error.to_string().contains(PADDING) => pixels(&bytes, false),
        decoded => decoded,
    }
}

/// The file with a statement of its colours, and of a sequential one with a barrier in the place of its end, which
/// may be missing.
fn rebuilt<'a>(bytes: &'a [u8], markers: &Markers, model: Model) -> Cow<'a, [u8]> {
    let plain = markers.adobe.is_empty() && !markers.has_letters(bytes);
    if plain && markers.progressive {
        return bytes.into();
    }
    let mut source = Cow::Borrowed(bytes);
    if markers.has_letters(bytes) {
        markers.number_components(source.to_mut());
    }
    let mut file = Vec::with_capacity(bytes.len() + BARRIER.len() + ADOBE.len() + 1);
    let mut from = 0;
    let transform = match model {
        Model::Rgb => Some(0),
        Model::Ycck => Some(2),
        Model::Grey | Model::YCbCr | Model::Cmyk => None,
    };
    if let Some(transform) = transform {
        file.extend_from_slice(&source[..2]);
        file.extend_from_slice(&ADOBE);
        file.push(transform);
        from = 2;
    }
    for segment in &markers.adobe {
        file.extend_from_slice(&source[from..segment.start]);
        from = segment.end;
    }
    match (markers.progressive, markers.end) {
        (true, _) => file.extend_from_slice(&source[from..]),
        (false, end) => {
            // Of the marker of the end its first half may be there.
            let data = end.unwrap_or_else(|| source.len() - usize::from(source.last() == Some(&0xff)));
            file.extend_from_slice(&source[from..data]);
            file.extend_from_slice(&BARRIER);
        }
    }
    file.into()
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
    let exif = decoder.exif().map_or(Exif::NoTransforms, |block| exif::orientation(block));
    let image = RgbImage::from_raw(width as u32, height as u32, pixels);
    Ok((image.ok_or_else(|| damaged("fewer pixels than stated"))?, exif))
}
