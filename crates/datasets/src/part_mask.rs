//! The pixels that a part covers.

use image::RgbImage;

use crate::Point;

/// The pixels of a picture that a part covers: one bit for each pixel of the smallest box around them.
///
/// It covers at least one pixel, and knows the size of its picture.
///
/// ```
/// use explainer_datasets::{PartMask, Point};
///
/// // Columns 2 to 4 of row 1.
/// let beak = PartMask::from_fn([10, 8], |x, y| (2..5).contains(&x) && y == 1).expect("a part");
/// assert_eq!((beak.area(), beak.bounds()), (3, [2, 1, 5, 2]));
/// assert_eq!(beak.center(), Point { x: 3.0, y: 1.0 });
/// assert!(beak.mirrored().contains(7, 1));
/// assert!(PartMask::from_fn([10, 8], |_, _| false).is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartMask {
    /// Width and height of the picture.
    size: [u32; 2],
    /// First column and row of the box.
    start: [u32; 2],
    /// Width and height of the box.
    extent: [u32; 2],
    /// Row by row.
    bits: Box<[u64]>,
}

impl PartMask {
    /// The pixels of a picture of this width and height that `covers(x, y)` names; `None` if there are none.
    pub fn from_fn(size: [u32; 2], covers: impl Fn(u32, u32) -> bool) -> Option<Self> {
        Self::within([0, 0, size[0], size[1]], size, covers)
    }

    /// [`from_fn`](Self::from_fn) where nothing is covered outside of the box `left, top, right, bottom`.
    pub(crate) fn within(
        [left, top, right, bottom]: [u32; 4],
        size: [u32; 2],
        covers: impl Fn(u32, u32) -> bool,
    ) -> Option<Self> {
        let covered =
            |y: u32| (left..right).filter(move |&x| x < size[0] && y < size[1]).map(move |x| (x, y));
        let rows = (top..bottom).filter_map(|y| {
            let first = covered(y).find(|&(x, y)| covers(x, y))?.0;
            let last = covered(y).rev().find(|&(x, y)| covers(x, y))?.0;
            Some([first, y, last + 1, y + 1])
        });
        let [left, top, right, bottom] = rows.reduce(|a, b| [a[0].min(b[0]), a[1], a[2].max(b[2]), b[3]])?;
        let extent = [right - left, bottom - top];
        let count = extent[0] as usize * extent[1] as usize;
        let mut bits = vec![0; count.div_ceil(64)].into_boxed_slice();
        for (i, (y, x)) in (top..bottom).flat_map(|y| (left..right).map(move |x| (y, x))).enumerate() {
            bits[i / 64] |= u64::from(covers(x, y)) << (i % 64);
        }
        Some(Self { size, start: [left, top], extent, bits })
    }

    /// Width and height of the picture that the mask belongs to.
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    /// The smallest box around the covered pixels: left, top, one past the right, one past the bottom.
    pub fn bounds(&self) -> [u32; 4] {
        let ([left, top], [width, height]) = (self.start, self.extent);
        [left, top, left + width, top + height]
    }

    /// Whether the part covers a pixel; none outside of the picture.
    pub fn contains(&self, x: u32, y: u32) -> bool {
        let ([left, top], [width, height]) = (self.start, self.extent);
        let (Some(x), Some(y)) = (x.checked_sub(left), y.checked_sub(top)) else {
            return false;
        };
        let i = y as usize * width as usize + x as usize;
        x < width && y < height && self.bits[i / 64] >> (i % 64) & 1 == 1
    }

    /// The number of covered pixels.
    pub fn area(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The mean of the covered pixels' centres.
    pub fn center(&self) -> Point {
        let (mut x, mut y) = (0u64, 0u64);
        for (column, row) in self.pixels() {
            x += u64::from(column);
            y += u64::from(row);
        }
        let mean = |sum: u64| (sum as f64 / self.area() as f64) as f32;
        Point { x: mean(x), y: mean(y) }
    }

    /// The covered pixels `(x, y)`, row by row.
    pub fn pixels(&self) -> impl Iterator<Item = (u32, u32)> {
        let [left, top, right, bottom] = self.bounds();
        let all = (top..bottom).flat_map(move |y| (left..right).map(move |x| (x, y)));
        all.filter(|&(x, y)| self.contains(x, y))
    }

    /// The mask of the picture seen in a mirror: `x → width − 1 − x`.
    pub fn mirrored(&self) -> Self {
        let [left, top, right, bottom] = self.bounds();
        let [width, _] = self.size;
        let mirrored = |x: u32, y: u32| self.contains(width - 1 - x, y);
        // It covers as many pixels as this one, at least one.
        Self::within([width - right, top, width - left, bottom], self.size, mirrored)
            .unwrap_or_else(|| self.clone())
    }

    /// Whether the mask belongs to a picture of this one's size.
    pub(crate) fn is_of(&self, image: &RgbImage) -> bool {
        self.size == [image.width(), image.height()]
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Against a plane of booleans.
    #[test]
    fn any_mask_is_kept_pixel_by_pixel() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for case in 0..200 {
            let [width, height] = [rng.random_range(1..40u32), rng.random_range(1..40u32)];
            let density = rng.random_range(0.0..0.3);
            let plane: Vec<bool> = (0..width * height).map(|_| rng.random_bool(density)).collect();
            let at = |x: u32, y: u32| plane[(y * width + x) as usize];
            let Some(mask) = PartMask::from_fn([width, height], at) else {
                assert!(plane.iter().all(|&covered| !covered), "{case}");
                continue;
            };
            let covered: Vec<(u32, u32)> = (0..height)
                .flat_map(|y| (0..width).map(move |x| (x, y)))
                .filter(|&(x, y)| at(x, y))
                .collect();
            assert_eq!(mask.pixels().collect::<Vec<_>>(), covered, "{case}");
            assert_eq!((mask.area(), mask.size()), (covered.len(), [width, height]));
            let columns = || covered.iter().map(|&(x, _)| x);
            let expected = [
                columns().min().unwrap(),
                covered[0].1,
                columns().max().unwrap() + 1,
                covered.last().unwrap().1 + 1,
            ];
            assert_eq!(mask.bounds(), expected, "{case}");
            let mirrored = mask.mirrored();
            assert!((0..height).all(|y| (0..width).all(|x| mirrored.contains(width - 1 - x, y) == at(x, y))));
            assert_eq!(mirrored.mirrored(), mask);
            let mean = covered.iter().map(|&(x, _)| f64::from(x)).sum::<f64>() / covered.len() as f64;
            assert!((f64::from(mask.center().x) - mean).abs() < 1e-4);
        }
    }

    #[test]
    fn nothing_is_covered_outside_of_the_picture() {
        let all = PartMask::from_fn([4, 3], |_, _| true).unwrap();
        assert_eq!((all.area(), all.bounds()), (12, [0, 0, 4, 3]));
        assert!(!all.contains(4, 0) && !all.contains(0, 3) && !all.contains(u32::MAX, u32::MAX));
        assert_eq!(PartMask::from_fn([0, 3], |_, _| true), None);
        let wide = PartMask::within([2, 1, 9, 9], [4, 3], |_, _| true).unwrap();
        assert_eq!(wide.bounds(), [2, 1, 4, 3]);
    }
}
