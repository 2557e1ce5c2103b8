//! The filter loss: mutual information of a filter's maps and the templates.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Device, FloatDType, Int, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::cached;
use crate::density::{Densities, Members};
use crate::mask::strongest_units;
use crate::memory::Memory;
use crate::rivalry::{Crowd, Rivalry};
use crate::scale::{Normalised, Scale};
use crate::shape::check_square;
use crate::template_shape::Shape;
use crate::templates::{Templates, TemplatesConfig};

/// Which gradient [`FilterLoss`] has. The value is the same for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Gradient {
    /// Takes every Z_T as a constant and keeps the term of one target template only:
    ///
    /// ```text
    /// g(x) = −p(T̂) · p(x|T̂) · log(p(x|T̂) / p(x)) · T̂
    /// ```
    ///
    /// T̂ is the template at the map's strongest unit where the image belongs to the filter's
    /// category, the negative template elsewhere. It is not the derivative of the value.
    ///
    /// A member's map that is zero everywhere has no strongest unit but the one its ties are broken
    /// for (see [`strongest_units`]); where the maps come from a ReLU, no gradient passes it there.
    ///
    /// Source: arXiv:1710.00935, section 3.1; arXiv:1805.07468, appendix.
    #[default]
    Approximate,
    /// The derivative of the value, Z_T and p(x) included:
    ///
    /// ```text
    /// g(x) = −Σ_T p(T) · p(x|T) · [ log(p(x|T) / p(x)) − KL(p(·|T) ‖ p) ] · T
    /// ```
    ///
    /// It asks for any place that tells a map's image from the others, and so needs no `members`.
    ///
    /// Source: ours, by differentiating the loss of arXiv:1710.00935.
    Exact,
    /// What the released code of arXiv:1710.00935 does. Members and other images are two populations G, and
    /// only the trace with the target template T̂ (as above) counts:
    ///
    /// ```text
    /// ρ(x) = exp(4 s(x)) / mean_G exp(4 s)      w(x) = ρ (log ρ + 1) / mean_G ρ (log ρ + 1)
    /// g(x) = −w(x) · T̂ / τ
    /// ```
    ///
    /// The mean that w is divided by is 1 + KL(ρ ‖ 1), so at least 1. A scale-free loss has ω in place of
    /// the 4 τ. The size of the gradient is the caller's: the released code multiplies by 10⁻⁶ · epoch.
    /// It has no part in a [`Memory`].
    ///
    /// Source: the released code, read for its facts; that its Z is a mean and not a sum is recovered.
    Released,
}

/// Which maps of a filter make up its population X.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Population {
    /// Those of all images: what is no member is told from what is.
    #[default]
    All,
    /// Those of images of the filter's category. The others have no gradient, except for the way through
    /// the scale.
    Members,
}

/// Configuration of [`FilterLoss`].
#[derive(Config, Debug)]
pub struct FilterLossConfig {
    /// n, the number of units along one side of the (square) map.
    pub length: usize,
    /// How a template falls off around its centre. [`Shape::PUBLISHED`] by default.
    #[config(default = "Shape::PUBLISHED")]
    pub shape: Shape,
    /// The scale at which the loss looks at the maps.
    #[config(default = "Scale::AsIs")]
    pub scale: Scale,
    /// The gradient to use.
    #[config(default = "Gradient::Approximate")]
    pub gradient: Gradient,
    /// The maps that make up the population X.
    #[config(default = "Population::All")]
    pub population: Population,
    /// κ, the weight of the diversity of filters beside the mutual information; 0, as published, judges
    /// each filter alone.
    #[config(default = 0.0)]
    pub diversity: f64,
}

impl FilterLossConfig {
    /// Puts the templates on a device.
    ///
    /// # Panics
    /// If `length` is 0, the shape's β or width or the scale's trace is not positive, or `diversity` is
    /// negative.
    pub fn init(&self, device: &Device) -> FilterLoss {
        self.init_with(TemplatesConfig::new(self.length).with_shape(self.shape).init(device))
    }

