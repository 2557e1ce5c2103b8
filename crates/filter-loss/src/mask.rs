//! The mask layer: keep what lies around the part a map shows.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, FloatDType, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::shape::check_square;
use crate::template_shape::Shape;
use crate::templates::{Templates, TemplatesConfig};

/// Finds the strongest unit μ̂ of each map, as its row-major index `i · width + j`.
///
/// Where several units are equally strong the choice is that of the backend's `argmax`: the lowest
/// index on the flex backend, for which it is tested. So a map that is zero everywhere has its
/// "strongest" unit in the corner; ask whether the map fired before reading anything into it.
///
/// # Shapes
/// - maps: `[batch, filters, height, width]`
/// - output: `[batch, filters]`, never tracked
pub fn strongest_units(maps: Tensor<4>) -> Tensor<2, Int> {
    let [batch, filters, height, width] = maps.dims();
    let flat = maps.inner().reshape([batch, filters, height * width]);
    flat.argmax(2).reshape([batch, filters])
}

/// Finds the unit nearest to the centre of mass of each map, as its row-major index `i · width + j`:
///
/// ```text
/// i = ⌊Σ_ij x_ij · i / Σ_ij x_ij + ½⌋      j likewise
/// ```
///
/// The maps must be finite and not negative, as they are after a ReLU. They are divided by their largest value
/// first, so that their magnitude does not matter. A map that is zero everywhere has index 0.
///
/// Source: the released code of arXiv:1710.00935.
///
/// # Shapes
/// - maps: `[batch, filters, height, width]`
/// - output: `[batch, filters]`, never tracked
pub fn mass_centers(maps: Tensor<4>) -> Tensor<2, Int> {
    let [batch, filters, height, width] = maps.dims();
    let maps = maps.inner().cast(FloatDType::F32);
    let largest = maps.clone().max_dim(3).max_dim(2);
    // Divided by 1 instead of its largest value, a silent map has no mass; divided by 1 once more, its
    // centre is 0. The mass of any other map is at least the 1 of its largest value.
    let silent = largest.clone().equal_scalar(0.0).float();
    let maps = maps / (largest + silent.clone());
    let mass = maps.clone().sum_dim(3).sum_dim(2) + silent;
    let places = |count: usize| Tensor::<1, Int>::arange(0..count as i64, &maps.device()).float();
    let rows = maps.clone().sum_dim(3) * places(height).reshape([1, 1, height, 1]);
    let columns = maps.clone().sum_dim(2) * places(width).reshape([1, 1, 1, width]);
    let nearest = |moment: Tensor<4>| (moment / mass.clone()).add_scalar(0.5).floor();
    let index = nearest(rows.sum_dim(2)).mul_scalar(width as f64) + nearest(columns.sum_dim(3));
    index.reshape([batch, filters]).int()
}

/// Where a mask is centred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MaskCenter {
    /// At the strongest unit: [`strongest_units`] (arXiv:1805.07468).
    #[default]
    Peak,
    /// At the rounded centre of mass: [`mass_centers`] (the released code of arXiv:1710.00935). Where a
    /// map fires at two places, that lies between them.
    CenterOfMass,
}

impl MaskCenter {
    /// The centre of each map, as its row-major index.
    ///
    /// # Shapes
    /// - maps: `[batch, filters, height, width]`
    /// - output: `[batch, filters]`, never tracked
    pub fn units(self, maps: Tensor<4>) -> Tensor<2, Int> {
        match self {
            Self::Peak => strongest_units(maps),
            Self::CenterOfMass => mass_centers(maps),
        }
    }
}

/// Configuration of [`TemplateMask`].
#[derive(Config, Debug)]
pub struct TemplateMaskConfig {
    /// n, the number of units along one side of the (square) map.
    pub length: usize,
    /// How the mask falls off around its centre. [`Shape::PUBLISHED`] by default.
    #[config(default = "Shape::PUBLISHED")]
    pub shape: Shape,
    /// What remains of the map far from the centre, in 0..=1: 0 is the paper's mask, 1 is no mask at
    /// all.
    #[config(default = 0.0)]
    pub floor: f64,
    /// Where the mask is centred. [`MaskCenter::Peak`], the paper's, by default.
    #[config(default = "MaskCenter::Peak")]
    pub center: MaskCenter,
}

