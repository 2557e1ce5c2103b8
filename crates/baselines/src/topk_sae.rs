//! A sparse auto-encoder with a fixed number of active codes.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::dictionary::{checked, squares};
use crate::{BaselineError, Dictionary};

/// Settings of a [`TopKSae`].
#[derive(Config, Debug)]
pub struct TopKSaeConfig {
    /// K, the number of atoms.
    pub width: usize,
    /// k, codes that are active at a unit at most.
    pub active: usize,
    /// Passes over the activation vectors.
    #[config(default = 20)]
    pub epochs: usize,
    /// Vectors of one step.
    #[config(default = 1024)]
    pub batch_size: usize,
    /// Adam's rate.
    #[config(default = 1e-3)]
    pub rate: f64,
    /// Seed of the first atoms and of the order of vectors.
    #[config(default = 0)]
    pub seed: u64,
}

impl TopKSaeConfig {
    /// A dictionary of `width` atoms of which an eighth is active, one at least.
    pub fn of_width(width: usize) -> Self {
        Self::new(width, (width / 8).max(1))
    }
}

/// TopK sparse auto-encoder: `z = TopK(ReLU((x − b) E + e))`, `x̂ = z D + b`, atoms of length 1.
///
/// Minimises `Σ ‖x − x̂‖² / Σ ‖x − x̄‖²` by Adam; after every step the atoms are brought back to length 1. D starts
/// as random directions, E as Dᵀ, b as the mean x̄, e as 0. Vectors are divided by `√(E ‖x − x̄‖²)` inside, so that
/// the rate means the same for any network.
///
/// Source: Gao et al., arXiv:2406.04093. Their auxiliary loss, which revives dead atoms of dictionaries far wider
/// than the layer, is left out.
///
/// # Shapes
/// - activations `[n, C]`, codes `[n, K]`
#[derive(Clone, Debug)]
pub struct TopKSae {
    network: Network,
    active: usize,
    /// √(E ‖x − x̄‖²).
    scale: f64,
    losses: Vec<f64>,
}

/// On vectors of unit scale.
#[derive(Module, Debug)]
struct Network {
    /// E, `[C, K]`.
    encoder: Param<Tensor<2>>,
    /// e, `[1, K]`.
    threshold: Param<Tensor<2>>,
    /// D, `[K, C]`.
    atoms: Param<Tensor<2>>,
    /// b, `[1, C]`.
    offset: Param<Tensor<2>>,
}

impl Network {
    fn encode(&self, vectors: Tensor<2>, active: usize) -> Tensor<2> {
        let codes = (vectors - self.offset.val()).matmul(self.encoder.val()) + self.threshold.val();
        largest(relu(codes), active)
    }

    fn decode(&self, codes: Tensor<2>) -> Tensor<2> {
        codes.matmul(self.atoms.val()) + self.offset.val()
    }

    /// With atoms of length 1.
    fn normalised(mut self) -> Self {
        self.atoms = self.atoms.map(|atoms| {
            // Of the values alone: the way back does not go through it.
            let tracked = atoms.is_autodiff();
            let atoms = if tracked { atoms.inner() } else { atoms };
            let lengths = atoms.clone().square().sum_dim(1).sqrt().clamp_min(f32::MIN_POSITIVE);
            let atoms = atoms / lengths;
            if tracked { Tensor::from_inner(atoms).require_grad() } else { atoms }
        });
        self
    }
}

/// The `active` largest of each row, of equal ones some; 0 for the others.
fn largest(codes: Tensor<2>, active: usize) -> Tensor<2> {
    let (values, places) = codes.clone().topk_with_indices(active, 1);
    codes.zeros_like().scatter(1, places, values, IndexingUpdateOp::Add)
}

impl TopKSaeConfig {
    /// Fits an auto-encoder to activation vectors `[n, C]`.
    ///
    /// # Errors
    /// Fewer than two vectors, vectors that are all the same, or values that are not finite, at the start or
    /// in a loss.
    ///
    /// # Panics
    /// If width, batch size or the number of active codes is 0, or more codes are to be active than there are.
    pub fn fit(&self, activations: Tensor<2>) -> Result<TopKSae, BaselineError> {
        const METHOD: &str = "a TopK sparse auto-encoder";
        let Self { width, active, batch_size, .. } = *self;
        assert!(
            (1..=width).contains(&active) && batch_size > 0,
            "TopKSaeConfig: {active} active of {width} codes, batches of {batch_size}"
        );
        let [count, _] = checked(METHOD, &activations, 2)?;
        let mean = activations.clone().mean_dim(0);
        let scale = (squares(activations.clone() - mean.clone()) / count as f64).sqrt();
        if scale == 0.0 {
            return Err(BaselineError::Constant { method: METHOD });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut network = self.first(mean.div_scalar(scale), &mut rng).train();
        let vectors = activations.div_scalar(scale);
        let (mut adam, mut order) = (AdamConfig::new().init(), (0..count as i64).collect::<Vec<_>>());
        let mut losses = Vec::with_capacity(self.epochs);
        for epoch in 1..=self.epochs {
            order.shuffle(&mut rng);
            let mut sum = 0.0;
            for indices in order.chunks(batch_size) {
                let rows = indices.len();
                let indices = TensorData::new(indices.to_vec(), [rows]);
                let indices = Tensor::<1, Int>::from_data(indices, &vectors.device());
                let batch = vectors.clone().select(0, indices).autodiff();
                let decoded = network.decode(network.encode(batch.clone(), active));
                let loss = (decoded - batch).square().sum().div_scalar(rows as f64);
                let value = loss.clone().into_scalar::<f32>();
                if !value.is_finite() {
                    let what = format!("the loss of {METHOD} in epoch {epoch}");
                    return Err(BaselineError::NotFinite { what, value });
                }
                sum += f64::from(value) * rows as f64;
                let gradients = GradientsParams::from_grads(loss.backward(), &network);
                network = adam.step(self.rate, network, gradients).normalised();
            }
            losses.push(sum / count as f64);
        }
        Ok(TopKSae { network: network.valid(), active, scale, losses })
    }

    fn first(&self, mean: Tensor<2>, rng: &mut ChaCha8Rng) -> Network {
        let (device, channels) = (mean.device(), mean.dims()[1]);
        // Sums of uniform numbers: near enough to directions without a preference.
        let mut normal = || (0..4).map(|_| rng.random_range(-1.0f32..1.0)).sum::<f32>();
        let atoms: Vec<f32> = (0..self.width * channels).map(|_| normal()).collect();
        let atoms = Tensor::<2>::from_data(TensorData::new(atoms, [self.width, channels]), &device);
        let mut network = Network {
            encoder: Param::from_tensor(atoms.clone().transpose()),
            threshold: Param::from_tensor(Tensor::zeros([1, self.width], &device)),
            atoms: Param::from_tensor(atoms),
            offset: Param::from_tensor(mean),
        }
        .normalised();
        network.encoder = Param::from_tensor(network.atoms.val().transpose());
        network
    }
}

impl TopKSae {
    /// k, the codes that are active at a unit at most.
    pub fn active(&self) -> usize {
        self.active
    }

