//! From the encoder's output to what is reconstructed of the performer.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::fit::outer_product;
use crate::{Activation, Explainer, Performer};

/// What a decoder reconstructs.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Reconstructed {
    /// The upper features (relu6, relu7), by fully connected layers with this activation, the performer's, behind
    /// each.
    Upper(Activation),
    /// The target features, by a 1×1 convolution; the frozen rest of the performer
    /// ([`Performer::forward_from_target`]) makes upper features and scores of them. For a target in the middle of the
    /// network.
    Target,
}

/// Decoder: fc-dec-1 → ReLU → fc-dec-2 → ReLU, one layer for each of the performer's upper
/// features, which it reconstructs (relu6, relu7). The performer's own activation stands in the ReLU's place.
/// Or, for a target in the middle of the network, a 1×1 convolution that reconstructs the target features
/// ([`Reconstructed`]).
///
/// Source: arXiv:1805.07468, decoder; the convolution is ours.
///
/// # Shapes
/// - input: `[batch, D, P, P]`, the encoder's output
/// - output: `[batch, width_l]` for every layer l; or the target features, `[batch, C · L · L]`
#[derive(Module, Debug)]
pub struct Decoder {
    /// fc-dec-1, fc-dec-2; none where the target features are reconstructed.
    pub(crate) layers: Vec<Linear>,
    /// The convolution that reconstructs these.
    pub(crate) maps: Option<Conv2d>,
    /// Behind each layer.
    #[module(skip)]
    pub(crate) activation: Activation,
}

impl Decoder {
    /// What is reconstructed, lowest layer first.
    pub fn forward(&self, encoded: Tensor<4>) -> Vec<Tensor<2>> {
        if let Some(conv) = &self.maps {
            return vec![conv.forward(encoded).flatten(1, 3)];
        }
        let mut input: Tensor<2> = encoded.flatten(1, 3);
        self.layers
            .iter()
            .map(|layer| {
                input = self.activation.forward(linear(layer, input.clone()));
                input.clone()
            })
            .collect()
    }

    /// The decoder that makes of an encoding what this one makes of the encoding times `gain`, `[D]`.
    pub(crate) fn with_gain(mut self, gain: Tensor<1>) -> Self {
        let [channels] = gain.dims();
        if let Some(conv) = &mut self.maps {
            conv.weight = conv.weight.clone().map(|weight| weight * gain.reshape([1, channels, 1, 1]));
            return self;
        }
        let first = &mut self.layers[0].weight;
        let [inputs, outputs] = first.dims();
        *first = first.clone().map(|weight| {
            (weight.reshape([channels, inputs / channels, outputs]) * gain.reshape([channels, 1, 1]))
                .reshape([inputs, outputs])
        });
        self
    }

    /// C, if the target features are reconstructed.
    pub(crate) fn target_channels(&self) -> Option<usize> {
        self.maps.as_ref().map(|conv| conv.weight.dims()[0])
    }

    /// The backward pass by hand, of plain tensors: δ, the gradient in front of its activation, of every layer, and
    /// ∂L/∂x of the decoder's input.
    ///
    /// # Shapes
    /// - input: `[batch, D · P · P]`, the decoder's
    /// - upper and δ: `[batch, width_l]`, what [`forward`](Self::forward) made of the input
    /// - arriving: alike, ∂L/∂upper without the way through the layers above; nothing where L does not read a layer
    /// - output: `[batch, D · P · P]`
    pub(crate) fn backward(
        &self,
        input: &Tensor<2>,
        upper: &[Tensor<2>],
        arriving: Vec<Option<Tensor<2>>>,
    ) -> (Vec<Tensor<2>>, Tensor<2>) {
        if let Some(conv) = &self.maps {
            let delta = arriving.into_iter().next().flatten().expect("the loss reads the reconstruction");
            let ([_, inputs], weight) = (input.dims(), channel_matrix(conv));
            let through =
                weight.transpose().unsqueeze::<3>().matmul(by_channel(delta.clone(), conv.weight.dims()[0]));
            let through = through.flatten::<2>(1, 2);
            assert_eq!(through.dims()[1], inputs, "the decoder's input");
            return (vec![delta], through);
        }
        let (mut deltas, mut from_above) = (Vec::new(), None);
        for (at, arriving) in arriving.into_iter().enumerate().rev() {
            let (layer, below) = (&self.layers[at], if at == 0 { input } else { &upper[at - 1] });
            let arriving = match (arriving, from_above.take()) {
                (Some(own), Some(through)) => own + through,
                (own, through) => own.or(through).expect("the loss reads the last layer"),
            };
            let delta = self.through_activation(arriving, layer, below, &upper[at]);
            // δ·Wᵀ as (W·δᵀ)ᵀ: see `linear`.
            from_above = Some(layer.weight.val().matmul(delta.clone().transpose()).transpose());
            deltas.push(delta);
        }
        deltas.reverse();
        (deltas, from_above.expect("there is a decoder layer"))
    }

