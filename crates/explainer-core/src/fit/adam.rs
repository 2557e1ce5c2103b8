//! Adam in one pass.

use burn::optim::{Adam, AdamConfig, AdamState, AdaptiveMomentumState, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use crate::memory::{in_memory, values, values_mut};

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
/// As its authors have it, small beside the gradients of relative errors.
const EPSILON: f32 = 1e-8;
/// Numbers that one task changes.
const CHUNK: usize = 1 << 15;

/// The optimiser of a fit.
pub(crate) fn optimizer() -> ModuleOptimizer {
    let config = AdamConfig::new().with_beta_1(BETA_1).with_beta_2(BETA_2).with_epsilon(EPSILON);
    OnePass { adam: config.build() }.into()
}

/// Burn's Adam, and on the CPU the same arithmetic in one pass over a parameter, its gradient and its
/// moments: with large FC layers the dozen passes of the tensor operations take longer than the rest of a
/// step.
///
/// Source: Kingma and Ba, arXiv:1412.6980.
#[derive(Clone)]
struct OnePass {
    adam: Adam,
}

impl Optimizer for OnePass {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        match state {
            Some(state) if in_memory(&tensor) && in_memory(&gradient) => {
                let (tensor, state) = step(rate as f32, tensor, gradient, state);
                (tensor, Some(state))
            }
            // The first step of every parameter has moments to make.
            state => self.adam.step(rate, tensor, gradient, state),
        }
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        Adam::to_device(state, device)
    }
}

/// `m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`, `w ← w − rate · m̂ / (√v̂ + ε)`.
fn step<const D: usize>(
    rate: f32,
    tensor: Tensor<D>,
    gradient: Tensor<D>,
    state: AdamState<D>,
) -> (Tensor<D>, AdamState<D>) {
    let AdaptiveMomentumState { time, moment_1, moment_2, .. } = state.momentum;
    let device = tensor.device();
    let time = time + 1;
    let root = (1.0 - BETA_2.powi(time as i32)).sqrt();
    let (correction, epsilon) = (root / (1.0 - BETA_1.powi(time as i32)), EPSILON * root);
    let gradient = gradient.into_data();
    let [mut weight, mut first, mut second] = [tensor, moment_1, moment_2].map(Tensor::into_data);
    values_mut(&mut weight)
        .par_chunks_mut(CHUNK)
        .zip(values_mut(&mut first).par_chunks_mut(CHUNK))
        .zip(values_mut(&mut second).par_chunks_mut(CHUNK))
        .zip(values(&gradient).par_chunks(CHUNK))
        .for_each(|(((weight, first), second), gradient)| {
            let moments = first.iter_mut().zip(second);
            for ((w, (m, v)), g) in weight.iter_mut().zip(moments).zip(gradient) {
                *m = *m * BETA_1 + g * (1.0 - BETA_1);
                *v = *v * BETA_2 + g * g * (1.0 - BETA_2);
                *w -= *m * correction / (v.sqrt() + epsilon) * rate;
            }
        });
    let [weight, first, second] = [weight, first, second].map(|data| Tensor::from_data(data, &device));
    (weight, AdamState::new(AdaptiveMomentumState::new(time, first, second)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::floats;
    use crate::init::Initializer;
    use burn::module::Module;
    use burn::nn::Linear;
    use burn::optim::GradientsParams;

    /// Over several steps, with rates that change and a parameter of more than one chunk.
    #[test]
    fn it_is_burns_adam() {
        let mut init = Initializer::new(4, &Device::flex());
        let mut own: Linear = init.linear(300, 200).train();
        let mut theirs = own.clone();
        let mut one_pass = optimizer();
        let mut adam = AdamConfig::new().with_epsilon(EPSILON).init();
        for step in 1..=4 {
            let target = Tensor::from_inner(init.linear(200, 300).weight.val()).transpose();
            let gradients = |linear: &Linear| {
                let loss = (linear.weight.val() - target.clone()).powi_scalar(2).sum()
                    + linear.bias.as_ref().unwrap().val().powi_scalar(2).sum();
                GradientsParams::from_grads(loss.backward(), linear)
            };
            let (one, many) = (gradients(&own), gradients(&theirs));
            own = one_pass.step(0.1 / step as f64, own, one);
            theirs = adam.step(0.1 / step as f64, theirs, many);
            assert_eq!(floats(own.weight.val()), floats(theirs.weight.val()), "step {step}");
            assert_eq!(floats(own.bias.as_ref().unwrap().val()), floats(theirs.bias.as_ref().unwrap().val()));
        }
    }
}
