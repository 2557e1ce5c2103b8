//! The filter loss: mutual information of a filter's maps and the templates.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::density::Densities;
use crate::mask::strongest_units;
use crate::scale::{Normalised, Scale};
use crate::shape::check_square;
use crate::templates::{BETA, Templates, TemplatesConfig};

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
    /// β, how fast a template falls off around its centre. [`BETA`] by default.
    #[config(default = "BETA")]
    pub beta: f64,
    /// The scale at which the loss looks at the maps.
    #[config(default = "Scale::AsIs")]
    pub scale: Scale,
    /// The gradient to use.
    #[config(default = "Gradient::Approximate")]
    pub gradient: Gradient,
}

impl FilterLossConfig {
    /// Puts the templates on a device.
    ///
    /// # Panics
    /// If `length` is 0, or `beta` or the scale's trace is not positive.
    pub fn init(&self, device: &Device) -> FilterLoss {
        self.scale.check();
        let templates = TemplatesConfig::new(self.length).with_beta(self.beta).init(device);
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
/// images. X are the maps of that filter in the batch at hand. All is done in logarithms and `f32`
/// (other floats are cast), so maps of any magnitude have finite values and gradients as long as the
/// sum of one map is finite itself; a NaN or infinity in a filter's maps is not hidden, and does not
/// reach other filters. Maps are expected after their ReLU, not negative.
///
/// The maps are read as constants, also on an autodiff device: neither result is tracked. Use
/// [`inject`] to make them part of a backward pass.
///
/// Source: arXiv:1710.00935, section 3; arXiv:1805.07468, section 3.
#[derive(Module, Debug)]
pub struct FilterLoss {
    templates: Templates,
    #[module(skip)]
    config: FilterLossConfig,
}

impl FilterLoss {
    /// −MI(X; T) in nats for each filter; at most 0, at least −log(n² + 1) and −log(batch).
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

    /// The gradient of the loss of each filter with respect to its maps.
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
        self.config.scale.normalise(flat, self.templates.config().tau())
    }

    fn densities(&self, normalised: &Normalised) -> Densities {
        let [batch, filters, units] = normalised.maps.dims();
        let flat = normalised.maps.clone().reshape([batch * filters, units]);
        let traces = flat.matmul(self.templates.relative().transpose()).mul_scalar(normalised.gain);
        Densities::of_traces(traces.reshape([batch, filters, units + 1]))
    }

    fn gradient_of(
        &self,
        maps: Tensor<4>,
        members: Tensor<2, Bool>,
        normalised: Normalised,
        densities: &Densities,
    ) -> Tensor<4> {
        let [batch, filters, height, width] = maps.dims();
        assert_eq!(
            members.dims(),
            [batch, filters],
            "FilterLoss: `members` needs one entry for each image and filter of maps {:?}",
            maps.dims()
        );
        let units = height * width;
        let gradient = match self.config.gradient {
            Gradient::Approximate => {
                let targets = strongest_units(maps).mask_fill(members.inner().bool_not(), units as i64);
                let weights = densities.approximate_weights(targets.clone());
                let chosen = self.templates.relative().select(0, targets.reshape([batch * filters]));
                chosen.reshape([batch, filters, units]) * weights.mul_scalar(normalised.gain)
            }
            Gradient::Exact => {
                let weights = densities.exact_weights().mul_scalar(normalised.gain);
                let weights = weights.reshape([batch * filters, units + 1]);
                weights.matmul(self.templates.relative()).reshape([batch, filters, units])
            }
        };
        normalised.pull_back(gradient).reshape([batch, filters, height, width])
    }
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
