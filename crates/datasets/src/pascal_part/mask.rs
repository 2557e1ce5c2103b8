//! Masks of objects and parts.

use std::borrow::Cow;

use crate::mat::{MatField, MatValue};
use crate::{BoundingBox, DatasetError, PartMask, Point};

/// A mask as MATLAB stores it: column by column, other than 0 where the thing is.
pub(super) struct Mask<'a> {
    height: usize,
    width: usize,
    data: Cow<'a, [u8]>,
}

impl<'a> Mask<'a> {
    /// # Errors
    ///
    /// If the value is no matrix of numbers, or has no columns or rows.
    pub fn of(field: &MatField<'a>) -> Result<Self, DatasetError> {
        let (dims, data) = match field.value() {
            MatValue::Bytes { dims, data } => (dims, Cow::Borrowed(&data[..])),
            MatValue::Double { dims, data } => {
                (dims, Cow::Owned(data.iter().map(|&v| u8::from(v != 0.0)).collect()))
            }
            other => return Err(field.unexpected("a mask", other.describe())),
        };
        match dims[..] {
            // The number of values is the product of the dimensions: the reader of the file has seen to it.
            [height, width] if height > 0 && width > 0 => Ok(Self { height, width, data }),
            _ => Err(field.unexpected("a mask of rows and columns", field.value().describe())),
        }
    }

    /// Width and height.
    pub fn size(&self) -> [usize; 2] {
        [self.width, self.height]
    }

    /// The smallest box that holds the mask; `None` if it is empty.
    pub fn bounding_box(&self) -> Option<BoundingBox> {
        let columns = || self.data.chunks_exact(self.height).enumerate();
        let filled = |(_, column): &(usize, &[u8])| column.iter().any(|&v| v != 0);
        let left = columns().find(filled)?.0;
        let right = columns().rfind(filled)?.0 + 1;
        let rows = columns().filter_map(|(_, column)| {
            let top = column.iter().position(|&v| v != 0)?;
            Some((top, column.iter().rposition(|&v| v != 0)? + 1))
        });
        let (top, bottom) = rows.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        let [left, top, right, bottom] = [left, top, right, bottom].map(|v| v as f32);
        Some(BoundingBox { left, top, right, bottom })
    }

    /// Adds what `other`, of the same size, covers.
    pub fn unite(&mut self, other: &Mask<'_>) {
        for (own, &added) in self.data.to_mut().iter_mut().zip(other.data.iter()) {
            *own |= added;
        }
    }

    /// The mask of a sample's part; `None` if it is empty.
    pub fn part(&self) -> Option<PartMask> {
        let size = [self.width, self.height].map(|side| u32::try_from(side).ok());
        let BoundingBox { left, top, right, bottom } = self.bounding_box()?;
        let bounds = [left, top, right, bottom].map(|v| v as u32);
        let covers = |x: u32, y: u32| self.data[x as usize * self.height + y as usize] != 0;
        PartMask::within(bounds, [size[0]?, size[1]?], covers)
    }

    /// The mean of the pixels' centres; `None` if the mask is empty.
    pub fn center(&self) -> Option<Point> {
        let (mut x, mut y, mut count) = (0u64, 0u64, 0u64);
        for (column, pixels) in self.data.chunks_exact(self.height).enumerate() {
            for (row, _) in pixels.iter().enumerate().filter(|&(_, &v)| v != 0) {
                x += column as u64;
                y += row as u64;
                count += 1;
            }
        }
        let mean = |sum: u64| (sum as f64 / count as f64) as f32;
        (count > 0).then(|| Point { x: mean(x), y: mean(y) })
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn mask(width: usize, height: usize, covers: impl Fn(usize, usize) -> bool) -> Mask<'static> {
        let data = (0..width * height).map(|i| u8::from(covers(i / height, i % height))).collect();
        Mask { height, width, data: Cow::Owned(data) }
    }

    #[test]
    fn a_rectangle_has_its_box_and_centre() {
        let m = mask(20, 12, |x, y| (3..9).contains(&x) && (5..6).contains(&y));
        assert_eq!(m.size(), [20, 12]);
        assert_eq!(m.bounding_box(), Some(BoundingBox { left: 3.0, top: 5.0, right: 9.0, bottom: 6.0 }));
        assert_eq!(m.center(), Some(Point { x: 5.5, y: 5.0 }));
        let empty = mask(4, 4, |_, _| false);
        assert_eq!((empty.bounding_box(), empty.center()), (None, None));
    }

    /// Pixel by pixel, in `f64`.
    #[test]
    fn any_mask_has_the_box_and_centre_of_its_pixels() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..200 {
            let (width, height) = (rng.random_range(1..30), rng.random_range(1..30));
            let density = rng.random_range(0.0..0.2);
            let [one, other] = [(); 2]
                .map(|()| -> Vec<bool> { (0..width * height).map(|_| rng.random_bool(density)).collect() });
            let at = |pixels: &[bool], x: usize, y: usize| pixels[x * height + y];
            let mut m = mask(width, height, |x, y| at(&one, x, y));
            m.unite(&mask(width, height, |x, y| at(&other, x, y)));
            let pixels: Vec<[f64; 2]> = (0..width * height)
                .map(|i| (i % width, i / width))
                .filter(|&(x, y)| at(&one, x, y) || at(&other, x, y))
                .map(|(x, y)| [x as f64, y as f64])
                .collect();
            let covered = |x: u32, y: u32| {
                let [x, y] = [x as usize, y as usize];
                at(&one, x, y) || at(&other, x, y)
            };
            assert_eq!(m.part(), PartMask::from_fn([width as u32, height as u32], covered));
            let Some(center) = m.center() else {
                assert!(pixels.is_empty() && m.bounding_box().is_none());
                continue;
            };
            let mean = |axis: usize| pixels.iter().map(|p| p[axis]).sum::<f64>() / pixels.len() as f64;
            assert!(
                (f64::from(center.x) - mean(0)).abs() < 1e-4 && (f64::from(center.y) - mean(1)).abs() < 1e-4
            );
            let extreme = |axis: usize, most: fn(f64, f64) -> f64| {
                pixels.iter().map(|p| p[axis]).reduce(most).unwrap() as f32
            };
            let b = BoundingBox {
                left: extreme(0, f64::min),
                top: extreme(1, f64::min),
                right: extreme(0, f64::max) + 1.0,
                bottom: extreme(1, f64::max) + 1.0,
            };
            assert_eq!(m.bounding_box(), Some(b));
        }
    }
}
