//! The figures of a measurement: by layer or control, then by landmark.

use explainer_metrics::{Estimate, EvidenceFigures, Figure};
use image::RgbImage;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::layer::Trace;
use crate::pass::Took;

/// The figures of one set of detectors for one landmark; `None` where a figure was not measured. Their definitions are
/// those of `explainer-metrics`.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Figures {
    /// Share of the images in which the detector is stronger with a control place erased than with the landmark
    /// erased. A blind place: 0.5; ideal: 1.
    pub erase_auc: Option<Figure>,
    /// Share of the images in which the peak lies within a tenth of the diagonal of the landmark.
    pub hit: Option<Figure>,
    /// The same for the place to which the landmark was transplanted. A blind place: 0; ideal: 1.
    pub transplant_hit: Option<Figure>,
    /// The share in which, then, the peak is still at the old place. Ideal: 0.
    pub stays: Option<Figure>,
    /// How far the peak moves along with the landmark. A blind place: 0; ideal: 1.
    pub gain: Option<Figure>,
    /// Gain for landmarks that are not the detector's own. Ideal: 0.
    pub crosstalk: Option<Figure>,
    /// ΔR² of the landmark on the peak beyond what a position knows. A blind place: 0.
    pub residual_tracking: Option<Figure>,
    /// The same with peaks permuted.
    pub residual_null: Option<Figure>,
    /// Share of pairs in which the detector is stronger where the landmark is visible than where it is not.
    pub presence_auc: Option<Figure>,
}

impl Figures {
    /// Those of interventions.
    pub(crate) fn of(found: EvidenceFigures) -> Self {
        let EvidenceFigures { erase_auc, hit, transplant_hit, stays, gain } = found;
        Self { erase_auc, hit, transplant_hit, stays, gain, ..Self::default() }
    }
}

/// One set of detectors and one landmark.
#[derive(Clone, Debug, PartialEq)]
pub struct LandmarkFigures {
    /// Mean over the eighth of the detectors that match the landmark best: the figure of the landmark.
    pub best: Figures,
    /// Mean over all detectors.
    pub all: Figures,
    /// The detector that matches best on all images.
    pub strongest: usize,
    /// Images with the landmark.
    pub images: usize,
}

/// Whether contributions name the parts whose removal matters, of images that can be drawn again: see
/// [`DeletionConfig`](crate::DeletionConfig). All are shares, 1 is best.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Deletion {
    /// ½ + ½ · Spearman correlation between contributions and the drops of the score when a part is removed. Chance: ½.
    pub single: Option<Figure>,
    /// Removing the parts said to matter changes the decision.
    pub deletion: Option<Figure>,
    /// Removing all others does not.
    pub preservation: Option<Figure>,
    /// Share of the background's objects whose removal does not matter: of the performer, whatever explains it.
    pub background_independence: Option<Figure>,
    /// One minus the share of the things said to matter among those whose removal does not.
    pub distractibility: Option<Figure>,
    /// A control: [`single`](Self::single) of an explanation that gives every pixel the same, so that the larger part
    /// gave more.
    pub single_by_area: Option<Figure>,
    /// Share of what was attributed from which on a thing is said to matter: that of 0.01 to 0.5 which serves the
    /// explanation best.
    pub threshold: Option<f64>,
}

/// All figures of one layer or control.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerEvidence {
    /// Its key in JSON.
    pub name: String,
    /// The number of its detectors.
    pub detectors: usize,
    /// One entry for each landmark of the set; `None` where it was not measured.
    pub landmarks: Vec<Option<LandmarkFigures>>,
    /// Share of the detectors that fall most when the part they match is removed. Needs images that can be rendered.
    pub selectivity: Option<Estimate>,
    /// Likewise.
    pub deletion: Option<Deletion>,
}

/// The pictures of one image and landmark, and where the detectors of each layer fire that match the landmark best.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The sample.
    pub id: String,
    /// The landmark, by its number.
    pub landmark: usize,
    /// The image as it is.
    pub original: RgbImage,
    /// With the landmark erased.
    pub erased: RgbImage,
    /// With the landmark transplanted.
    pub transplanted: RgbImage,
    /// Where the landmark is, `[x, y]` in pixels.
    pub place: [f64; 2],
    /// Where it was transplanted.
    pub paste: [f64; 2],
    /// Layers and controls, and the peaks of the best detector of each.
    pub traces: Vec<(String, Trace)>,
}

