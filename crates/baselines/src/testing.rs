//! Small things for the tests.

use burn::tensor::{Device, Tensor, TensorData};
use explainer_metrics::RelativeError;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Dictionary;

pub(crate) fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

pub(crate) fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Rows in `f64`.
pub(crate) fn rows(tensor: Tensor<2>) -> Vec<Vec<f64>> {
    let width = tensor.dims()[1];
    let values: Vec<f64> = floats(tensor).into_iter().map(f64::from).collect();
    values.chunks(width).map(<[f64]>::to_vec).collect()
}

/// What a dictionary loses of activation vectors `[n, C]`.
pub(crate) fn relative_error(dictionary: &impl Dictionary, activations: Tensor<2>) -> f64 {
    let decoded = dictionary.decode(dictionary.encode(activations.clone()));
    let mut error = RelativeError::default();
    error.add(&floats(decoded), &floats(activations));
    error.value()
}

/// `Σ (a − b)²` of rows.
pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// Vectors of `channels` that are sums of a few of `atoms`, not negative, with a little noise.
pub(crate) fn activations(count: usize, channels: usize, atoms: usize, seed: u64) -> Tensor<2> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let dictionary: Vec<f32> = (0..atoms * channels)
        .map(|_| if rng.random_range(0..3) == 0 { rng.random::<f32>() } else { 0.0 })
        .collect();
    let mut values = Vec::with_capacity(count * channels);
    for _ in 0..count {
        let codes: Vec<f32> =
            (0..atoms).map(|_| if rng.random_range(0..3) == 0 { rng.random::<f32>() } else { 0.0 }).collect();
        values.extend((0..channels).map(|channel| {
            let sum: f32 = codes
                .iter()
                .enumerate()
                .map(|(atom, code)| code * dictionary[atom * channels + channel])
                .sum();
            sum + 0.02 * rng.random::<f32>()
        }));
    }
    tensor(&values, [count, channels])
}
