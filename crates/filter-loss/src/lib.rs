//! The filter loss and mask layer of explainer networks, on [Burn](https://burn.dev).
//!
//! An explainer network (arXiv:1805.07468) re-expresses the features of a trained CNN as object parts:
//! each of its filters should fire at one part of one category, at one place of an image or not at all.
//! Two things bring that about, both built from the same [templates](Templates), which are shapes that
//! peak at one unit of a feature map (arXiv:1710.00935):
//!
//! - the **mask layer**, [`TemplateMask`], keeps of a map what lies around its strongest unit;
//!   [`LearnedMask`] learns for each filter how much that is;
//! - **star windows**, [`StarWindow`], let each filter look for its part near a place of its own on the object
//!   ([`Anchors`]), which may depend on the way the object faces ([`Facing`]);
//! - the **filter loss**, [`FilterLoss`], is the negative mutual information of a filter's maps and the
//!   templates. Its [`Gradient`] is given in closed form, and [`inject`] puts it into a backward pass.
//!   [`Scale`] makes it free of the scale of the maps. [`FilterCategories`] keeps track of which
//!   category each filter belongs to.
//!
//! The templates' form is a [`Shape`], or your own [`TemplateShape`].
//!
//! Maps are `Tensor<4>`, `[batch, filters, n, n]`, after their ReLU. The crate picks no backend; nothing
//! here needs more than Burn's plain tensor operations.
//!
//! # Example
//!
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use explainer_filter_loss::{FilterCategories, FilterLossConfig, Scale, TemplateMaskConfig, inject};
//!
//! let device = Device::flex().autodiff();
//! let mask = TemplateMaskConfig::new(7).init(&device);
//! let loss = FilterLossConfig::new(7).with_scale(Scale::Energy { trace: 1.0 }).init(&device);
//!
//! // Eight images of one of two categories (or of none), four filters.
//! let features = Tensor::<4>::random([8, 4, 7, 7], Distribution::Uniform(0.0, 1.0), &device).require_grad();
//! let images = [Some(0), Some(0), Some(0), Some(1), Some(1), Some(1), None, None];
//! let mut categories = FilterCategories::new(4, 2);
//! categories.update(features.clone(), &images);
//! categories.assign();
//!
//! let maps = mask.forward(features.clone());
//! let members = categories.membership(&images, &device);
//! let (value, gradient) = loss.value_and_gradient(maps.clone(), members);
//! let term = inject(maps, gradient, value.sum());
//!
//! let gradients = term.backward();
//! assert_eq!(features.grad(&gradients).unwrap().dims(), [8, 4, 7, 7]);
//! assert!(term.into_scalar::<f32>() < 0.0);
//! ```

mod anchors;
mod cached;
mod categories;
mod density;
mod facing;
mod learned_mask;
mod loss;
mod mask;
mod memory;
mod rivalry;
mod scale;
mod shape;
mod star;
mod template_shape;
mod templates;
#[cfg(test)]
mod testing;

pub use anchors::Anchors;
pub use categories::FilterCategories;
pub use facing::Facing;
pub use learned_mask::{LearnedMask, LearnedMaskConfig, LearnedMaskGradient};
pub use loss::{FilterLoss, FilterLossConfig, Gradient, Population, inject};
pub use mask::{MaskCenter, TemplateMask, TemplateMaskConfig, mass_centers, strongest_units};
pub use memory::Memory;
pub use scale::Scale;
pub use star::{StarWindow, StarWindowConfig, Windows};
pub use template_shape::{BETA, Shape, TemplateShape};
pub use templates::{Templates, TemplatesConfig};
