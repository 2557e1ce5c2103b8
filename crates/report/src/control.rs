//! Control fits, seen on the images of a report.

use explainer_core::{ControlFit, Fitted, Validation};
use explainer_metrics::{MatchingConfig, RETURNED, match_filters, match_filters_null};
use serde::Serialize;

use crate::ReportError;
use crate::figures::{Measure, Row};
use crate::observe::Layer;

/// Where the filters of a control fit fire: all that a report needs of it, so that the fit itself need not be
/// kept. Made by [`Report::control`](crate::Report::control).
#[derive(Clone, Debug)]
pub struct ControlPeaks {
    control: ControlFit,
    seen: Result<Seen, String>,
}

#[derive(Clone, Debug)]
struct Seen {
    layer: Layer,
    share: f64,
    validation: Option<Validation>,
    followed: Option<Vec<String>>,
}

impl ControlPeaks {
    pub(crate) fn of<P>(control: ControlFit, layer: Layer, fit: &Fitted<'_, P>) -> Self {
        let seen = Seen { layer, share: fit.share, validation: fit.validation.clone(), followed: None };
        Self { control, seen: Ok(seen) }
    }

    /// With the landmarks that its parts follow beyond their own controls
    /// ([`followed`](explainer_evaluation::verdict::followed)).
    #[must_use]
    pub fn with_followed(mut self, landmarks: Vec<String>) -> Self {
        if let Ok(seen) = &mut self.seen {
            seen.followed = Some(landmarks);
        }
        self
    }

    /// A control fit that is not there, and why: it diverged, or it could have told nothing.
    pub fn missing(control: ControlFit, why: impl ToString) -> Self {
        Self { control, seen: Err(why.to_string()) }
    }

    /// The figures beside the explained layer's.
    pub(crate) fn figures(
        &self,
        explained: &Layer,
        measure: &Measure<'_>,
    ) -> Result<ControlFigures, ReportError> {
        let control = self.control;
        let Seen { layer, share, validation, followed } = match &self.seen {
            Ok(seen) => seen,
            Err(why) => return Ok(ControlFigures { control, missing: Some(why.clone()), figures: None }),
        };
        let [own, found] = [explained, layer].map(|layer| (layer.peaks.images(), layer.peaks.grid()));
        if own != found {
            let expected = format!("{} images of {:?} units", own.0, own.1);
            let found = format!("{} of {:?}", found.0, found.1);
            return Err(ReportError::Control { control, expected, found });
        }
        let config = MatchingConfig::new([measure.side; 2]);
        let (first, second) = (&explained.peaks, &layer.peaks);
        let matching = match_filters(first, second, &explained.field, &config);
        let null = match_filters_null(first, second, &explained.field, &config, measure.seed);
        let figures = FitFigures {
            row: measure.row(title(control), layer, true),
            share: *share,
            validation: validation.clone(),
            followed: followed.clone(),
            returned: matching.returned(RETURNED),
            returned_null: null.returned(RETURNED),
        };
        Ok(ControlFigures { control, missing: None, figures: Some(figures) })
    }
}

/// A control fit in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ControlFigures {
    /// What was changed.
    pub control: ControlFit,
    /// Why there are no figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Its figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<FitFigures>,
}

/// What was measured of a control fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FitFigures {
    /// Its last interpretable conv-layer, as in the table.
    pub row: Row,
    /// p.
    pub share: f64,
    /// On held-out features: for [`ControlFit::ShuffledFeatures`] shuffled ones, for
    /// [`ControlFit::RandomPerformer`] those of the random network.
    pub validation: Option<Validation>,
    /// The landmarks that its parts follow beyond their own controls, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub followed: Option<Vec<String>>,
    /// The share of the first fit's live filters that come back in this one, paired one to one
    /// ([`match_filters`]); NaN (`null` in JSON) if none is live.
    pub returned: f64,
    /// The same with this fit's images permuted ([`match_filters_null`]).
    pub returned_null: f64,
}

/// What a control fit is called among the rows of the table.
pub(crate) fn title(control: ControlFit) -> &'static str {
    match control {
        ControlFit::SecondSeed => "explainer, second seed",
        ControlFit::ShuffledFeatures => "explainer, shuffled features",
        ControlFit::PermutedCategories => "explainer, permuted categories",
        ControlFit::RandomPerformer => "explainer of a performer with random weights",
        other => other.name(),
    }
}