    /// The loss with templates of your own, made by [`Templates::of`]; `shape` has no say then.
    ///
    /// # Panics
    /// If the templates are of another length, the scale's trace is not positive, or `diversity` is
    /// negative.
    pub fn init_with(&self, templates: Templates) -> FilterLoss {
        templates.check_length("FilterLoss", self.length);
        self.scale.check();
        let diversity = self.diversity;
        assert!(
            diversity.is_finite() && diversity >= 0.0,
            "the weight of diversity is {diversity}, but must not be negative"
        );
        FilterLoss { templates, config: self.clone() }
    }
}

/// The filter loss: the negative mutual information of a filter's maps X and the templates T.
///
/// ```text
/// s_T(x) = Σ_ij x_ij T_ij        p(x|T) = exp(s_T(x)) / Z_T      Z_T = Σ_{x ∈ X} exp(s_T(x))
/// p(x) = Σ_T p(T) p(x|T)         Loss_f = −MI(X; T) = −Σ_T p(T) Σ_{x ∈ X} p(x|T) log(p(x|T) / p(x))
/// ```
///
/// It is low if every map either fires at one place or not at all, and the places differ between
/// images. Nothing in it keeps all filters from one place. A weight κ > 0
/// ([`FilterLossConfig::diversity`]) adds what tells the filters of one image apart,
///
/// ```text
/// Loss_f = −MI(X; T) − κ · (1/N) Σ_x KL(p_f(·|x) ‖ q(·|x))      p_f(T|x) = p(T) p_f(x|T) / p_f(x)
/// ```
///
/// over the images x of the filter's category, q(·|x) being the mean of p_f(·|x) over the filters of that
/// category. The mean over filters of the sum is the mutual information of filter and template, given the
/// image. X are the maps of that filter in the batch at hand, or with a [`Memory`] those of earlier batches
/// as well. All is done in logarithms and `f32`
/// (other floats are cast), so maps of any magnitude have finite values and gradients as long as the
/// sum of one map is finite itself; a NaN or infinity in a filter's maps is not hidden, and without the
/// diversity, which compares filters, does not reach other filters. Maps are expected after their ReLU, not negative.
///
/// The maps are read as constants, also on an autodiff device: neither result is tracked. Use
/// [`inject`] to make them part of a backward pass.
///
/// Source: arXiv:1710.00935, section 3; arXiv:1805.07468, section 3. The diversity is ours.
#[derive(Module, Debug)]
pub struct FilterLoss {
    templates: Templates,
    #[module(skip)]
    config: FilterLossConfig,
}

