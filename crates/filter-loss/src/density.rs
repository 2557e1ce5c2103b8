//! How likely the maps of a batch are under each template.

use burn::tensor::{Bool, Device, Int, Tensor};

use crate::memory::Memory;

/// log p(x|T) and log p(x) of all maps, each plus log N for the N maps of the filter's population.
///
/// Relative to the 1/N of a population without any preference the numbers stay small and are exactly
/// 0 for maps that say nothing: a filter that is silent has no gradient, not even one of rounding.
pub(crate) struct Densities {
    /// log N·p(x|T), 0 for maps outside the population: `[batch, filters, templates]`.
    pub(crate) conditional: Tensor<3>,
    /// N·p(x|T), likewise.
    pub(crate) density: Tensor<3>,
    /// log N·p(x): `[batch, filters, 1]`.
    pub(crate) marginal: Tensor<3>,
    /// KL(p(·|T) ‖ p): `[1, filters, templates]`.
    divergence: Tensor<3>,
    pub(crate) population: Members,
}

/// The images whose maps make up the population of each filter.
pub(crate) struct Members {
    /// Images outside, if there may be any: `[batch, filters, 1]`.
    outside: Option<Tensor<3, Bool>>,
    /// Images inside, at least 1: `[1, filters, 1]`, or `[1, 1, 1]` if all are.
    count: Tensor<3>,
}

impl Members {
    /// All images of a batch.
    pub(crate) fn all(images: usize, device: &Device) -> Self {
        Self { outside: None, count: Tensor::full([1, 1, 1], images as f64, device) }
    }

    /// The images for which `members` `[batch, filters]` says so.
    pub(crate) fn of(members: Tensor<2, Bool>) -> Self {
        let [images, filters] = members.dims();
        let inside = members.clone().reshape([images, filters, 1]);
        let count = inside.clone().float().sum_dim(0).clamp_min(1.0);
        Self { outside: Some(inside.bool_not()), count }
    }

    /// `values` `[batch, filters, _]` with another number where the image is outside.
    pub(crate) fn fill(&self, values: Tensor<3>, number: f32) -> Tensor<3> {
        match &self.outside {
            Some(outside) => {
                let shape = values.dims();
                values.mask_fill(outside.clone().expand(shape), number)
            }
            None => values,
        }
    }

    /// log of the mean over the population of the exponentials of `exponents` `[batch, filters, _]`. Of an
    /// empty population it is [`OUTSIDE`].
    pub(crate) fn log_mean_exp(&self, exponents: Tensor<3>) -> Tensor<3> {
        let inside = self.fill(exponents, OUTSIDE);
        let largest = max_over_batch(inside.clone());
        // Largest first: the sum lies between 1 and the number of terms, and its logarithm is finite.
        ((inside - largest.clone()).exp().sum_dim(0) / self.count.clone()).log() + largest
    }

    /// The mean over the population of `values` `[batch, filters, _]` that are 0 outside.
    pub(crate) fn mean(&self, values: Tensor<3>) -> Tensor<3> {
        values.sum_dim(0) / self.count.clone()
    }

    /// Whether a filter has any image, `[1, filters, 1]` of 1 and 0, or `[1, 1, 1]`.
    pub(crate) fn any(&self) -> Tensor<3> {
        match &self.outside {
            Some(outside) => outside.clone().bool_not().float().max_dim(0),
            None => self.count.ones_like(),
        }
    }
}

impl Densities {
    /// From the traces s_T(x) `[batch, filters, templates]`, all templates being equally likely. Z_T and
    /// the divergences are the batch's own, or after it has been taken in those of a memory.
    pub(crate) fn of_traces(traces: Tensor<3>, population: Members, memory: Option<&mut Memory>) -> Self {
        let partition = population.log_mean_exp(traces.clone());
        let Some(memory) = memory else {
            return Self::with_partition(traces, partition, population);
        };
        let partition = memory.take_in_partition(partition, population.any());
        let mut densities = Self::with_partition(traces, partition, population);
        densities.divergence = memory.take_in_divergence(densities.divergence, densities.population.any());
        densities
    }

    fn with_partition(traces: Tensor<3>, partition: Tensor<3>, population: Members) -> Self {
        let conditional = population.fill(traces - partition, 0.0);
        let largest = conditional.clone().max_dim(2);
        let templates = conditional.dims()[2] as f64;
        let sum = (conditional.clone() - largest.clone()).exp().sum_dim(2);
        let marginal = sum.div_scalar(templates).log() + largest;
        let density = conditional.clone().exp();
        let terms = density.clone() * (conditional.clone() - marginal.clone());
        // Outside, the logarithms are 0 and so is the term.
        let divergence = population.mean(terms);
        Self { conditional, density, marginal, divergence, population }
    }

    /// log(p(T|x) / p(T)): `[batch, filters, templates]`.
    pub(crate) fn log_posterior(&self) -> Tensor<3> {
        self.conditional.clone() - self.marginal.clone()
    }

    /// −Σ_T p(T) Σ_x p(x|T) log(p(x|T) / p(x)): `[filters]`.
    pub(crate) fn negative_information(&self) -> Tensor<1> {
        let filters = self.divergence.dims()[1];
        self.divergence.clone().mean_dim(2).reshape([filters]).neg()
    }

    /// −p(T) p(x|T) [log(p(x|T) / p(x)) − KL(p(·|T) ‖ p)] for every template, the derivative of the
    /// value with respect to s_T(x): `[batch, filters, templates]`.
    pub(crate) fn exact_weights(&self) -> Tensor<3> {
        let weights = self.density.clone() * (self.log_posterior() - self.divergence.clone());
        self.population.fill(weights * self.each(), 0.0)
    }

    /// −p(T̂) p(x|T̂) log(p(x|T̂) / p(x)) for one target template of each map.
    ///
    /// # Shapes
    /// - targets: `[batch, filters]`
    /// - output: `[batch, filters, 1]`
    pub(crate) fn approximate_weights(&self, targets: Tensor<2, Int>) -> Tensor<3> {
        let [images, filters, _] = self.conditional.dims();
        let target = self.conditional.clone().gather(2, targets.reshape([images, filters, 1]));
        let ratio = target.clone() - self.marginal.clone();
        // Outside, both logarithms are 0.
        target.exp() * ratio * self.each()
    }

    /// −p(T) / N.
    pub(crate) fn each(&self) -> Tensor<3> {
        let templates = self.conditional.dims()[2] as f64;
        self.population.count.clone().recip().mul_scalar(-1.0 / templates)
    }
}

/// Stands for the logarithm of a density that is left out of a sum.
pub(crate) const OUTSIDE: f32 = -1e30;

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

    fn densities(traces: Tensor<3>) -> Densities {
        let images = traces.dims()[0];
        Densities::of_traces(traces, Members::all(images, &Device::flex()), None)
    }

    fn floats(tensor: Tensor<3>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn densities_and_posteriors_sum_to_one() {
        for scale in [0.0, 1.0, 100.0, 1e4] {
            let densities = densities(traces(scale));
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
            let densities = densities(Tensor::zeros([images, 2, templates], &Device::flex()));
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