impl TemplateMaskConfig {
    /// Puts the masks on a device.
    ///
    /// # Panics
    /// If `length` is 0, the shape's β or width is not positive, or `floor` is outside 0..=1.
    pub fn init(&self, device: &Device) -> TemplateMask {
        self.init_with(TemplatesConfig::new(self.length).with_shape(self.shape).init(device))
    }

    /// The masks of templates of your own, made by [`Templates::of`]; `shape` has no say then.
    ///
    /// # Panics
    /// If the templates are of another length, or `floor` is outside 0..=1.
    pub fn init_with(&self, templates: Templates) -> TemplateMask {
        templates.check_length("TemplateMask", self.length);
        let floor = self.floor;
        assert!((0.0..=1.0).contains(&floor), "the mask's floor is {floor}, but must lie in 0..=1");
        let positive = templates.relative().narrow(0, 0, self.length * self.length).clamp_min(0.0);
        TemplateMask { masks: positive.mul_scalar(1.0 - floor).add_scalar(floor), config: self.clone() }
    }
}

/// The mask layer: multiplies each map by the positive part of the template at its centre.
///
/// ```text
/// y = x ∘ (f + (1 − f) · max(T_μ̂ / τ, 0))      μ̂ = argmax x
/// ```
///
/// The mask is a constant in the backward pass: the gradient is multiplied by it and that is all.
/// The floor f is 0 in the paper. Dividing by τ leaves the centre as it was. μ̂ may be the centre of
/// mass instead ([`MaskCenter`]).
///
/// Source: arXiv:1805.07468, "mask layer"; templates of arXiv:1710.00935. The floor is ours.
#[derive(Module, Debug)]
pub struct TemplateMask {
    /// The mask of each position: `[n², n²]`.
    masks: Tensor<2>,
    #[module(skip)]
    config: TemplateMaskConfig,
}

impl TemplateMask {
    /// Masks each map around its own centre (see [`strongest_units`] for ties).
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`
    /// - output: `[batch, filters, n, n]`
    ///
    /// # Panics
    /// If the maps are not n × n.
    pub fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let centers = self.config.center.units(maps.clone());
        self.forward_at(maps, centers)
    }

    /// Masks each map around a given unit, a row-major index as [`MaskCenter::units`] gives it.
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`
    /// - centers: `[batch, filters]`
    /// - output: `[batch, filters, n, n]`
    ///
    /// # Panics
    /// If the maps are not n × n, or the centres are of other maps.
    pub fn forward_at(&self, maps: Tensor<4>, centers: Tensor<2, Int>) -> Tensor<4> {
        check_square("TemplateMask", maps.dims(), self.config.length);
        let [batch, filters, height, width] = maps.dims();
        assert_eq!(centers.dims(), [batch, filters], "TemplateMask: one centre for each map is needed");
        let masks = self.masks.clone().inner().cast(maps.dtype());
        let chosen = masks.select(0, centers.inner().reshape([batch * filters]));
        maps * chosen.reshape([batch, filters, height, width])
    }

    /// What the mask was made from.
    pub fn config(&self) -> &TemplateMaskConfig {
        &self.config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::uniform;
    use burn::tensor::{FloatDType, TensorData};

    /// One map of 5 × 5 with the strongest unit at (1, 3), all others 1.
    fn map(device: &Device) -> Tensor<4> {
        let mut values = [1f32; 25];
        values[8] = 3.0;
        Tensor::from_data(TensorData::new(values.to_vec(), [1, 1, 5, 5]), device)
    }

    fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.cast(FloatDType::F32).into_data().try_to_vec().unwrap()
    }

    /// The mask of the unit (1, 3), worked out by hand: 1 there, 1 − 4/5 beside it, 0 elsewhere.
    fn by_hand(floor: f32) -> Vec<f32> {
        let mut mask = vec![floor; 25];
        for (unit, value) in [(8, 1.0), (3, 0.2), (7, 0.2), (9, 0.2), (13, 0.2)] {
            mask[unit] = floor + (1.0 - floor) * value;
        }
        mask
    }

