//! A square of a training image, moved elsewhere in it: evidence whose place changes while all else stays.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Least and largest half side of the square, over the image's side: 28 and 44 pixels of 224.
const HALF: (f64, f64) = (0.125, 0.196);
/// The old place shows the image reduced to so many pixels a side and enlarged again.
const BLURRED: u32 = 8;
/// Over the image's side, how far from the square's edge the blurred image fades in.
const EDGE: f64 = 1.0 / 56.0;

/// A square that is moved by whole units of the target layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Transplant {
    /// Centre of the square in pixels: x, y.
    pub(crate) center: [f64; 2],
    /// Half of its side in pixels.
    pub(crate) half: f64,
    /// By how many units it is moved: to the right, down.
    pub(crate) by: [i64; 2],
}

impl Transplant {
    /// A random square of an image of `size` pixels a side, and another place for it that does not overlap the first, a
    /// multiple of `stride` pixels away along each axis. `None` where there is no such place.
    pub(crate) fn draw(size: usize, stride: f64, rng: &mut ChaCha8Rng) -> Option<Self> {
        let side = size as f64;
        let half = (side * rng.random_range(HALF.0..=HALF.1)).round();
        let inside = |value: f64| (half..=side - half).contains(&value);
        let center = [0, 1].map(|_| rng.random_range(half..=side - half).round());
        let reach = (side / stride) as i64;
        let along = |at: f64| (-reach..=reach).filter(move |&by| inside(at + by as f64 * stride));
        let apart = |[x, y]: [i64; 2]| x.abs().max(y.abs()) as f64 * stride >= 2.0 * half;
        let places: Vec<[i64; 2]> = along(center[0])
            .flat_map(|x| along(center[1]).map(move |y| [x, y]))
            .filter(|&by| apart(by))
            .collect();
        (!places.is_empty()).then(|| Self { center, half, by: places[rng.random_range(0..places.len())] })
    }

    /// The image with the square moved: its old place is blurred, with soft edges, and the square is pasted unblended.
    ///
    /// # Panics
    /// If `pixels` are not those of an RGB image of `size` pixels a side.
    pub(crate) fn apply(&self, pixels: &[u8], size: usize, stride: f64) -> Vec<u8> {
        let blurred = blurred(pixels, size);
        let mut moved = pixels.to_vec();
        let edge = (EDGE * size as f64).max(1.0);
        let [left, top] = self.center.map(|at| at - self.half);
        for y in 0..size {
            for x in 0..size {
                let away =
                    (x as f64 + 0.5 - self.center[0]).abs().max((y as f64 + 0.5 - self.center[1]).abs());
                let covered = ((self.half - away) / edge + 0.5).clamp(0.0, 1.0);
                if covered > 0.0 {
                    for at in 3 * (y * size + x)..3 * (y * size + x) + 3 {
                        let (from, to) = (f64::from(pixels[at]), f64::from(blurred[at]));
                        moved[at] = (from + covered * (to - from)).round() as u8;
                    }
                }
            }
        }
        let width = 2 * self.half as usize;
        let to = |start: f64, by: i64| (start + (by as f64 * stride).round()) as usize;
        let (column, row) = (to(left, self.by[0]), to(top, self.by[1]));
        for line in 0..width {
            let from = 3 * ((top as usize + line) * size + left as usize);
            let onto = 3 * ((row + line) * size + column);
            moved[onto..onto + 3 * width].copy_from_slice(&pixels[from..from + 3 * width]);
        }
        moved
    }

    /// Where what a unit shows is after the move, as `[row, column]`; `None` where the unit does not lie well within the
    /// square, or is moved off a map of `grid` rows and columns. `pixel` is where a unit lies.
    pub(crate) fn moved(
        &self,
        unit: [usize; 2],
        grid: [usize; 2],
        stride: f64,
        pixel: impl Fn(usize) -> f64,
    ) -> Option<[usize; 2]> {
        let [row, column] = unit;
        let away = |at: usize, center: f64| (pixel(at) + 0.5 - center).abs();
        if away(row, self.center[1]).max(away(column, self.center[0])) > self.half - 0.5 * stride {
            return None;
        }
        let moved =
            |at: usize, by: i64, end: usize| usize::try_from(at as i64 + by).ok().filter(|&at| at < end);
        Some([moved(row, self.by[1], grid[0])?, moved(column, self.by[0], grid[1])?])
    }
}

