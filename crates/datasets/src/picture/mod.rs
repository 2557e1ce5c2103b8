//! Decoding pictures.

mod exif;
mod jpeg;
mod markers;
#[cfg(test)]
mod tests;

use std::io::Cursor;
use std::path::Path;

use image::error::{ImageFormatHint, LimitError, LimitErrorKind, UnsupportedError, UnsupportedErrorKind};
use image::metadata::Orientation as Exif;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};
use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// Largest file that is read.
pub(crate) const MAX_FILE_BYTES: u64 = 256 << 20;
/// Largest width and height that is decoded.
const MAX_SIDE: u32 = 16_384;
/// The most that a picture may take up decoded; while it is decoded there may be three times as much.
const MAX_BYTES: u64 = 256 << 20;

/// Whether the orientation that a camera wrote into the EXIF block is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Orientation {
    /// It is not: the pixels are as they are stored, which is how MATLAB's `imread` and PIL's
    /// `Image.open` see them, and the annotations of the published sets mean them.
    #[default]
    AsStored,
    /// It is: the picture stands as people see it in a viewer.
    Upright,
}

/// Decodes a picture to 8-bit RGB: grey ones get three equal channels, 16 bits are rounded to 8, CMYK is
/// converted as Adobe's programs store it, and what is transparent lies on white. Of an animation it is the first
/// frame. Its format is told by its contents.
///
/// A JPEG file that ends early or is damaged within is an error, not a picture that is grey from there on.
pub(crate) fn read_picture(path: &Path, orientation: Orientation) -> Result<RgbImage, DatasetError> {
    let bytes =
        explainer_files::read(path, MAX_FILE_BYTES).map_err(|source| DatasetError::io(path, source))?;
    decode(&bytes, orientation).map_err(|source| {
        let content = explainer_files::content(&bytes).unwrap_or("a file of an unknown format");
        DatasetError::Image { path: path.to_owned(), content, source }
    })
}

/// Decodes the bytes of a picture's file.
pub(crate) fn decode(bytes: &[u8], orientation: Orientation) -> Result<RgbImage, ImageError> {
    if matches!(image::guess_format(bytes), Ok(ImageFormat::Jpeg)) {
        let (image, exif) = jpeg::decode(bytes)?;
        return Ok(turned(image, exif, orientation));
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let format = reader.format();
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    // Not every decoder keeps to the limits by itself.
    if decoder.total_bytes() > MAX_BYTES {
        return Err(ImageError::Limits(LimitError::from_kind(LimitErrorKind::InsufficientMemory)));
    }
    // In a block as JPEG has it, or beside the picture's size.
    let exif = match decoder.exif_metadata()? {
        Some(block) => exif::orientation(&block),
        None => decoder.orientation()?,
    };
    let image = DynamicImage::from_decoder(decoder)?;
    if matches!(image.color(), ColorType::Rgb32F | ColorType::Rgba32F) {
        let color = UnsupportedErrorKind::Color(image.color().into());
        let format = format.map_or(ImageFormatHint::Unknown, ImageFormatHint::Exact);
        return Err(ImageError::Unsupported(UnsupportedError::from_format_and_kind(format, color)));
    }
    Ok(turned(on_white(image), exif, orientation))
}

fn turned(image: RgbImage, exif: Exif, orientation: Orientation) -> RgbImage {
    if orientation == Orientation::AsStored || exif == Exif::NoTransforms {
        return image;
    }
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(exif);
    image.into_rgb8()
}

/// 8-bit RGB, laid on white where it is transparent.
fn on_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [colour @ .., alpha] = image.get_pixel(x, y).0.map(u32::from);
        image::Rgb(colour.map(|c| ((c * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    })
}
