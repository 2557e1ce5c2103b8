//! One epoch of fitting at the narrow default's size and at an AlexNet's, on made-up features.

use burn::nn::conv::Conv2dConfig;
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};
use explainer_core::{
    Blueprint, Explainer, ExplainerConfig, FeatureConfig, Features, FitConfig, LabelledImage, Performer,
    Pooling, Preprocessing, Tapped,
};
use explainer_metrics::ReceptiveField;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rows of an epoch, one batch.
const ROWS: usize = 32;

fn main() {
    divan::main();
}

/// A performer of one conv-layer in front of the top conv: cheap to tap, of any size.
struct Stand {
    first: burn::nn::conv::Conv2d,
    top: burn::nn::conv::Conv2d,
    upper: [Linear; 2],
    last: Linear,
    length: usize,
    pool: Pooling,
}

impl Stand {
    fn new(channels: usize, length: usize, pool: Pooling, width: usize, device: &Device) -> Self {
        let conv = |inputs| {
            let config = Conv2dConfig::new([inputs, channels], [3, 3]);
            config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
        };
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        let pooled = channels * pool.output(length).pow(2);
        let upper = [linear(pooled, width), linear(width, width)];
        Self { first: conv(3), top: conv(channels), upper, last: linear(width, 2), length, pool }
    }

    fn setting(&self, device: &Device) -> (Explainer, Features) {
        let image = |index: usize| LabelledImage {
            pixels: (0..3 * self.length.pow(2)).map(|at| (at * 7 + index * 31) as u8).collect(),
            category: Some(0),
        };
        let images = (0..ROWS).map(|index| Ok::<_, std::io::Error>(image(index)));
        let config = FeatureConfig::plain().with_progress(false);
        let features = Features::extract(self, images, &config, device).expect("features");
        (ExplainerConfig::for_performer(self).init_from(self, device), features)
    }
}

impl Performer for Stand {
    fn tap(&self, images: Tensor<4>) -> Tapped {
        let target = relu(self.first.forward(images));
        let top_conv = relu(self.top.forward(target.clone()));
        let Pooling { kernel, stride, .. } = self.pool;
        let options = MaxPoolOptions::new([kernel; 2]).with_stride([stride; 2]);
        let relu6 = relu(self.upper[0].forward(max_pool2d(top_conv.clone(), options).flatten(1, 3)));
        let relu7 = relu(self.upper[1].forward(relu6.clone()));
        Tapped { target, top_conv, scores: self.head(relu7.clone()), upper: vec![relu6, relu7] }
    }
    fn head(&self, upper: Tensor<2>) -> Tensor<2> {
        self.last.forward(upper)
    }
    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::imagenet(self.length)
    }
    fn target_field(&self) -> ReceptiveField {
        ReceptiveField::pixels().then(3, 1, 1)
    }
    fn top_conv_field(&self) -> ReceptiveField {
        self.target_field().then(3, 1, 1)
    }
    fn blueprint(&self) -> Blueprint<'_> {
        let upper = self.upper.iter().collect();
        Blueprint { top_conv: &self.top, length: self.length, pool: self.pool, upper }
    }
}

/// An epoch of one step of 32 rows, with the first pass that measures α.
fn epoch(bencher: divan::Bencher, performer: &Stand, push: bool) {
    let device = Device::flex();
    let (explainer, features) = performer.setting(&device);
    let config = FitConfig::new().with_epochs(1).with_batch_size(ROWS).with_progress(false);
    let config = if push { config } else { config.with_push(Vec::new()) };
    bencher.bench(|| config.fit(explainer.clone(), performer, &features, None).expect("a fit"));
}

#[divan::bench(args = [true, false], sample_count = 10)]
fn narrow_vgg16(bencher: divan::Bencher, push: bool) {
    let pool = Pooling { kernel: 2, stride: 2, padding: 0 };
    epoch(bencher, &Stand::new(64, 8, pool, 128, &Device::flex()), push);
}

#[divan::bench(args = [true, false], sample_count = 5)]
fn alexnet(bencher: divan::Bencher, push: bool) {
    let pool = Pooling { kernel: 3, stride: 2, padding: 0 };
    epoch(bencher, &Stand::new(256, 13, pool, 1024, &Device::flex()), push);
}
