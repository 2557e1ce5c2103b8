//! Trained networks to explain, as Burn modules that implement
//! [`Performer`](explainer_core::Performer), with PyTorch's and MatConvNet's weights.
//!
//! - [`ConvNet`]: plain networks with fc6, fc7 and a head, each run from the table of an
//!   [`Architecture`], from which sizes and receptive fields are derived: the method's own four,
//!   [`CaffeAlexNet`], [`VggM`], [`VggS`] and [`Vgg16`], and [`AlexNet`], [`Vgg11`], [`Vgg13`], [`Vgg19`].
//! - [`ResNet`]: networks of residual blocks, [`ResNet18`] and [`ResNet50`].
//! - [`EfficientNetLite`], sizes 0 to 2: inverted-residual blocks with depthwise convolutions, explained at any block.
//! - [`Weights`] names a file, and [`ConvNet::load`] reads it strictly: every tensor and every shape must
//!   match. Widths and classes are taken from the file; a [`Head`] of other classes is asked for.
//! - [`train`]: training and fine-tuning of these networks and of your own.
//!
//! # Features
//! - `matconvnet`: weights from MatConvNet's MAT files.
//! - `download`: the module of that name, torchvision's public files by name.
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
mod cnn;
mod config;
#[cfg(feature = "download")]
pub mod download;
mod efficientnet;
mod error;
mod layer;
mod network;
mod resnet;
pub mod train;
mod vgg;
mod weights;

pub use alexnet::{
    AlexNet, AlexNetConfig, AlexNetLayers, CaffeAlexNet, CaffeAlexNetConfig, CaffeAlexNetLayers,
};
pub use architecture::{Architecture, Layer, ResponseNorm, Sizes};
pub use cnn::{VggM, VggMConfig, VggMLayers, VggS, VggSConfig, VggSLayers};
pub use config::ConvNetConfig;
pub use efficientnet::{EfficientNetLite, EfficientNetLiteSizes, TargetLayer};
pub use error::{Misshapen, PerformerError};
pub use network::ConvNet;
pub use resnet::{
    BlockConv, ResNet, ResNet18, ResNet18Layers, ResNet50, ResNet50Layers, ResNetSizes, ResidualArchitecture,
    Step,
};
pub use vgg::{
    Vgg11, Vgg11Config, Vgg11Layers, Vgg13, Vgg13Config, Vgg13Layers, Vgg16, Vgg16Config, Vgg16Layers, Vgg19,
    Vgg19Config, Vgg19Layers,
};
pub use weights::{Head, Weights};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
