//! A whole small fit on every CPU backend that was built, and the same result on each.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};
use explainer_core::{
    Blueprint, ExplainerConfig, FeatureConfig, Features, Fit, FitConfig, LabelledImage, Performer, Pooling,
    Preprocessing, Tapped,
};
use explainer_metrics::ReceptiveField;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZE: usize = 6;

/// conv → ReLU → conv → ReLU → pool → FC → ReLU → FC → ReLU → head.
struct Small {
    convs: [Conv2d; 2],
    upper: [Linear; 2],
    last: Linear,
}

impl Small {
    /// Weights that depend on their position only, so that they are alike on every backend.
    fn new(device: &Device) -> Self {
        let conv = |channels| {
            let config =
                Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
            let mut conv = config.init(device);
            conv.weight = conv.weight.map(|weight| wave(weight.dims(), 0.3, device));
            conv.bias = conv.bias.map(|bias| bias.map(|bias| wave(bias.dims(), 0.1, device)));
            conv
        };
        let linear = |inputs, outputs| {
            let mut linear = LinearConfig::new(inputs, outputs).init(device);
            linear.weight = linear.weight.map(|weight| wave(weight.dims(), 0.3, device));
            linear.bias = linear.bias.map(|bias| bias.map(|bias| wave(bias.dims(), 0.2, device)));
            linear
        };
        Self { convs: [conv([3, 4]), conv([4, 5])], upper: [linear(45, 7), linear(7, 6)], last: linear(6, 2) }
    }
}

/// Values that look random but are a formula.
fn wave<const D: usize>(shape: [usize; D], scale: f32, device: &Device) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|at| scale * (12.9898 * at as f32 + 0.7).sin()).collect();
    Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
}

impl Performer for Small {
    fn tap(&self, images: Tensor<4>) -> Tapped {
        let target = relu(self.convs[0].forward(images));
        let top_conv = relu(self.convs[1].forward(target.clone()));
        let pooled = max_pool2d(top_conv.clone(), MaxPoolOptions::new([2, 2]).with_stride([2, 2]));
        let relu6 = relu(self.upper[0].forward(pooled.flatten(1, 3)));
        let relu7 = relu(self.upper[1].forward(relu6.clone()));
        Tapped { target, top_conv, scores: self.head(relu7.clone()), upper: vec![relu6, relu7] }
    }
    fn head(&self, upper: Tensor<2>) -> Tensor<2> {
        self.last.forward(upper)
    }
    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::imagenet(SIZE)
    }
    fn target_field(&self) -> ReceptiveField {
        ReceptiveField::pixels().then(3, 1, 1)
    }
    fn top_conv_field(&self) -> ReceptiveField {
        self.target_field().then(3, 1, 1)
    }
    fn blueprint(&self) -> Blueprint<'_> {
        let pool = Pooling { kernel: 2, stride: 2, padding: 0 };
        Blueprint { top_conv: &self.convs[1], length: SIZE, pool, upper: self.upper.iter().collect() }
    }
}

fn images() -> impl Iterator<Item = Result<LabelledImage, std::io::Error>> {
    (0..6u32).map(|image| {
        let pixels = (0..(3 * SIZE * SIZE) as u32)
            .map(|at| ((at * 37 + image * 91).wrapping_mul(2_654_435_761) >> 24) as u8);
        Ok(LabelledImage { pixels: pixels.collect(), category: (image % 3 > 0).then_some(0) })
    })
}

fn fit(device: &Device) -> Fit {
    let performer = Small::new(device);
    let features = Features::extract(&performer, images(), &FeatureConfig::plain().with_mirror(true), device)
        .expect("features");
    let explainer = ExplainerConfig::for_performer(&performer).init_from(&performer, device);
    let config = FitConfig::new().with_epochs(2).with_batch_size(4).with_progress(false);
    config.fit(explainer, &performer, &features, Some(&features)).expect("a fit")
}

fn backends() -> Vec<(&'static str, Device)> {
    vec![
        #[cfg(feature = "flex")]
        ("flex", Device::flex()),
        #[cfg(feature = "ndarray")]
        ("ndarray", Device::ndarray()),
    ]
}

#[test]
fn every_cpu_backend_fits_alike() {
    let mut fits = backends().into_iter().map(|(name, device)| (name, fit(&device)));
    let (reference, expected) = fits.next().expect("a CPU backend");
    for record in &expected.records {
        assert!(record.reconstruction.iter().all(|error| error.is_finite()), "{reference}: {record:?}");
    }
    for (name, found) in fits {
        for (found, expected) in found.records.iter().zip(&expected.records) {
            let pairs = found.reconstruction.iter().zip(&expected.reconstruction);
            for (found, expected) in pairs.chain([(&found.share, &expected.share)]) {
                assert!(
                    (found - expected).abs() <= 1e-3 * expected.abs(),
                    "{name}: {found}, {reference}: {expected}"
                );
            }
        }
    }
}
