//! Decoding pictures.

mod jpeg;

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation as Exif;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};
use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// Largest file that is read.
const MAX_FILE_BYTES: u64 = 256 << 20;
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
/// converted as Adobe's programs store it, and what is transparent lies on white.
///
/// A JPEG file that ends early or is damaged within is an error, not a picture that is grey from there on.
pub(crate) fn read_picture(path: &Path, orientation: Orientation) -> Result<RgbImage, DatasetError> {
    let io = |source| DatasetError::io(path, source);
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > MAX_FILE_BYTES {
        let (expected, found) = (format!("at most {MAX_FILE_BYTES} bytes"), format!("{size} bytes"));
        return Err(DatasetError::format(path, "file size", expected, found));
    }
    let bytes = std::fs::read(path).map_err(io)?;
    decode(&bytes, orientation).map_err(|source| DatasetError::Image { path: path.to_owned(), source })
}

/// Decodes the bytes of a picture's file.
pub(crate) fn decode(bytes: &[u8], orientation: Orientation) -> Result<RgbImage, ImageError> {
    if matches!(image::guess_format(bytes), Ok(ImageFormat::Jpeg)) {
        let (image, exif) = jpeg::decode(bytes)?;
        return Ok(turned(image, exif, orientation));
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let exif = decoder.orientation()?;
    let image = DynamicImage::from_decoder(decoder)?;
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

#[cfg(test)]
mod tests {
    use image::{GrayImage, ImageBuffer, Luma, LumaA, Rgb, Rgba};

    use super::*;

    fn image() -> RgbImage {
        RgbImage::from_fn(10, 8, |x, y| Rgb([x as u8, y as u8, 0]))
    }

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn decoded(bytes: &[u8]) -> RgbImage {
        decode(bytes, Orientation::AsStored).unwrap()
    }

    #[test]
    fn damaged_pictures_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let read = || read_picture(&path, Orientation::AsStored);
        assert!(matches!(read(), Err(DatasetError::Io { .. })));
        image().save(&path).unwrap();
        assert!(read().unwrap() == image());
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(read(), Err(DatasetError::Image { .. })));
    }

    #[test]
    fn a_picture_that_ends_early_is_an_error_wherever_it_ends() {
        let noise = |x: u32, y: u32| [(x * 37 + y * 91) as u8, (x * y) as u8, (x * x + y) as u8];
        let image = RgbImage::from_fn(60, 45, |x, y| Rgb(noise(x, y)));
        let files = [
            encoded(image.clone(), ImageFormat::Jpeg),
            encoded(image, ImageFormat::Png),
            fixture("kind_progressive.jpg"),
        ];
        for bytes in files {
            decoded(&bytes);
            // The last chunk of a PNG says that this was all, in 12 bytes; the pixels are there before.
            for length in 0..bytes.len() - 12 {
                let cut = decode(&bytes[..length], Orientation::Upright);
                assert!(cut.is_err(), "{length} of {} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn a_picture_that_states_another_size_is_an_error() {
        let noise = |x: u32, y: u32| [(x * 37 + y * 91) as u8; 3];
        let noise = encoded(RgbImage::from_fn(64, 48, |x, y| Rgb(noise(x, y))), ImageFormat::Jpeg);
        let flat = encoded(RgbImage::new(64, 48), ImageFormat::Jpeg);
        for bytes in [noise, flat] {
            // The frame's header: marker, length, precision, height, width.
            let frame = |w: &[u8]| w[0] == 0xff && (0xc0..=0xc2).contains(&w[1]);
            let at = bytes.windows(2).position(frame).unwrap() + 5;
            assert_eq!((decoded(&bytes).dimensions(), &bytes[at..at + 4]), ((64, 48), &[0, 48, 0, 64][..]));
            for [height, width] in [[480u16, 64], [65, 64], [48, 640], [16_000, 16_000]] {
                let mut lying = bytes.clone();
                lying[at..at + 2].copy_from_slice(&height.to_be_bytes());
                lying[at + 2..at + 4].copy_from_slice(&width.to_be_bytes());
                assert!(decode(&lying, Orientation::AsStored).is_err(), "{height} × {width}");
            }
            let mut lying = bytes;
            lying[at..at + 4].fill(0xff);
            assert!(matches!(decode(&lying, Orientation::AsStored), Err(ImageError::Limits(_))));
        }
    }

    #[test]
    fn a_picture_beyond_the_limits_is_refused_before_it_is_decoded() {
        let wide = encoded(RgbImage::new(MAX_SIDE + 1, 1), ImageFormat::Png);
        let error = decode(&wide, Orientation::AsStored).unwrap_err();
        assert!(matches!(error, ImageError::Limits(_)), "{error}");
        // A few kilobytes that unfold to 768 megabytes.
        let mut bomb = encoded(GrayImage::new(MAX_SIDE, 8), ImageFormat::Png);
        bomb[20..24].copy_from_slice(&MAX_SIDE.to_be_bytes());
        let sum = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&sum.to_be_bytes());
        let error = decode(&bomb, Orientation::AsStored).unwrap_err();
        assert!(!error.to_string().contains("CRC"), "{error}");
    }

    /// The checksum of a PNG chunk.
    fn crc32(bytes: &[u8]) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum()
    }

    #[test]
    fn all_kinds_of_pixels_become_rgb() {
        let grey = GrayImage::from_fn(10, 8, |x, y| Luma([(20 * x + y) as u8]));
        let tripled = RgbImage::from_fn(10, 8, |x, y| Rgb([(20 * x + y) as u8; 3]));
        assert!(decoded(&encoded(grey.clone(), ImageFormat::Png)) == tripled);
        let jpeg = decoded(&encoded(grey, ImageFormat::Jpeg));
        assert!(jpeg.pixels().zip(tripled.pixels()).all(|(a, b)| a.0[0].abs_diff(b.0[0]) < 12));
        assert!(jpeg.pixels().all(|p| p.0[0] == p.0[1] && p.0[1] == p.0[2]));

        let deep = ImageBuffer::from_fn(10, 8, |x, y| Rgb([257 * x as u16 + 100, 257 * y as u16, 65_535]));
        let rounded = RgbImage::from_fn(10, 8, |x, y| Rgb([x as u8, y as u8, 255]));
        assert!(decoded(&encoded(DynamicImage::ImageRgb16(deep), ImageFormat::Png)) == rounded);

        let clear = ImageBuffer::from_fn(3, 1, |x, _| Rgba([200u8, 100, 0, [0, 51, 255][x as usize]]));
        let expected = [Rgb([255; 3]), Rgb([244, 224, 204]), Rgb([200, 100, 0])];
        assert_eq!(
            decoded(&encoded(clear, ImageFormat::Png)).pixels().copied().collect::<Vec<_>>(),
            expected
        );
        let clear = ImageBuffer::from_fn(2, 1, |x, _| LumaA([10u8, [0, 255][x as usize]]));
        let expected = [Rgb([255; 3]), Rgb([10; 3])];
        assert_eq!(
            decoded(&encoded(clear, ImageFormat::Png)).pixels().copied().collect::<Vec<_>>(),
            expected
        );
    }

    /// Against what PIL makes of the same files.
    #[test]
    fn palettes_and_inks_are_seen_as_pil_sees_them() {
        for (name, tolerance) in [("palette", 0), ("palette_clear", 0), ("cmyk", 4), ("progressive", 4)] {
            let ending = if tolerance == 0 { "png" } else { "jpg" };
            let found = decoded(&fixture(&format!("kind_{name}.{ending}")));
            let expected = decoded(&fixture(&format!("kind_{name}_rgb.png")));
            assert_eq!(found.dimensions(), expected.dimensions());
            let worst = found.iter().zip(expected.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(worst <= tolerance, "{name}: {worst}");
        }
    }

    /// Every orientation, of a JPEG with an EXIF block: one of two rows and three columns, turned back.
    #[test]
    fn cameras_orientations_are_applied_if_asked_for() {
        let upright = RgbImage::from_fn(24, 16, |x, y| Rgb([(10 * x) as u8, (15 * y) as u8, 60]));
        type Turn = fn(&RgbImage) -> RgbImage;
        let flip: Turn = |image| image::imageops::flip_horizontal(image);
        let stored: [Turn; 8] = [
            RgbImage::clone,
            flip,
            |image| image::imageops::rotate180(image),
            |image| image::imageops::flip_vertical(image),
            |image| image::imageops::rotate270(&image::imageops::flip_horizontal(image)),
            |image| image::imageops::rotate270(image),
            |image| image::imageops::rotate90(&image::imageops::flip_horizontal(image)),
            |image| image::imageops::rotate90(image),
        ];
        for (tag, stored) in (1u8..).zip(stored) {
            let stored = stored(&upright);
            let bytes = with_exif(&encoded(stored.clone(), ImageFormat::Jpeg), tag);
            let close = |a: &RgbImage, b: &RgbImage| {
                a.dimensions() == b.dimensions() && a.iter().zip(b.iter()).all(|(a, b)| a.abs_diff(*b) < 30)
            };
            assert!(close(&decode(&bytes, Orientation::Upright).unwrap(), &upright), "{tag}");
            assert!(close(&decode(&bytes, Orientation::AsStored).unwrap(), &stored), "{tag}");
        }
    }

    /// The JPEG file with an EXIF block of one entry, the orientation.
    fn with_exif(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let mut block = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        block.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let length = (block.len() as u16 + 2).to_be_bytes();
        [&jpeg[..2], &[0xff, 0xe1], &length, &block, &jpeg[2..]].concat()
    }
}
