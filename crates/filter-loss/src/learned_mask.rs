//! The mask layer with a width that is learned.

use std::f64::consts::LN_2;

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, FloatDType, Tensor, TensorData};

use crate::mask::MaskCenter;
use crate::shape::check_square;
use crate::template_shape::by_offset;

/// The least β. The released code of arXiv:1710.00935 keeps β within 1.5..3 on coordinates scaled to
/// −1..1; measured over n, as here, that is twice as much.
const LEAST_BETA: f64 = 3.0;
/// The greatest β less the least.
const RANGE: f64 = 3.0;
/// w at the start, where σ(w) = 1/3 and so β = 4, the [`BETA`](crate::BETA) of the paper.
const FIRST_LOGIT: f64 = -LN_2;

/// Configuration of [`LearnedMask`].
#[derive(Config, Debug)]
pub struct LearnedMaskConfig {
    /// n, the number of units along one side of the (square) map.
    pub length: usize,
    /// The number of filters, each of which has its own β.
    pub filters: usize,
    /// Where the mask is centred. [`MaskCenter::Peak`] by default; the released code of
    /// arXiv:1710.00935 has the centre of mass.
    #[config(default = "MaskCenter::Peak")]
    pub center: MaskCenter,
}

impl LearnedMaskConfig {
    /// Puts the masks on a device; every β is 4.
    ///
    /// # Panics
    /// If `length` or `filters` is 0.
    pub fn init(&self, device: &Device) -> LearnedMask {
        assert!(self.length > 0, "masks need maps of at least one unit, not of length 0");
        assert!(self.filters > 0, "masks that are learned need at least one filter");
        let units = self.length * self.length;
        let distances = by_offset(self.length, |rows, columns| rows.abs() + columns.abs());
        let distances = distances.into_iter().map(|distance| distance as f32).collect::<Vec<_>>();
        LearnedMask {
            beta_logit: Param::from_tensor(Tensor::full([self.filters], FIRST_LOGIT, device)),
            distances: Tensor::from_data(TensorData::new(distances, [units, units]), device).inner(),
            config: self.clone(),
        }
    }
}

/// The mask layer with a β of each filter f that is learned.
///
/// ```text
/// y = x ∘ max(1 − β_f · ‖· − μ̂‖₁ / n, 0)      β_f = 3 + 3 · σ(w_f)
/// ```
///
/// μ̂ is a constant in the backward pass. The gradient reaches the maps as in
/// [`TemplateMask`](crate::TemplateMask), and w besides.
///
/// Source: arXiv:1805.07468, "mask layer", with β within the bounds of the released code of
/// arXiv:1710.00935. The form of β is ours: the gradient vanishes towards the bounds instead of behind
/// them.
#[derive(Module, Debug)]
pub struct LearnedMask {
    /// w: `[filters]`.
    beta_logit: Param<Tensor<1>>,
    /// ‖· − μ‖₁ / n of each position μ: `[n², n²]`.
    distances: Tensor<2>,
    #[module(skip)]
    config: LearnedMaskConfig,
}

/// What the backward pass of a [`LearnedMask`] yields.
#[derive(Clone, Debug)]
pub struct LearnedMaskGradient {
    /// ∂L/∂x, `[batch, filters, n, n]`.
    pub maps: Tensor<4>,
    /// ∂L/∂w, `[filters]`.
    pub beta_logit: Tensor<1>,
}

