//! Explainers of performers of other kinds than the paper's: linear target layers, layers in the middle, 1×1
//! convolutions without a bias, other activations, no FC layers below the head.

use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use explainer_metrics::ReceptiveField;

use crate::features::floats;
use crate::init::Initializer;
use crate::testing::{SIZE, images};
use crate::{
    Activation, Activations, Blueprint, CoreError, ExplainerConfig, FeatureConfig, Features, Fit, FitConfig,
    Performer, Pooling, Preprocessing, Reconstructed, Refit, Tapped, TopLayer, UpperTaps,
};

/// Where a [`Lite`] is explained.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Behind the stem, which is linear.
    Middle,
    /// In front of the 1×1 convolution.
    Top,
}

/// conv → activation → conv of stride 2 → activation → 1×1 conv without bias → activation → the average over the
/// maps → head.
struct Lite {
    convs: [Conv2d; 3],
    last: Linear,
    at: At,
    activation: Activation,
    /// An upper layer of the blueprint that hands on what it reads.
    identity: Option<Linear>,
    /// What `tap` adds to the scores that it has.
    added: f32,
}

const CHANNELS: [usize; 3] = [5, 7, 6];

impl Lite {
    fn new(seed: u64, at: At, activation: Activation) -> Self {
        let mut init = Initializer::new(seed, &Device::flex());
        let [stem, middle, top] = CHANNELS;
        let mut convs = [init.conv([3, stem]), init.conv([stem, middle]), init.pointwise([middle, top])];
        convs[1].stride = [2, 2];
        convs[1].padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
        convs[2].bias = None;
        for conv in &mut convs {
            // So that a ReLU6 has something to cut off.
            conv.weight = conv.weight.clone().map(|weight| weight * 5.0);
        }
        Self { convs, last: init.linear(top, 3), at, activation, identity: None, added: 0.0 }
    }

    fn below(&self, maps: Tensor<4>) -> Tensor<4> {
        self.activation.forward(self.convs[1].forward(self.activation.forward(maps)))
    }
}

impl Performer for Lite {
    fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
        let stem = self.convs[0].forward(images);
        if self.at == At::Middle { stem } else { self.below(stem) }
    }
    fn forward_from_target(&self, target: Tensor<4>) -> UpperTaps {
        let maps = if self.at == At::Middle { self.below(target) } else { target };
        let top_conv = self.activation.forward(self.convs[2].forward(maps));
        let mean = Pooling::global_average(SIZE / 2).forward(top_conv.clone()).flatten(1, 3);
        UpperTaps { top_conv, scores: self.head(mean.clone()), upper: vec![mean] }
    }
    fn tap(&self, images: Tensor<4>) -> Tapped {
        let target = self.target_features(images);
        let UpperTaps { top_conv, upper, scores } = self.forward_from_target(target.clone());
        Tapped { target, top_conv: top_conv + self.added, upper, scores }
    }
    fn head(&self, upper: Tensor<2>) -> Tensor<2> {
        self.last.forward(upper)
    }
    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::imagenet(SIZE)
    }
    fn target_field(&self) -> ReceptiveField {
        let stem = ReceptiveField::pixels().then(3, 1, 1);
        if self.at == At::Middle { stem } else { stem.then(3, 2, 1) }
    }
    fn top_conv_field(&self) -> ReceptiveField {
        ReceptiveField::pixels().then(3, 1, 1).then(3, 2, 1)
    }
    fn blueprint(&self) -> Blueprint<'_> {
        let [stem, _, top] = CHANNELS;
        let (top, length) = match self.at {
            At::Middle => (TopLayer::Layers { channels: [stem, top], length: SIZE / 2 }, SIZE),
            At::Top => (TopLayer::Conv(&self.convs[2]), SIZE / 2),
        };
        Blueprint {
            top,
            length,
            pool: Pooling::global_average(SIZE / 2),
            upper: self.identity.iter().collect(),
            activations: Activations::all(self.activation),
        }
    }
}

fn extract(performer: &Lite, count: usize) -> Result<Features, CoreError> {
    let images = images(count, 1).into_iter().map(Ok::<_, std::io::Error>);
    Features::extract(performer, images, &FeatureConfig::plain(), &Device::flex())
}

fn largest<const D: usize>(tensor: Tensor<D>) -> f32 {
    tensor.abs().max().into_scalar()
}

fn fitted(performer: &Lite, config: FitConfig) -> (Features, Fit) {
    let rows = extract(performer, 12).unwrap();
    let explainer = ExplainerConfig::for_performer(performer).init_from(performer, &Device::flex());
    let fit = config.with_progress(false).fit(explainer, performer, &rows, Some(&rows)).unwrap();
    (rows, fit)
}

