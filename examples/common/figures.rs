//! The figures of one experiment, as they go into the JSON file.

use explainer_core::{ExplainerConfig, FitConfig, PartFitConfig, PartValidation};
use explainer_evaluation::Evidence;
use explainer_metrics::Summary;
use explainer_report::Trust;
use serde::{Serialize, Serializer};

use super::head_to_head::HeadToHead;

/// One value for each layer and control. With several categories each filter is measured on the one that
/// activates it most. conv-interp-1 and -2 are the first and the last of the interpretable conv-layers, however
/// many there are.
#[derive(Clone, Debug, Serialize)]
pub struct Instability {
    pub target: f64,
    pub top_conv: f64,
    pub conv_interp_1: f64,
    pub conv_interp_2: f64,
    pub conv_interp_2_live: f64,
    /// conv-interp-2 before fitting.
    pub unfitted: f64,
    /// conv-interp-2 if its filters fired at their places whatever they see there; `None` without windows.
    pub places: Option<f64>,
    /// A filter that always fires at the image's centre.
    pub always_centre: f64,
    /// A filter that never fires.
    pub dead_filter: f64,
    /// A filter that fires anywhere.
    pub random_unit: f64,
    /// The top conv of a performer with random weights.
    pub random_performer: f64,
}

/// One summary for each layer and control.
#[derive(Clone, Debug, Serialize)]
pub struct TrackingFigures {
    pub target: Summary,
    pub top_conv: Summary,
    pub conv_interp_1: Summary,
    pub conv_interp_2: Summary,
    /// conv-interp-2 before fitting.
    pub unfitted: Summary,
    /// conv-interp-2 if its filters fired at their places whatever they see there; `None` without windows.
    pub places: Option<Summary>,
    /// conv-interp-2 against the landmarks of other images.
    pub null: Summary,
    pub random_performer: Summary,
}

/// One value for each layer with its own filters.
#[derive(Clone, Debug, Serialize)]
pub struct LayerFigures {
    pub top_conv: f64,
    pub conv_interp_1: f64,
    pub conv_interp_2: f64,
}

/// Relative errors of what is reconstructed.
#[derive(Clone, Debug, Serialize)]
pub struct Reconstruction {
    pub fc_dec_1: f64,
    /// Where there is a second layer.
    pub fc_dec_2: Option<f64>,
}

impl Reconstruction {
    /// Of every layer.
    pub fn errors(&self) -> Vec<f64> {
        std::iter::once(self.fc_dec_1).chain(self.fc_dec_2).collect()
    }
}

/// Errors on the validation images, of the performer and with the explainer's features.
#[derive(Clone, Debug, Serialize)]
pub struct ClassificationError {
    pub performer: f64,
    pub explainer: f64,
}

/// The filters that one category activates most, on its images.
#[derive(Clone, Debug, Serialize)]
pub struct CategoryFigures {
    pub category: String,
    /// Images with landmarks.
    pub images: usize,
    pub top_conv: FiltersFigures,
    pub conv_interp_2: FiltersFigures,
}

/// Some of a layer's filters.
#[derive(Clone, Debug, Serialize)]
pub struct FiltersFigures {
    pub filters: usize,
    pub location_instability: f64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Seconds {
    pub features: f64,
    pub fit: f64,
    /// All that is below, too.
    pub evaluate: f64,
    /// The performer on the images of the evidence and on what is made of them.
    pub evidence_performer: f64,
    /// Making these.
    pub evidence_pictures: f64,
    /// The detectors and controls.
    pub evidence_detectors: f64,
}

/// What an explainer of part detectors makes of the validation images.
#[derive(Clone, Debug, Serialize)]
pub struct PartFigures {
    /// Share of all peaks that each round of the fit moved.
    pub moved: Vec<f64>,
    pub validation: Option<PartValidation>,
}

/// All figures of one experiment.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub dataset: String,
    pub category: String,
    pub performer: String,
    pub form: String,
    pub seed: u64,
    pub epochs: usize,
    /// Images with landmarks, on which instability and tracking are measured.
    pub images: usize,
    /// Training rows (images and their further views) and validation images.
    pub training_rows: usize,
    pub validation_images: usize,
    pub location_instability: Instability,
    pub tracking: TrackingFigures,
    pub peak_spread: LayerFigures,
    /// How far the landmarks themselves move.
    pub landmark_spread: f64,
    pub diversity: LayerFigures,
    pub by_category: Vec<CategoryFigures>,
    pub live_filters: usize,
    pub filters: usize,
    /// p.
    pub share: f64,
    /// The share of the interpretable track in the mass of the encoder's output, on the validation images.
    pub mass_share: Option<f64>,
    pub reconstruction: Reconstruction,
    /// Among all classes of the performer; not measured where the dataset's categories are not among them.
    pub error: Option<ClassificationError>,
    /// Among the classes of the dataset.
    pub error_among: Option<ClassificationError>,
    /// Share of the validation images for which both decide for the same of all classes.
    pub agreement: f64,
    /// The same among the classes of the dataset, or among all where the performer has others.
    pub agreement_among: f64,
    /// What interventions found.
    #[serde(flatten, serialize_with = "evidence")]
    pub evidence: Evidence,
    /// What the detectors of parts carry by themselves; `None` of a form that is trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_detectors: Option<PartFigures>,
    /// Other methods on the same features, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_to_head: Option<HeadToHead>,
    /// What the fit passed and what it did not: the checks of the report. They are measured last, so that a run
    /// that stops on its way to them has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    pub seconds: Seconds,
    pub peak_rss_mib: Option<f64>,
    pub settings: Settings,
}

/// Evidence as it goes into the JSON file: the best eighth of the detectors by layer and landmark, the same over all of
/// them, and how much was looked at.
fn evidence<S: Serializer>(found: &Evidence, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Looked {
        images: usize,
        photographs: usize,
        available: usize,
        left_out: usize,
    }
    #[derive(Serialize)]
    struct Keys<'a, A: Serialize> {
        evidence: &'a Evidence,
        evidence_all_detectors: A,
        evidence_images: Looked,
    }
    let Evidence { images, photos, available, left_out, .. } = *found;
    let evidence_images = Looked { images, photographs: photos, available, left_out };
    let evidence_all_detectors = found.all_detectors();
    Keys { evidence: found, evidence_all_detectors, evidence_images }.serialize(serializer)
}

/// What the explainer and its fit were made from; `--set` takes the same names.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    pub seed: u64,
    /// Random crops of every training image.
    pub crops: usize,
    /// Seed of those crops, or of the squares that are moved.
    pub crops_seed: u64,
    /// Whether target features were kept in half precision.
    pub half: bool,
    /// Whether bars are drawn.
    #[serde(skip)]
    pub progress: bool,
    #[serde(flatten)]
    pub method: Method,
}

/// The settings of a form.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Method {
    /// Detectors of parts.
    Parts { parts: PartFitConfig },
    /// An explainer that is trained.
    Trained { explainer: Box<ExplainerConfig>, fit: Box<FitConfig> },
}

impl Settings {
    /// Without what says where and not what.
    pub fn told(mut self) -> Self {
        if let Method::Trained { fit, .. } = &mut self.method {
            (fit.checkpoints, fit.stop) = (None, None);
        }
        self
    }
}