impl LearnedMask {
    /// Masks each map around its own centre.
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`
    /// - output: `[batch, filters, n, n]`
    ///
    /// # Panics
    /// If the maps are not n × n, or are of another number of filters.
    pub fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let mask = self.masks(self.distances_of(&maps), self.beta());
        let mask = mask.cast(maps.dtype());
        maps * mask
    }

    /// The backward pass by hand, from ∂L/∂y, for those who keep no graph:
    ///
    /// ```text
    /// ∂L/∂x = ∂L/∂y ∘ mask      ∂L/∂w_f = −3 σ'(w_f) · Σ ∂L/∂y · x · ‖· − μ̂‖₁ / n
    /// ```
    ///
    /// The sum is over the images and over the units where the mask is not 0.
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`, what the layer masked
    /// - gradient: `[batch, filters, n, n]`
    /// - output: never tracked
    ///
    /// # Panics
    /// If maps or gradient are not n × n, or are of another number of filters.
    pub fn backward(&self, maps: Tensor<4>, gradient: Tensor<4>) -> LearnedMaskGradient {
        assert_eq!(maps.dims(), gradient.dims(), "LearnedMask: the gradient must have the shape of the maps");
        let (maps, gradient) = (maps.inner(), gradient.inner());
        let distances = self.distances_of(&maps);
        let mask = self.masks(distances.clone(), self.beta().inner());
        let kept = mask.clone().greater_scalar(0.0).float();
        let along = (maps * gradient.clone()).cast(FloatDType::F32) * distances * kept;
        let by_beta = along.sum_dims(&[0, 2, 3]).reshape([self.config.filters]).neg();
        let share = sigmoid(self.beta_logit.val().inner());
        let slope = share.clone() * share.neg().add_scalar(1.0) * RANGE;
        LearnedMaskGradient {
            maps: gradient.clone() * mask.cast(gradient.dtype()),
            beta_logit: by_beta * slope,
        }
    }

    /// β of each filter, in 3..=6.
    ///
    /// # Shapes
    /// - output: `[filters]`, tracked on an autodiff device
    pub fn beta(&self) -> Tensor<1> {
        sigmoid(self.beta_logit.val()).mul_scalar(RANGE).add_scalar(LEAST_BETA)
    }

    /// w, the parameter from which β is made: `[filters]`.
    pub fn beta_logit(&self) -> &Param<Tensor<1>> {
        &self.beta_logit
    }

    /// What the mask was made from.
    pub fn config(&self) -> &LearnedMaskConfig {
        &self.config
    }

    /// The distance of each unit from its map's centre: `[batch, filters, n, n]`.
    fn distances_of(&self, maps: &Tensor<4>) -> Tensor<4> {
        check_square("LearnedMask", maps.dims(), self.config.length);
        let [batch, filters, height, width] = maps.dims();
        let expected = self.config.filters;
        assert!(
            filters == expected,
            "LearnedMask was made for {expected} filters, but got {:?}",
            maps.dims()
        );
        let centers = self.config.center.units(maps.clone()).reshape([batch * filters]);
        self.distances.clone().inner().select(0, centers).reshape([batch, filters, height, width])
    }

    /// max(1 − β · distance, 0).
    fn masks(&self, distances: Tensor<4>, beta: Tensor<1>) -> Tensor<4> {
        relu((distances * beta.reshape([1, self.config.filters, 1, 1])).neg().add_scalar(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::uniform;
    use crate::{TemplateMaskConfig, strongest_units};

    const N: usize = 6;
    const CENTERS: [MaskCenter; 2] = [MaskCenter::Peak, MaskCenter::CenterOfMass];

    fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.cast(FloatDType::F32).into_data().try_to_vec().unwrap()
    }

    fn assert_near(values: &[f32], expected: &[f32]) {
        assert_eq!(values.len(), expected.len());
        let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() <= 1e-5 * largest, "{values:?}\n{expected:?}");
        }
    }

    fn mask(filters: usize, center: MaskCenter, logits: &[f32], device: &Device) -> LearnedMask {
        let mut mask = LearnedMaskConfig::new(N, filters).with_center(center).init(device);
        let logits = TensorData::new(logits.to_vec(), [filters]);
        mask.beta_logit = Param::from_tensor(Tensor::from_data(logits, device));
        mask
    }

    #[test]
    fn it_starts_as_the_papers_mask() {
        for center in CENTERS {
            let maps: Tensor<4> = uniform([3, 4, N, N], -1.0, 1.0, 1).clamp_min(0.0);
            let learned = LearnedMaskConfig::new(N, 4).with_center(center).init(&Device::flex());
            let fixed = TemplateMaskConfig::new(N).with_center(center).init(&Device::flex());
            assert_near(&floats(learned.beta()), &[4.0; 4]);
            assert_near(&floats(learned.forward(maps.clone())), &floats(fixed.forward(maps)));
        }
    }

    /// Σ g · y in `f64`, by the definition.
    fn aligned(maps: &[f32], gradient: &[f32], centers: &[i64], logits: &[f64]) -> f64 {
        let units = N * N;
        let mut sum = 0.0;
        for (index, (&x, &g)) in maps.iter().zip(gradient).enumerate() {
            let (map, unit) = (index / units, index % units);
            let center = centers[map] as usize;
            let distance = (center / N).abs_diff(unit / N) + (center % N).abs_diff(unit % N);
            let beta = 3.0 + 3.0 / (1.0 + (-logits[map % logits.len()]).exp());
            let mask = (1.0 - beta * distance as f64 / N as f64).max(0.0);
            sum += f64::from(g) * f64::from(x) * mask;
        }
        sum
    }

    #[test]
    fn both_backward_passes_have_the_derivatives_of_the_definition() {
        let logits = [-40.0, -1.3, 0.4, 2.0];
        for center in CENTERS {
            let maps: Tensor<4> = uniform([5, 4, N, N], -1.0, 1.0, 2).clamp_min(0.0);
            let gradient: Tensor<4> = uniform([5, 4, N, N], -1.0, 1.0, 3);
            let plain = mask(4, center, &logits, &Device::flex());
            let by_hand = plain.backward(maps.clone(), gradient.clone());
            let tracked = mask(4, center, &logits, &Device::flex().autodiff());
            let leaf = Tensor::from_inner(maps.clone()).require_grad();
            let output = tracked.forward(leaf.clone());
            assert_near(&floats(output.clone()), &floats(plain.forward(maps.clone())));
            let grads = (output * gradient.clone().autodiff()).sum().backward();
            assert_near(&floats(by_hand.maps), &floats(leaf.grad(&grads).unwrap()));
            let by_graph = floats(tracked.beta_logit.val().grad(&grads).unwrap());
            let by_hand = floats(by_hand.beta_logit);
            assert_near(&by_hand, &by_graph);
            let centers: Vec<i64> = center.units(maps.clone()).into_data().iter().collect();
            let (maps, gradient) = (floats(maps), floats(gradient));
            for filter in 0..4 {
                let moved = |step: f64| {
                    let mut logits = logits.map(f64::from);
                    logits[filter] += step;
                    aligned(&maps, &gradient, &centers, &logits)
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((f64::from(by_hand[filter]) - expected).abs() < 1e-5, "{by_hand:?} {expected}");
            }
            assert!(by_hand[1..].iter().all(|value| value.abs() > 1e-3), "{by_hand:?}");
        }
    }

    #[test]
    fn beta_stays_within_its_bounds() {
        let mask = mask(4, MaskCenter::Peak, &[-1e30, -3.0, 3.0, 1e30], &Device::flex());
        let beta = floats(mask.beta());
        assert_eq!((beta[0], beta[3]), (3.0, 6.0));
        assert!(beta[1] > 3.0 && beta[2] < 6.0, "{beta:?}");
    }

    #[test]
    fn silent_maps_give_no_gradient() {
        let silent = Tensor::zeros([2, 3, N, N], &Device::flex());
        for center in CENTERS {
            let mask = LearnedMaskConfig::new(N, 3).with_center(center).init(&Device::flex());
            let gradient = mask.backward(silent.clone(), silent.clone().add_scalar(1.0));
            assert!(floats(gradient.beta_logit).iter().all(|&value| value == 0.0));
            assert_eq!(floats(mask.forward(silent.clone())), [0.0; 6 * N * N]);
        }
    }

    #[test]
    fn half_floats_stay_half_floats() {
        let maps = uniform([2, 3, N, N], 0.0, 1.0, 4).cast(FloatDType::BF16);
        let mask = LearnedMaskConfig::new(N, 3).init(&Device::flex());
        let output = mask.forward(maps.clone());
        assert_eq!(output.dtype(), burn::tensor::DType::BF16);
        let centers = strongest_units(maps.clone());
        let fixed = TemplateMaskConfig::new(N).init(&Device::flex()).forward_at(maps, centers);
        for (value, expected) in floats(output).iter().zip(floats(fixed)) {
            assert!((value - expected).abs() < 1e-2, "{value} {expected}");
        }
    }

    #[test]
    #[should_panic(expected = "made for 3 filters")]
    fn maps_of_other_filters_are_refused() {
        let device = Device::flex();
        LearnedMaskConfig::new(N, 3).init(&device).forward(Tensor::zeros([1, 4, N, N], &device));
    }
}
