//! What a filter looks at: how its activation falls as pieces of the image are covered.

use burn::config::Config;
use burn::tensor::{Device, Tensor, TensorData};

use crate::features::floats;
use crate::{CoreError, ExplainerNetwork, Performer};

/// The side of the images for which the published occluder was made.
const PUBLISHED_INPUT: f64 = 224.0;
/// Its side and its step, in pixels of them.
const PUBLISHED_OCCLUDER: f64 = 33.0;
const PUBLISHED_STRIDE: f64 = 9.0;

/// How an image is covered.
#[derive(Config, Debug)]
pub struct OcclusionConfig {
    /// Side of the covered square in pixels.
    pub side: usize,
    /// Step in pixels from one square to the next.
    pub stride: usize,
    /// Covered copies of one pass through the performer.
    #[config(default = 64)]
    pub batch_size: usize,
}

impl OcclusionConfig {
    /// The published occluder for images of 224 × 224 pixels, 33 pixels wide in steps of 9, scaled to images
    /// of `size`.
    ///
    /// Source: the released code of arXiv:1710.00935.
    pub fn for_input(size: usize) -> Self {
        let scaled = |pixels: f64| ((pixels * size as f64 / PUBLISHED_INPUT).round() as usize).max(1);
        Self::new(scaled(PUBLISHED_OCCLUDER), scaled(PUBLISHED_STRIDE))
    }

    /// Centres of the squares along either axis of an image of `size` pixels: evenly spaced, as far from one
    /// edge as from the other. At the edges a square is cut off.
    pub fn centers(&self, size: usize) -> Vec<f64> {
        let steps = (size - 1) / self.stride;
        let first = ((size - 1) - steps * self.stride) as f64 / 2.0;
        (0..=steps).map(|step| first + (step * self.stride) as f64).collect()
    }

    /// Covered copies of an image of `size` pixels, a square in each: what it costs.
    pub fn copies(&self, size: usize) -> usize {
        self.centers(size).len().pow(2)
    }
}

/// How far every filter of the last interpretable conv-layer falls, at its strongest unit, as one piece of an
/// image after another is covered.
#[derive(Clone, Debug, PartialEq)]
pub struct Occlusion {
    /// Centres of the covered squares along either axis, in pixels, 0-based.
    pub centers: Vec<f64>,
    /// The strongest unit of each filter in the whole image: row and column.
    pub units: Vec<[usize; 2]>,
    /// Its activation; a filter that did not fire has 0.
    pub activations: Vec<f32>,
    /// Row of squares by row of squares, square by square: what each filter lost (if negative, gained).
    drops: Vec<f32>,
}

impl Occlusion {
    /// From the centres of the squares along either axis, the strongest unit of each filter and its activation,
    /// and what each filter lost, row of squares by row of squares, square by square.
    ///
    /// # Panics
    /// If there is not one activation for each filter, or not one drop for each filter and square.
    pub fn new(centers: Vec<f64>, units: Vec<[usize; 2]>, activations: Vec<f32>, drops: Vec<f32>) -> Self {
        let (filters, squares) = (units.len(), centers.len().pow(2));
        assert_eq!(activations.len(), filters, "one activation for each of {filters} filters");
        assert_eq!(drops.len(), filters * squares, "{filters} filters and {squares} squares");
        Self { centers, units, activations, drops }
    }

    /// What `filter` lost with the square at row `row` and column `column` covered.
    ///
    /// # Panics
    /// If there is no such filter or square.
    pub fn drop(&self, filter: usize, row: usize, column: usize) -> f32 {
        let (filters, side) = (self.units.len(), self.centers.len());
        assert!(filter < filters && row < side && column < side, "filter {filter}, square [{row}, {column}]");
        self.drops[(row * side + column) * filters + filter]
    }
}

/// Covers one piece of a decoded image after another (8-bit RGB, interleaved, of the performer's input size) by the mean
/// colour of the preprocessing, and runs the copies through the performer up to the target layer, and through the
/// interpretable layers of the explainer.
///
/// Source: Zhou et al., *Object detectors emerge in deep scene CNNs*, ICLR 2015, section 3.2.
///
/// # Errors
/// [`CoreError::ImageSize`] if the image has another size.
///
/// # Panics
/// If a number of the configuration is 0.
pub fn occlusion<P: Performer>(
    network: &dyn ExplainerNetwork<P>,
    performer: &P,
    pixels: &[u8],
    config: &OcclusionConfig,
) -> Result<Occlusion, CoreError> {
    let OcclusionConfig { side, stride, batch_size } = *config;
    assert!(side > 0 && stride > 0 && batch_size > 0, "{config:?}: there must be an occluder");
    let device = network.device();
    let maps_of = |images| {
        let mut maps = network.part_maps(performer.target_features(images));
        maps.pop().expect("an explainer has an interpretable layer")
    };
    let input = performer.preprocessing();
    let image = input.batch(&[pixels], &device)?;
    let whole = maps_of(image.clone());
    let [_, filters, height, width] = whole.dims();
    let (activations, at) = whole.reshape([1, filters, height * width]).max_dim_with_indices(2);
    let strongest: Vec<usize> = at.clone().into_data().iter::<i64>().map(|at| at as usize).collect();

    let centers = config.centers(input.size);
    let image = floats(image);
    let squares: Vec<[f64; 2]> = centers.iter().flat_map(|&y| centers.iter().map(move |&x| [x, y])).collect();
    let mut drops = Vec::with_capacity(squares.len() * filters);
    for squares in squares.chunks(batch_size) {
        let copies = covered(&image, squares, side, input.size, &device);
        let maps = maps_of(copies).reshape([squares.len(), filters, height * width]);
        let left = maps.gather(2, at.clone().expand([squares.len(), filters, 1]));
        drops.extend(floats(activations.clone().expand(left.dims()) - left));
    }
    let units = strongest.into_iter().map(|at| [at / width, at % width]).collect();
    Ok(Occlusion::new(centers, units, floats(activations), drops))
}