    /// The gradient in front of a layer's activation. `below` is what the layer reads, `output` what it hands on.
    fn through_activation(
        &self,
        arriving: Tensor<2>,
        layer: &Linear,
        below: &Tensor<2>,
        output: &Tensor<2>,
    ) -> Tensor<2> {
        match self.activation {
            Activation::None => arriving,
            Activation::Relu => arriving * output.clone().greater_scalar(0.0).float(),
            activation => {
                let leaf = Tensor::from_inner(linear(layer, below.clone())).require_grad();
                let gradients = activation.forward(leaf.clone()).sum().backward();
                arriving * leaf.grad(&gradients).expect("an activation depends on its input")
            }
        }
    }

    /// Puts ∂L/∂W = xᵀ·δ and ∂L/∂b of every layer into `gradients`.
    pub(crate) fn register(
        &self,
        gradients: &mut GradientsParams,
        input: Tensor<2>,
        upper: &[Tensor<2>],
        deltas: Vec<Tensor<2>>,
    ) {
        if let Some(conv) = &self.maps {
            let [outputs, inputs, ..] = conv.weight.dims();
            let delta = deltas.into_iter().next().expect("one layer");
            let (delta, input) = (by_channel(delta, outputs), by_channel(input, inputs));
            if let Some(bias) = &conv.bias {
                let summed: Tensor<2> = delta.clone().sum_dim(2).squeeze_dim(2);
                gradients.register(bias.id, summed.sum_dim(0).squeeze_dim::<1>(0));
            }
            let products = delta.matmul(input.swap_dims(1, 2)).sum_dim(0);
            gradients.register(conv.weight.id, products.reshape([outputs, inputs, 1, 1]));
            return;
        }
        let inputs = std::iter::once(&input).chain(upper);
        for ((layer, input), delta) in self.layers.iter().zip(inputs).zip(deltas) {
            if let Some(bias) = &layer.bias {
                gradients.register(bias.id, delta.clone().sum_dim(0).squeeze_dim::<1>(0));
            }
            gradients.register(layer.weight.id, outer_product(input.clone(), delta));
        }
    }
}

/// Maps that lie flat as `[batch, channels, units]`.
fn by_channel(maps: Tensor<2>, channels: usize) -> Tensor<3> {
    let [batch, width] = maps.dims();
    maps.reshape([batch, channels, width / channels])
}

/// The weights of a 1×1 convolution, `[outputs, inputs]`.
fn channel_matrix(conv: &Conv2d) -> Tensor<2> {
    let [outputs, inputs, ..] = conv.weight.dims();
    conv.weight.val().reshape([outputs, inputs])
}

/// The scores that a performer gives with what a decoder has reconstructed last: of upper features those of its head;
/// of target features, of `channels` channels, those of all its layers above.
pub(crate) fn scores_of<P: Performer>(
    performer: &P,
    channels: Option<usize>,
    reconstructed: Tensor<2>,
) -> Tensor<2> {
    let Some(channels) = channels else { return performer.head(reconstructed) };
    let [batch, width] = reconstructed.dims();
    let length = (width / channels).isqrt();
    performer.forward_from_target(reconstructed.reshape([batch, channels, length, length])).scores
}

impl Explainer {
    /// The scores that the performer gives with what was reconstructed
    /// ([`Encoding::upper`](crate::Encoding::upper)): those of its head, or, where the target features were
    /// reconstructed, of all its layers above the target.
    ///
    /// # Shapes
    /// - reconstructed: the last of `Encoding::upper`, `[batch, width]`
    /// - output: `[batch, classes]`
    pub fn scores<P: Performer>(&self, performer: &P, reconstructed: Tensor<2>) -> Tensor<2> {
        scores_of(performer, self.decoder.target_channels(), reconstructed)
    }
}

