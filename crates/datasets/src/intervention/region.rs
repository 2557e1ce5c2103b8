//! The pixels that are erased or moved.

use super::soft_mask::SoftMask;
use crate::PartMask;

/// A rectangle of a picture or the mask of a part, where it is or moved from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region<'m> {
    /// Left, top, one past the right, one past the bottom: where it is now, within the picture.
    bounds: [u32; 4],
    /// Columns and rows by which it was moved.
    shift: [i64; 2],
    /// Which pixels of the bounds it has, before it was moved; `None`: all.
    mask: Option<&'m PartMask>,
}

impl<'m> Region<'m> {
    /// The square around a point, in pixels from 1, clipped to the picture: from `max(0, int(c − half_side))` to
    /// `min(length, int(c + half_side))` along both axes.
    pub fn square(center: [f64; 2], half_side: f64, size: [u32; 2]) -> Region<'static> {
        // Conversions cut off towards 0 and stop at 0.
        let [[left, right], [top, bottom]] = [0, 1].map(|axis| {
            let end = |at: f64| (at as u32).min(size[axis]);
            [end(center[axis] - half_side), end(center[axis] + half_side)]
        });
        Region { bounds: [left, top, right, bottom], shift: [0, 0], mask: None }
    }

    /// What a part covers.
    pub fn part(mask: &'m PartMask) -> Self {
        Self { bounds: mask.bounds(), shift: [0, 0], mask: Some(mask) }
    }

    /// Width and height of the bounds.
    fn extent(&self) -> [u32; 2] {
        let [left, top, right, bottom] = self.bounds;
        [right - left, bottom - top]
    }

    /// The region with its upper left corner at a pixel, as far as all of it stays within the picture.
    fn with_start(&self, start: [i64; 2], size: [u32; 2]) -> Self {
        let extent = self.extent();
        // The extent is at most the size, and so the largest start at least 0.
        let [left, top] =
            [0, 1].map(|axis| start[axis].clamp(0, i64::from(size[axis] - extent[axis])) as u32);
        let moved = |axis: usize, start: u32| i64::from(start) - i64::from(self.bounds[axis]);
        Self {
            bounds: [left, top, left + extent[0], top + extent[1]],
            shift: [self.shift[0] + moved(0, left), self.shift[1] + moved(1, top)],
            mask: self.mask,
        }
    }

    /// The region with the centre of its bounds at a point, within the picture.
    pub fn pasted_at(&self, center: [f64; 2], size: [u32; 2]) -> Self {
        let extent = self.extent();
        let start = [0, 1].map(|axis| (center[axis] - f64::from(extent[axis]) / 2.0) as i64);
        self.with_start(start, size)
    }

    /// The region moved by the nearest whole number of pixels, within the picture.
    pub fn moved(&self, by: [f64; 2], size: [u32; 2]) -> Self {
        let start = [0, 1].map(|axis| i64::from(self.bounds[axis]) + by[axis].round() as i64);
        self.with_start(start, size)
    }

    /// How far it was moved.
    pub fn shift(&self) -> [i64; 2] {
        self.shift
    }

    /// The centre of its bounds, in pixels from 1 as a square's centre is.
    pub fn center(&self) -> [f64; 2] {
        let [left, top, right, bottom] = self.bounds.map(f64::from);
        [(left + right) / 2.0, (top + bottom) / 2.0]
    }

    /// Where a pixel of the region was before it was moved.
    pub fn origin(&self, at: [u32; 2]) -> [u32; 2] {
        [0, 1].map(|axis| (i64::from(at[axis]) - self.shift[axis]) as u32)
    }

    fn contains(&self, x: u32, y: u32) -> bool {
        let [left, top, right, bottom] = self.bounds;
        let inside = (left..right).contains(&x) && (top..bottom).contains(&y);
        inside
            && self.mask.is_none_or(|mask| {
                let [x, y] = self.origin([x, y]);
                mask.contains(x, y)
            })
    }

    /// Its pixels, row by row.
    pub fn pixels(&self) -> impl Iterator<Item = (u32, u32)> {
        let [left, top, right, bottom] = self.bounds;
        let all = (top..bottom).flat_map(move |y| (left..right).map(move |x| (x, y)));
        all.filter(|&(x, y)| self.contains(x, y))
    }

    /// Share of its pixels that are another's too.
    pub fn overlap(&self, other: &Region<'_>) -> f64 {
        let (mut own, mut shared) = (0u64, 0u64);
        for (x, y) in self.pixels() {
            own += 1;
            shared += u64::from(other.contains(x, y));
        }
        // A square around a point of the picture and a part have at least one pixel.
        shared as f64 / own as f64
    }

    /// Its mask, blurred.
    pub fn soft(&self, size: [u32; 2], sigma: f64) -> SoftMask {
        let bounds = self.bounds.map(|v| v as usize);
        let size = size.map(|v| v as usize);
        match self.mask {
            None => SoftMask::of_rectangle(bounds, size, sigma),
            Some(_) => SoftMask::of_pixels(bounds, size, sigma, |x, y| self.contains(x as u32, y as u32)),
        }
    }
}
