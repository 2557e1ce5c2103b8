//! How likely the maps of a batch are under each template.

use burn::tensor::{Bool, Int, Tensor};

/// log p(x|T) and log p(x) of all maps, each plus log N for the N maps of the population.
///
/// Relative to the 1/N of a population without any preference the numbers stay small and are exactly
/// 0 for maps that say nothing: a filter that is silent has no gradient, not even one of rounding.
pub(crate) struct Densities {
    /// log N·p(x|T): `[batch, filters, templates]`.
    conditional: Tensor<3>,
    /// log N·p(x): `[batch, filters, 1]`.
    marginal: Tensor<3>,
}

impl Densities {
    /// From the traces s_T(x) `[batch, filters, templates]`, with the batch as the population and all
    /// templates equally likely.
    pub(crate) fn of_traces(traces: Tensor<3>) -> Self {
        let largest = max_over_batch(traces.clone());
        let partition = log_mean_exp(traces.clone(), largest, 0);
        let conditional = traces - partition;
        let largest = conditional.clone().max_dim(2);
        let marginal = log_mean_exp(conditional.clone(), largest, 2);
        Self { conditional, marginal }
    }

    /// −Σ_T p(T) Σ_x p(x|T) log(p(x|T) / p(x)): `[filters]`.
    pub(crate) fn negative_information(&self) -> Tensor<1> {
        let [images, filters, templates] = self.conditional.dims();
        let ratio = self.conditional.clone() - self.marginal.clone();
        let terms = self.conditional.clone().exp() * ratio;
        terms.sum_dim(2).sum_dim(0).reshape([filters]).mul_scalar(-1.0 / (images * templates) as f64)
    }

    /// −p(T) p(x|T) [log(p(x|T) / p(x)) − KL(p(·|T) ‖ p)] for every template, the derivative of the
    /// value with respect to s_T(x): `[batch, filters, templates]`.
    pub(crate) fn exact_weights(&self) -> Tensor<3> {
        let [images, _, templates] = self.conditional.dims();
        let ratio = self.conditional.clone() - self.marginal.clone();
        let conditional = self.conditional.clone().exp();
        let divergence = (conditional.clone() * ratio.clone()).sum_dim(0).div_scalar(images as f64);
        (conditional * (ratio - divergence)).mul_scalar(-1.0 / (images * templates) as f64)
    }

    /// How the posteriors of the filters differ, image by image.
    ///
    /// # Shapes
    /// - members: `[batch, filters]`
    pub(crate) fn rivalry(&self, members: Tensor<2, Bool>) -> Rivalry {
        let [images, filters, templates] = self.conditional.dims();
        let outside = members.bool_not().reshape([images, filters, 1]).expand([images, filters, templates]);
        let posterior = self.conditional.clone() - self.marginal.clone();
        // Filters the image is none of whose business stand out of the way of the others' sum.
        let seen = posterior.clone().mask_fill(outside.clone(), OUTSIDE);
        let largest = seen.clone().max_dim(1);
        let sum = (seen - largest.clone()).exp().sum_dim(1).log() + largest;
        let count = outside.clone().narrow(2, 0, 1).bool_not().float().sum_dim(1).clamp_min(1.0);
        let ratio = (posterior.clone() - (sum - count.log())).mask_fill(outside, 0.0);
        let posterior = posterior.exp();
        let divergence = (posterior.clone() * ratio.clone()).mean_dim(2);
        Rivalry { posterior, ratio, divergence }
    }

    /// −p(T̂) p(x|T̂) log(p(x|T̂) / p(x)) for one target template of each map.
    ///
    /// # Shapes
    /// - targets: `[batch, filters]`
    /// - output: `[batch, filters, 1]`
    pub(crate) fn approximate_weights(&self, targets: Tensor<2, Int>) -> Tensor<3> {
        let [images, filters, templates] = self.conditional.dims();
        let target = self.conditional.clone().gather(2, targets.reshape([images, filters, 1]));
        let ratio = target.clone() - self.marginal.clone();
        (target.exp() * ratio).mul_scalar(-1.0 / (images * templates) as f64)
    }
}

/// Stands for the logarithm of a density that is left out of a sum.
const OUTSIDE: f32 = -1e30;

