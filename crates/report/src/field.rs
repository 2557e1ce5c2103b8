//! Image-resolution receptive fields, from occluded images.

use explainer_core::Occlusion;
use explainer_metrics::ReceptiveField;

/// A field is blurred with this standard deviation, relative to the occluder's side, which takes the corners out of
/// the square occluder.
const SMOOTHING: f64 = 0.5;
/// Points of a field's lattice lie so far apart, relative to the occluder's side: closer than the squares do. Peaks
/// lie differently to the squares in every image, so that their mean tells more than one image's squares can.
const LATTICE: f64 = 0.25;
/// The region of a field is where it is at least this share of its maximum.
///
/// Source: the released code of arXiv:1710.00935.
const REGION: f64 = 0.5;

/// What a filter looks at around its peak: how much of its activation is lost when a place, relative to the
/// peak, is covered; the mean over images.
///
/// Source: Zhou et al., *Object detectors emerge in deep scene CNNs*, ICLR 2015, section 3.2.
#[derive(Clone, Debug, PartialEq)]
pub struct AverageField {
    /// Lattice points from the centre to each edge.
    reach: usize,
    /// Pixels between lattice points.
    step: f64,
    /// Row by row, `2 · reach + 1` a side; at most 1 at its largest.
    values: Vec<f64>,
    /// Images it is the mean of.
    images: usize,
}

impl AverageField {
    /// The mean field of `filter` over those of `images` in which it fired, at most the `strongest` of them;
    /// `None` if covering makes no difference to it or it fired in none.
    ///
    /// `field` projects the filter's units, `size` is the images' side and `side` the occluder's, in pixels.
    /// Each image counts by the share of the activation that is lost; what is gained counts as nothing lost.
    /// A place is the mean over those images that have it. All images must have been covered by the same squares.
    pub fn of(
        filter: usize,
        images: &[Occlusion],
        field: &ReceptiveField,
        [size, side]: [usize; 2],
        strongest: usize,
    ) -> Option<Self> {
        let mut fired: Vec<&Occlusion> =
            images.iter().filter(|image| image.activations[filter] > 0.0).collect();
        fired.sort_by(|a, b| b.activations[filter].total_cmp(&a.activations[filter]));
        fired.truncate(strongest);
        let [first, second] = *fired.first()?.centers.first_chunk::<2>()?;
        let step = (LATTICE * side as f64).max(1.0);
        let reach = (size as f64 / step).ceil() as usize;
        let lattice = 2 * reach + 1;
        let (mut sums, mut counts) = (vec![0.0; lattice * lattice], vec![0usize; lattice * lattice]);
        for image in &fired {
            let peak = image.units[filter].map(|unit| field.pixel(unit));
            for at in 0..lattice * lattice {
                let offset = |index: usize| (index as f64 - reach as f64) * step;
                let place = [peak[0] + offset(at / lattice), peak[1] + offset(at % lattice)];
                if let Some(lost) = lost(image, filter, place) {
                    sums[at] += lost;
                    counts[at] += 1;
                }
            }
        }
        let means = sums.iter().zip(&counts).map(|(sum, &count)| sum / count.max(1) as f64).collect();
        let mut values = blurred(means, lattice, smoothing(side as f64, second - first) / step);
        let most = values.iter().copied().fold(0.0, f64::max);
        if most <= 0.0 {
            return None;
        }
        values.iter_mut().for_each(|value| *value /= most);
        Some(Self { reach, step, values, images: fired.len() })
    }

    /// The field at `[x, y]` pixels from the peak, 1 at its largest.
    pub fn at(&self, [x, y]: [f64; 2]) -> f64 {
        let lattice = 2 * self.reach + 1;
        let place = [y, x].map(|offset| offset / self.step + self.reach as f64);
        bilinear(place, lattice, |row, column| self.values[row * lattice + column]).unwrap_or(0.0)
    }

    /// Whether `[x, y]` pixels from the peak belong to the field's region.
    pub fn contains(&self, offset: [f64; 2]) -> bool {
        self.at(offset) >= REGION
    }