/// The image reduced to a few pixels and enlarged again.
fn blurred(pixels: &[u8], size: usize) -> Vec<u8> {
    let resized = |pixels: &[u8], [from, to]: [u32; 2]| {
        let form = PixelType::U8x3;
        let source = ImageRef::new(from, from, pixels, form).expect("as many pixels as the size says");
        let mut target = Image::new(to, to, form);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        Resizer::new().resize(&source, &mut target, &options).expect("both are squares of the same form");
        target.into_vec()
    };
    let size = size as u32;
    resized(&resized(pixels, [size, BLURRED]), [BLURRED, size])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const SIZE: usize = 64;

    /// An image in which every pixel is another.
    fn image() -> Vec<u8> {
        (0..SIZE * SIZE)
            .flat_map(|at| [(at % SIZE) as u8 * 3, (at / SIZE) as u8 * 3, (at % 7) as u8 * 30])
            .collect()
    }

    #[test]
    fn a_square_is_moved_whole_to_where_it_does_not_overlap_itself() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let pixels = image();
        let at = |pixels: &[u8], x: usize, y: usize| {
            <[u8; 3]>::try_from(&pixels[3 * (y * SIZE + x)..][..3]).unwrap()
        };
        for _ in 0..100 {
            let square = Transplant::draw(SIZE, 4.0, &mut rng).unwrap();
            let moved = square.apply(&pixels, SIZE, 4.0);
            assert!(square.by.iter().any(|by| by.abs() as f64 * 4.0 >= 2.0 * square.half));
            let [left, top] = square.center.map(|at| (at - square.half) as usize);
            let width = 2 * square.half as usize;
            let [right, down] = square.by.map(|by| 4 * by);
            let to = |at: usize, by: i64| (at as i64 + by) as usize;
            let mut changed = 0;
            for y in 0..SIZE {
                for x in 0..SIZE {
                    let [ox, oy] = [(x as i64 - right) as usize, (y as i64 - down) as usize];
                    let within = |x: usize, y: usize| {
                        (left..left + width).contains(&x) && (top..top + width).contains(&y)
                    };
                    if within(ox, oy) {
                        assert_eq!(at(&moved, x, y), at(&pixels, ox, oy), "the paste is the square");
                        assert_eq!((to(ox, right), to(oy, down)), (x, y));
                    } else if at(&moved, x, y) != at(&pixels, x, y) {
                        let near = |at: usize, start: usize| (start..start + width + 2).contains(&(at + 1));
                        assert!(near(x, left) && near(y, top), "{x} {y} is neither old nor new place");
                        changed += 1;
                    }
                }
            }
            assert!(changed > width * width / 2, "{changed} pixels of the old place are blurred");
        }
    }

    #[test]
    fn units_well_within_the_square_move_with_it() {
        let square = Transplant { center: [16.0, 24.0], half: 8.0, by: [5, -2] };
        let moved = |row, column| square.moved([row, column], [16, 16], 4.0, |unit| 4.0 * unit as f64 + 1.5);
        // Units lie at 2, 6, 10, …; those of 10 to 22 and 18 to 30 are within half a stride of the edge or further in.
        assert_eq!(moved(4, 2), Some([2, 7]));
        assert_eq!(moved(7, 5), Some([5, 10]));
        assert_eq!([moved(3, 3), moved(8, 3), moved(5, 1), moved(5, 6)], [None; 4]);
        let off = Transplant { by: [12, 0], ..square };
        assert_eq!(off.moved([5, 4], [16, 16], 4.0, |unit| 4.0 * unit as f64 + 1.5), None);
    }

    #[test]
    fn an_image_with_room_for_one_place_only_has_no_transplant() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(Transplant::draw(64, 64.0, &mut rng), None);
    }
}
