//! Reading and cropping pictures.

use std::path::Path;

use image::{ImageReader, Limits, RgbImage};

use crate::DatasetError;

/// Largest width and height that is decoded.
const MAX_SIDE: u32 = 16_384;
/// The most that decoding one picture may allocate.
const MAX_BYTES: u64 = 256 << 20;

/// Decodes a picture to 8-bit RGB; grey ones get three equal channels.
///
/// An orientation that a camera wrote into the EXIF block is **not** applied: boxes are in the
/// pixels as they are stored, which is how MATLAB's `imread` and PIL's `Image.open` see them.
pub(crate) fn read_picture(path: &Path) -> Result<RgbImage, DatasetError> {
    let io = |source| DatasetError::io(path, source);
    let mut reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(io)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    match reader.decode() {
        Ok(image) => Ok(image.into_rgb8()),
        Err(source) => Err(DatasetError::Image { path: path.to_owned(), source }),
    }
}

/// A box as the annotations state it: in pixels from 1, both ends inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceBox {
    pub xmin: i64,
    pub ymin: i64,
    pub xmax: i64,
    pub ymax: i64,
}

impl SourceBox {
    /// The number of pixels inside.
    pub fn area(self) -> i64 {
        (self.xmax - self.xmin + 1).max(0) * (self.ymax - self.ymin + 1).max(0)
    }

    /// Cuts out what of the box lies in the image; `None` if that is nothing.
    pub fn crop(self, image: &RgbImage) -> Option<RgbImage> {
        let (width, height) = (i64::from(image.width()), i64::from(image.height()));
        let (left, right) = (self.xmin.max(1) - 1, self.xmax.min(width));
        let (top, bottom) = (self.ymin.max(1) - 1, self.ymax.min(height));
        if left >= right || top >= bottom {
            return None;
        }
        // All four lie in the image by now, and so fit.
        let [x, y, w, h] = [left, top, right - left, bottom - top].map(|v| v as u32);
        Some(image::imageops::crop_imm(image, x, y, w, h).to_image())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> RgbImage {
        RgbImage::from_fn(10, 8, |x, y| image::Rgb([x as u8, y as u8, 0]))
    }

    fn source(xmin: i64, ymin: i64, xmax: i64, ymax: i64) -> SourceBox {
        SourceBox { xmin, ymin, xmax, ymax }
    }

    #[test]
    fn a_box_counts_from_one_and_holds_both_ends() {
        let crop = source(2, 3, 5, 3).crop(&image()).unwrap();
        assert_eq!(crop.dimensions(), (4, 1));
        assert_eq!(crop.get_pixel(0, 0).0, [1, 2, 0]);
        assert_eq!(crop.get_pixel(3, 0).0, [4, 2, 0]);
        assert_eq!(source(2, 3, 5, 3).area(), 4);
    }

    #[test]
    fn a_box_is_clamped_to_the_image() {
        let crop = source(-4, 0, 99, 8).crop(&image()).unwrap();
        assert!(crop == image());
        assert_eq!(source(11, 1, 20, 4).crop(&image()), None);
        assert_eq!(source(3, 1, 2, 4).crop(&image()), None);
    }

    #[test]
    fn damaged_pictures_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        assert!(matches!(read_picture(&path), Err(DatasetError::Io { .. })));
        image().save(&path).unwrap();
        assert!(read_picture(&path).unwrap() == image());
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(read_picture(&path), Err(DatasetError::Image { .. })));
    }

    #[test]
    fn a_picture_beyond_the_limits_is_refused_before_it_is_decoded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wide.png");
        RgbImage::new(MAX_SIDE + 1, 1).save(&path).unwrap();
        let error = read_picture(&path).unwrap_err();
        assert!(matches!(error, DatasetError::Image { source: image::ImageError::Limits(_), .. }), "{error}");
    }
}