/// What detectors do when a picture changes and the object stays where it is.
///
/// As JSON it is a map of layers and controls; each is a map of the set's landmarks (their [`Figures`], each
/// `[value, standard error]` or null), with `selectivity` and `deletion` beside them.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Names of the landmarks.
    pub landmarks: Vec<String>,
    /// Layers and controls, in the order of the table.
    pub layers: Vec<LayerEvidence>,
    /// Images looked at.
    pub images: usize,
    /// Their source photographs.
    pub photos: usize,
    /// Images with landmarks in the set.
    pub available: usize,
    /// Images that could not be read and were left out.
    pub left_out: usize,
    /// Whether images were drawn again, rather than painted over.
    pub rendered: bool,
    /// How long it took.
    pub took: Took,
    /// Some of the pictures.
    pub examples: Vec<Example>,
}

impl Evidence {
    /// The figures of a layer or control.
    pub fn layer(&self, name: &str) -> Option<&LayerEvidence> {
        self.layers.iter().find(|layer| layer.name == name)
    }

    /// The figures of a layer or control for a landmark, by its number.
    pub fn figures(&self, name: &str, landmark: usize) -> Option<&LandmarkFigures> {
        self.layer(name)?.landmarks.get(landmark)?.as_ref()
    }

    /// By how much a figure of one layer exceeds that of another, paired over photographs; `None` where one of them
    /// was not measured.
    pub fn margin(
        &self,
        [own, other]: [&str; 2],
        landmark: usize,
        figure: impl Fn(&Figures) -> Option<&Figure>,
    ) -> Option<Estimate> {
        let of = |name: &str| self.figures(name, landmark).and_then(|found| figure(&found.best));
        Some(of(own)?.difference(of(other)?))
    }

    /// Adds a layer of another measurement of the same images under a name of its own, in place of one that has it
    /// already.
    #[must_use]
    pub fn with(mut self, name: &str, layer: LayerEvidence) -> Self {
        let layer = LayerEvidence { name: name.to_string(), ..layer };
        match self.layers.iter_mut().find(|own| own.name == name) {
            Some(own) => *own = layer,
            None => self.layers.push(layer),
        }
        self
    }

    /// With what the contributions to predictions are worth, by layer or control. A name that no layer has gets one
    /// without detectors.
    #[must_use]
    pub fn with_deletion(mut self, found: impl IntoIterator<Item = (String, Deletion)>) -> Self {
        for (name, deletion) in found {
            if let Some(layer) = self.layers.iter_mut().find(|layer| layer.name == name) {
                layer.deletion = Some(deletion);
                continue;
            }
            let landmarks = vec![None; self.landmarks.len()];
            let deletion = Some(deletion);
            self.layers.push(LayerEvidence { name, detectors: 0, landmarks, selectivity: None, deletion });
        }
        self
    }

    /// The same map with the mean over all detectors in place of the best eighth.
    pub fn all_detectors(&self) -> impl Serialize + '_ {
        AllDetectors(self)
    }

    fn serialize_with<S: Serializer>(
        &self,
        serializer: S,
        of: fn(&LandmarkFigures) -> &Figures,
    ) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.layers.len()))?;
        for layer in &self.layers {
            map.serialize_entry(&layer.name, &OfLayer { layer, names: &self.landmarks, of })?;
        }
        map.end()
    }
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize_with(serializer, |found| &found.best)
    }
}

/// See [`Evidence::all_detectors`].
struct AllDetectors<'a>(&'a Evidence);

impl Serialize for AllDetectors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_with(serializer, |found| &found.all)
    }
}

/// A layer as JSON has it.
struct OfLayer<'a> {
    layer: &'a LayerEvidence,
    names: &'a [String],
    of: fn(&LandmarkFigures) -> &Figures,
}

