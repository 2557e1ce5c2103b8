//! Adam in one pass.

use burn::optim::{Adam, AdamConfig, AdamState, AdaptiveMomentumState, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use crate::memory::{in_memory, values, values_mut, vectorized};
use crate::product::{Matrix, product_into};

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

/// ∂L/∂W = xᵀ·δ of `y = x·W`, as the optimiser of a fit takes it.
///
/// On the CPU it stays in its factors, side by side, `[rows, inputs + outputs]`, which is never the shape of W: a
/// large FC layer's gradient would be written to memory and read from it again, and takes its products less time
/// than that. Elsewhere it is the product.
///
/// # Shapes
/// - input: `[rows, inputs]`
/// - delta: `[rows, outputs]`
pub(crate) fn outer_product(input: Tensor<2>, delta: Tensor<2>) -> Tensor<2> {
    if in_memory(&input) && in_memory(&delta) {
        Tensor::cat(vec![input, delta], 1)
    } else {
        input.transpose().matmul(delta)
    }
}

/// What [`outer_product`] stands for.
#[cfg(test)]
pub(crate) fn product(factors: Tensor<2>, inputs: usize) -> Tensor<2> {
    let [_, both] = factors.dims();
    factors.clone().narrow(1, 0, inputs).transpose().matmul(factors.narrow(1, inputs, both - inputs))
}

/// Burn's Adam, and on the CPU the same arithmetic in one pass over a parameter, its gradient and its
/// moments: with large FC layers the dozen passes of the tensor operations take longer than the rest of a
/// step. There it takes gradients in factors as well ([`outer_product`]).
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
        if !(in_memory(&tensor) && in_memory(&gradient)) {
            return self.adam.step(rate, tensor, gradient, state);
        }
        let (dims, device) = (tensor.dims(), tensor.device());
        let zeros = || Tensor::zeros(dims, &device);
        let state = state.unwrap_or_else(|| AdamState::new(AdaptiveMomentumState::new(0, zeros(), zeros())));
        let (tensor, state) = step(rate as f32, tensor, gradient, state);
        (tensor, Some(state))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        Adam::to_device(state, device)
    }
}

/// One step of one parameter.
#[derive(Clone, Copy)]
struct Update {
    rate: f32,
    /// √(1 − β₂ᵗ) / (1 − β₁ᵗ).
    correction: f32,
    /// ε √(1 − β₂ᵗ).
    epsilon: f32,
}

impl Update {
    fn new(rate: f32, time: usize) -> Self {
        let root = (1.0 - BETA_2.powi(time as i32)).sqrt();
        Self { rate, correction: root / (1.0 - BETA_1.powi(time as i32)), epsilon: EPSILON * root }
    }

    /// `m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`, `w ← w − rate · m̂ / (√v̂ + ε)`.
    fn apply(self, weight: &mut [f32], [first, second]: [&mut [f32]; 2], gradient: &[f32]) {
        vectorized(
            #[inline(always)]
            || {
                let moments = first.iter_mut().zip(second);
                for ((w, (m, v)), g) in weight.iter_mut().zip(moments).zip(gradient) {
                    *m = *m * BETA_1 + g * (1.0 - BETA_1);
                    *v = *v * BETA_2 + g * g * (1.0 - BETA_2);
                    *w -= *m * self.correction / (v.sqrt() + self.epsilon) * self.rate;
                }
            },
        );
    }
}