/// The posteriors over templates of all filters, beside their mean q(T|x) over the filters of the image's
/// category.
pub(crate) struct Rivalry {
    /// p(T|x) / p(T): `[batch, filters, templates]`.
    posterior: Tensor<3>,
    /// log(p(T|x) / q(T|x)), and 0 for filters of another category: `[batch, filters, templates]`.
    ratio: Tensor<3>,
    /// KL(p(·|x) ‖ q(·|x)): `[batch, filters, 1]`.
    divergence: Tensor<3>,
}

impl Rivalry {
    /// Mean over the batch of −KL(p(·|x) ‖ q(·|x)): `[filters]`.
    pub(crate) fn negative_diversity(&self) -> Tensor<1> {
        let [_, filters, _] = self.divergence.dims();
        self.divergence.clone().mean_dim(0).reshape([filters]).neg()
    }

    /// The derivative of [`negative_diversity`](Self::negative_diversity), summed over filters, with
    /// respect to s_T(x): `[batch, filters, templates]`.
    ///
    /// With `a = p(T|x) · [log(p(T|x) / q(T|x)) − KL]` it is `−(a − p(x|T) Σ_x a) / N`: the second part
    /// is the way through Z_T.
    pub(crate) fn weights(self, densities: &Densities) -> Tensor<3> {
        let [images, _, templates] = self.ratio.dims();
        let direct =
            (self.posterior * (self.ratio - self.divergence)).mul_scalar(-1.0 / (images * templates) as f64);
        let through_partition = densities.conditional.clone().exp() * direct.clone().mean_dim(0);
        direct - through_partition
    }
}

/// log of the mean of exp along a dimension, which is kept with size 1. The largest exponent is taken
/// out first: the sum lies between 1 and the number of terms, and its logarithm is finite.
fn log_mean_exp(exponents: Tensor<3>, largest: Tensor<3>, dim: usize) -> Tensor<3> {
    let count = exponents.dims()[dim] as f64;
    (exponents - largest.clone()).exp().sum_dim(dim).div_scalar(count).log() + largest
}

/// The largest values over the first dimension, which is kept with size 1, by folding the batch onto
/// itself: whole slices are compared at once, four times as fast as `max_dim(0)` on flex.
fn max_over_batch(mut values: Tensor<3>) -> Tensor<3> {
    loop {
        let images = values.dims()[0];
        if images < 2 {
            return values;
        }
        // Of an odd number the middle one is in both halves.
        let half = images.div_ceil(2);
        values = values.clone().narrow(0, 0, half).max_pair(values.narrow(0, images - half, half));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::uniform;
    use burn::tensor::Device;

    fn traces(scale: f64) -> Tensor<3> {
        uniform([6, 3, 10], -1.0, 1.0, 1).mul_scalar(scale)
    }

    fn floats(tensor: Tensor<3>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn densities_and_posteriors_sum_to_one() {
        for scale in [0.0, 1.0, 100.0, 1e4] {
            let densities = Densities::of_traces(traces(scale));
            let over_maps = densities.conditional.clone().exp().mean_dim(0);
            let posterior = (densities.conditional.clone() - densities.marginal.clone()).exp().mean_dim(2);
            let marginal = densities.marginal.exp().mean_dim(0);
            for sum in [floats(over_maps), floats(posterior), floats(marginal)].concat() {
                assert!((sum - 1.0).abs() < 2e-3 * (scale as f32 / 1e4).max(0.01), "{scale}: {sum}");
            }
        }
    }

    #[test]
    fn maps_that_say_nothing_have_densities_of_exactly_one() {
        for (images, templates) in [(1, 26), (3, 50), (32, 170), (7, 197), (33, 290)] {
            let densities = Densities::of_traces(Tensor::zeros([images, 2, templates], &Device::flex()));
            assert!(floats(densities.conditional).iter().all(|&value| value == 0.0));
            assert!(floats(densities.marginal).iter().all(|&value| value == 0.0));
        }
    }

    #[test]
    fn folding_finds_the_largest() {
        for images in [1, 2, 3, 5, 7, 8, 33] {
            let values: Tensor<3> = uniform([images, 2, 3], -1.0, 1.0, 2);
            assert_eq!(floats(max_over_batch(values.clone())), floats(values.max_dim(0)));
        }
    }
}
