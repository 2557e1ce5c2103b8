//! What tells the filters of one image apart.

use burn::tensor::{Bool, Tensor};

use crate::density::{Densities, Members, OUTSIDE};

/// The posteriors over templates of all filters, beside their mean q(T|x) over the filters of the image's
/// category.
pub(crate) struct Rivalry<'a> {
    densities: &'a Densities,
    /// p(T|x) / p(T): `[batch, filters, templates]`.
    posterior: Tensor<3>,
    /// log(p(T|x) / q(T|x)), and 0 for filters of another category: `[batch, filters, templates]`.
    ratio: Tensor<3>,
    /// KL(p(·|x) ‖ q(·|x)): `[batch, filters, 1]`.
    divergence: Tensor<3>,
}

impl<'a> Rivalry<'a> {
    /// How the posteriors of the filters differ, image by image.
    ///
    /// # Shapes
    /// - members: `[batch, filters]`
    pub(crate) fn new(densities: &'a Densities, members: Tensor<2, Bool>) -> Self {
        let images = members.dims()[0];
        let count = members.clone().float().sum_dim(1).clamp_min(1.0).reshape([images, 1, 1]);
        let members = Members::of(members);
        let posterior = densities.conditional.clone() - densities.marginal.clone();
        // Filters the image is none of whose business stand out of the way of the others' sum.
        let seen = members.fill(posterior.clone(), OUTSIDE);
        let largest = seen.clone().max_dim(1);
        let mean = ((seen - largest.clone()).exp().sum_dim(1) / count).log() + largest;
        let ratio = members.fill(posterior.clone() - mean, 0.0);
        let posterior = posterior.exp();
        let divergence = (posterior.clone() * ratio.clone()).mean_dim(2);
        Self { densities, posterior, ratio, divergence }
    }

    /// Mean over the population of −KL(p(·|x) ‖ q(·|x)): `[filters]`.
    pub(crate) fn negative_diversity(&self) -> Tensor<1> {
        let filters = self.divergence.dims()[1];
        self.densities.population.mean(self.divergence.clone()).reshape([filters]).neg()
    }

    /// The derivative of [`negative_diversity`](Self::negative_diversity), summed over filters, with
    /// respect to s_T(x): `[batch, filters, templates]`.
    ///
    /// With `a = p(T|x) · [log(p(T|x) / q(T|x)) − KL]` it is `−(a − p(x|T) Σ_x a) / N`: the second part
    /// is the way through Z_T.
    pub(crate) fn weights(self) -> Tensor<3> {
        let Self { densities, posterior, ratio, divergence } = self;
        let population = &densities.population;
        let direct = posterior * (ratio - divergence) * densities.each();
        let through_partition = densities.conditional.clone().exp() * population.mean(direct.clone());
        direct - population.fill(through_partition, 0.0)
    }
}
