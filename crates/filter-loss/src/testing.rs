//! Maps for tests, the same in every run.

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Values uniform in `low..high`, drawn from `seed` and not from the device's generator, which tests
/// in other threads draw from as well.
pub(crate) fn uniform<const D: usize>(shape: [usize; D], low: f64, high: f64, seed: u64) -> Tensor<D> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let data = TensorData::random::<f32, _, _>(shape, Distribution::Uniform(low, high), &mut rng);
    Tensor::from_data(data, &Device::flex())
}