    /// The number of images it is the mean of.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Side in pixels of a square of the same area as the region.
    pub fn side(&self) -> f64 {
        let inside = self.values.iter().filter(|&&value| value >= REGION).count();
        (inside as f64).sqrt() * self.step
    }
}

/// Standard deviation in pixels of the Gaussian that blurs a field from squares of `side` that are `stride` apart:
///
/// `σ² = (side / 2)² − stride² / 6`
///
/// Interpolation between the squares blurs already: over peaks anywhere between them, by a triangle of variance
/// `stride² / 6`. Together they blur as much whatever the stride, up to 1.22 times the side.
fn smoothing(side: f64, stride: f64) -> f64 {
    ((SMOOTHING * side).powi(2) - stride * stride / 6.0).max(0.0).sqrt()
}

/// The share of the activation that was lost with the occluder at `[y, x]`; `None` outside of the squares.
fn lost(image: &Occlusion, filter: usize, place: [f64; 2]) -> Option<f64> {
    let (first, step) = (image.centers[0], image.centers[1] - image.centers[0]);
    let place = place.map(|pixel| (pixel - first) / step);
    let activation = f64::from(image.activations[filter]);
    let of = |row, column| (f64::from(image.drop(filter, row, column)) / activation).max(0.0);
    bilinear(place, image.centers.len(), of)
}

/// Bilinear interpolation at `[row, column]` of a lattice of `side` points along each axis.
pub(crate) fn bilinear(place: [f64; 2], side: usize, of: impl Fn(usize, usize) -> f64) -> Option<f64> {
    let last = (side - 1) as f64;
    if place.iter().any(|&at| !(0.0..=last).contains(&at)) {
        return None;
    }
    let low = place.map(|at| (at.floor() as usize).min(side.saturating_sub(2)));
    let [y, x] = [place[0] - low[0] as f64, place[1] - low[1] as f64];
    let corner = |dy: usize, dx: usize| of((low[0] + dy).min(side - 1), (low[1] + dx).min(side - 1));
    let (upper, lower) =
        (corner(0, 0) * (1.0 - x) + corner(0, 1) * x, corner(1, 0) * (1.0 - x) + corner(1, 1) * x);
    Some(upper * (1.0 - y) + lower * y)
}

