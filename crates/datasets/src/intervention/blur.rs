//! Gaussian blur of a picture.

use image::RgbImage;

/// A kernel reaches so many standard deviations to each side.
const REACH: f64 = 4.0;
/// Nodes of the grid in a standard deviation.
const NODES: f64 = 8.0;

/// A picture blurred by a Gaussian, kept at the nodes of a grid.
///
/// `B(x) = Σ_k g(k) I(clamp(x + k))` along each axis, `g(k) ∝ exp(−k²/2σ²)` for |k| ≤ ⌈4σ⌉ and of sum 1:
/// beyond an edge the picture goes on as its outermost pixels, as in Pillow's `GaussianBlur`.
///
/// The nodes are ⌊σ/8⌋ pixels apart (at least one). Between them the blurred picture is interpolated linearly
/// along each axis. That differs from the blur itself by at most `255 · 0.242 · (h/σ)²/8 < 0.13` of 255 along
/// an axis, h being the distance of the nodes: 0.242/σ² is the largest second derivative of a blurred step
/// from 0 to 1.
#[derive(Clone, Debug)]
pub(super) struct Blurred {
    columns: Nodes,
    rows: Nodes,
    /// Row by row of nodes.
    values: Vec<[f32; 3]>,
}

impl Blurred {
    pub fn new(image: &RgbImage, sigma: f64) -> Self {
        let kernel = kernel(sigma);
        let [columns, rows] =
            [image.width(), image.height()].map(|length| Nodes::new(length as usize, sigma));
        let stride = image.width() as usize * 3;
        let mut values = Vec::with_capacity(columns.count() * rows.count());
        let mut sums = vec![0f32; stride];
        let of_columns: Vec<Weights> =
            columns.positions().map(|x| Weights::at(x, columns.length, &kernel)).collect();
        for y in rows.positions() {
            let weights = Weights::at(y, rows.length, &kernel);
            sums.fill(0.0);
            let pixels = image.as_raw()[weights.start * stride..].chunks_exact(stride);
            for (row, &weight) in pixels.zip(&weights.weights) {
                for (sum, &value) in sums.iter_mut().zip(row) {
                    *sum += weight * f32::from(value);
                }
            }
            let (pixels, _) = sums.as_chunks::<3>();
            values.extend(of_columns.iter().map(|weights| weights.sum(pixels)));
        }
        Self { columns, rows, values }
    }

    /// The blurred row of pixels `columns` at `y`, appended to `row`.
    pub fn row(&self, y: usize, columns: std::ops::Range<usize>, row: &mut Vec<[f32; 3]>) {
        let stride = self.columns.count();
        let (above, t) = self.rows.cell(y);
        let below = (above + 1).min(self.rows.count() - 1);
        let nodes = |node: usize| &self.values[node * stride..][..stride];
        let along: Vec<[f32; 3]> =
            nodes(above).iter().zip(nodes(below)).map(|(&a, &b)| between(a, b, t)).collect();
        row.extend(columns.map(|x| {
            let (left, t) = self.columns.cell(x);
            between(along[left], along[(left + 1).min(stride - 1)], t)
        }));
    }
}

fn between(a: [f32; 3], b: [f32; 3], t: f32) -> [f32; 3] {
    std::array::from_fn(|channel| a[channel] + t * (b[channel] - a[channel]))
}

/// Pixels along an axis at which the blur is worked out: every `step`-th and the last.
#[derive(Clone, Debug)]
struct Nodes {
    length: usize,
    step: usize,
}

impl Nodes {
    fn new(length: usize, sigma: f64) -> Self {
        Self { length, step: ((sigma / NODES) as usize).max(1) }
    }

    fn count(&self) -> usize {
        (self.length - 1).div_ceil(self.step) + 1
    }

    fn position(&self, node: usize) -> usize {
        (node * self.step).min(self.length - 1)
    }

    fn positions(&self) -> impl Iterator<Item = usize> {
        (0..self.count()).map(|node| self.position(node))
    }

    /// The node at or before a pixel, and how far it is towards the next one.
    fn cell(&self, at: usize) -> (usize, f32) {
        let node = at / self.step;
        let start = node * self.step;
        let span = self.position(node + 1).saturating_sub(start).max(1);
        (node, (at - start) as f32 / span as f32)
    }
}

/// `g(0..)` of a Gaussian, its sum over both sides 1.
pub(super) fn kernel(sigma: f64) -> Vec<f64> {
    let reach = (REACH * sigma).ceil() as usize;
    let half: Vec<f64> = (0..=reach).map(|k| (-0.5 * (k as f64 / sigma).powi(2)).exp()).collect();
    let sum = 2.0 * half.iter().sum::<f64>() - half[0];
    half.iter().map(|g| g / sum).collect()
}

