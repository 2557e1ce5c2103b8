//! Non-negative matrix factorisation.

use burn::config::Config;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::dictionary::{checked, squares};
use crate::{BaselineError, Dictionary};
use explainer_metrics::eigenvectors;

/// Below this a denominator is taken to be this.
const LEAST: f32 = 1e-12;
/// Iterations between two looks at the error.
const LOOK: usize = 10;

/// Settings of an [`Nmf`].
#[derive(Config, Debug)]
pub struct NmfConfig {
    /// K, the number of atoms.
    pub width: usize,
    /// Multiplicative updates of codes and atoms at most.
    #[config(default = 400)]
    pub iterations: usize,
    /// Fitting stops where the relative error falls by less than this share of the first one in ten
    /// iterations.
    #[config(default = 1e-4)]
    pub tolerance: f64,
    /// Steps of the descent by which codes are found once the atoms are fixed.
    #[config(default = 200)]
    pub encoding_steps: usize,
    /// Seed of the first codes and atoms.
    #[config(default = 0)]
    pub seed: u64,
}

/// Non-negative matrix factorisation: `X ≈ Z D` with `Z, D ≥ 0`.
///
/// Fitted by multiplicative updates, by which `‖X − Z D‖²` never rises,
///
/// `Z ← Z ∘ X Dᵀ / (Z D Dᵀ)`, `D ← D ∘ Zᵀ X / (Zᵀ Z D)`,
///
/// from random Z and D, uniform in `[0, 2 √(mean(X) / K)]`, so that their product starts at the mean of X. Atoms
/// are of length 1 afterwards. Codes of new vectors are the least squares with the atoms fixed,
/// `argmin_{z ≥ 0} ‖x − z D‖²`, a convex problem, by accelerated projected gradient steps.
///
/// Source: Lee and Seung, NIPS 2000, for the updates; Beck and Teboulle 2009 (FISTA) for the codes. CRAFT
/// (arXiv:2211.10154) finds concepts this way, on crops of images; here the vectors are those of the units.
///
/// # Shapes
/// - activations `[n, C]`, none of them negative; codes `[n, K]`
#[derive(Clone, Debug)]
pub struct Nmf {
    /// D, `[K, C]`.
    atoms: Tensor<2>,
    /// `D Dᵀ`, `[K, K]`, and its largest eigenvalue.
    gram: Tensor<2>,
    largest: f64,
    encoding_steps: usize,
    /// Relative errors every ten iterations, the first before any.
    errors: Vec<f64>,
}

impl NmfConfig {
    /// Fits atoms to activation vectors `[n, C]`.
    ///
    /// # Errors
    /// No vector, values that are negative or not finite, or zeros only.
    ///
    /// # Panics
    /// If the width is 0.
    pub fn fit(&self, activations: Tensor<2>) -> Result<Nmf, BaselineError> {
        const METHOD: &str = "NMF";
        assert!(self.width > 0, "NmfConfig::width must be at least 1");
        let [count, channels] = checked(METHOD, &activations, 1)?;
        let value = activations.clone().min().into_scalar::<f32>();
        if value < 0.0 {
            return Err(BaselineError::Negative { method: METHOD, value });
        }
        let size = squares(activations.clone());
        if size == 0.0 {
            return Err(BaselineError::Constant { method: METHOD });
        }
        let mean = activations.clone().mean().into_scalar::<f32>();
        let mut factors = Factors::draw(self, [count, channels], mean, &activations.device());
        let error = |factors: &Factors| factors.squared_error(&activations) / size;
        let mut errors = vec![error(&factors)];
        for iteration in 1..=self.iterations {
            factors.update(&activations);
            if iteration.is_multiple_of(LOOK) || iteration == self.iterations {
                errors.push(error(&factors));
                let [.., before, now] = errors[..] else { continue };
                if before - now < self.tolerance * errors[0] {
                    break;
                }
            }
        }
        Ok(Nmf::of(factors.atoms, self.encoding_steps, errors))
    }
}

/// Z and D.
#[derive(Clone)]
struct Factors {
    codes: Tensor<2>,
    atoms: Tensor<2>,
}

