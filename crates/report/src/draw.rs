//! Marks on pictures.

use image::{Rgb, RgbImage, imageops};

/// Stops of the colours of a heat map, from nothing to the most: black, violet, red, orange, pale yellow.
const HEAT: [[f64; 3]; 5] =
    [[8.0, 6.0, 24.0], [87.0, 20.0, 110.0], [188.0, 55.0, 84.0], [249.0, 142.0, 9.0], [252.0, 254.0, 180.0]];
/// How strongly a heat map covers the picture where it is at its most.
const OPACITY: f64 = 0.7;
/// Brightness of what lies outside of a contour.
const OUTSIDE: f64 = 0.45;
/// Marks: a ring around a peak, the line of a contour.
const RING: Rgb<u8> = Rgb([255, 40, 40]);
const LINE: Rgb<u8> = Rgb([255, 221, 51]);
/// Radius and width of a ring, relative to the picture's side.
const RADIUS: f64 = 0.11;
const WIDTH: f64 = 0.025;
/// Radius of the smallest of several rings, likewise.
const CIRCLE: f64 = 0.075;

/// The colour of a value in 0..=1.
pub fn heat_color(value: f64) -> Rgb<u8> {
    let place = value.clamp(0.0, 1.0) * (HEAT.len() - 1) as f64;
    let low = (place.floor() as usize).min(HEAT.len() - 2);
    let share = place - low as f64;
    let channel = |c: usize| (HEAT[low][c] * (1.0 - share) + HEAT[low + 1][c] * share).round() as u8;
    Rgb([channel(0), channel(1), channel(2)])
}

/// `height × width` values in 0..=1 as a picture of as many pixels.
///
/// # Panics
/// If there are more or fewer values.
pub fn heat_map(values: &[f64], width: usize) -> RgbImage {
    let height = values.len() / width;
    assert_eq!(values.len(), height * width, "a picture is a rectangle");
    RgbImage::from_fn(width as u32, height as u32, |x, y| heat_color(values[y as usize * width + x as usize]))
}

/// The picture under a heat map: `value` at `[x, y]` pixels, in 0..=1.
pub fn heated(picture: &RgbImage, value: impl Fn([f64; 2]) -> f64) -> RgbImage {
    let mut heated = picture.clone();
    for (x, y, pixel) in heated.enumerate_pixels_mut() {
        let value = value([f64::from(x), f64::from(y)]).clamp(0.0, 1.0);
        let (color, cover) = (heat_color(value), OPACITY * value.sqrt());
        for (own, other) in pixel.0.iter_mut().zip(color.0) {
            *own = (f64::from(*own) * (1.0 - cover) + f64::from(other) * cover).round() as u8;
        }
    }
    heated
}

/// A square copy of `side` pixels.
pub fn thumbnail(picture: &RgbImage, side: u32) -> RgbImage {
    imageops::resize(picture, side, side, imageops::FilterType::Triangle)
}

/// The picture with a ring around `[x, y]`, as the paper draws the round field of a unit.
pub fn ringed(mut picture: RgbImage, center: [f64; 2]) -> RgbImage {
    let side = f64::from(picture.width());
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let distance = (f64::from(x) - center[0]).hypot(f64::from(y) - center[1]) / side;
        if (distance - RADIUS).abs() < WIDTH / 2.0 {
            *pixel = RING;
        }
    }
    picture
}

/// The picture with a thin ring of a colour around `[x, y]`. Rings of different ranks are of different sizes, so that
/// they can lie around one place.
pub fn circled(mut picture: RgbImage, center: [f64; 2], rank: usize, color: Rgb<u8>) -> RgbImage {
    let side = f64::from(picture.width());
    let radius = CIRCLE * (1.0 + 0.35 * rank as f64);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let distance = (f64::from(x) - center[0]).hypot(f64::from(y) - center[1]) / side;
        if (distance - radius).abs() < WIDTH / 2.0 {
            *pixel = color;
        }
    }
    picture
}

/// The picture with what lies outside of a region dimmed, and a line around the region.
pub fn contoured(mut picture: RgbImage, contains: impl Fn([f64; 2]) -> bool) -> RgbImage {
    let (width, height) = picture.dimensions();
    let inside: Vec<bool> = (0..height)
        .flat_map(|y| (0..width).map(move |x| [f64::from(x), f64::from(y)]))
        .map(&contains)
        .collect();
    let at = |x: u32, y: u32| inside[(y * width + x) as usize];
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let beside = [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)];
        let edge = beside.into_iter().any(|(x, y)| x < width && y < height && at(x, y));
        match (at(x, y), edge) {
            (true, _) => {}
            (false, true) => *pixel = LINE,
            (false, false) => {
                pixel.0.iter_mut().for_each(|value| *value = (f64::from(*value) * OUTSIDE).round() as u8);
            }
        }
    }
    picture
}

/// Pictures of equal size in rows of `columns`, `gap` pixels apart, on paper of one colour.
pub fn tiled(pictures: &[RgbImage], columns: u32, gap: u32, paper: Rgb<u8>) -> RgbImage {
    let (width, height) = pictures.first().map_or((1, 1), RgbImage::dimensions);
    let rows = (pictures.len() as u32).div_ceil(columns).max(1);
    let side = |count: u32, of: u32| count * of + (count - 1) * gap;
    let mut sheet = RgbImage::from_pixel(side(columns, width), side(rows, height), paper);
    for (index, picture) in (0u32..).zip(pictures) {
        let [x, y] = [index % columns * (width + gap), index / columns * (height + gap)];
        imageops::replace(&mut sheet, picture, i64::from(x), i64::from(y));
    }
    sheet
}

