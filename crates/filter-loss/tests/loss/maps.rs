//! Maps for tests, the same in every run.

use burn::tensor::{Bool, Device, Distribution, FloatDType, Tensor, TensorData};
use explainer_filter_loss::Scale;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

pub const SCALES: [Scale; 3] = [Scale::AsIs, Scale::Mass { trace: 2.0 }, Scale::Energy { trace: 2.0 }];

/// Whether the device computes with bf16, which shaders in WGSL do not.
pub fn has_bf16() -> bool {
    Device::default().supports_dtype(FloatDType::BF16)
}

pub fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

pub fn random(shape: [usize; 4], largest: f64, seed: u64) -> Tensor<4> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let data = TensorData::random::<f32, _, _>(shape, Distribution::Uniform(-largest, largest), &mut rng);
    Tensor::from_data(data, &Device::default()).clamp_min(0.0)
}

/// Every second filter's odd images, every other's first half.
pub fn membership([batch, filters]: [usize; 2]) -> Vec<bool> {
    let member =
        |image: usize, filter: usize| if filter % 2 == 1 { 2 * image < batch } else { image % 2 == 1 };
    (0..batch).flat_map(|image| (0..filters).map(move |filter| member(image, filter))).collect()
}

pub fn bools(values: Vec<bool>, shape: [usize; 2]) -> Tensor<2, Bool> {
    Tensor::from_data(TensorData::new(values, shape), &Device::default())
}

/// The maps of each filter, as the oracle takes them.
pub fn by_filter(maps: Tensor<4>) -> Vec<Vec<Vec<f64>>> {
    let [batch, filters, n, _] = maps.dims();
    let values = floats(maps);
    let map = |image: usize, filter: usize| {
        let start = (image * filters + filter) * n * n;
        values[start..start + n * n].iter().map(|&value| f64::from(value)).collect()
    };
    (0..filters).map(|filter| (0..batch).map(|image| map(image, filter)).collect()).collect()
}
