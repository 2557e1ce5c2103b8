//! The figures of all layers and their controls, on the images of the report.

use explainer_metrics::{
    Categories, Control, InstabilityConfig, Landmarks, LocationInstability, Peaks, ReceptiveField,
    STRONGEST_IMAGES, Summary, Tracking, diversity, landmark_spread, location_instability_by_category,
    peak_spread, tracking_by_category, tracking_null_by_category,
};
use serde::Serialize;

use crate::observe::Layer;

/// A line of the table. With several categories, each filter is measured on the one that activates it most.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The layer or the control.
    pub name: String,
    /// Whether it is there to compare with.
    pub control: bool,
    /// Location instability, mean over filters; lower is more stable.
    pub instability: Option<f64>,
    /// Tracking, over filters; higher follows better.
    pub tracking: Option<Summary>,
    /// Spread of the peaks of live filters.
    pub spread: Option<f64>,
    /// Effective number of distinct peaks in an image.
    pub diversity: Option<f64>,
    /// Filters that fired, of how many.
    pub live: Option<[usize; 2]>,
}

/// What is measured of one filter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FilterFigures {
    /// Images in which it fired.
    pub fired: usize,
    /// The largest and the mean activation of its strongest unit over all images.
    pub activation: [f64; 2],
    /// Location instability, where landmarks are known.
    pub instability: Option<f64>,
    /// Tracking and the landmark it is of, likewise.
    pub tracking: Option<(usize, f64)>,
    /// Spread of its peak.
    pub spread: f64,
}

/// Measures layers on the same images.
pub(crate) struct Measure<'a> {
    pub(crate) landmarks: Option<&'a Landmarks>,
    /// Of each image.
    pub(crate) categories: &'a [usize],
    /// Side of the images in pixels.
    pub(crate) side: usize,
    pub(crate) seed: u64,
}

impl Measure<'_> {
    pub(crate) fn diagonal(&self) -> f64 {
        (self.side as f64).hypot(self.side as f64)
    }

    fn instability(&self, peaks: &Peaks, field: &ReceptiveField) -> Option<LocationInstability> {
        let config = InstabilityConfig::new([self.side, self.side]);
        self.landmarks.map(|landmarks| {
            location_instability_by_category(peaks, field, landmarks, &self.categories(peaks), &config)
        })
    }

    /// Each filter on the category that activates it most.
    fn categories(&self, peaks: &Peaks) -> Categories {
        Categories::strongest(peaks, self.categories.to_vec())
    }

    fn tracking(&self, peaks: &Peaks) -> Option<Tracking> {
        let of =
            |landmarks| tracking_by_category(peaks, landmarks, &self.categories(peaks), STRONGEST_IMAGES);
        self.landmarks.map(of)
    }

    /// The row of a layer.
    pub(crate) fn row(&self, name: &str, layer: &Layer, control: bool) -> Row {
        let Layer { peaks, field } = layer;
        Row {
            name: name.to_string(),
            control,
            instability: self.instability(peaks, field).map(|found| found.mean).filter(|v| v.is_finite()),
            tracking: self.tracking(peaks).map(|found| found.summary).filter(|s| s.mean.is_finite()),
            spread: Some(peak_spread(peaks, field, self.diagonal()).live_mean).filter(|v| v.is_finite()),
            diversity: Some(diversity(peaks).mean),
            live: Some([peaks.live_filters().len(), peaks.filters()]),
        }
    }

    /// Rows of what owes nothing to the images, for the explained layer and the performer's.
    pub(crate) fn controls(&self, explained: &Layer, performer: &Layer) -> Vec<Row> {
        let Some(landmarks) = self.landmarks else { return Vec::new() };
        let (peaks, categories) = (&explained.peaks, self.categories(&explained.peaks));
        let null =
            tracking_null_by_category(peaks, landmarks, &categories, STRONGEST_IMAGES, self.seed).summary;
        let blank = |name: &str| Row {
            name: name.to_string(),
            control: true,
            instability: None,
            tracking: None,
            spread: None,
            diversity: None,
            live: None,
        };
        let moved = Some(landmark_spread(landmarks, self.diagonal())).filter(|v| v.is_finite());
        let mut rows =
            vec![Row { tracking: Some(null), ..blank(NULL) }, Row { spread: moved, ..blank(LANDMARKS) }];
        let controls = Control::all(&performer.peaks, &performer.field, self.side, self.seed);
        for (control, name) in controls.iter().zip([CENTRE, DEAD, RANDOM_UNIT]) {
            let instability = self.instability(&control.peaks, &control.field).map(|found| found.mean);
            rows.push(Row { instability: instability.filter(|v| v.is_finite()), ..blank(name) });
        }
        rows
    }

    /// The figures of each filter of a layer.
    pub(crate) fn filters(&self, layer: &Layer) -> Vec<FilterFigures> {
        let Layer { peaks, field } = layer;
        let (instability, tracking) = (self.instability(peaks, field), self.tracking(peaks));
        let spread = peak_spread(peaks, field, self.diagonal()).per_filter;
        let figures = |filter: usize| {
            let strengths =
                (0..peaks.images()).map(|image| f64::from(peaks.get(filter, image).strength.max(0.0)));
            let (sum, most) = strengths.fold((0.0, 0.0), |(sum, most): (f64, f64), s| (sum + s, most.max(s)));
            let best = tracking.as_ref().and_then(|found| {
                let pairs = found.per_pair[filter].iter().enumerate();
                let pairs = pairs.filter_map(|(landmark, value)| Some((landmark, (*value)?)));
                pairs.max_by(|a, b| a.1.total_cmp(&b.1))
            });
            FilterFigures {
                fired: peaks.fired_images(filter),
                activation: [most, sum / peaks.images() as f64],
                instability: instability.as_ref().and_then(|found| found.per_filter[filter]),
                tracking: best,
                spread: spread[filter],
            }
        };
        (0..peaks.filters()).map(figures).collect()
    }
}

/// Names of rows that the statement of trust looks up.
pub(crate) const TOP_CONV: &str = "performer, top conv";
pub(crate) const UNFITTED: &str = "last interpretable layer, unfitted";
pub(crate) const PLACES: &str = "last interpretable layer, places alone";
pub(crate) const RANDOM_PERFORMER: &str = "performer, random weights";
pub(crate) const NULL: &str = "last interpretable layer, permuted landmarks";
pub(crate) const LANDMARKS: &str = "the landmarks themselves";
pub(crate) const CENTRE: &str = "always at the centre";
const DEAD: &str = "dead filter";
const RANDOM_UNIT: &str = "random unit";