impl Serialize for OfLayer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { layer, names, of } = *self;
        let mut map = serializer.serialize_map(Some(names.len() + 2))?;
        let none = Figures::default();
        for (name, found) in names.iter().zip(&layer.landmarks) {
            map.serialize_entry(name, found.as_ref().map_or(&none, of))?;
        }
        map.serialize_entry("selectivity", &layer.selectivity)?;
        map.serialize_entry("deletion", &layer.deletion.clone().unwrap_or_default())?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use explainer_metrics::{LandmarkImages, LandmarkResponses, Responses, filter_evidence};
    use serde_json::json;

    /// A figure of two photographs: hits in one of them, or in both.
    fn figure(both: bool) -> Figure {
        let images = LandmarkImages::new(vec![[0.0, 0.0]; 2], vec![0, 1], 100.0).unwrap();
        let mut responses = Responses::new(1);
        responses.push(&[1.0], &[[0.0, 0.0]]).unwrap();
        responses.push(&[1.0], &[[if both { 0.0 } else { 50.0 }, 0.0]]).unwrap();
        let found = filter_evidence(&images, &LandmarkResponses::new(responses), 0, &[0, 1]).unwrap();
        found.hit.expect("two photographs")
    }

    fn layer(name: &str, both: bool) -> LayerEvidence {
        let best = Figures { hit: Some(figure(both)), ..Figures::default() };
        let found = LandmarkFigures { best, all: Figures::default(), strongest: 0, images: 2 };
        LayerEvidence {
            name: name.to_string(),
            detectors: 1,
            landmarks: vec![Some(found), None],
            selectivity: None,
            deletion: None,
        }
    }

    fn evidence(layers: Vec<LayerEvidence>) -> Evidence {
        Evidence {
            landmarks: vec!["head".to_string(), "front legs".to_string()],
            layers,
            images: 2,
            photos: 2,
            available: 5,
            left_out: 0,
            rendered: false,
            took: Took::default(),
            examples: Vec::new(),
        }
    }

    #[test]
    fn json_is_by_layer_then_by_landmark() {
        let found = evidence(vec![layer("target", false), layer("ceiling", true)]);
        let json = serde_json::to_value(&found).unwrap();
        let keys = [
            "erase_auc",
            "hit",
            "transplant_hit",
            "stays",
            "gain",
            "crosstalk",
            "residual_tracking",
            "residual_null",
            "presence_auc",
        ];
        let head = json["target"]["head"].as_object().unwrap();
        assert_eq!(head.len(), keys.len());
        for key in keys {
            assert!(head.contains_key(key), "{key}");
            assert_eq!(json["target"]["front legs"][key], json!(null));
        }
        assert_eq!(json["ceiling"]["head"]["hit"], json!([1.0, 0.0]));
        assert_eq!(json["target"]["head"]["hit"], json!([0.5, 0.5]));
        assert_eq!(json["target"]["head"]["gain"], json!(null));
        assert_eq!(json["target"]["selectivity"], json!(null));
        let deletion = json["ceiling"]["deletion"].as_object().unwrap();
        for key in ["single", "deletion", "preservation", "background_independence", "distractibility"] {
            assert_eq!(deletion[key], json!(null));
        }
        let all = serde_json::to_value(found.all_detectors()).unwrap();
        assert_eq!(all["target"]["head"]["hit"], json!(null));
    }

    #[test]
    fn contributions_go_to_the_layer_of_their_name() {
        let measured = Deletion { single: Some(figure(true)), ..Deletion::default() };
        let found = ["target", "other"].map(|name| (name.to_string(), measured.clone()));
        let found = evidence(vec![layer("target", false)]).with_deletion(found);
        assert_eq!(found.layers.len(), 2);
        assert!(found.layers.iter().all(|layer| layer.deletion.as_ref() == Some(&measured)));
        assert!(found.figures("target", 0).is_some() && found.figures("other", 0).is_none());
    }

    #[test]
    fn margins_are_paired_over_photographs() {
        let found = evidence(vec![layer("target", false), layer("ceiling", true)]);
        let margin = |names| found.margin(names, 0, |figures| figures.hit.as_ref());
        // In one photograph the difference is 0, in the other 1.
        assert_eq!(margin(["ceiling", "target"]), Some(Estimate { value: 0.5, standard_error: 0.5 }));
        assert_eq!(margin(["ceiling", "places"]), None);
        assert_eq!(found.margin(["ceiling", "target"], 1, |figures| figures.hit.as_ref()), None);
        let found = found.with("target", layer("other", true)).with("published", layer("other", true));
        assert_eq!(found.layers.len(), 3);
        assert_eq!(found.margin(["published", "target"], 0, |f| f.hit.as_ref()).unwrap().value, 0.0);
    }
}
