//! Lengths of the interventions, and where the control is.

use crate::Point;

/// Side of the crops for which the lengths are stated.
const REFERENCE_SIDE: f64 = 224.0;

/// The lengths of the interventions, in pixels of one picture.
///
/// They are stated for crops of 224 × 224 and grow with the shorter side: each is its value there times
/// `min(width, height) / 224`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InterventionScale {
    /// Half the side of the square around a landmark: 36.
    pub half_side: f64,
    /// Standard deviation of the Gaussian that blurs the picture: 24.
    pub blur_sigma: f64,
    /// Standard deviation of the Gaussian that blurs the mask of what is erased: 4.
    pub mask_sigma: f64,
    /// Where the reflection of a landmark is nearer to it than this, it is not the control place: 90.
    pub least_distance: f64,
    /// How far the landmark is then moved horizontally: 95.
    pub step: f64,
    /// How far from the picture's edges the place stays to which it is moved: 30.
    pub margin: f64,
}

impl InterventionScale {
    /// The lengths in a picture of this width and height.
    pub fn for_size([width, height]: [u32; 2]) -> Self {
        let scale = f64::from(width.min(height)) / REFERENCE_SIDE;
        Self {
            half_side: 36.0 * scale,
            blur_sigma: 24.0 * scale,
            mask_sigma: 4.0 * scale,
            least_distance: 90.0 * scale,
            step: 95.0 * scale,
            margin: 30.0 * scale,
        }
    }

    /// The control place of a landmark in a picture of this width and height, in pixels from 1.
    ///
    /// The landmark reflected through the centre, `(width − x, height − y)`. Where that is nearer than
    /// [`least_distance`](Self::least_distance), the landmark moved by [`step`](Self::step) to the right if
    /// it is in the left half, else to the left, and then kept [`margin`](Self::margin) away from the edges.
    /// The reflection itself is not kept away from them.
    pub(super) fn control_place(&self, [x, y]: [f64; 2], size: [u32; 2]) -> [f64; 2] {
        let [width, height] = size.map(f64::from);
        let reflected = [width - x, height - y];
        if (reflected[0] - x).hypot(reflected[1] - y) >= self.least_distance {
            return reflected;
        }
        let moved = if x < width / 2.0 { x + self.step } else { x - self.step };
        [moved.clamp(self.margin, width - self.margin), y.clamp(self.margin, height - self.margin)]
    }
}

/// A point in the reference's pixels, counted from 1.
pub(super) fn from_one(p: Point) -> [f64; 2] {
    [p.x, p.y].map(|v| f64::from(v) + 1.0)
}

/// A point in this crate's pixels, counted from 0.
pub(super) fn from_zero([x, y]: [f64; 2]) -> Point {
    let [x, y] = [x, y].map(|v| (v - 1.0) as f32);
    Point { x, y }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: [u32; 2] = [224, 224];

    #[test]
    fn lengths_are_those_of_the_definition_and_grow_with_the_picture() {
        let reference = InterventionScale {
            half_side: 36.0,
            blur_sigma: 24.0,
            mask_sigma: 4.0,
            least_distance: 90.0,
            step: 95.0,
            margin: 30.0,
        };
        assert_eq!(InterventionScale::for_size(SQUARE), reference);
        let half = InterventionScale::for_size([112, 300]);
        assert_eq!((half.half_side, half.blur_sigma, half.margin), (18.0, 12.0, 15.0));
    }

    #[test]
    fn a_control_is_the_reflection_or_a_step_sideways() {
        let place = |x, y| InterventionScale::for_size(SQUARE).control_place([x, y], SQUARE);
        // 147 from its reflection, which may be at the edge.
        assert_eq!(place(38.0, 164.5), [186.0, 59.5]);
        assert_eq!(place(224.0, 1.0), [0.0, 223.0]);
        // 77 from its reflection: to the other half, rightwards and leftwards.
        assert_eq!(place(93.0, 78.5), [188.0, 78.5]);
        assert_eq!(place(131.0, 78.5), [36.0, 78.5]);
        // From the middle: leftwards, and no further than the margin.
        assert_eq!(place(112.0, 112.0), [30.0, 112.0]);
        assert_eq!(place(111.0, 112.0), [194.0, 112.0]);
        // Straight above the centre by 45: just far enough.
        assert_eq!(place(112.0, 67.0), [112.0, 157.0]);
        assert_eq!(place(112.0, 67.1), [30.0, 67.1]);
    }

    #[test]
    fn a_control_scales_with_the_picture() {
        for side in [56u32, 112, 448, 1000] {
            let scale = f64::from(side) / 224.0;
            for at in [[38.0, 164.5], [93.0, 78.5], [112.0, 112.0], [60.0, 100.0]] {
                let reference = InterventionScale::for_size(SQUARE).control_place(at, SQUARE);
                let scaled = InterventionScale::for_size([side; 2]);
                let found = scaled.control_place(at.map(|v| v * scale), [side; 2]);
                for (found, reference) in found.iter().zip(reference) {
                    assert!((found - reference * scale).abs() < 1e-9, "{side}: {at:?} {found}");
                }
            }
        }
        // A wide picture: lengths by its height, the centre by both.
        let wide = InterventionScale::for_size([448, 224]);
        assert_eq!(wide.control_place([100.0, 100.0], [448, 224]), [348.0, 124.0]);
        assert_eq!(wide.control_place([224.0, 112.0], [448, 224]), [129.0, 112.0]);
    }
}