fn step<const D: usize>(
    rate: f32,
    tensor: Tensor<D>,
    gradient: Tensor<D>,
    state: AdamState<D>,
) -> (Tensor<D>, AdamState<D>) {
    let AdaptiveMomentumState { time, moment_1, moment_2, .. } = state.momentum;
    let (dims, device, time) = (tensor.dims(), tensor.device(), time + 1);
    let update = Update::new(rate, time);
    let factors = (gradient.dims() != dims).then(|| Factors::shape(&dims, &gradient.dims()));
    let gradient = gradient.into_data();
    let gradient = values(&gradient);
    let [mut weight, mut first, mut second] = [tensor, moment_1, moment_2].map(Tensor::into_data);
    // Whole rows of a matrix whose gradient is in factors, as many as suit products by six rows at a time.
    let chunk = factors.map_or(CHUNK, |[_, _, outputs]| (CHUNK / outputs / 6).max(1) * 12 * outputs);
    let chunks = values_mut(&mut weight)
        .par_chunks_mut(chunk)
        .zip(values_mut(&mut first).par_chunks_mut(chunk))
        .zip(values_mut(&mut second).par_chunks_mut(chunk));
    match factors {
        None => chunks.zip(gradient.par_chunks(chunk)).for_each(|(((weight, first), second), gradient)| {
            update.apply(weight, [first, second], gradient);
        }),
        Some(shape) => chunks.enumerate().for_each_init(
            || vec![0.0; chunk],
            |product, (index, ((weight, first), second))| {
                let product = &mut product[..weight.len()];
                Factors { values: gradient, shape }.rows(index * chunk / shape[2], product);
                update.apply(weight, [first, second], product);
            },
        ),
    }
    let [weight, first, second] = [weight, first, second].map(|data| Tensor::from_data(data, &device));
    (weight, AdamState::new(AdaptiveMomentumState::new(time, first, second)))
}

/// The gradient of a matrix as [`outer_product`] has it.
struct Factors<'a> {
    values: &'a [f32],
    /// Rows of the factors, inputs and outputs.
    shape: [usize; 3],
}

impl Factors<'_> {
    /// # Panics
    /// If these are no factors of a matrix.
    fn shape(matrix: &[usize], factors: &[usize]) -> [usize; 3] {
        match (matrix, factors) {
            (&[inputs, outputs], &[rows, both]) if both == inputs + outputs => [rows, inputs, outputs],
            _ => panic!("a gradient of {factors:?} is none of a parameter of {matrix:?}"),
        }
    }

    /// The rows of xᵀ·δ from `first` on that fill `product`.
    fn rows(&self, first: usize, product: &mut [f32]) {
        let [rows, inputs, outputs] = self.shape;
        let (count, both) = (product.len() / outputs, inputs + outputs);
        let input = Matrix::new(&self.values[first..], [rows, count], [both, 1]);
        let delta = Matrix::new(&self.values[inputs..], [rows, outputs], [both, 1]);
        product_into(input.transposed(), delta, [count, outputs], product);
    }
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

    /// In factors and as their product, of a matrix of several chunks the last of which is not full.
    #[test]
    fn gradients_in_factors_are_their_products() {
        let mut init = Initializer::new(5, &Device::flex());
        let mut in_factors: Linear = init.linear(41, 30_000).train();
        let mut whole = in_factors.clone();
        let (mut one, mut other) = (optimizer(), optimizer());
        for _ in 0..3 {
            let (input, delta) = (init.linear(6, 41).weight.val(), init.linear(6, 30_000).weight.val());
            let gradients = |gradient: Tensor<2>| {
                let mut gradients = GradientsParams::new();
                gradients.register(whole.weight.id, gradient);
                gradients
            };
            let product = gradients(input.clone().transpose().matmul(delta.clone()));
            let factors = outer_product(input, delta);
            assert_eq!(factors.dims(), [6, 30_041]);
            in_factors = one.step(0.1, in_factors, gradients(factors));
            whole = other.step(0.1, whole, product);
            // Adam goes a whole step where the gradient is near 0 and its sign a matter of rounding: not here.
            let difference = (in_factors.weight.val() - whole.weight.val()).abs().max().into_scalar::<f32>();
            assert!(difference < 1e-4, "{difference}");
        }
    }

    #[test]
    #[should_panic(expected = "a gradient of [3, 8] is none of a parameter of [4, 5]")]
    fn other_shapes_are_no_factors() {
        Factors::shape(&[4, 5], &[3, 8]);
    }
}
