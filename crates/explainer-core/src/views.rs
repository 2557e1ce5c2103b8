//! Further views of a training image: mirror images and random crops.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A crop keeps at least this share of the image's area.
const SMALLEST_AREA: f64 = 0.75;
/// Brightness of a crop: one factor within 1 ± this for the whole of it.
const BRIGHTNESS: f32 = 0.15;
/// Tint of a crop: a factor within 1 ± this for each channel.
const TINT: f32 = 0.2;

/// Mirrors 8-bit RGB pixels of rows of `size` pixels, left to right.
pub fn mirrored(pixels: &[u8], size: usize) -> Vec<u8> {
    let mut mirrored = Vec::with_capacity(pixels.len());
    for row in pixels.chunks_exact(3 * size) {
        mirrored.extend(row.chunks_exact(3).rev().flatten());
    }
    mirrored
}

/// Cuts a random square out of a `size × size` image of 8-bit RGB pixels, enlarges it to the image's
/// size by bilinear interpolation, and changes its brightness and tint.
///
/// The square's area is uniform between three quarters of the image's and all of it, its place uniform among
/// those where it fits.
///
/// # Panics
/// If `pixels` are not those of such an image.
pub fn random_crop(pixels: &[u8], size: usize, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let side = size as f64 * rng.random_range(SMALLEST_AREA..=1.0).sqrt();
    let [left, top] = [0, 1].map(|_| rng.random_range(0.0..=size as f64 - side));
    let brightness = rng.random_range(1.0 - BRIGHTNESS..=1.0 + BRIGHTNESS);
    let gains = [0, 1, 2].map(|_| brightness * rng.random_range(1.0 - TINT..=1.0 + TINT));

    let (width, form) = (size as u32, PixelType::U8x3);
    let source = ImageRef::new(width, width, pixels, form).expect("as many pixels as the size says");
    let mut target = Image::new(width, width, form);
    let options = ResizeOptions::new()
        .crop(left, top, side, side)
        .resize_alg(ResizeAlg::Interpolation(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut target, &options).expect("a square inside an image of the same form");
    let mut cropped = target.into_vec();
    for pixel in cropped.chunks_exact_mut(3) {
        for (value, gain) in pixel.iter_mut().zip(gains) {
            // `as` saturates at 255.
            *value = (f32::from(*value) * gain).round() as u8;
        }
    }
    cropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn mirroring_swaps_columns_and_keeps_channels() {
        let pixels = [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16];
        assert_eq!(mirrored(&pixels, 2), [4, 5, 6, 1, 2, 3, 14, 15, 16, 11, 12, 13]);
    }

    /// An image whose red is the column and whose green is the row: a crop shows where it was cut.
    fn ramp(size: usize) -> Vec<u8> {
        (0..size * size).flat_map(|at| [(at % size) as u8 + 50, (at / size) as u8 + 50, 100]).collect()
    }

    #[test]
    fn a_crop_is_a_square_of_the_stated_size_inside_the_image() {
        let (size, mut rng) = (64, ChaCha8Rng::seed_from_u64(1));
        let mut sides = Vec::new();
        for _ in 0..200 {
            let crop = random_crop(&ramp(size), size, &mut rng);
            assert_eq!(crop.len(), 3 * size * size);
            // Tint and brightness cancel in ratios to the first pixel of each channel.
            let at = |x: usize, y: usize, channel: usize| f64::from(crop[3 * (y * size + x) + channel]);
            let gain = at(32, 32, 2) / 100.0;
            assert!((0.67..1.39).contains(&gain), "{gain}");
            // Within the middle of the image interpolation is exact on a ramp, so that the slope of
            // the red channel over its own gain is side / size; the gain is read off both channels.
            let (red, green) = (at(48, 32, 0) - at(16, 32, 0), at(32, 48, 1) - at(32, 16, 1));
            let (red, green) = (red / at(32, 32, 0), green / at(32, 32, 1));
            sides.push(red);
            assert!(red > 0.0 && green > 0.0, "neither mirrored nor turned: {red} {green}");
        }
        // 32 columns of slope side/size over a centre between 50 + 0.43·64 and 50 + 0.57·64 of it.
        let (least, most) = (0.866 * 32.0 / (50.0 + 36.5), 32.0 / (50.0 + 27.0));
        assert!(sides.iter().all(|side| (least - 0.03..most + 0.03).contains(side)), "{sides:?}");
    }

    #[test]
    fn crops_of_one_seed_are_the_same_and_of_one_image_differ() {
        let draw = |seed: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            [0, 1].map(|_| random_crop(&ramp(32), 32, &mut rng))
        };
        assert_eq!(draw(3), draw(3));
        let [first, second] = draw(3);
        assert_ne!(first, second);
    }
}