impl Factors {
    fn draw(config: &NmfConfig, [count, channels]: [usize; 2], mean: f32, device: &Device) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let most = 2.0 * (mean / config.width as f32).sqrt();
        let mut draw = |shape: [usize; 2]| -> Tensor<2> {
            // Not 0, which no factor would ever change.
            let values: Vec<f32> =
                (0..shape[0] * shape[1]).map(|_| most * (1.0 - rng.random::<f32>())).collect();
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        Self { atoms: draw([config.width, channels]), codes: draw([count, config.width]) }
    }

    fn update(&mut self, activations: &Tensor<2>) {
        let Self { codes, atoms } = self.clone();
        let across = atoms.clone().transpose();
        let below = codes.clone().matmul(atoms.matmul(across.clone())).clamp_min(LEAST);
        self.codes = codes * activations.clone().matmul(across) / below;
        let across = self.codes.clone().transpose();
        let below = across.clone().matmul(self.codes.clone()).matmul(self.atoms.clone()).clamp_min(LEAST);
        self.atoms = self.atoms.clone() * across.matmul(activations.clone()) / below;
    }

    fn squared_error(&self, activations: &Tensor<2>) -> f64 {
        squares(self.codes.clone().matmul(self.atoms.clone()) - activations.clone())
    }
}

impl Nmf {
    fn of(atoms: Tensor<2>, encoding_steps: usize, errors: Vec<f64>) -> Self {
        let lengths = atoms.clone().square().sum_dim(1).sqrt().clamp_min(LEAST);
        let atoms = atoms / lengths;
        let gram = atoms.clone().matmul(atoms.clone().transpose());
        let values: Vec<f64> = gram.to_data().iter::<f32>().map(f64::from).collect();
        let largest = eigenvectors(values, gram.dims()[0]).first().map_or(1.0, |&(value, _)| value);
        Self { atoms, gram, largest, encoding_steps, errors }
    }

    /// `‖X − Z D‖² / ‖X‖²` while fitting: before the first iteration, and then every ten.
    pub fn errors(&self) -> &[f64] {
        &self.errors
    }
}

impl Dictionary for Nmf {
    fn width(&self) -> usize {
        self.atoms.dims()[0]
    }

    fn encode(&self, activations: Tensor<2>) -> Tensor<2> {
        let right = activations.matmul(self.atoms.clone().transpose());
        let step = 1.0 / self.largest;
        let mut codes = right.zeros_like();
        let (mut ahead, mut momentum) = (codes.clone(), 1.0f64);
        for _ in 0..self.encoding_steps {
            let gradient = ahead.clone().matmul(self.gram.clone()) - right.clone();
            let next = (ahead - gradient.mul_scalar(step)).clamp_min(0.0);
            let before = momentum;
            momentum = (1.0 + (1.0 + 4.0 * before.powi(2)).sqrt()) / 2.0;
            ahead = next.clone() + (next.clone() - codes).mul_scalar((before - 1.0) / momentum);
            codes = next;
        }
        codes
    }