/// A square of `side` pixels around `[x, y]`; what lies outside of the picture repeats its edge.
pub fn patch(picture: &RgbImage, center: [f64; 2], side: u32) -> RgbImage {
    let start = center.map(|at| at - (f64::from(side) - 1.0) / 2.0);
    let (width, height) = picture.dimensions();
    let inside = |at: f64, size: u32| at.round().clamp(0.0, f64::from(size - 1)) as u32;
    RgbImage::from_fn(side, side, |x, y| {
        let [x, y] = [start[0] + f64::from(x), start[1] + f64::from(y)];
        *picture.get_pixel(inside(x, width), inside(y, height))
    })
}

/// The mean of pictures of equal size; `None` of none.
pub fn mean(pictures: impl IntoIterator<Item = RgbImage>) -> Option<RgbImage> {
    let mut sum: Option<(Vec<f64>, u32, u32)> = None;
    let mut count = 0.0;
    for picture in pictures {
        let (width, height) = picture.dimensions();
        let (sum, ..) = sum.get_or_insert_with(|| (vec![0.0; 3 * (width * height) as usize], width, height));
        sum.iter_mut().zip(picture.as_raw()).for_each(|(sum, &value)| *sum += f64::from(value));
        count += 1.0;
    }
    let (sum, width, height) = sum?;
    let values = sum.into_iter().map(|sum| (sum / count).round() as u8).collect();
    RgbImage::from_raw(width, height, values)
}

/// The picture with its values spread over the whole range, channels alike: a mean of many is grey.
pub fn stretched(mut picture: RgbImage) -> RgbImage {
    let (low, high) = picture.as_raw().iter().fold((u8::MAX, 0), |(low, high), &v| (low.min(v), high.max(v)));
    let range = f64::from(high.saturating_sub(low)).max(1.0);
    for value in picture.iter_mut() {
        *value = (255.0 * f64::from(*value - low) / range).round() as u8;
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(side: u32) -> RgbImage {
        RgbImage::from_fn(side, side, |x, y| Rgb([x as u8, y as u8, 200]))
    }

    #[test]
    fn colours_run_from_dark_to_light() {
        let light = |value: f64| heat_color(value).0.iter().map(|&c| u32::from(c)).sum::<u32>();
        let steps: Vec<u32> = (0..=20).map(|at| light(f64::from(at) / 20.0)).collect();
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
        assert_eq!(heat_color(-1.0), heat_color(0.0));
        assert_eq!(heat_color(2.0), heat_color(1.0));
    }

    #[test]
    fn nothing_hot_leaves_the_picture_as_it_is() {
        assert_eq!(heated(&ramp(8), |_| 0.0), ramp(8));
        let hot = heated(&ramp(8), |[x, _]| if x < 4.0 { 0.0 } else { 1.0 });
        assert_eq!(hot.get_pixel(3, 5), ramp(8).get_pixel(3, 5));
        assert_ne!(hot.get_pixel(4, 5), ramp(8).get_pixel(4, 5));
    }

    #[test]
    fn a_ring_lies_at_its_radius_and_a_contour_around_its_region() {
        let ring = ringed(ramp(100), [50.0, 40.0]);
        assert_eq!(*ring.get_pixel(61, 40), RING);
        assert_eq!(ring.get_pixel(50, 40), ramp(100).get_pixel(50, 40));
        let region = contoured(ramp(100), |[x, y]| (20.0..30.0).contains(&x) && (50.0..60.0).contains(&y));
        assert_eq!(region.get_pixel(25, 55), ramp(100).get_pixel(25, 55));
        assert_eq!(*region.get_pixel(19, 55), LINE);
        assert_eq!(region.get_pixel(80, 10).0, [36, 5, 90]);
        assert_eq!(region.pixels().filter(|&&pixel| pixel == LINE).count(), 40);
    }

    #[test]
    fn a_patch_is_centred_and_repeats_the_edge() {
        let cut = patch(&ramp(20), [10.0, 5.0], 3);
        assert_eq!((cut.get_pixel(1, 1).0, cut.get_pixel(2, 0).0), ([10, 5, 200], [11, 4, 200]));
        assert_eq!(patch(&ramp(20), [0.0, 19.0], 3).get_pixel(0, 2).0, [0, 19, 200]);
        let both = mean([patch(&ramp(20), [4.0, 4.0], 1), patch(&ramp(20), [8.0, 6.0], 1)]);
        assert_eq!(both.map(|mean| mean.get_pixel(0, 0).0), Some([6, 5, 200]));
        assert_eq!(mean([]), None);
    }

    #[test]
    fn stretching_uses_the_whole_range() {
        let flat = RgbImage::from_pixel(2, 2, Rgb([9, 9, 9]));
        assert_eq!(stretched(flat).as_raw(), &[0; 12]);
        let pair = RgbImage::from_raw(2, 1, vec![100, 110, 120, 130, 140, 150]).unwrap();
        assert_eq!(stretched(pair).as_raw(), &[0, 51, 102, 153, 204, 255]);
    }

    #[test]
    fn tiles_lie_in_rows() {
        let paper = Rgb([1, 2, 3]);
        let sheet = tiled(&[ramp(4), ramp(4), ramp(4)], 2, 1, paper);
        assert_eq!(sheet.dimensions(), (9, 9));
        assert_eq!((sheet.get_pixel(4, 4), sheet.get_pixel(8, 8)), (&paper, &paper));
        assert_eq!((sheet.get_pixel(6, 2).0, sheet.get_pixel(1, 6).0), ([1, 2, 200], [1, 1, 200]));
        assert_eq!(tiled(&[], 3, 1, paper).get_pixel(0, 0), &paper);
    }
}
