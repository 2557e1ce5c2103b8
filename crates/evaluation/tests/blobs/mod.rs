//! Pictures of a body with a head, and a performer that sees colours.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor};
use explainer_core::{Activations, Blueprint, Performer, Pooling, Preprocessing, TopLayer, UpperTaps};
use explainer_datasets::{Dataset, DatasetError, Point, Sample, Split};
use explainer_metrics::ReceptiveField;
use image::{Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Side of the pictures.
pub const SIDE: usize = 64;
/// Pixels of a unit.
const UNIT: usize = 8;

/// Grey scenes with a white body, on either side of which sits a purple head at a distance that varies; red and blue
/// spots lie around. The tail is annotated in every second picture only.
pub struct Blobs {
    count: usize,
    landmarks: Vec<String>,
    categories: Vec<String>,
    /// Whether every head is said to be out of the picture.
    outside: bool,
}

impl Blobs {
    pub fn new(count: usize) -> Self {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Self { count, landmarks: names(&["head", "tail"]), categories: names(&["blob"]), outside: false }
    }

    /// Annotations that place every head out of the picture.
    pub fn outside(self) -> Self {
        Self { outside: true, ..self }
    }

    pub fn with_landmarks(self, landmarks: &[&str]) -> Self {
        Self { landmarks: landmarks.iter().map(ToString::to_string).collect(), ..self }
    }
}

pub fn spot(image: &mut RgbImage, [x, y]: [f32; 2], radius: f32, color: [u8; 3]) {
    for (column, row, pixel) in image.enumerate_pixels_mut() {
        if (column as f32 - x).hypot(row as f32 - y) < radius {
            *pixel = Rgb(color);
        }
    }
}

impl Dataset for Blobs {
    fn name(&self) -> &str {
        "blobs"
    }
    fn len(&self) -> usize {
        self.count
    }
    fn sample(&self, index: usize) -> Result<Sample, DatasetError> {
        let mut rng = ChaCha8Rng::seed_from_u64(index as u64);
        let mut image = RgbImage::from_fn(SIDE as u32, SIDE as u32, |_, _| {
            let grey = rng.random_range(90..110);
            Rgb([grey; 3])
        });
        let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
        let body = [32.0 + rng.random_range(-6.0..6.0), 32.0 + rng.random_range(-6.0..6.0f32)];
        let head =
            [body[0] + side * 12.0 + rng.random_range(-5.0..5.0), body[1] + rng.random_range(-16.0..16.0)];
        for color in [[220, 30, 30], [30, 30, 220], [220, 30, 30], [30, 30, 220]] {
            let place = [rng.random_range(4.0..60.0), rng.random_range(4.0..60.0)];
            spot(&mut image, place, 4.0, color);
        }
        spot(&mut image, body, 8.0, [250, 250, 250]);
        spot(&mut image, head, 6.0, [200, 40, 200]);
        let point = |[x, y]: [f32; 2]| Point { x, y };
        let tail = [body[0] - side * 14.0, body[1]];
        let places = [
            Some(point(if self.outside { [head[0] + 100.0, head[1]] } else { head })),
            index.is_multiple_of(2).then(|| point(tail)),
        ];
        Ok(Sample {
            id: format!("blob {index}"),
            image,
            category: Some(0),
            bounding_box: None,
            landmarks: (0..self.landmarks.len()).map(|at| places.get(at).copied().flatten()).collect(),
            masks: Vec::new(),
        })
    }
    fn categories(&self) -> &[String] {
        &self.categories
    }
    fn landmark_names(&self) -> &[String] {
        &self.landmarks
    }
    fn split(&self, _: usize) -> Split {
        Split::Train
    }
    fn category(&self, _: usize) -> Option<usize> {
        Some(0)
    }
    fn has_landmark(&self, index: usize, landmark: usize) -> bool {
        landmark == 0 || (landmark == 1 && index.is_multiple_of(2))
    }
}

/// Its target features are the colours of 8 × 8 pixels, its top conv a mixture of them.
pub struct Colors {
    conv: Conv2d,
    head: Linear,
}

impl Colors {
    pub fn new(device: &Device) -> Self {
        let mut conv = Conv2dConfig::new([3, 4], [1, 1]).init(device);
        let weights = [[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9], [0.3, 0.3, 0.3]];
        conv.weight = Param::from_tensor(Tensor::<2>::from_floats(weights, device).reshape([4, 3, 1, 1]));
        conv.bias = None;
        let mut head = LinearConfig::new(4, 2).with_bias(false).init(device);
        let weights = [[1.0, -1.0], [0.0, 0.5], [1.0, -1.0], [-0.5, 0.5]];
        head.weight = Param::from_tensor(Tensor::from_floats(weights, device));
        Self { conv, head }
    }

    /// Scores with these added.
    pub fn with_bias(mut self, bias: [f32; 2]) -> Self {
        let device = self.head.weight.val().device();
        self.head.bias = Some(Param::from_tensor(Tensor::from_floats(bias, &device)));
        self
    }

    /// The receptive field of its units.
    pub fn field() -> ReceptiveField {
        ReceptiveField::pixels().then(UNIT, UNIT, 0)
    }
}

impl Performer for Colors {
    fn forward_from_target(&self, target: Tensor<4>) -> UpperTaps {
        let top_conv = relu(self.conv.forward(target));
        let upper = Pooling::global_average(SIDE / UNIT).forward(top_conv.clone()).flatten(1, 3);
        UpperTaps { top_conv, scores: self.head(upper.clone()), upper: vec![upper] }
    }
    fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
        let options = AvgPoolOptions::new([UNIT, UNIT]).with_stride([UNIT, UNIT]);
        avg_pool2d(images, options)
    }
    fn head(&self, upper: Tensor<2>) -> Tensor<2> {
        self.head.forward(upper)
    }
    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::new(SIDE, [0.0; 3], [1.0; 3])
    }
    fn target_field(&self) -> ReceptiveField {
        Self::field()
    }
    fn top_conv_field(&self) -> ReceptiveField {
        Self::field()
    }
    fn blueprint(&self) -> Blueprint<'_> {
        let length = SIDE / UNIT;
        let pool = Pooling::global_average(length);
        let top = TopLayer::Conv(&self.conv);
        Blueprint { top, length, pool, upper: Vec::new(), activations: Activations::default() }
    }
}
