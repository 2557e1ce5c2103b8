//! Trained networks to explain: AlexNet and VGG-16 as Burn modules that implement
//! [`Performer`](explainer_core::Performer), with PyTorch's weights.
//!
//! - [`AlexNet`] and [`Vgg16`] are one module, [`ConvNet`], run from the table of an
//!   [`Architecture`]: layers, sizes and receptive fields are all derived from it.
//! - [`Weights`] names a file of torchvision's layout, and [`ConvNet::load`] reads it strictly:
//!   every tensor and every shape must match. Widths and classes are taken from the file.
//!
//! A library crate leaves the choice of Burn's backend to you: enable one of Burn's features, such
//! as `flex`.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use explainer_core::Performer;
//! use explainer_performers::Vgg16Config;
//!
//! let device = Device::default();
//! let performer = Vgg16Config::new()
//!     .with_widths([2, 2, 4, 4, 8])
//!     .with_hidden([16, 16])
//!     .with_classes(2)
//!     .with_input(64)
//!     .init(&device);
//! let tapped = performer.tap(Tensor::zeros([1, 3, 64, 64], &device));
//! assert_eq!(tapped.target.dims(), [1, 8, 4, 4]);
//! assert_eq!(tapped.scores.dims(), [1, 2]);
//! ```
//!
//! With weights from a file:
//!
//! ```no_run
//! # fn main() -> Result<(), explainer_performers::PerformerError> {
//! use explainer_performers::{Vgg16, Weights};
//!
//! let device = burn::tensor::Device::default();
//! let performer = Vgg16::load(Weights::file("vgg16-397923af.pth"), &device)?;
//! # Ok(())
//! # }
//! ```

mod alexnet;
mod architecture;
mod error;
mod network;
pub mod train;
mod vgg;
mod weights;

pub use alexnet::{AlexNet, AlexNetConfig, AlexNetLayers};
pub use architecture::{Architecture, Layer, Sizes};
pub use error::{Misshapen, PerformerError};
pub use network::ConvNet;
pub use vgg::{Vgg16, Vgg16Config, Vgg16Layers};
pub use weights::Weights;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