/// `x·W + b` as `(Wᵀ·xᵀ)ᵀ + b`: the same numbers, in a form in which products with the large operand need no
/// transposed copy of it, neither here nor in a backward pass, and so are several times faster on the CPU.
pub(crate) fn linear(layer: &Linear, input: Tensor<2>) -> Tensor<2> {
    let output = layer.weight.val().transpose().matmul(input.transpose()).transpose();
    match &layer.bias {
        Some(bias) => output + bias.val().unsqueeze(),
        None => output,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::floats;
    use crate::fit::product;
    use crate::init::Initializer;
    use burn::tensor::Device;

    #[test]
    fn the_transposed_product_is_the_layer() {
        let device = Device::flex();
        let mut init = Initializer::new(3, &device);
        let layer = init.linear(7, 5);
        let input = init.linear(4, 7).weight.val();
        let (ours, theirs) = (floats(linear(&layer, input.clone())), floats(layer.forward(input)));
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }

    /// Compares the backward pass by hand with autodiff's, of Σ w ∘ output.
    fn assert_gradients(decoder: &Decoder, encoded: Tensor<4>) {
        let (trained, leaf) = (decoder.clone().train(), Tensor::from_inner(encoded.clone()).require_grad());
        let upper = trained.forward(leaf.clone());
        let weights: Vec<Tensor<2>> = upper.iter().map(|upper| upper.clone().inner().cos()).collect();
        let loss = upper
            .iter()
            .zip(&weights)
            .map(|(upper, weights)| (upper.clone() * weights.clone().autodiff()).sum());
        let mut graph = loss.reduce(|sum, term| sum + term).unwrap().backward();
        let expected = leaf.grad_remove(&mut graph).unwrap();
        let expected_weights = GradientsParams::from_module(&mut graph, &trained);

        let (input, upper) = (encoded.clone().flatten::<2>(1, 3), decoder.forward(encoded));
        let arriving = weights.into_iter().map(Some).collect();
        let (deltas, found) = decoder.backward(&input, &upper, arriving);
        let mut gradients = GradientsParams::new();
        decoder.register(&mut gradients, input, &upper, deltas);
        let close = |found: Vec<f32>, expected: Vec<f32>| {
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-4, "{found}, expected {expected}");
            }
        };
        close(floats(found), floats(expected));
        let mut seen = 0;
        for layer in &decoder.layers {
            let gradient = |gradients: &GradientsParams| gradients.get::<2>(layer.weight.id).unwrap();
            let found = product(gradient(&gradients), layer.weight.dims()[0]);
            close(floats(found), floats(gradient(&expected_weights)));
            let gradient = |gradients: &GradientsParams| {
                floats(gradients.get::<1>(layer.bias.as_ref().unwrap().id).unwrap())
            };
            close(gradient(&gradients), gradient(&expected_weights));
            seen += 1;
        }
        if let Some(conv) = &decoder.maps {
            let gradient = |gradients: &GradientsParams| floats(gradients.get::<4>(conv.weight.id).unwrap());
            close(gradient(&gradients), gradient(&expected_weights));
            let gradient = |gradients: &GradientsParams| {
                floats(gradients.get::<1>(conv.bias.as_ref().unwrap().id).unwrap())
            };
            close(gradient(&gradients), gradient(&expected_weights));
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn the_backward_pass_is_autodiffs_with_every_activation() {
        let device = Device::flex();
        for activation in
            [Activation::None, Activation::Relu, Activation::Relu6, Activation::Silu, Activation::Gelu]
        {
            let mut init = Initializer::new(4, &device);
            let layers = vec![init.linear(8, 6), init.linear(6, 5)];
            let decoder = Decoder { layers, maps: None, activation };
            // Large, so that a ReLU6 has both ends.
            let encoded = init.conv([2, 3]).weight.val().slice([0..3, 0..2, 0..2, 0..2]) * 60.0;
            assert_gradients(&decoder, encoded);
        }
        let mut init = Initializer::new(5, &device);
        let decoder =
            Decoder { layers: Vec::new(), maps: Some(init.pointwise([2, 4])), activation: Activation::None };
        assert_gradients(&decoder, init.conv([2, 3]).weight.val().slice([0..3, 0..2, 0..2, 0..2]));
    }
}
