//! The shapes a filter's map is compared with.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::template_shape::{Shape, TemplateShape, by_offset};

/// Configuration of [`Templates`] of one of the crate's own [shapes](Shape).
#[derive(Config, Debug)]
pub struct TemplatesConfig {
    /// n, the number of units along one side of the (square) map.
    pub length: usize,
    /// How a template falls off around its centre. [`Shape::PUBLISHED`] by default.
    #[config(default = "Shape::PUBLISHED")]
    pub shape: Shape,
}

impl TemplatesConfig {
    /// Puts the templates on a device.
    ///
    /// # Panics
    /// If `length` is 0, or the shape's β or width is not a finite positive number.
    pub fn init(&self, device: &Device) -> Templates {
        self.shape.check();
        Templates::of(self.length, &self.shape, device)
    }

    /// n², the number of units of a map, and of positive templates.
    pub fn units(&self) -> usize {
        self.length * self.length
    }

    /// n² + 1, the number of templates.
    pub fn count(&self) -> usize {
        self.units() + 1
    }

    /// τ = 0.5 / n², the value of a template at its centre (arXiv:1710.00935).
    pub fn tau(&self) -> f64 {
        tau(self.length)
    }

    /// α = n² / (1 + n²), the prior probability that a map shows a part at all (arXiv:1710.00935).
    pub fn alpha(&self) -> f64 {
        self.units() as f64 / self.count() as f64
    }

    /// p(T): `α / n²` for each positive template, then `1 − α` for the negative one
    /// (arXiv:1710.00935).
    ///
    /// With the paper's α both are `1 / (n² + 1)`: every template is equally likely. The loss makes
    /// use of that.
    pub fn priors(&self) -> Vec<f64> {
        let mut priors = vec![self.alpha() / self.units() as f64; self.units()];
        priors.push(1.0 - self.alpha());
        priors
    }

    /// The logarithms of [`priors`](Self::priors).
    pub fn log_priors(&self) -> Vec<f64> {
        self.priors().into_iter().map(f64::ln).collect()
    }

    /// All templates in `f64`, row by row as in [`Templates::matrix`].
    pub fn values(&self) -> Vec<f64> {
        let tau = self.tau();
        relative(self.length, &self.shape).into_iter().map(|value| tau * value).collect()
    }
}

/// The n² positive templates, one for each position of a part, and the negative one, for its absence.
///
/// ```text
/// T_μ(i, j) = τ · max(1 − β · ‖(i, j) − μ‖₁ / n, −1)      T⁻(i, j) = −τ      τ = 0.5 / n²
/// ```
///
/// This is the paper's form, [`Shape::PUBLISHED`]. Another one has its
/// [`value`](TemplateShape::value) in place of the maximum.
///
/// Source: arXiv:1710.00935, section 3; used by arXiv:1805.07468 for its mask layer and filter loss.
/// Other shapes are ours.
#[derive(Module, Debug)]
pub struct Templates {
    /// All templates divided by τ: `[n² + 1, n²]`.
    relative: Tensor<2>,
    #[module(skip)]
    length: usize,
}

impl Templates {
    /// Templates of a shape of your own, for maps of `length × length` units;
    /// [`TemplatesConfig`] makes those of the crate's shapes.
    ///
    /// # Panics
    /// If `length` is 0, or the shape's value is not 1 at the centre or not within −1..=1 elsewhere.
    pub fn of(length: usize, shape: &impl TemplateShape, device: &Device) -> Self {
        assert!(length > 0, "templates need maps of at least one unit, not of length 0");
        let at_center = shape.value(0.0, 0.0);
        assert!(at_center == 1.0, "a template's value at its centre is {at_center}, but must be 1");
        let check = |value: f64| {
            assert!((-1.0..=1.0).contains(&value), "a template has the value {value}, outside −1..=1");
            value as f32
        };
        let values: Vec<f32> = relative(length, shape).into_iter().map(check).collect();
        let data = TensorData::new(values, [length * length + 1, length * length]);
        Self { relative: Tensor::from_data(data, device).inner(), length }
    }

    /// The templates as rows, each a map in row-major order: row `μ = i · n + j` is centred at
    /// `(i, j)`, and the last row is the negative template.
    ///
    /// # Shapes
    /// - output: `[n² + 1, n²]`
    pub fn matrix(&self) -> Tensor<2> {
        self.relative().mul_scalar(self.tau())
    }

    /// n, the number of units along one side of the maps.
    pub fn length(&self) -> usize {
        self.length
    }

    /// τ = 0.5 / n², the value of a template at its centre (arXiv:1710.00935).
    pub fn tau(&self) -> f64 {
        tau(self.length)
    }

