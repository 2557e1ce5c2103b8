//! What a fit writes down, epoch by epoch. In JSON a number that is not finite is a word: `"NaN"`, `"inf"`, `"-inf"`.

use serde::{Deserialize, Serialize};

/// Means over the steps of one epoch, and figures on the validation features after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// Optimiser steps.
    pub steps: usize,
    /// λ_l ‖x_l − x*_l‖² for each reconstructed layer, mean over images; with
    /// [`Task::Classification`](crate::Task) it is only measured.
    #[serde(with = "crate::number::list")]
    pub reconstruction: Vec<f64>,
    /// The loss of [`Task::Classification`](crate::Task), if that is what is fitted.
    #[serde(with = "crate::number::option", default)]
    pub classification: Option<f64>,
    /// −η log p.
    #[serde(with = "crate::number")]
    pub share_loss: f64,
    /// −MI(X; T), mean over filters, for each interpretable conv-layer.
    #[serde(with = "crate::number::list")]
    pub filter_loss: Vec<f64>,
    /// λ_f for each interpretable conv-layer.
    #[serde(with = "crate::number::list")]
    pub push: Vec<f64>,
    /// p after the epoch.
    #[serde(with = "crate::number")]
    pub share: f64,
    /// Figures on validation features, if there were any.
    pub validation: Option<Validation>,
    /// Wall-clock time of the epoch.
    #[serde(with = "crate::number")]
    pub seconds: f64,
}

/// How well an explainer stands in for the performer on features it was not fitted on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Σ‖x_l − x*_l‖² / Σ‖x*_l‖² for each reconstructed layer.
    #[serde(with = "crate::number::list")]
    pub relative_error: Vec<f64>,
    /// Share of images whose highest score is of the same class with the explainer's features.
    #[serde(with = "crate::number")]
    pub agreement: f64,
    /// Share of the interpretable track in the mass of the encoder's output,
    ///
    /// `Σ p · x̂_interp / Σ (p · x̂_interp + (1 − p) · x̂_ordin)`, over channels, units and images.
    ///
    /// It is p where both tracks have the mass that their norm-layers were measured at, and less where the ordinary
    /// one has grown louder since. `None` of what has no tracks ([`Fit::without_looking`](crate::Fit)).
    #[serde(with = "crate::number::option", default)]
    pub mass_share: Option<f64>,
    /// Location instability of the last interpretable conv-layer, mean over filters, as published; lower is
    /// more stable, and by itself says little ([`location_instability`](explainer_metrics::location_instability)).
    /// `None` where the features have no landmarks ([`Features::with_landmarks`](crate::Features)), or none that
    /// is there in two images.
    #[serde(with = "crate::number::option", default)]
    pub instability: Option<f64>,
}