impl FilterLoss {
    /// −MI(X; T) in nats for each filter, without the diversity; at most 0, at least −log(n² + 1) and
    /// −log(batch).
    ///
    /// `members` tells of each image and filter whether the image is of the filter's category; see
    /// [`FilterCategories::membership`](crate::FilterCategories::membership).
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`
    /// - members: `[batch, filters]`
    /// - output: `[filters]`
    ///
    /// # Panics
    /// If the maps are not n × n, or `members` is of other maps.
    pub fn value(&self, maps: Tensor<4>, members: Tensor<2, Bool>) -> Tensor<1> {
        if self.fits_a_cache(&maps) {
            return self.value_and_gradient(maps, members).0;
        }
        self.check(&maps, &members);
        self.look_at(maps, members, None).densities.negative_information()
    }

    /// −(1/N) Σ_x KL(p_f(·|x) ‖ q(·|x)) in nats for each filter, without its weight κ; at most 0. 0 means
    /// that on every image all filters point to the same places.
    ///
    /// Shapes and panics are those of [`value`](Self::value).
    pub fn negative_diversity(&self, maps: Tensor<4>, members: Tensor<2, Bool>) -> Tensor<1> {
        self.check(&maps, &members);
        let view = self.look_at(maps, members, None);
        let crowd = view.crowd();
        Rivalry::new(&view.densities, view.members, &crowd).negative_diversity()
    }

    /// The gradient of the sum of all filters' losses with respect to the maps, `[batch, filters, n, n]`.
    ///
    /// Shapes and panics are those of [`value`](Self::value).
    pub fn gradient(&self, maps: Tensor<4>, members: Tensor<2, Bool>) -> Tensor<4> {
        self.value_and_gradient(maps, members).1
    }

    /// [`value`](Self::value) and [`gradient`](Self::gradient) for little more than the price of one.
    ///
    /// Shapes and panics are those of [`value`](Self::value).
    pub fn value_and_gradient(&self, maps: Tensor<4>, members: Tensor<2, Bool>) -> (Tensor<1>, Tensor<4>) {
        self.check(&maps, &members);
        if self.fits_a_cache(&maps) {
            return cached::value_and_gradient(&self.config, &self.templates, maps, members);
        }
        self.by_operations(maps, members)
    }

    /// On any backend.
    fn by_operations(&self, maps: Tensor<4>, members: Tensor<2, Bool>) -> (Tensor<1>, Tensor<4>) {
        let filters = maps.dims()[1];
        let size = if on_cpu(&maps) { PIECE } else { filters };
        if filters <= size {
            return self.of_all(self.look_at(maps, members, None));
        }
        let piece = |first: usize| {
            let count = size.min(filters - first);
            self.look_at(maps.clone().narrow(1, first, count), members.clone().narrow(1, first, count), None)
        };
        let views: Vec<View> = (0..filters).into_par_iter().step_by(size).map(piece).collect();
        let crowd = self.compares().then(|| Crowd::joined(views.par_iter().map(View::crowd).collect()));
        let of_piece =
            |view: View| (view.densities.negative_information(), self.gradient_at(view, crowd.as_ref()));
        let (values, gradients) = views.into_par_iter().map(of_piece).unzip();
        (Tensor::cat(values, 0), Tensor::cat(gradients, 1))
    }

    /// Nothing remembered yet, of `filters` filters; `momentum` is the weight of a batch.
    ///
    /// # Panics
    /// If the momentum does not lie between 0 and 1.
    pub fn memory(&self, filters: usize, momentum: f64) -> Memory {
        Memory::new(filters, self.units() + 1, momentum, &self.templates.relative().device())
    }

    /// [`value_and_gradient`](Self::value_and_gradient) with the population of a memory, after it has taken
    /// in the batch. The value is that of the population; the gradient that of its loss with respect to
    /// the maps at hand, times the number of batches it is made of.
    ///
    /// # Panics
    /// As `value`, and if the memory is of other filters.
    pub fn value_and_gradient_with(
        &self,
        memory: &mut Memory,
        maps: Tensor<4>,
        members: Tensor<2, Bool>,
    ) -> (Tensor<1>, Tensor<4>) {
        self.check(&maps, &members);
        self.of_all(self.look_at(maps, members, Some(memory)))
    }

    /// What the loss was made from.
    pub fn config(&self) -> &FilterLossConfig {
        &self.config
    }

    /// The templates the maps are compared with.
    pub fn templates(&self) -> &Templates {
        &self.templates
    }

    fn check(&self, maps: &Tensor<4>, members: &Tensor<2, Bool>) {
        check_square("FilterLoss", maps.dims(), self.config.length);
        check_members(maps, members);
    }

    /// Whether this is computed by `cached`.
    fn fits_a_cache(&self, maps: &Tensor<4>) -> bool {
        on_cpu(maps) && cached::suits(&self.config)
    }

    /// Whether filters are compared with each other.
    fn compares(&self) -> bool {
        self.config.diversity > 0.0
    }

    /// Value and gradient of a view of all filters.
    fn of_all(&self, view: View) -> (Tensor<1>, Tensor<4>) {
        let crowd = self.compares().then(|| view.crowd());
        (view.densities.negative_information(), self.gradient_at(view, crowd.as_ref()))
    }

    fn look_at(&self, maps: Tensor<4>, members: Tensor<2, Bool>, memory: Option<&mut Memory>) -> View {
        let [batch, filters, height, width] = maps.dims();
        let units = height * width;
        let (maps, members) = (maps.inner(), members.inner());
        let flat = maps.clone().cast(FloatDType::F32).reshape([batch, filters, units]);
        let normalised = self.config.scale.normalise(flat, self.templates.tau());
        let rows = normalised.maps.clone().reshape([batch * filters, units]);
        let traces = rows.matmul(self.templates.relative().transpose()).mul_scalar(normalised.gain);
        let population = match self.config.population {
            Population::All => Members::all(batch, &traces.device()),
            Population::Members => Members::of(members.clone()),
        };
        if let Some(memory) = &memory {
            memory.check(filters);
        }
        let traces = traces.reshape([batch, filters, units + 1]);
        View { densities: Densities::of_traces(traces, population, memory), maps, members, normalised }
    }

    /// `crowd` is that of all filters, if they are compared.
    fn gradient_at(&self, view: View, crowd: Option<&Crowd>) -> Tensor<4> {
        let View { maps, members, normalised, densities } = view;
        let shape = maps.dims();
        let mut gradient = match self.config.gradient {
            Gradient::Exact => self.weighted(densities.exact_weights().mul_scalar(normalised.gain)),
            Gradient::Approximate => {
                let targets = self.targets(maps, members.clone());
                let weights = densities.approximate_weights(targets.clone()).mul_scalar(normalised.gain);
                self.chosen(targets) * weights
            }
            Gradient::Released => {
                let chosen = self.chosen(self.targets(maps, members.clone()));
                let trace = (normalised.maps.clone() * chosen.clone()).sum_dim(2);
                let temperature = match self.config.scale {
                    Scale::AsIs => RELEASED_SCALE,
                    _ => 1.0,
                };
                let exponents = trace.mul_scalar(temperature * normalised.gain);
                densities.population.fill(chosen * released_weights(exponents, members.clone()), 0.0)
            }
        };
        if let Some(crowd) = crowd {
            let weights = Rivalry::new(&densities, members, crowd).weights();
            gradient = gradient + self.weighted(weights.mul_scalar(self.config.diversity * normalised.gain));
        }
        normalised.pull_back(gradient).reshape(shape)
    }

    /// n².
    fn units(&self) -> usize {
        self.config.length * self.config.length
    }

    /// T̂ of every map: the template at its strongest unit, or the negative one.
    fn targets(&self, maps: Tensor<4>, members: Tensor<2, Bool>) -> Tensor<2, Int> {
        strongest_units(maps).mask_fill(members.bool_not(), self.units() as i64)
    }

    /// T̂/τ of every map.
    fn chosen(&self, targets: Tensor<2, Int>) -> Tensor<3> {
        let [batch, filters] = targets.dims();
        let chosen = self.templates.relative().select(0, targets.reshape([batch * filters]));
        chosen.reshape([batch, filters, self.units()])
    }

    /// Σ_T w_T · T/τ of every map.
    fn weighted(&self, weights: Tensor<3>) -> Tensor<3> {
        let [batch, filters, templates] = weights.dims();
        let sums = weights.reshape([batch * filters, templates]).matmul(self.templates.relative());
        sums.reshape([batch, filters, templates - 1])
    }
}

/// Maps as the loss sees them.
struct View {
    maps: Tensor<4>,
    members: Tensor<2, Bool>,
    normalised: Normalised,
    densities: Densities,
}

impl View {
    fn crowd(&self) -> Crowd {
        Crowd::of(&self.densities, self.members.clone())
    }
}

/// Filters whose maps a thread of the CPU looks at together: what is made of those of a batch stays in its cache.
const PIECE: usize = 16;

/// Whether tensors lie in the CPU's memory, and operations run on the threads that call them.
pub(crate) fn on_cpu(maps: &Tensor<4>) -> bool {
    // A device tells its backend by its text only.
    format!("{:?}", maps.device()).contains("Flex")
}

/// The released code's trace: mean(x ∘ T/τ) at a temperature of 0.5, which is 4 tr(x · T).
pub(crate) const RELEASED_SCALE: f64 = 4.0;

/// −w(x) of [`Gradient::Released`] from its 4 s(x): `[batch, filters, 1]`.
fn released_weights(exponents: Tensor<3>, members: Tensor<2, Bool>) -> Tensor<3> {
    let of = |members: Tensor<2, Bool>| {
        let group = Members::of(members);
        let log_ratio = group.fill(exponents.clone() - group.log_mean_exp(exponents.clone()), 0.0);
        let strength = group.fill(log_ratio.clone().exp() * log_ratio.add_scalar(1.0), 0.0);
        // At least 1; a group without images has no strength to divide.
        let mean = group.mean(strength.clone()).clamp_min(1.0);
        strength / mean
    };
    (of(members.clone()) + of(members.bool_not())).neg()
}

fn check_members(maps: &Tensor<4>, members: &Tensor<2, Bool>) {
    let [batch, filters, _, _] = maps.dims();
    assert_eq!(
        members.dims(),
        [batch, filters],
        "FilterLoss: `members` needs one entry for each image and filter of maps {:?}",
        maps.dims()
    );
}

/// Makes a value and a gradient that were computed apart part of a backward pass.
///
/// The result equals `value`, and in the backward pass hands `gradient` to `maps`, whatever the
/// derivative of `value` may be: with `s = Σ maps · gradient` it is `(s − s.detach()) + value`. Both
/// are taken as constants. Multiply the gradient by a filter's weight λ_f beforehand, and the value
/// likewise.
///
/// # Shapes
/// - maps: any, of any float type
/// - gradient: that of maps
/// - value: `[1]`
/// - output: `[1]`
///
/// # Panics
/// If the shapes of maps and gradient differ, or the value is not a single one.
pub fn inject<const D: usize>(maps: Tensor<D>, gradient: Tensor<D>, value: Tensor<1>) -> Tensor<1> {
    assert_eq!(maps.dims(), gradient.dims(), "inject: the gradient must have the shape of the maps");
    assert_eq!(value.dims(), [1], "inject: the value must be a single number");
    let aligned = (maps.cast(FloatDType::F32) * gradient.inner().cast(FloatDType::F32)).sum();
    (aligned.clone() - aligned.detach()) + value.inner().cast(FloatDType::F32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::uniform;
    use burn::tensor::TensorData;

    /// More filters than fit a piece, some images of which are of no filter's category, and some of which hardly say
    /// anything or very much; also in a core's cache.
    #[test]
    fn pieces_make_up_the_whole() {
        for (images, filters, n) in [(5, 2 * PIECE + 3, 3), (33, 6, 7)] {
            let maps: Tensor<3> = uniform([images, filters, n * n], -0.5, 1.0, 1).clamp_min(0.0);
            let loud = uniform([images, filters, 1], -4.0, 5.0, 2).exp();
            let maps = (maps * loud).reshape([images, filters, n, n]);
            let member = |at: usize| at / filters != 3 && at % 7 != 2;
            let members = TensorData::new((0..images * filters).map(member).collect(), [images, filters]);
            let members = Tensor::<2, Bool>::from_data(members, &maps.device());
            for scale in [Scale::AsIs, Scale::Mass { trace: 3.0 }, Scale::Energy { trace: 30.0 }] {
                for gradient in [Gradient::Approximate, Gradient::Exact, Gradient::Released] {
                    for population in [Population::All, Population::Members] {
                        for diversity in [0.0, 0.5] {
                            let config = FilterLossConfig::new(n).with_scale(scale).with_gradient(gradient);
                            let config = config.with_population(population).with_diversity(diversity);
                            pieces_are_the_whole(&config, &maps, &members);
                        }
                    }
                }
            }
        }
    }

    fn pieces_are_the_whole(config: &FilterLossConfig, maps: &Tensor<4>, members: &Tensor<2, Bool>) {
        let loss = config.init(&maps.device());
        let whole = loss.of_all(loss.look_at(maps.clone(), members.clone(), None));
        let largest = whole.1.clone().abs().max().into_scalar::<f32>();
        assert!(largest > 0.0, "{config}");
        for (value, gradient) in [
            loss.value_and_gradient(maps.clone(), members.clone()),
            loss.by_operations(maps.clone(), members.clone()),
        ] {
            let difference = (value - whole.0.clone()).abs().max().into_scalar::<f32>();
            assert!(difference < 1e-6, "{config}: {difference}");
            let difference = (gradient - whole.1.clone()).abs().max().into_scalar::<f32>();
            assert!(difference < 1e-5 * largest, "{config}: {difference} of {largest}");
        }
    }
}
