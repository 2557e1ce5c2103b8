//! Pictures with planted parts, and a performer that sees them unit by unit.

use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use explainer_metrics::ReceptiveField;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::init::Initializer;
use crate::{
    Activations, Blueprint, FeatureConfig, Features, LabelledImage, Performer, Pooling, Preprocessing,
    TopLayer, UpperTaps,
};

/// Side of the pictures, and of a unit, in pixels.
pub(crate) const SIDE: usize = 36;
pub(crate) const UNIT: usize = 3;
/// Side of the maps.
pub(crate) const UNITS: usize = SIDE / UNIT;
/// Channels of the target features.
pub(crate) const CHANNELS: usize = 3 * UNIT * UNIT;
/// Colours of the parts.
pub(crate) const COLORS: [[u8; 3]; 3] = [[250, 30, 30], [30, 250, 30], [40, 40, 250]];
/// Units on a side of a part.
pub(crate) const PART: usize = 2;

/// Its target features are the pixels of each unit; the rest of it is an average and a head.
pub(crate) struct Mosaic {
    pub(crate) head: Linear,
    /// On the target features; the head has its inverse.
    pub(crate) scale: f32,
}

impl Mosaic {
    pub(crate) fn new(seed: u64) -> Self {
        Self { head: Initializer::new(seed, &Device::flex()).linear(CHANNELS, 3), scale: 1.0 }
    }

    /// `[CHANNELS, 3]`.
    pub(crate) fn head_weight(&self) -> Tensor<2> {
        self.head.weight.val()
    }
}

impl Performer for Mosaic {
    fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
        let batch = images.dims()[0];
        let pixels = images.reshape([batch, 3, UNITS, UNIT, UNITS, UNIT]).permute([0, 1, 3, 5, 2, 4]);
        pixels.reshape([batch, CHANNELS, UNITS, UNITS]) * self.scale
    }
    fn forward_from_target(&self, target: Tensor<4>) -> UpperTaps {
        let top_conv = (target / self.scale).tanh();
        let upper = top_conv.clone().mean_dim(3).mean_dim(2).flatten::<2>(1, 3) * 10.0;
        UpperTaps { top_conv, scores: self.head(upper.clone()), upper: vec![upper] }
    }
    fn head(&self, upper: Tensor<2>) -> Tensor<2> {
        self.head.forward(upper)
    }
    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::new(SIDE, [0.5; 3], [0.25; 3])
    }
    fn target_field(&self) -> ReceptiveField {
        ReceptiveField::pixels().then(UNIT, UNIT, 0)
    }
    fn top_conv_field(&self) -> ReceptiveField {
        self.target_field()
    }
    fn blueprint(&self) -> Blueprint<'_> {
        Blueprint {
            top: TopLayer::Layers { channels: [CHANNELS; 2], length: UNITS },
            length: UNITS,
            pool: Pooling::global_average(UNITS),
            upper: Vec::new(),
            activations: Activations::default(),
        }
    }
}

/// A picture and where its parts are: the unit of the upper left corner of each, `None` of one that is not there.
pub(crate) struct Planted {
    pub(crate) pixels: Vec<u8>,
    pub(crate) places: [Option<[usize; 2]>; 3],
}

/// Noise with the parts at these places.
pub(crate) fn picture(places: [Option<[usize; 2]>; 3], rng: &mut ChaCha8Rng) -> Planted {
    let mut pixels: Vec<u8> = (0..3 * SIDE * SIDE).map(|_| rng.random_range(100..156)).collect();
    for (color, [row, column]) in COLORS.iter().zip(places).filter_map(|(color, place)| Some((color, place?)))
    {
        for y in row * UNIT..(row + PART) * UNIT {
            for x in column * UNIT..(column + PART) * UNIT {
                pixels[(y * SIDE + x) * 3..][..3].copy_from_slice(color);
            }
        }
    }
    Planted { pixels, places }
}

/// Pictures of an object of three parts, each of which is missing in one of five, at any place but not on one another.
pub(crate) fn planted(count: usize, seed: u64) -> Vec<Planted> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let apart = |places: &[Option<[usize; 2]>; 3]| {
        let far = |a: [usize; 2], b: [usize; 2]| a[0].abs_diff(b[0]).max(a[1].abs_diff(b[1])) > 4;
        let found: Vec<[usize; 2]> = places.iter().flatten().copied().collect();
        (0..found.len()).all(|a| (0..a).all(|b| far(found[a], found[b])))
    };
    let mut draw = || loop {
        let places = [(); 3].map(|()| {
            rng.random_bool(0.8)
                .then(|| [rng.random_range(0..UNITS - PART), rng.random_range(0..UNITS - PART)])
        });
        if apart(&places) && places.iter().any(Option::is_some) {
            return picture(places, &mut rng);
        }
    };
    (0..count).map(|_| draw()).collect()
}

/// The features of such pictures and of as many of mere noise.
pub(crate) fn mosaic_features(performer: &Mosaic, objects: &[Planted], config: &FeatureConfig) -> Features {
    let mut rng = ChaCha8Rng::seed_from_u64(99);
    let objects =
        objects.iter().map(|planted| LabelledImage { pixels: planted.pixels.clone(), category: Some(0) });
    let others: Vec<_> = (0..objects.len())
        .map(|_| LabelledImage { pixels: picture([None; 3], &mut rng).pixels, category: None })
        .collect();
    let images = objects.chain(others).map(Ok::<_, std::io::Error>);
    Features::extract(performer, images, config, &Device::flex()).unwrap()
}
