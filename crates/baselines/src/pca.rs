//! Principal components.

use burn::config::Config;
use burn::tensor::{Tensor, TensorData};

use crate::dictionary::checked;
use crate::{BaselineError, Dictionary};
use explainer_metrics::eigenvectors;

/// Settings of a [`Pca`].
#[derive(Config, Debug)]
pub struct PcaConfig {
    /// K. There are never more components than channels, and none without variance.
    pub width: usize,
}

/// Principal component analysis: `z = (x − μ) Dᵀ`, `x̂ = μ + z D`, with D the K eigenvectors of the covariance
/// with the largest eigenvalues, of length 1.
///
/// No other K-dimensional affine map leaves less of `Σ ‖x − x̂‖²`. With K = C nothing is left at all: then it is
/// a rotation, and what can be told of it is where its components fire.
///
/// **Strength.** A component's sign is arbitrary, and `‖x − μ‖² = Σ_k z_k²` over all components. So an
/// atom's strength is |z_k|: the part of the activations that it accounts for, whichever way it points.
///
/// # Shapes
/// - activations `[n, C]`, codes `[n, K]`
#[derive(Clone, Debug)]
pub struct Pca {
    /// μ, `[1, C]`.
    mean: Tensor<2>,
    /// D, `[K, C]`.
    components: Tensor<2>,
    variances: Vec<f64>,
}

impl PcaConfig {
    /// Principal components of activation vectors `[n, C]`. The covariance is taken in `f32`, its eigenvectors
    /// in `f64`.
    ///
    /// # Errors
    /// Fewer than two vectors, values that are not finite, or vectors that are all the same.
    ///
    /// # Panics
    /// If the width is 0.
    pub fn fit(&self, activations: Tensor<2>) -> Result<Pca, BaselineError> {
        const METHOD: &str = "PCA";
        assert!(self.width > 0, "PcaConfig::width must be at least 1");
        let [count, channels] = checked(METHOD, &activations, 2)?;
        let (device, mean) = (activations.device(), activations.clone().mean_dim(0));
        let centred = activations - mean.clone();
        let covariance = centred.clone().transpose().matmul(centred).div_scalar(count as f64 - 1.0);
        let covariance: Vec<f64> = covariance.into_data().iter::<f32>().map(f64::from).collect();
        let mut found = eigenvectors(covariance, channels);
        found.truncate(self.width);
        if found.is_empty() {
            return Err(BaselineError::Constant { method: METHOD });
        }
        let components: Vec<f32> =
            found.iter().flat_map(|(_, vector)| vector).map(|&value| value as f32).collect();
        let shape = [found.len(), channels];
        let components = Tensor::from_data(TensorData::new(components, shape), &device);
        Ok(Pca { mean, components, variances: found.into_iter().map(|(value, _)| value).collect() })
    }
}

impl Pca {
    /// Variance of the activation vectors along each component, the largest first.
    pub fn variances(&self) -> &[f64] {
        &self.variances
    }
}

impl Dictionary for Pca {
    fn width(&self) -> usize {
        self.components.dims()[0]
    }

    fn encode(&self, activations: Tensor<2>) -> Tensor<2> {
        (activations - self.mean.clone()).matmul(self.components.clone().transpose())
    }

    fn decode(&self, codes: Tensor<2>) -> Tensor<2> {
        codes.matmul(self.components.clone()) + self.mean.clone()
    }

    fn strength(&self, codes: Tensor<4>) -> Tensor<4> {
        codes.abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::squares;
    use crate::testing::{activations, floats, rows, tensor};

    #[test]
    fn worked_by_hand() {
        // (±2, ±2) along the diagonal and (±1, ∓1) across it, around (5, 3): variances 16/3 and 4/3.
        let values = tensor(&[7.0, 5.0, 3.0, 1.0, 6.0, 2.0, 4.0, 4.0], [4, 2]);
        let pca = PcaConfig::new(1).fit(values.clone()).unwrap();
        assert!((pca.variances()[0] - 16.0 / 3.0).abs() < 1e-6);
        let codes = floats(pca.encode(values.clone()));
        let sign = codes[0].signum();
        let expected = [8f32.sqrt(), -(8f32.sqrt()), 0.0, 0.0];
        assert!(codes.iter().zip(expected).all(|(code, expected)| (sign * code - expected).abs() < 1e-5));
        let decoded = floats(pca.decode(pca.encode(values)));
        let expected = [7.0, 5.0, 3.0, 1.0, 5.0, 3.0, 5.0, 3.0];
        assert!(decoded.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-5));
        assert_eq!(floats(pca.strength(tensor(&[-2.0, 1.0], [1, 1, 1, 2]))), [2.0, 1.0]);
    }

    #[test]
    fn what_is_left_is_the_variance_of_the_components_left_out() {
        let values = activations(300, 9, 6, 1);
        let all = PcaConfig::new(20).fit(values.clone()).unwrap();
        assert_eq!((all.width(), all.variances().len()), (9, 9));
        let size = squares(values.clone());
        let left = |pca: &Pca| squares(pca.decode(pca.encode(values.clone())) - values.clone());
        assert!(left(&all) < 1e-10 * size, "a rotation loses nothing");
        let few = PcaConfig::new(4).fit(values.clone()).unwrap();
        let expected = 299.0 * all.variances()[4..].iter().sum::<f64>();
        assert!((left(&few) - expected).abs() < 1e-4 * expected, "{} {expected}", left(&few));

        // Any other choice of four of the directions leaves more.
        let mut other = few.clone();
        let [a, b] = [0..4, 1..5].map(|rows| all.components.clone().slice([rows, 0..9]));
        other.components = b;
        assert!(left(&other) > left(&few));
        other.components = a;
        assert!((left(&other) - left(&few)).abs() < 1e-6 * size);
        // Codes are uncorrelated.
        let codes = rows(few.encode(values.clone()));
        for (i, j) in [(0, 1), (0, 3), (2, 3)] {
            let product: f64 = codes.iter().map(|code| code[i] * code[j]).sum();
            assert!(product.abs() < 1e-4 * size, "{i} {j}");
        }
    }

    #[test]
    fn without_variance_there_is_no_component() {
        let error = PcaConfig::new(2).fit(tensor(&[1.0; 6], [3, 2])).unwrap_err();
        assert_eq!(error, BaselineError::Constant { method: "PCA" });
        // A channel that never fires takes no component.
        let values = tensor(&[1.0, 0.0, 2.0, 0.0, 5.0, 0.0], [3, 2]);
        assert_eq!(PcaConfig::new(2).fit(values).unwrap().width(), 1);
    }
}