/// A Gaussian blur of standard deviation `sigma` in lattice points, with zeros around.
fn blurred(values: Vec<f64>, side: usize, sigma: f64) -> Vec<f64> {
    let reach = (3.0 * sigma).ceil() as isize;
    let weights: Vec<f64> =
        (-reach..=reach).map(|at| (-0.5 * (at as f64 / sigma.max(1e-9)).powi(2)).exp()).collect();
    let mass: f64 = weights.iter().sum();
    let along = |values: &[f64], stride: usize, other: usize| {
        let mut blurred = vec![0.0; values.len()];
        for (at, out) in blurred.iter_mut().enumerate() {
            let (line, along) = (at / other % side, (at / stride % side) as isize);
            let start = line * other;
            for (weight, step) in weights.iter().zip(-reach..) {
                let place = along + step;
                if (0..side as isize).contains(&place) {
                    *out += weight / mass * values[start + place as usize * stride];
                }
            }
        }
        blurred
    };
    let rows = along(&values, 1, side);
    along(&rows, side, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolation_is_exact_on_planes_and_ends_at_the_edge() {
        let plane = |row: usize, column: usize| 2.0 * row as f64 - column as f64;
        assert_eq!(bilinear([1.25, 2.5], 4, plane), Some(0.0));
        assert_eq!(bilinear([3.0, 3.0], 4, plane), Some(3.0));
        assert_eq!(bilinear([3.01, 0.0], 4, plane), None);
        assert_eq!(bilinear([0.0, -0.01], 4, plane), None);
    }

    #[test]
    fn a_blur_spreads_a_point_evenly_and_keeps_its_mass() {
        let mut point = vec![0.0; 81];
        point[40] = 1.0;
        let blurred = blurred(point, 9, 1.0);
        assert!((blurred.iter().sum::<f64>() - 1.0).abs() < 1e-3);
        let expected = |y: f64, x: f64| (-(y * y + x * x) / 2.0f64).exp() / std::f64::consts::TAU;
        for (at, value) in blurred.iter().enumerate() {
            let expected = expected((at / 9) as f64 - 4.0, (at % 9) as f64 - 4.0);
            assert!((value - expected).abs() < 0.01, "{at}: {value}, {expected}");
        }
    }

    /// An image in which covering takes from filter 0 what lies around `[5, −3]` pixels (down, right) from its
    /// peak; filter 1 never fires.
    fn planted(unit: [usize; 2], field: &ReceptiveField, step: usize) -> Occlusion {
        let centers: Vec<f64> = (0..64).step_by(step).map(|at| at as f64).collect();
        let place = unit.map(|unit| field.pixel(unit));
        let mut drops = Vec::new();
        for y in &centers {
            for x in &centers {
                let [dy, dx] = [y - place[0] - 5.0, x - place[1] + 3.0];
                drops.extend([(2.0 * (-(dy * dy + dx * dx) / 128.0).exp()) as f32, 0.0]);
            }
        }
        Occlusion::new(centers, vec![unit, [0, 0]], vec![4.0, 0.0], drops)
    }

    #[test]
    fn fields_are_centred_on_the_peak_and_averaged() {
        let field = ReceptiveField { stride: 8.0, center: 3.5, size: 20 };
        let images = [planted([2, 3], &field, 4), planted([5, 4], &field, 4), planted([7, 0], &field, 4)];
        let found = AverageField::of(0, &images, &field, [64, 4], 2).unwrap();
        assert_eq!(found.images(), 2);
        assert!(found.at([-3.0, 5.0]) > 0.97, "{}", found.at([-3.0, 5.0]));
        // Half of the maximum lies √(128 ln 2) = 9.4 pixels away, a little more for the blur.
        for [x, y] in [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]] {
            assert!(found.contains([-3.0 + 8.5 * x, 5.0 + 8.5 * y]));
            assert!(!found.contains([-3.0 + 11.5 * x, 5.0 + 11.5 * y]));
        }
        let side = (std::f64::consts::PI * 9.4 * 9.4).sqrt();
        assert!((found.side() - side).abs() < 3.0, "{}, {side}", found.side());
        assert_eq!(found.at([500.0, 0.0]), 0.0);
        assert_eq!(AverageField::of(1, &images, &field, [64, 4], 2), None, "a filter that never fires");
        assert_eq!(AverageField::of(0, &[], &field, [64, 4], 2), None, "no image");
    }

    #[test]
    fn far_squares_are_blurred_less() {
        assert!((smoothing(30.0, 6.0).powi(2) - (225.0 - 6.0)).abs() < 1e-9);
        // Side by side: 1/4 − 1/6 of the side squared.
        assert!((smoothing(12.0, 12.0).powi(2) - 12.0).abs() < 1e-9);
        assert_eq!(smoothing(10.0, 20.0), 0.0);
    }

    /// Peaks lie differently to the squares in each image: their mean makes up for squares that are far apart.
    #[test]
    fn squares_half_a_field_apart_give_the_same_region() {
        let field = ReceptiveField { stride: 8.0, center: 3.5, size: 20 };
        let of = |step: usize| {
            let units = [[2, 3], [3, 4], [4, 2], [2, 4], [4, 3], [3, 3]];
            let images: Vec<Occlusion> = units.map(|unit| planted(unit, &field, step)).into();
            AverageField::of(0, &images, &field, [64, 8], 10).expect("a field")
        };
        let (fine, coarse) = (of(2), of(10));
        let [mut both, mut either] = [0, 0];
        for at in 0..128 * 128 {
            let offset = [at % 128, at / 128].map(|at| f64::from(at) - 64.0);
            let inside = [fine.contains(offset), coarse.contains(offset)];
            both += u32::from(inside == [true; 2]);
            either += u32::from(inside != [false; 2]);
        }
        assert!(f64::from(both) > 0.9 * f64::from(either), "{both} of {either}");
    }
}
