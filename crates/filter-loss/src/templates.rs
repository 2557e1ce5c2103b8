//! The shapes a filter's map is compared with.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

/// How fast a template falls off around its centre (arXiv:1710.00935).
pub const BETA: f64 = 4.0;

/// Configuration of [`Templates`].
#[derive(Config, Debug)]
pub struct TemplatesConfig {
    /// n, the number of units along one side of the (square) map.
    pub length: usize,
    /// β, how fast a template falls off around its centre. [`BETA`] by default.
    #[config(default = "BETA")]
    pub beta: f64,
}

impl TemplatesConfig {
    /// Puts the templates on a device.
    ///
    /// # Panics
    /// If `length` is 0, or `beta` is not a finite positive number.
    pub fn init(&self, device: &Device) -> Templates {
        self.check();
        let shape = [self.count(), self.units()];
        let relative: Vec<f32> = self.relative().into_iter().map(|value| value as f32).collect();
        let relative = Tensor::<2>::from_data(TensorData::new(relative, shape), device).inner();
        Templates { relative, config: self.clone() }
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
        0.5 / self.units() as f64
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
        self.relative().into_iter().map(|value| tau * value).collect()
    }

    /// All templates divided by τ.
    fn relative(&self) -> Vec<f64> {
        let (n, units) = (self.length, self.units());
        let mut values = Vec::with_capacity(self.count() * units);
        for center in 0..units {
            for unit in 0..units {
                let distance = (center / n).abs_diff(unit / n) + (center % n).abs_diff(unit % n);
                values.push((1.0 - self.beta * distance as f64 / n as f64).max(-1.0));
            }
        }
        values.resize(self.count() * units, -1.0);
        values
    }

    pub(crate) fn check(&self) {
        assert!(self.length > 0, "templates need maps of at least one unit, not of length 0");
        assert!(self.beta.is_finite() && self.beta > 0.0, "beta is {}, but must be positive", self.beta);
    }
}

/// The n² positive templates, one for each position of a part, and the negative one, for its absence.
///
/// ```text
/// T_μ(i, j) = τ · max(1 − β · ‖(i, j) − μ‖₁ / n, −1)      T⁻(i, j) = −τ      τ = 0.5 / n²
/// ```
///
/// Source: arXiv:1710.00935, section 3; used by arXiv:1805.07468 for its mask layer and filter loss.
#[derive(Module, Debug)]
pub struct Templates {
    /// All templates divided by τ: `[n² + 1, n²]`.
    relative: Tensor<2>,
    #[module(skip)]
    config: TemplatesConfig,
}

impl Templates {
    /// The templates as rows, each a map in row-major order: row `μ = i · n + j` is centred at
    /// `(i, j)`, and the last row is the negative template.
    ///
    /// # Shapes
    /// - output: `[n² + 1, n²]`
    pub fn matrix(&self) -> Tensor<2> {
        self.relative().mul_scalar(self.config.tau())
    }

    /// What the templates were made from.
    pub fn config(&self) -> &TemplatesConfig {
        &self.config
    }

    /// The templates divided by τ, so that a positive one is 1 at its centre; never tracked.
    pub(crate) fn relative(&self) -> Tensor<2> {
        self.relative.clone().inner()
    }
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
            let templates = TemplatesConfig::new(7).with_beta(2.5).init(&device);
            let matrix = templates.matrix();
            assert_eq!(matrix.dims(), [50, 49]);
            assert!(!matrix.is_autodiff());
            let values = matrix.into_data().try_to_vec::<f32>().unwrap();
            for (value, expected) in values.iter().zip(templates.config().values()) {
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
        TemplatesConfig::new(3).with_beta(f64::NAN).init(&Device::flex());
    }
}