#[test]
fn a_middle_layer_is_reconstructed_and_the_rest_of_the_performer_goes_on_from_there() {
    let performer = Lite::new(1, At::Middle, Activation::Relu6);
    let rows = extract(&performer, 12).unwrap();
    assert!(rows.has_negative_target());
    let config = ExplainerConfig::for_performer(&performer);
    assert_eq!((config.target_channels, config.channels, config.length), (5, 5, SIZE));
    assert_eq!((config.reconstructed, &config.upper[..]), (Reconstructed::Target, &[5 * SIZE * SIZE][..]));
    let start = config.init_from(&performer, &Device::flex());
    let target = rows.batch(&[0, 1, 2]).target;
    let first = start.interpretable.layers[0].conv.forward(target.clone());
    assert!(largest(first - target.clone()) < 1e-6, "conv-interp-1 is the identity");
    let decoded = start.decoder.forward(target.clone()).remove(0);
    assert!(largest(decoded - target.clone().flatten(1, 3)) < 1e-6, "and so is the decoder");

    let (rows, fit) = fitted(&performer, FitConfig::new().with_epochs(3).with_refit(Refit::None));
    let [blind, error] = [&fit.without_looking, &fit.validation]
        .map(|figures| figures.as_ref().expect("figures").relative_error.clone());
    assert!(error.len() == 1 && error[0] < blind[0], "{error:?}, {blind:?} without looking");
    let refitted = fit.explainer.clone().refitted(&performer, &rows, &Refit::DEFAULT, false).unwrap();
    let after = refitted.validate(&performer, &rows).unwrap().relative_error;
    assert!(after[0] < error[0], "{after:?} {error:?}: least squares");

    let image = &images(1, 1)[0].pixels;
    let explanation = fit.explainer.explain(&performer, image).unwrap();
    let encoding = fit.explainer.forward(target.clone().narrow(0, 0, 1));
    let maps = encoding.upper[0].clone().reshape([1, 5, SIZE, SIZE]);
    assert_eq!(explanation.explained_scores, floats(performer.forward_from_target(maps).scores));
}

#[test]
fn what_filters_give_to_the_scores_of_a_middle_layer_adds_up() {
    let performer = Lite::new(2, At::Middle, Activation::Relu);
    let (rows, fit) = fitted(&performer, FitConfig::new().with_epochs(2));
    let (explainer, target) = (&fit.explainer, rows.batch(&[0, 1, 2]).target);
    let upper = explainer.forward(target.clone()).upper.remove(0);
    let scores = explainer.scores(&performer, upper);
    for (image, given) in explainer.contributions(&performer, target.clone(), &[0, 1, 2]).iter().enumerate() {
        let score = f64::from(floats(scores.clone())[3 * image + image]);
        assert!((given.score - score).abs() < 1e-5 * score.abs().max(1.0));
        assert!(given.remainder() < 1e-4, "{given:?}");
        assert!(given.filters.iter().any(|given| given.abs() > 0.0));
    }
    let image: Tensor<3> = target.clone().narrow(0, 0, 1).squeeze_dim(0);
    let silenced = explainer.silenced(&performer, image, &[vec![], vec![0, 2]]);
    let [none, some] = [0, 1].map(|group| silenced.clone().narrow(0, group, 1));
    assert!(largest(none.clone() - scores.narrow(0, 0, 1)) < 1e-4);
    assert!(largest(some - none) > 0.0);
    let cam = explainer.grad_cam(&performer, target, 1, &[0, 1, 2]);
    assert_eq!(cam.dims(), [3, SIZE, SIZE]);
}

#[test]
fn shuffled_features_have_another_images_target_to_reconstruct() {
    let performer = Lite::new(3, At::Middle, Activation::Relu);
    let rows = extract(&performer, 4).unwrap();
    let decoder = ExplainerConfig::for_performer(&performer).init(&Device::flex()).decoder;
    let own = rows.batch_for(&decoder, &[2]);
    assert_eq!(floats(own.upper[0].clone()), floats(own.target));
    let shuffled = rows.with_shuffled_upper(1).unwrap();
    let other = shuffled.batch_for(&decoder, &[2]);
    let wanted = floats(other.upper[0].clone());
    assert_ne!(wanted, floats(other.target));
    assert_eq!(shuffled.wanted(&decoder, 2), std::slice::from_ref(&wanted));
    assert!((0..4).any(|row| floats(rows.batch(&[row]).target) == wanted));
}

