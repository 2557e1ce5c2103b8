//! What can be trained.

use burn::module::Module;
use burn::tensor::{Distribution, Tensor, TensorData};
use explainer_core::Performer;
use rand_chacha::ChaCha8Rng;

use crate::layer::ConvLayer;
use crate::{Architecture, ConvNet, EfficientNetLite, ResNet, ResidualArchitecture};

/// A network that [`TrainConfig`](super::TrainConfig) can train. For a module of your own that implements
/// [`Performer`] an empty implementation will do; what it has of batch-norms behaves as Burn's do.
pub trait Trainable: Performer + Module {
    /// The top conv's maps and the scores of preprocessed images while training, `[batch, channels, height, width]`
    /// and `[batch, classes]`. A network with fully connected layers passes their units through `dropout`.
    fn training_taps(&self, images: Tensor<4>, dropout: &mut Dropout<'_>) -> (Tensor<4>, Tensor<2>) {
        let _ = dropout;
        let tapped = self.tap(images);
        (tapped.top_conv, tapped.scores)
    }

    /// The network with a batch-norm behind each convolution, for the time it is trained.
    fn with_norms(self) -> Self {
        self
    }

    /// The network that computes without the batch-norms of [`with_norms`](Self::with_norms) what this one
    /// does with them.
    fn without_norms(self) -> Self {
        self
    }
}

impl<A: Architecture> Trainable for ConvNet<A> {
    fn training_taps(&self, images: Tensor<4>, dropout: &mut Dropout<'_>) -> (Tensor<4>, Tensor<2>) {
        self.regularized(images, |units| dropout.apply(units))
    }

    fn with_norms(self) -> Self {
        self.map_convs(ConvLayer::normalized)
    }

    fn without_norms(self) -> Self {
        self.map_convs(ConvLayer::folded)
    }
}

impl<A: ResidualArchitecture> Trainable for ResNet<A> {
    fn with_norms(self) -> Self {
        self.map_convs(ConvLayer::normalized)
    }

    fn without_norms(self) -> Self {
        self.map_convs(ConvLayer::folded)
    }
}

impl Trainable for EfficientNetLite {
    fn with_norms(self) -> Self {
        self.map_convs(ConvLayer::normalized)
    }

    fn without_norms(self) -> Self {
        self.map_convs(ConvLayer::folded)
    }
}

/// Zeroes units and enlarges the others in proportion (Srivastava et al. 2014). The units are drawn from a
/// generator of its own, not from the device's, which other threads draw from as well.
#[derive(Debug)]
pub struct Dropout<'a> {
    probability: f64,
    rng: &'a mut ChaCha8Rng,
}

impl<'a> Dropout<'a> {
    pub(super) fn new(probability: f64, rng: &'a mut ChaCha8Rng) -> Self {
        Self { probability, rng }
    }

    /// Some of the units.
    pub fn apply<const D: usize>(&mut self, units: Tensor<D>) -> Tensor<D> {
        if self.probability == 0.0 {
            return units;
        }
        let kept = 1.0 - self.probability;
        let mask = TensorData::random::<f32, _, _>(units.dims(), Distribution::Bernoulli(kept), self.rng);
        let mask = Tensor::from_data(mask, &units.device());
        units * mask.div_scalar(kept)
    }
}