/// What each pixel of a line counts in the blur at one of them; beyond the ends the outermost count.
pub(super) struct Weights {
    pub start: usize,
    pub weights: Vec<f32>,
}

impl Weights {
    pub fn at(at: usize, length: usize, kernel: &[f64]) -> Self {
        let reach = kernel.len() - 1;
        let (start, end) = (at.saturating_sub(reach), (at + reach + 1).min(length));
        let mut weights: Vec<f64> = (start..end).map(|i| kernel[i.abs_diff(at)]).collect();
        let beyond = |inside: usize| kernel.iter().skip(inside + 1).sum::<f64>();
        if let Some(first) = weights.first_mut() {
            *first += beyond(at);
        }
        if let Some(last) = weights.last_mut() {
            *last += beyond(length - 1 - at);
        }
        Self { start, weights: weights.into_iter().map(|w| w as f32).collect() }
    }

    fn sum(&self, pixels: &[[f32; 3]]) -> [f32; 3] {
        let mut sums = [0f32; 3];
        for (pixel, &weight) in pixels[self.start..].iter().zip(&self.weights) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += weight * value;
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn noise(width: u32, height: u32, seed: u64) -> RgbImage {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        RgbImage::from_fn(width, height, |_, _| Rgb([(); 3].map(|()| rng.random())))
    }

    /// The definition, pixel by pixel: both axes at once, edges repeated.
    fn oracle(image: &RgbImage, sigma: f64, x: u32, y: u32, channel: usize) -> f64 {
        let reach = (4.0 * sigma).ceil() as i64;
        let (mut sum, mut total) = (0.0, 0.0);
        for dy in -reach..=reach {
            for dx in -reach..=reach {
                let weight = (-((dx * dx + dy * dy) as f64) / (2.0 * sigma * sigma)).exp();
                let inside =
                    |v: u32, d: i64, length: u32| (i64::from(v) + d).clamp(0, i64::from(length) - 1) as u32;
                let at = image.get_pixel(inside(x, dx, image.width()), inside(y, dy, image.height()));
                sum += weight * f64::from(at.0[channel]);
                total += weight;
            }
        }
        sum / total
    }

    fn plane(image: &RgbImage, sigma: f64) -> Vec<[f32; 3]> {
        let blurred = Blurred::new(image, sigma);
        let mut plane = Vec::new();
        (0..image.height() as usize).for_each(|y| blurred.row(y, 0..image.width() as usize, &mut plane));
        plane
    }

    fn largest_difference(image: &RgbImage, sigma: f64) -> f64 {
        let plane = plane(image, sigma);
        let pixels = image.enumerate_pixels().zip(&plane);
        let off = |((x, y, _), found): ((u32, u32, _), &[f32; 3])| {
            (0..3).map(|c| (f64::from(found[c]) - oracle(image, sigma, x, y, c)).abs()).fold(0.0, f64::max)
        };
        pixels.map(off).fold(0.0, f64::max)
    }

    #[test]
    fn the_blur_is_a_gaussian() {
        // Every pixel is a node.
        for (width, height, sigma) in [(17, 12, 1.5), (9, 23, 4.0), (1, 7, 2.0), (12, 8, 10.0)] {
            let off = largest_difference(&noise(width, height, 5), sigma);
            assert!(off < 1e-2, "{width} × {height}, σ {sigma}: {off}");
        }
    }

    #[test]
    fn between_the_nodes_it_is_close() {
        // The sharpest there is: a step from 0 to 255 along both axes.
        for sigma in [16.0, 24.0, 27.5] {
            let corner = RgbImage::from_fn(40, 37, |x, y| Rgb([255 * u8::from(x >= 20 && y >= 17); 3]));
            let off = largest_difference(&corner, sigma);
            // 0.12 along each axis.
            assert!(off < 0.25, "σ {sigma}: {off}");
            assert!(largest_difference(&noise(31, 44, 6), sigma) < 0.25);
        }
    }

    #[test]
    fn a_plain_picture_stays_as_it_is() {
        let plain = RgbImage::from_pixel(50, 40, Rgb([255, 7, 100]));
        for sigma in [1.0, 24.0, 400.0] {
            for pixel in plane(&plain, sigma) {
                assert_eq!(pixel.map(|v| v.round()), [255.0, 7.0, 100.0]);
                assert!(pixel.iter().zip([255.0, 7.0, 100.0]).all(|(v, e)| (v - e).abs() < 0.01));
            }
        }
    }
}
