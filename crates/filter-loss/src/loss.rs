//! The filter loss: mutual information of a filter's maps and the templates.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::density::Densities;
use crate::mask::strongest_units;
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
/// image. X are the maps of that filter in the batch at hand. All is done in logarithms and `f32`
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
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`
    /// - output: `[filters]`
    ///
    /// # Panics
    /// If the maps are not n × n.
    pub fn value(&self, maps: Tensor<4>) -> Tensor<1> {
        self.densities(&self.normalise(maps)).negative_information()
    }

    /// −(1/N) Σ_x KL(p_f(·|x) ‖ q(·|x)) in nats for each filter, without its weight κ; at most 0. 0 means
    /// that on every image all filters point to the same places.
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`
    /// - members: `[batch, filters]`, see [`gradient`](Self::gradient)
    /// - output: `[filters]`
    ///
    /// # Panics
    /// If the maps are not n × n, or `members` is of other maps.
    pub fn negative_diversity(&self, maps: Tensor<4>, members: Tensor<2, Bool>) -> Tensor<1> {
        check_members(&maps, &members);
        self.densities(&self.normalise(maps)).rivalry(members.inner()).negative_diversity()
    }

    /// The gradient of the sum of all filters' losses with respect to the maps.
    ///
    /// `members` tells of each image and filter whether the image is of the filter's category; see
    /// [`FilterCategories::membership`](crate::FilterCategories::membership).
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`
    /// - members: `[batch, filters]`
    /// - output: `[batch, filters, n, n]`
    ///
    /// # Panics
    /// If the maps are not n × n, or `members` is of other maps.
    pub fn gradient(&self, maps: Tensor<4>, members: Tensor<2, Bool>) -> Tensor<4> {
        let normalised = self.normalise(maps.clone());
        let densities = self.densities(&normalised);
        self.gradient_of(maps, members, normalised, &densities)
    }

    /// [`value`](Self::value) and [`gradient`](Self::gradient) for little more than the price of one.
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`
    /// - members: `[batch, filters]`
    /// - output: `[filters]` and `[batch, filters, n, n]`
    ///
    /// # Panics
    /// If the maps are not n × n, or `members` is of other maps.
    pub fn value_and_gradient(&self, maps: Tensor<4>, members: Tensor<2, Bool>) -> (Tensor<1>, Tensor<4>) {
        let normalised = self.normalise(maps.clone());
        let densities = self.densities(&normalised);
        let gradient = self.gradient_of(maps, members, normalised, &densities);
        (densities.negative_information(), gradient)
    }

    /// What the loss was made from.
    pub fn config(&self) -> &FilterLossConfig {
        &self.config
    }

    /// The templates the maps are compared with.
    pub fn templates(&self) -> &Templates {
        &self.templates
    }

    fn normalise(&self, maps: Tensor<4>) -> Normalised {
        check_square("FilterLoss", maps.dims(), self.config.length);
        let [batch, filters, height, width] = maps.dims();
        let flat = maps.inner().cast(FloatDType::F32).reshape([batch, filters, height * width]);
        self.config.scale.normalise(flat, self.templates.tau())
    }

    fn densities(&self, normalised: &Normalised) -> Densities {
        let [batch, filters, units] = normalised.maps.dims();
        let flat = normalised.maps.clone().reshape([batch * filters, units]);
        let traces = flat.matmul(self.templates.relative().transpose()).mul_scalar(normalised.gain);
        Densities::of_traces(traces.reshape([batch, filters, units + 1]))
    }

    /// Σ_T w_T · T/τ of every map.
    fn templates_weighted_by(&self, weights: Tensor<3>) -> Tensor<3> {
        let [batch, filters, templates] = weights.dims();
        let sums = weights.reshape([batch * filters, templates]).matmul(self.templates.relative());
        sums.reshape([batch, filters, templates - 1])
    }

    fn gradient_of(
        &self,
        maps: Tensor<4>,
        members: Tensor<2, Bool>,
        normalised: Normalised,
        densities: &Densities,
    ) -> Tensor<4> {
        check_members(&maps, &members);
        let [batch, filters, height, width] = maps.dims();
        let members = members.inner();
        let units = height * width;
        let gradient = match self.config.gradient {
            Gradient::Approximate => {
                let targets = strongest_units(maps).mask_fill(members.clone().bool_not(), units as i64);
                let weights = densities.approximate_weights(targets.clone());
                let chosen = self.templates.relative().select(0, targets.reshape([batch * filters]));
                chosen.reshape([batch, filters, units]) * weights.mul_scalar(normalised.gain)
            }
            Gradient::Exact => {
                let weights = densities.exact_weights().mul_scalar(normalised.gain);
                self.templates_weighted_by(weights)
            }
        };
        let gradient = match self.config.diversity {
            0.0 => gradient,
            diversity => {
                let weights = densities.rivalry(members).weights(densities);
                gradient + self.templates_weighted_by(weights.mul_scalar(diversity * normalised.gain))
            }
        };
        normalised.pull_back(gradient).reshape([batch, filters, height, width])
    }
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
