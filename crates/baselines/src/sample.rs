//! Activation vectors of a performer's features.

use burn::config::Config;
use burn::tensor::{Int, Tensor, TensorData};
use explainer_core::Features;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::dictionary::vectors;

/// Rows of features that are read at a time.
const BATCH: usize = 256;

/// Which of the units of features a dictionary is fitted on.
#[derive(Config, Debug)]
pub struct ActivationSample {
    /// Units at most. All of them, where there are fewer; else so many different ones, drawn uniformly over all
    /// rows and places.
    #[config(default = 50_000)]
    pub count: usize,
    /// Seed of the draw.
    #[config(default = 0)]
    pub seed: u64,
}

impl ActivationSample {
    /// Activation vectors of the target maps of `features`, `[n, C]`, in the order of rows and units.
    ///
    /// # Panics
    /// If the count is 0.
    pub fn of(&self, features: &Features) -> Tensor<2> {
        assert!(self.count > 0, "ActivationSample::count must be at least 1");
        // There are no features without a row.
        let [_, _, height, width] = features.batch(&[0]).target.dims();
        let (rows, units) = (features.len(), height * width);
        let mut chosen: Vec<usize> = match rows * units {
            all if all <= self.count => (0..all).collect(),
            all => rand::seq::index::sample(&mut ChaCha8Rng::seed_from_u64(self.seed), all, self.count)
                .into_vec(),
        };
        chosen.sort_unstable();
        let mut left = &chosen[..];
        let mut parts = Vec::new();
        for first in (0..rows).step_by(BATCH) {
            let indices: Vec<usize> = (first..rows.min(first + BATCH)).collect();
            let (here, behind) =
                left.split_at(left.partition_point(|&at| at < (first + indices.len()) * units));
            left = behind;
            if here.is_empty() {
                continue;
            }
            let places: Vec<i64> = here.iter().map(|at| (at - first * units) as i64).collect();
            let places =
                Tensor::<1, Int>::from_data(TensorData::new(places, [here.len()]), features.device());
            parts.push(vectors(features.batch(&indices).target).select(0, places));
        }
        Tensor::cat(parts, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rows;
    use burn::nn::conv::{Conv2d, Conv2dConfig};
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, activation::relu};
    use explainer_core::{
        Activations, Blueprint, FeatureConfig, LabelledImage, Performer, Pooling, Preprocessing, TopLayer,
        UpperTaps,
    };
    use explainer_metrics::ReceptiveField;

    /// Its target features are the image.
    struct Pixels {
        conv: Conv2d,
        head: Linear,
    }

    impl Performer for Pixels {
        fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
            images
        }
        fn forward_from_target(&self, target: Tensor<4>) -> UpperTaps {
            let top_conv = relu(self.conv.forward(target));
            let upper = Pooling::max(4, 4).forward(top_conv.clone()).flatten(1, 3);
            UpperTaps { top_conv, scores: self.head(upper.clone()), upper: vec![upper] }
        }
        fn head(&self, upper: Tensor<2>) -> Tensor<2> {
            self.head.forward(upper)
        }
        fn preprocessing(&self) -> Preprocessing {
            Preprocessing::new(4, [0.0; 3], [1.0; 3])
        }
        fn target_field(&self) -> ReceptiveField {
            ReceptiveField::pixels()
        }
        fn top_conv_field(&self) -> ReceptiveField {
            ReceptiveField::pixels()
        }
        fn blueprint(&self) -> Blueprint<'_> {
            let top = TopLayer::Conv(&self.conv);
            Blueprint {
                top,
                length: 4,
                pool: Pooling::max(4, 4),
                upper: Vec::new(),
                activations: Activations::default(),
            }
        }
    }

    #[test]
    fn units_are_drawn_once_each_and_in_order() {
        let device = Device::flex();
        let performer = Pixels {
            conv: Conv2dConfig::new([3, 2], [1, 1]).init(&device),
            head: LinearConfig::new(2, 2).init(&device),
        };
        // Every pixel has a red value of its own: image · 16 + unit.
        let images = (0..10u8).map(|image| {
            let pixels = (0..16).flat_map(|unit| [16 * image + unit, 0, 255]).collect();
            Ok::<_, std::io::Error>(LabelledImage { pixels, category: None })
        });
        let features = Features::extract(&performer, images, &FeatureConfig::plain(), &device).unwrap();
        let reds = |sample: ActivationSample| -> Vec<i64> {
            let vectors = rows(sample.of(&features));
            assert!(vectors.iter().all(|vector| vector[1..] == [0.0, 1.0]));
            vectors.iter().map(|vector| (255.0 * vector[0]).round() as i64).collect()
        };
        assert_eq!(reds(ActivationSample::new()), (0..160).collect::<Vec<_>>());
        let some = reds(ActivationSample::new().with_count(60));
        assert!(some.len() == 60 && some.is_sorted_by(|a, b| a < b));
        assert_eq!(some, reds(ActivationSample::new().with_count(60)));
        assert_ne!(some, reds(ActivationSample::new().with_count(60).with_seed(1)));
    }
}