    /// `Σ ‖x − x̂‖² / Σ ‖x − x̄‖²` of each epoch, while it was fitted.
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }
}

impl Dictionary for TopKSae {
    fn width(&self) -> usize {
        self.network.atoms.val().dims()[0]
    }

    fn encode(&self, activations: Tensor<2>) -> Tensor<2> {
        self.network.encode(activations.div_scalar(self.scale), self.active).mul_scalar(self.scale)
    }

    fn decode(&self, codes: Tensor<2>) -> Tensor<2> {
        self.network.decode(codes.div_scalar(self.scale)).mul_scalar(self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{activations, floats, relative_error, rows, tensor};
    use burn::tensor::Device;

    #[test]
    fn the_largest_codes_are_left() {
        let codes = tensor(&[3.0, 1.0, 2.0, 0.0, 0.0, 5.0, 4.0, 6.0], [2, 4]);
        assert_eq!(floats(largest(codes, 2)), [3.0, 0.0, 2.0, 0.0, 0.0, 5.0, 0.0, 6.0]);
    }

    #[test]
    fn gradients_reach_the_active_codes_only() {
        let codes = tensor(&[3.0, 1.0, 2.0, 0.5], [1, 4]).autodiff().require_grad();
        let kept = largest(codes.clone(), 2);
        let gradients = (kept.square()).sum().backward();
        assert_eq!(floats(codes.grad(&gradients).unwrap()), [6.0, 0.0, 4.0, 0.0]);
    }

    #[test]
    fn fitting_lowers_the_error_with_k_codes() {
        let values = activations(600, 10, 8, 1);
        let config = TopKSaeConfig::new(12, 3).with_batch_size(64).with_epochs(40).with_rate(3e-3);
        let before = config.clone().with_epochs(0).fit(values.clone()).unwrap();
        let sae = config.fit(values.clone()).unwrap();
        let (before, after) = (relative_error(&before, values.clone()), relative_error(&sae, values.clone()));
        assert!(after < 0.5 * before && sae.losses()[39] < 0.5 * sae.losses()[0], "{before} {after}");
        for codes in rows(sae.encode(values)) {
            assert!(codes.iter().filter(|&&code| code > 0.0).count() <= 3);
            assert!(codes.iter().all(|&code| code >= 0.0));
        }
        for atom in rows(sae.network.atoms.val()) {
            assert!((atom.iter().map(|value| value * value).sum::<f64>() - 1.0).abs() < 1e-4);
        }
        assert_eq!((sae.width(), sae.active()), (12, 3));
    }

    /// With codes that are all above 0, exactly k are active, and they are what the definition says.
    #[test]
    fn codes_are_their_definition() {
        let config = TopKSaeConfig::new(6, 2);
        let mut network = config.first(tensor(&[0.1, 0.2, 0.3], [1, 3]), &mut ChaCha8Rng::seed_from_u64(1));
        network.threshold = Param::from_tensor(Tensor::full([1, 6], 9.0, &Device::flex()));
        let vectors = activations(20, 3, 3, 2);
        let found = rows(network.encode(vectors.clone(), 2));
        let (encoder, offset) = (rows(network.encoder.val()), [0.1f32, 0.2, 0.3]);
        for (x, found) in rows(vectors).iter().zip(found) {
            let code = |k: usize| -> f64 {
                9.0 + (0..3).map(|c| (x[c] - f64::from(offset[c])) * encoder[c][k]).sum::<f64>()
            };
            let mut order: Vec<usize> = (0..6).collect();
            order.sort_by(|&a, &b| code(b).total_cmp(&code(a)));
            assert_eq!(found.iter().filter(|&&code| code != 0.0).count(), 2);
            for &k in &order[..2] {
                assert!((found[k] - code(k)).abs() < 1e-5, "{} {}", found[k], code(k));
            }
        }
    }
}
