//! What else makes parts of a network's features: the dictionaries an explainer is to be compared with.
//!
//! The maps of a target layer, `[N, C, L, L]`, are seen as N·L·L activation vectors of C channels. A
//! [`Dictionary`] of K atoms encodes each as K numbers and decodes them again,
//!
//! `x ≈ z · D`, with x of C channels, z of K codes and D of K atoms,
//!
//! so that the codes of an image are K maps, and peaks are read from them as from a layer's. All of
//! it is learnt without labels.
//!
//! | | codes | fitted by |
//! |---|---|---|
//! | [`Channels`] | the channels themselves | nothing |
//! | [`Pca`] | signed, uncorrelated | the covariance's largest eigenvectors |
//! | [`Nmf`] | not negative | multiplicative updates (as in CRAFT, arXiv:2211.10154) |
//! | [`KMeans`] | one of them not 0 | k-means++ and Lloyd's algorithm |
//! | [`TopKSae`] | k of them not 0 | Adam (arXiv:2406.04093) |
//!
//! Unlike an explainer these look at one unit at a time, see nothing of its surroundings, and reconstruct the
//! target features themselves: what the network makes of a reconstruction its own
//! [upper layers](explainer_core::UpperLayers) tell.
//!
//! # Example
//!
//! ```
//! use burn::tensor::{Device, Tensor, TensorData};
//! use explainer_baselines::{Dictionary, NmfConfig};
//! use explainer_metrics::RelativeError;
//!
//! // Activation vectors of three channels that are made of two atoms, [2, 0, 1] and [0, 1, 1].
//! let device = Device::flex();
//! let values = [2.0f32, 0.0, 1.0, 0.0, 3.0, 3.0, 2.0, 1.0, 2.0, 4.0, 1.0, 3.0];
//! let rows = Tensor::<2>::from_data(TensorData::new(values.to_vec(), [4, 3]), &device);
//! let nmf = NmfConfig::new(2).with_iterations(2000).with_tolerance(0.0).fit(rows.clone())?;
//! let decoded = nmf.decode(nmf.encode(rows)).into_data().to_vec::<f32>()?;
//! let mut error = RelativeError::default();
//! error.add(&decoded, &values);
//! assert!(error.value() < 1e-3);
//!
//! let maps = Tensor::<4>::ones([5, 3, 7, 7], &device);
//! assert_eq!(nmf.encode_maps(maps).dims(), [5, 2, 7, 7]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Rows of a performer's [`Features`](explainer_core::Features) come from [`ActivationSample`].

mod channels;
mod dictionary;
mod error;
mod kmeans;
mod nmf;
mod pca;
mod sample;
#[cfg(test)]
mod testing;
mod topk_sae;

pub use channels::Channels;
pub use dictionary::Dictionary;
pub use error::BaselineError;
pub use kmeans::{KMeans, KMeansConfig};
pub use nmf::{Nmf, NmfConfig};
pub use pca::{Pca, PcaConfig};
pub use sample::ActivationSample;
pub use topk_sae::{TopKSae, TopKSaeConfig};