    /// The templates divided by τ, so that a positive one is 1 at its centre; never tracked.
    pub(crate) fn relative(&self) -> Tensor<2> {
        self.relative.clone().inner()
    }

    /// # Panics
    /// If the templates are not for maps of `length × length` units.
    pub(crate) fn check_length(&self, who: &str, length: usize) {
        let own = self.length;
        assert!(own == length, "{who} for maps of {length} × {length} units got templates of {own} × {own}");
    }
}

/// τ of maps of `length × length` units.
fn tau(length: usize) -> f64 {
    0.5 / (length * length) as f64
}

/// All templates divided by τ, the negative one last.
fn relative(length: usize, shape: &impl TemplateShape) -> Vec<f64> {
    let mut values = by_offset(length, |rows, columns| shape.value(rows, columns));
    values.resize(values.len() + length * length, -1.0);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_falls_off_by_city_block_distance_down_to_minus_tau() {
        let config = TemplatesConfig::new(5);
        let values = config.values();
        let tau = 0.02;
        // Distances from the unit (1, 3), worked out by hand: 0 → 1, 1 → 0.2, 2 → −0.6, 3 → −1.
        let expected = [
            [-1.0, -1.0, -0.6, 0.2, -0.6],
            [-1.0, -0.6, 0.2, 1.0, 0.2],
            [-1.0, -1.0, -0.6, 0.2, -0.6],
            [-1.0, -1.0, -1.0, -0.6, -1.0],
            [-1.0, -1.0, -1.0, -1.0, -1.0],
        ];
        let row = &values[8 * 25..9 * 25];
        for (value, expected) in row.iter().zip(expected.concat()) {
            assert!((value - tau * expected).abs() < 1e-15, "{row:?}");
        }
        assert!(values[25 * 25..].iter().all(|&value| value == -tau));
        assert_eq!(values.len(), 26 * 25);
    }

    #[test]
    fn the_matrix_holds_the_values_and_is_never_tracked() {
        for device in [Device::flex(), Device::flex().autodiff()] {
            let config = TemplatesConfig::new(7).with_shape(Shape::Cone { beta: 2.5 });
            let templates = config.init(&device);
            let matrix = templates.matrix();
            assert_eq!(matrix.dims(), [50, 49]);
            assert!(!matrix.is_autodiff());
            let values = matrix.into_data().try_to_vec::<f32>().unwrap();
            for (value, expected) in values.iter().zip(config.values()) {
                assert!((f64::from(*value) - expected).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn every_template_is_equally_likely() {
        let config = TemplatesConfig::new(13);
        let priors = config.priors();
        assert_eq!(priors.len(), 170);
        assert!((priors.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(priors.iter().all(|prior| (prior - 1.0 / 170.0).abs() < 1e-15));
        assert!(config.log_priors().iter().all(|prior| (prior + 170f64.ln()).abs() < 1e-12));
    }

    #[test]
    #[should_panic(expected = "beta is NaN")]
    fn a_beta_that_is_no_number_is_refused() {
        TemplatesConfig::new(3).with_shape(Shape::Pyramid { beta: f64::NAN }).init(&Device::flex());
    }

    /// A form that is no distance's: 1 at the centre and to its right, this elsewhere.
    struct Tail(f64);

    impl TemplateShape for Tail {
        fn value(&self, rows: f64, columns: f64) -> f64 {
            if rows == 0.0 && columns >= 0.0 { 1.0 } else { self.0 }
        }
    }

    #[test]
    fn a_shape_of_ones_own_is_taken_as_it_is() {
        let templates = Templates::of(3, &Tail(-0.25), &Device::flex());
        let matrix = templates.matrix().div_scalar(templates.tau());
        let values = matrix.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(values[4 * 9..5 * 9], [-0.25, -0.25, -0.25, -0.25, 1.0, 1.0, -0.25, -0.25, -0.25]);
        assert_eq!(values[9 * 9..], [-1.0; 9]);
    }

    #[test]
    #[should_panic(expected = "the value NaN, outside")]
    fn a_shape_that_is_no_number_is_refused() {
        Templates::of(3, &Tail(f64::NAN), &Device::flex());
    }

    #[test]
    #[should_panic(expected = "at its centre is 0.5")]
    fn a_shape_that_is_not_one_at_its_centre_is_refused() {
        struct Half;
        impl TemplateShape for Half {
            fn value(&self, _: f64, _: f64) -> f64 {
                0.5
            }
        }
        Templates::of(3, &Half, &Device::flex());
    }
}