    fn decode(&self, codes: Tensor<2>) -> Tensor<2> {
        codes.matmul(self.atoms.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{activations, floats, relative_error, rows, tensor};

    #[test]
    fn the_updates_are_their_definition_and_the_error_never_rises() {
        let values = activations(40, 7, 4, 1);
        let config = NmfConfig::new(3);
        let mut factors = Factors::draw(&config, [40, 7], 0.3, &Device::flex());
        let (x, mut z, mut d) =
            (rows(values.clone()), rows(factors.codes.clone()), rows(factors.atoms.clone()));
        let error = |z: &[Vec<f64>], d: &[Vec<f64>]| -> f64 {
            let mut sum = 0.0;
            for (x, z) in x.iter().zip(z) {
                for c in 0..7 {
                    sum += (x[c] - (0..3).map(|k| z[k] * d[k][c]).sum::<f64>()).powi(2);
                }
            }
            sum
        };
        let mut last = error(&z, &d);
        for _ in 0..30 {
            factors.update(&values);
            // In f64, from the definition.
            let product = |z: &[f64], d: &[Vec<f64>], c: usize| (0..3).map(|k| z[k] * d[k][c]).sum::<f64>();
            z = (0..40)
                .map(|i| {
                    let of = |k: usize| {
                        let above: f64 = (0..7).map(|c| x[i][c] * d[k][c]).sum();
                        z[i][k] * above / (0..7).map(|c| product(&z[i], &d, c) * d[k][c]).sum::<f64>()
                    };
                    (0..3).map(of).collect()
                })
                .collect();
            d = (0..3)
                .map(|k| {
                    let of = |c: usize| {
                        let above: f64 = (0..40).map(|i| z[i][k] * x[i][c]).sum();
                        d[k][c] * above / (0..40).map(|i| z[i][k] * product(&z[i], &d, c)).sum::<f64>()
                    };
                    (0..7).map(of).collect()
                })
                .collect();
            let now = error(&z, &d);
            assert!(now <= last, "{now} after {last}");
            last = now;
            let (ours, atoms) = (rows(factors.codes.clone()), rows(factors.atoms.clone()));
            for (ours, oracle) in ours.iter().chain(&atoms).flatten().zip(z.iter().chain(&d).flatten()) {
                assert!(*ours >= 0.0 && (ours - oracle).abs() < 1e-4 * (1.0 + oracle), "{ours} {oracle}");
            }
        }
    }

    #[test]
    fn it_finds_what_is_made_of_few_atoms() {
        let values = activations(400, 12, 5, 2);
        let nmf = NmfConfig::new(5).with_iterations(500).with_tolerance(1e-5).fit(values.clone()).unwrap();
        assert!(nmf.errors().is_sorted_by(|a, b| a >= b), "{:?}", nmf.errors());
        let error = relative_error(&nmf, values.clone());
        assert!(error < 0.02, "{error}");
        let codes = nmf.encode(values);
        assert!(floats(codes.clone()).into_iter().chain(floats(nmf.atoms.clone())).all(|value| value >= 0.0));
        for atom in rows(nmf.atoms.clone()) {
            assert!((atom.iter().map(|value| value * value).sum::<f64>() - 1.0).abs() < 1e-5);
        }
    }

    /// At the least squares under z ≥ 0 no coordinate can be improved: found by going through them one by one.
    #[test]
    fn codes_are_the_least_squares_that_are_not_negative() {
        let values = activations(30, 8, 5, 3);
        let nmf =
            NmfConfig::new(6).with_iterations(50).with_encoding_steps(2000).fit(values.clone()).unwrap();
        let atoms = rows(nmf.atoms.clone());
        let codes = rows(nmf.encode(values.clone()));
        for (x, found) in rows(values).iter().zip(codes) {
            let mut oracle = vec![0.0; 6];
            for _ in 0..5000 {
                for k in 0..6 {
                    let left = |c: usize| x[c] - (0..6).map(|l| oracle[l] * atoms[l][c]).sum::<f64>();
                    let change: f64 = (0..8).map(|c| left(c) * atoms[k][c]).sum();
                    let length: f64 = atoms[k].iter().map(|value| value * value).sum();
                    oracle[k] = (oracle[k] + change / length).max(0.0);
                }
            }
            let error = |codes: &[f64]| -> f64 {
                let of = |c: usize| x[c] - (0..6).map(|k| codes[k] * atoms[k][c]).sum::<f64>();
                (0..8).map(|c| of(c).powi(2)).sum()
            };
            assert!(error(&found) < error(&oracle) + 1e-5, "{} {}", error(&found), error(&oracle));
        }
    }

    #[test]
    fn what_cannot_be_factorised_is_told() {
        let fit = |values: &[f32]| NmfConfig::new(1).fit(tensor(values, [2, 2])).unwrap_err();
        assert_eq!(fit(&[1.0, 0.0, -0.5, 1.0]), BaselineError::Negative { method: "NMF", value: -0.5 });
        assert_eq!(fit(&[0.0; 4]), BaselineError::Constant { method: "NMF" });
    }
}
