//! What a fit is made of, piece by piece: convolutions of frozen networks, by this library and by the backend
//! itself, pools, mask layers, and whole performers.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Distribution, Tensor};
use divan::Bencher;
use explainer_core::{Performer, Pooling, convolve};
use explainer_filter_loss::TemplateMaskConfig;
use explainer_performers::{AlexNetConfig, Vgg16Config};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::default())
}

/// Waits for a result: a backend may have only begun.
fn finished<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.device().sync().expect("the device is there");
    tensor
}

/// A convolution and what it reads.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Vgg16Top,
    Vgg16Bottom,
    AlexNetTop,
    AlexNetSecond,
    AlexNetFirst,
}

const SHAPES: [Shape; 5] =
    [Shape::Vgg16Top, Shape::Vgg16Bottom, Shape::AlexNetTop, Shape::AlexNetSecond, Shape::AlexNetFirst];

impl Shape {
    fn setting(self) -> (Conv2d, Tensor<4>) {
        let (channels, kernel, stride, padding, side) = match self {
            Self::Vgg16Top => ([512, 512], 3, 1, 1, 14),
            Self::Vgg16Bottom => ([64, 64], 3, 1, 1, 224),
            Self::AlexNetTop => ([256, 256], 3, 1, 1, 13),
            Self::AlexNetSecond => ([64, 192], 5, 1, 2, 27),
            Self::AlexNetFirst => ([3, 64], 11, 4, 2, 224),
        };
        let padding = PaddingConfig2d::Explicit(padding, padding, padding, padding);
        let config = Conv2dConfig::new(channels, [kernel; 2]).with_stride([stride; 2]).with_padding(padding);
        (config.init(&Device::default()), random([8, channels[0], side, side]))
    }
}

#[divan::bench(args = SHAPES, sample_count = 10)]
fn conv(bencher: Bencher, shape: Shape) {
    let (conv, maps) = shape.setting();
    bencher.bench(|| finished(convolve(&conv, maps.clone())));
}

#[divan::bench(args = SHAPES, sample_count = 10)]
fn conv_of_the_backend(bencher: Bencher, shape: Shape) {
    let (conv, maps) = shape.setting();
    bencher.bench(|| finished(conv.forward(maps.clone())));
}

#[divan::bench(sample_count = 10)]
fn max_pool(bencher: Bencher) {
    let maps = random([8, 64, 224, 224]);
    bencher.bench(|| finished(Pooling::max(2, 2).forward(maps.clone())));
}

#[divan::bench(sample_count = 10)]
fn mask_layer(bencher: Bencher) {
    let mask = TemplateMaskConfig::new(14).init(&Device::default());
    let maps = random([8, 512, 14, 14]);
    bencher.bench(|| finished(mask.forward(maps.clone())));
}

/// Images through a whole network, as when features are computed.
fn performer(bencher: Bencher, performer: impl Performer) {
    let side = performer.preprocessing().size;
    let images = random([8, 3, side, side]);
    bencher.bench_local(|| finished(performer.tap(images.clone()).scores));
}

#[divan::bench(sample_count = 5)]
fn alexnet(bencher: Bencher) {
    performer(bencher, AlexNetConfig::new().init(&Device::default()));
}

#[divan::bench(sample_count = 3)]
fn vgg16(bencher: Bencher) {
    performer(bencher, Vgg16Config::new().init(&Device::default()));
}
