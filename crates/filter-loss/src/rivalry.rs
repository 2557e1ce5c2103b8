//! What tells the filters of one image apart.

use burn::tensor::{Bool, Tensor};

use crate::density::{Densities, Members, OUTSIDE};

/// The sum of p_f(T|x) / p(T) over filters f of the image's category. Those of several groups of filters can be
/// joined.
pub(crate) struct Crowd {
    /// The logarithm of its largest term: `[batch, 1, templates]`.
    largest: Tensor<3>,
    /// The sum, divided by that.
    sum: Tensor<3>,
    /// Filters of the category: `[batch, 1, 1]`.
    count: Tensor<3>,
}

impl Crowd {
    /// Of the filters at hand.
    ///
    /// # Shapes
    /// - members: `[batch, filters]`
    pub(crate) fn of(densities: &Densities, members: Tensor<2, Bool>) -> Self {
        let images = members.dims()[0];
        let count = members.clone().float().sum_dim(1).reshape([images, 1, 1]);
        // Filters the image is none of whose business stand out of the way of the others' sum.
        let seen = Members::of(members).fill(densities.log_posterior(), OUTSIDE);
        let largest = seen.clone().max_dim(1);
        let sum = (seen - largest.clone()).exp().sum_dim(1);
        Self { largest, sum, count }
    }

    /// Of the filters of all groups.
    pub(crate) fn joined(groups: Vec<Self>) -> Self {
        let all = |part: fn(&Self) -> &Tensor<3>| {
            Tensor::cat(groups.iter().map(|group| part(group).clone()).collect(), 1)
        };
        let terms = all(|group| &group.largest);
        let largest = terms.clone().max_dim(1);
        let sums = all(|group| &group.sum) * (terms - largest.clone()).exp();
        Self { largest, sum: sums.sum_dim(1), count: all(|group| &group.count).sum_dim(1) }
    }

    /// log(q(T|x) / p(T)): `[batch, 1, templates]`.
    fn log_mean(&self) -> Tensor<3> {
        (self.sum.clone() / self.count.clone().clamp_min(1.0)).log() + self.largest.clone()
    }
}

/// The posteriors over templates of some filters, beside the mean q(T|x) over all filters of the image's
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
    /// How the posteriors of the filters differ from the crowd's, image by image.
    ///
    /// # Shapes
    /// - members: `[batch, filters]`
    pub(crate) fn new(densities: &'a Densities, members: Tensor<2, Bool>, crowd: &Crowd) -> Self {
        let posterior = densities.log_posterior();
        let ratio = Members::of(members).fill(posterior.clone() - crowd.log_mean(), 0.0);
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
        let through_partition = densities.density.clone() * population.mean(direct.clone());
        direct - population.fill(through_partition, 0.0)
    }
}