    fn assert_near(values: &[f32], expected: &[f32]) {
        assert_eq!(values.len(), expected.len());
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-6, "{values:?}\n{expected:?}");
        }
    }

    #[test]
    fn the_map_is_kept_around_its_strongest_unit() {
        let device = Device::flex();
        for floor in [0.0, 0.25, 1.0] {
            let mask = TemplateMaskConfig::new(5).with_floor(floor).init(&device);
            let mut expected = by_hand(floor as f32);
            expected[8] *= 3.0;
            assert_near(&floats(mask.forward(map(&device))), &expected);
        }
    }

    #[test]
    fn the_gradient_is_the_mask_and_nothing_else() {
        let device = Device::flex().autodiff();
        let mask = TemplateMaskConfig::new(5).init(&device);
        let input = map(&device).require_grad();
        let grads = mask.forward(input.clone()).sum().backward();
        assert_near(&floats(input.grad(&grads).unwrap()), &by_hand(0.0));
    }

    #[test]
    fn a_mask_made_on_the_plain_device_serves_tracked_maps() {
        let mask = TemplateMaskConfig::new(5).init(&Device::flex());
        let input = map(&Device::flex().autodiff()).require_grad();
        let grads = mask.forward(input.clone()).sum().backward();
        assert_near(&floats(input.grad(&grads).unwrap()), &by_hand(0.0));
        assert!(!mask.forward(input.inner()).is_autodiff());
    }

    #[test]
    fn every_map_has_its_own_mask() {
        let device = Device::flex();
        let maps = uniform([3, 4, 6, 6], 0.0, 1.0, 1);
        let mask = TemplateMaskConfig::new(6).init(&device);
        let all = floats(mask.forward(maps.clone()));
        for image in 0..3 {
            for filter in 0..4 {
                let one = maps.clone().narrow(0, image, 1).narrow(1, filter, 1);
                let start = (image * 4 + filter) * 36;
                assert_near(&all[start..start + 36], &floats(mask.forward(one)));
            }
        }
    }

    #[test]
    fn the_lowest_index_wins_a_tie() {
        // 13 × 13 takes flex's vector path, 2 × 2 its scalar one, f16 the one of half floats.
        for n in [2, 13] {
            let mut values = vec![0.5f32; n * n];
            values[1] = 2.0;
            values[n * n - 1] = 2.0;
            let maps = Tensor::<4>::from_data(TensorData::new(values, [1, 1, n, n]), &Device::flex());
            for maps in [maps.clone(), maps.cast(FloatDType::F16)] {
                let zeros = strongest_units(maps.clone().mul_scalar(0.0)).into_data();
                assert_eq!(strongest_units(maps).into_data().iter::<i64>().next(), Some(1));
                assert_eq!(zeros.iter::<i64>().next(), Some(0));
            }
        }
    }

    /// The rounded centre of mass in `f64`, by its definition.
    fn mass_center(map: &[f32], width: usize) -> i64 {
        let (mut mass, mut rows, mut columns) = (0.0, 0.0, 0.0);
        for (unit, &value) in map.iter().enumerate() {
            let value = f64::from(value);
            mass += value;
            rows += value * (unit / width) as f64;
            columns += value * (unit % width) as f64;
        }
        let nearest = |moment: f64| if mass > 0.0 { (moment / mass).round() as i64 } else { 0 };
        nearest(rows) * width as i64 + nearest(columns)
    }

    fn units(centers: Tensor<2, Int>) -> Vec<i64> {
        centers.into_data().iter::<i64>().collect()
    }

    #[test]
    fn the_centre_of_mass_is_that_of_its_definition_at_any_magnitude() {
        // To the fifth power, so that the mass is not spread evenly and its centre not always in the middle.
        let maps = uniform::<4>([7, 5, 4, 9], -0.4, 1.0, 3).clamp_min(0.0).powi_scalar(5);
        let expected: Vec<i64> = floats(maps.clone()).chunks(36).map(|map| mass_center(map, 9)).collect();
        assert!(expected.iter().collect::<std::collections::BTreeSet<_>>().len() > 5, "{expected:?}");
        for magnitude in [1e-30, 1e-10, 1.0, 1e4, 1e30] {
            assert_eq!(units(mass_centers(maps.clone().mul_scalar(magnitude))), expected, "{magnitude}");
        }
    }

    #[test]
    fn a_map_of_one_unit_has_its_mass_there_and_a_silent_one_index_zero() {
        let device = Device::flex();
        for magnitude in [1e-45, 1e-30, 1.0, 1e4, 1e38] {
            for unit in [0, 5, 17, 24] {
                let mut values = [0f32; 25];
                values[unit] = magnitude as f32;
                let map = Tensor::from_data(TensorData::new(values.to_vec(), [1, 1, 5, 5]), &device);
                assert_eq!(units(mass_centers(map)), [unit as i64], "{magnitude}");
            }
        }
        assert_eq!(units(mass_centers(Tensor::zeros([2, 2, 5, 5], &device))), [0; 4]);
        let full = Tensor::full([1, 1, 14, 14], f32::MAX, &device);
        assert_eq!(units(mass_centers(full)), [7 * 14 + 7], "6.5 is rounded up");
    }

    #[test]
    fn a_map_can_be_kept_around_its_centre_of_mass() {
        let device = Device::flex().autodiff();
        // Peak at (0, 0), as much mass at (0, 2) and (0, 4): the centre is (0, 2).
        let mut values = [0f32; 25];
        (values[0], values[2], values[4]) = (2.0, 1.9, 1.9);
        let maps = Tensor::from_data(TensorData::new(values.to_vec(), [1, 1, 5, 5]), &device).require_grad();
        let mask = TemplateMaskConfig::new(5).with_center(MaskCenter::CenterOfMass).init(&device);
        let masked = mask.forward(maps.clone());
        let mut expected = [0f32; 25];
        (expected[2], expected[1], expected[3], expected[7]) = (1.0, 0.2, 0.2, 0.2);
        let grads = masked.clone().sum().backward();
        assert_near(&floats(maps.grad(&grads).unwrap()), &expected);
        assert_near(&floats(masked)[..5], &[0.0, 0.0, 1.9, 0.0, 0.0]);
        let silent = Tensor::zeros([1, 1, 5, 5], &device);
        assert_eq!(floats(mask.forward(silent)), [0.0; 25]);
    }

    #[test]
    fn the_mask_has_the_shape_it_is_given() {
        let device = Device::flex();
        let shape = Shape::Cone { beta: 2.5 };
        let mask = TemplateMaskConfig::new(5).with_shape(shape).with_floor(0.5).init(&device);
        let kept =
            floats(mask.forward_at(Tensor::ones([1, 1, 5, 5], &device), Tensor::full([1, 1], 12, &device)));
        // At the Euclidean distances 0, 1, √2, and 2 and more (where 1 − 2.5 · 2/5 = 0).
        assert_near(&[kept[12], kept[7], kept[6], kept[2], kept[0]], &[1.0, 0.75, 0.646_446_6, 0.5, 0.5]);
        struct Everywhere;
        impl crate::TemplateShape for Everywhere {
            fn value(&self, _: f64, _: f64) -> f64 {
                1.0
            }
        }
        let own = TemplateMaskConfig::new(5).init_with(Templates::of(5, &Everywhere, &device));
        assert_eq!(floats(own.forward(map(&device))), floats(map(&device)));
    }

    #[test]
    #[should_panic(expected = "5 × 5 units got templates of 4 × 4")]
    fn templates_of_another_length_are_refused() {
        let device = Device::flex();
        TemplateMaskConfig::new(5).init_with(TemplatesConfig::new(4).init(&device));
    }

    #[test]
    fn half_floats_stay_half_floats() {
        let device = Device::flex();
        let mask = TemplateMaskConfig::new(5).init(&device);
        let output = mask.forward(map(&device).cast(FloatDType::BF16));
        assert_eq!(output.dtype(), burn::tensor::DType::BF16);
        assert!((floats(output)[7] - 0.2).abs() < 1e-3);
    }

    #[test]
    fn it_shows_its_settings() {
        let mask = TemplateMaskConfig::new(5).with_floor(0.5).init(&Device::flex());
        assert!(format!("{mask}").contains("TemplateMask"), "{mask}");
        assert_eq!(mask.config().floor, 0.5);
    }

    #[test]
    #[should_panic(expected = "5 × 5")]
    fn maps_of_another_size_are_refused() {
        let device = Device::flex();
        TemplateMaskConfig::new(5).init(&device).forward(Tensor::zeros([1, 1, 6, 6], &device));
    }

    #[test]
    #[should_panic(expected = "floor is 1.5")]
    fn a_floor_above_one_is_refused() {
        TemplateMaskConfig::new(5).with_floor(1.5).init(&Device::flex());
    }
}