#[test]
fn a_pointwise_top_conv_without_bias_behind_a_relu6_is_fitted_like_any_other() {
    let performer = Lite::new(4, At::Top, Activation::Relu6);
    let rows = extract(&performer, 6).unwrap();
    assert!(!rows.has_negative_target());
    let config = ExplainerConfig::for_performer(&performer);
    assert_eq!((config.reconstructed, config.channels), (Reconstructed::Upper(Activation::Relu), 6));
    let start = config.init_from(&performer, &Device::flex());
    let batch = rows.batch(&[0, 1]);
    let top_conv = performer.forward_from_target(batch.target.clone()).top_conv;
    assert!(largest(top_conv.clone()) == 6.0, "the ReLU6 cuts something off");
    let maps = start.interpretable.unwindowed(batch.target, 0);
    assert!(largest(Activation::Relu6.forward(maps) - top_conv) < 1e-5);

    let fit = fitted(&performer, FitConfig::new().with_epochs(2)).1;
    assert!(fit.notes.is_empty(), "{:?}", fit.notes);
    let (error, blind) = (fit.validation.unwrap(), fit.without_looking.unwrap());
    assert!(error.relative_error[0] < blind.relative_error[0]);
}

#[test]
fn what_does_not_apply_is_noted() {
    for activation in [Activation::Silu, Activation::Gelu, Activation::None] {
        let performer = Lite::new(4, At::Top, activation);
        let fit = fitted(&performer, FitConfig::new().with_epochs(1)).1;
        let [note] = &fit.notes[..] else { panic!("{activation:?}: {:?}", fit.notes) };
        assert!(note.starts_with("channel importance is not used: conv-interp-1 has a ReLU"), "{note}");
    }
}

#[test]
fn no_upper_layer_is_the_same_as_one_that_hands_on_what_it_reads() {
    let without = Lite::new(5, At::Top, Activation::Relu);
    let mut identity = Initializer::new(0, &Device::flex()).linear(6, 6);
    identity.weight = Param::from_tensor(Tensor::eye(6, &Device::flex()));
    let with = Lite { identity: Some(identity), ..Lite::new(5, At::Top, Activation::Relu) };
    let [a, b] = [&without, &with].map(|performer| {
        let fit = fitted(performer, FitConfig::new().with_epochs(2)).1;
        assert!(fit.notes.is_empty(), "{:?}", fit.notes);
        let validation = fit.validation.expect("figures");
        (validation.relative_error, floats(fit.explainer.decoder.layers[0].weight.val()))
    });
    assert_eq!(a, b);
}

#[test]
fn a_convolution_from_which_no_track_can_start_has_its_target_reconstructed() {
    let mut performer = Lite::new(6, At::Top, Activation::Relu);
    performer.convs[2] = Initializer::new(6, &Device::flex()).conv([7, 6]);
    performer.convs[2].kernel_size = [3, 3];
    let usual = ExplainerConfig::for_performer(&performer);
    assert!(matches!(usual.reconstructed, Reconstructed::Upper(_)));
    performer.convs[2].dilation = [2, 2];
    performer.convs[2].padding = PaddingConfig2d::Explicit(2, 2, 2, 2);
    extract(&performer, 2).unwrap();
    let config = ExplainerConfig::for_performer(&performer);
    assert_eq!((config.reconstructed, config.channels), (Reconstructed::Target, 7));
    config.init_from(&performer, &Device::flex());
}

#[test]
fn a_rest_that_makes_other_features_than_were_tapped_is_refused() {
    let performer = Lite { added: 0.5, ..Lite::new(7, At::Middle, Activation::Relu) };
    let error = extract(&performer, 2).err().expect("another top conv").to_string();
    assert!(error.contains("the top conv and forward_from_target's"), "{error}");
}

#[test]
fn negative_target_features_are_kept_in_half_precision_too() {
    let performer = Lite::new(8, At::Middle, Activation::Relu);
    let [single, half] = [false, true].map(|half| {
        let images = images(3, 1).into_iter().map(Ok::<_, std::io::Error>);
        let config = FeatureConfig::plain().with_half(half);
        let rows = Features::extract(&performer, images, &config, &Device::flex()).unwrap();
        assert!(rows.has_negative_target());
        floats(rows.batch(&[0, 1, 2]).target)
    });
    assert!(single.iter().any(|&value| value < -0.1));
    for (single, half) in single.iter().zip(&half) {
        assert!((single - half).abs() <= (single.abs() * 2f32.powi(-11)).max(2f32.powi(-25)));
    }
}