/// Copies of a preprocessed image, each with one square at 0, the mean colour.
fn covered(image: &[f32], squares: &[[f64; 2]], side: usize, size: usize, device: &Device) -> Tensor<4> {
    let mut copies = Vec::with_capacity(squares.len() * image.len());
    for square in squares {
        let start = copies.len();
        copies.extend_from_slice(image);
        let [columns, rows] = square.map(|center| pixels_of(center, side, size));
        for row in copies[start..].chunks_exact_mut(size).enumerate() {
            if rows.contains(&(row.0 % size)) {
                row.1[columns.clone()].fill(0.0);
            }
        }
    }
    Tensor::from_data(TensorData::new(copies, [squares.len(), 3, size, size]), device)
}

/// The pixels of a square of `side` around `center`, along one axis.
fn pixels_of(center: f64, side: usize, size: usize) -> std::ops::Range<usize> {
    let first = (center - (side as f64 - 1.0) / 2.0 + 0.5).floor();
    let end = (first + side as f64).clamp(0.0, size as f64) as usize;
    first.clamp(0.0, size as f64) as usize..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExplainerConfig;
    use crate::testing::{SIZE, TinyPerformer, images};

    #[test]
    fn squares_lie_evenly_and_cover_every_pixel() {
        let config = OcclusionConfig::for_input(224);
        assert_eq!((config.side, config.stride), (33, 9));
        let centers = config.centers(224);
        assert_eq!((centers.len(), centers[0], centers[24]), (25, 3.5, 219.5));
        assert_eq!(config.copies(224), 625);
        let config = OcclusionConfig::for_input(128);
        assert_eq!((config.side, config.stride), (19, 5));
        assert_eq!(pixels_of(1.0, 19, 128), 0..11);
        assert_eq!(pixels_of(64.0, 19, 128), 55..74);
        assert_eq!(pixels_of(126.0, 19, 128), 117..128);
        assert_eq!(pixels_of(3.5, 2, 8), 3..5);
        for size in [5, 8, 128, 224] {
            let config = OcclusionConfig::for_input(size);
            let mut seen = vec![false; size];
            config.centers(size).iter().for_each(|&c| seen[pixels_of(c, config.side, size)].fill(true));
            assert!(seen.iter().all(|&seen| seen), "{size}");
        }
    }

    /// Each copy by itself, made from pixels: those under the square are set to the mean colour.
    #[test]
    fn a_drop_is_what_the_covered_image_lacks() {
        let performer = TinyPerformer::new(7);
        let device = Device::flex();
        let config = ExplainerConfig::for_performer(&performer).published();
        let explainer = config.init_from(&performer, &device);
        let pixels = &images(1, 3)[0].pixels;
        let config = OcclusionConfig::new(3, 2).with_batch_size(5);
        let found = occlusion(&explainer, &performer, pixels, &config).unwrap();
        assert_eq!(found.centers, [0.5, 2.5, 4.5, 6.5]);
        let parts = explainer.explain(&performer, pixels).unwrap().parts;
        assert!(!parts.is_empty());
        for part in &parts {
            assert_eq!(found.units[part.filter], part.unit);
            assert!((found.activations[part.filter] - part.activation).abs() < 1e-5);
        }
        let fired = |filter: usize| parts.iter().any(|part| part.filter == filter);
        assert!((0..found.units.len()).all(|filter| fired(filter) == (found.activations[filter] > 0.0)));

        let image = performer.preprocessing().batch(&[&pixels[..]], &device).unwrap();
        let maps = |images| floats(explainer.forward(performer.tap(images).target).interpretable.remove(1));
        let mut moved = 0;
        for (row, y) in [(0, 0..3), (1, 2..5), (2, 4..7), (3, 6..8)] {
            for (column, x) in [(0, 0..3), (1, 2..5), (2, 4..7), (3, 6..8)] {
                let mut values = floats(image.clone());
                for (at, value) in values.iter_mut().enumerate() {
                    let (at_y, at_x) = (at / SIZE % SIZE, at % SIZE);
                    if y.contains(&at_y) && x.contains(&at_x) {
                        *value = 0.0;
                    }
                }
                let copy = Tensor::from_data(TensorData::new(values, [1, 3, SIZE, SIZE]), &device);
                let maps = maps(copy);
                for (filter, unit) in found.units.iter().enumerate() {
                    let at = filter * SIZE * SIZE + unit[0] * SIZE + unit[1];
                    let fired = found.activations[filter];
                    let expected = fired - maps[at];
                    let drop = found.drop(filter, row, column);
                    assert!((drop - expected).abs() < 1e-5, "{filter} [{row}, {column}]: {drop}, {expected}");
                    moved += usize::from(expected.abs() > 1e-3);
                }
            }
        }
        assert!(moved > 10, "an occluder that changes nothing shows nothing");
    }

    #[test]
    fn an_image_of_another_size_is_refused() {
        let performer = TinyPerformer::new(7);
        let explainer = ExplainerConfig::for_performer(&performer).init_from(&performer, &Device::flex());
        let error = occlusion(&explainer, &performer, &[0; 5], &OcclusionConfig::new(3, 2)).unwrap_err();
        assert!(matches!(error, CoreError::ImageSize { .. }), "{error}");
    }
}
