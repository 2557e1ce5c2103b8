//! From what was seen to figures.

use burn::tensor::Device;
use explainer_core::Performer;
use explainer_datasets::{Dataset, Point, Prefetch};
use explainer_metrics::{
    ErasedResponses, Estimate, Figure, Halves, LandmarkData, LandmarkImages, LandmarkMatching,
    LandmarkResponses, MatchedFigure, ResidualTracking, Responses, crosstalk, landmark_evidence,
    presence_auc, rank_filters, residual_tracking, selectivity,
};

use crate::evidence::{Evidence, Example, Figures, LandmarkFigures, LayerEvidence};
use crate::layer::Layer;
use crate::names::CEILING;
use crate::pass::{Kept, Pass, Seen};
use crate::{EvaluationError, EvidenceConfig, Probes};

impl EvidenceConfig {
    /// Puts the probes and the controls to the test, all on the same images: those of a category of `dataset` that
    /// show a landmark, at most [`images`](Self::images) of them. The controls that are always made are the channels
    /// of the target layer and of the top conv, k-means of the target layer and the supervised ceiling.
    ///
    /// Each image is shown as it is; and for each of its landmarks with the landmark erased, with a control place
    /// erased, and with the landmark transplanted there. So the performer runs `1 + 3 · landmarks` times over the
    /// images, once for all probes.
    ///
    /// Of a set that [draws its images](Dataset::rendered) all of them are drawn again: without the part, without an object
    /// of the background, and with the part moved by two and a half units of the target map, or by a fifth of the diagonal
    /// where that is more. Crosstalk and selectivity are measured of such sets alone.
    ///
    /// # Errors
    /// A set without landmarks or without an image that shows one; images that cannot be read or are not of the
    /// performer's size; a landmark outside of its image; two probes of one name; maps that are not finite or change
    /// their shape; a setting that cannot be met.
    pub fn measure<P: Performer>(
        &self,
        performer: &P,
        dataset: &dyn Dataset,
        probes: &Probes<'_>,
        prefetch: Prefetch,
        device: &Device,
    ) -> Result<Evidence, EvaluationError> {
        self.check()?;
        let pass = Pass { performer, dataset, probes, config: self, device };
        let seen = pass.run(prefetch)?;
        let measure = Measure::new(&seen, pass.side(), dataset, self)?;
        let layers = seen.layers.iter().map(|layer| measure.layer(layer)).collect::<Result<Vec<_>, _>>()?;
        Ok(Evidence {
            landmarks: dataset.landmark_names().to_vec(),
            examples: measure.examples(&layers),
            layers,
            images: seen.images.len(),
            photos: seen.images.iter().map(|image| image.photo + 1).max().unwrap_or(0),
            available: seen.available,
            left_out: seen.left_out.len(),
            rendered: measure.rendered,
            took: seen.took,
        })
    }
}

/// The images of one landmark.
struct OfLandmark {
    /// Among those of the measurement.
    images: Vec<usize>,
    table: LandmarkImages,
}

/// What a layer does about the parts of others.
#[derive(Default)]
struct Across {
    /// Of each landmark that was measured, by its number.
    crosstalk: Vec<(usize, MatchedFigure)>,
    selectivity: Option<Estimate>,
}

/// What all layers are measured by.
struct Measure<'a> {
    seen: &'a Seen,
    landmarks: Vec<OfLandmark>,
    halves: Halves,
    /// Whether images without a landmark do not show it.
    visibility: bool,
    /// Whether images were drawn again.
    rendered: bool,
    seed: u64,
}

impl<'a> Measure<'a> {
    fn new(
        seen: &'a Seen,
        side: usize,
        dataset: &dyn Dataset,
        config: &EvidenceConfig,
    ) -> Result<Self, EvaluationError> {
        let diagonal = (side as f64).hypot(side as f64);
        let count = seen.ceilings.len();
        let of = |landmark: usize| {
            let shown = seen.images.iter().enumerate();
            let shown = shown.filter_map(|(at, image)| Some((at, image.points[landmark]?, image.photo)));
            let (mut images, mut points, mut photos) = (Vec::new(), Vec::new(), Vec::new());
            for (at, point, photo) in shown {
                images.push(at);
                points.push(point);
                photos.push(photo);
            }
            let pasted = seen.pastes.iter().filter(|paste| paste.landmark == landmark);
            let pasted: Vec<[f64; 2]> = pasted.map(|paste| paste.center).collect();
            let table = LandmarkImages::new(points, photos, diagonal)?.with_pasted(pasted)?;
            Ok::<_, EvaluationError>(OfLandmark { images, table })
        };
        let photos: Vec<usize> = seen.images.iter().map(|image| image.photo).collect();
        Ok(Self {
            seen,
            landmarks: (0..count).map(of).collect::<Result<_, _>>()?,
            halves: Halves::new(&photos, config.seed),
            visibility: dataset.states_visibility() || dataset.rendered().is_some(),
            rendered: dataset.rendered().is_some(),
            seed: config.seed,
        })
    }

    fn layer(&self, layer: &Layer) -> Result<LayerEvidence, EvaluationError> {
        let landmarks = (0..self.landmarks.len()).map(|landmark| self.landmark(layer, landmark));
        let mut landmarks = landmarks.collect::<Result<Vec<_>, _>>()?;
        let Across { crosstalk, selectivity } = self.across(layer)?;
        for (landmark, MatchedFigure { best, all }) in crosstalk {
            if let Some(figures) = &mut landmarks[landmark] {
                (figures.best.crosstalk, figures.all.crosstalk) = (best, all);
            }
        }
        Ok(LayerEvidence {
            name: layer.name.clone(),
            detectors: layer.filters(),
            landmarks,
            selectivity,
            deletion: None,
        })
    }

    /// Whether a landmark is measured of a layer: some image shows it, and the ceiling was told of it.
    fn measures(&self, layer: &Layer, landmark: usize) -> bool {
        !self.landmarks[landmark].images.is_empty() && (layer.name != CEILING || self.seen.ceilings[landmark])
    }

    /// What a layer does about the parts of others, where parts were moved and taken out one by one.
    fn across(&self, layer: &Layer) -> Result<Across, EvaluationError> {
        if !self.rendered {
            return Ok(Across::default());
        }
        let all = 0..self.landmarks.len();
        let measured: Vec<usize> = all.filter(|&landmark| self.measures(layer, landmark)).collect();
        let images = |&landmark: &usize| layer.of_landmark(landmark, &self.landmarks[landmark].images);
        let Some(responses) = measured.iter().map(images).collect::<Option<Vec<_>>>() else {
            return Ok(Across::default());
        };
        let halves = &self.halves;
        // The detectors of the ceiling were told their landmarks: each is alone.
        let told = layer.name == CEILING;
        let found = if told {
            let own = |(at, &landmark): (usize, &usize)| {
                let alone: Vec<_> = responses.iter().map(|all| only(all, &[landmark])).collect();
                Ok(crosstalk(&self.data(&measured, &alone), halves)?.swap_remove(at))
            };
            measured.iter().enumerate().map(own).collect::<Result<Vec<_>, EvaluationError>>()?
        } else {
            crosstalk(&self.data(&measured, &responses), halves)?
        };
        let known = |all: &LandmarkResponses| if told { only(all, &measured) } else { all.clone() };
        let responses: Vec<_> = responses.iter().map(known).collect();
        let selectivity = selectivity(&self.data(&measured, &responses), halves, self.seed)?;
        Ok(Across { crosstalk: measured.into_iter().zip(found).collect(), selectivity })
    }

    fn data<'b>(&'b self, landmarks: &[usize], responses: &'b [LandmarkResponses]) -> Vec<LandmarkData<'b>> {
        let tables = landmarks.iter().map(|&landmark| &self.landmarks[landmark].table);
        tables.zip(responses).map(|(images, responses)| LandmarkData { images, responses }).collect()
    }

    /// The pictures that were kept, with the peaks of the layers.
    fn examples(&self, layers: &[LayerEvidence]) -> Vec<Example> {
        let example = |kept: &Kept| {
            let Kept { image, landmark, row, pictures } = kept;
            let traces = self.seen.layers.iter().zip(layers).filter_map(|(layer, figures)| {
                let strongest = figures.landmarks[*landmark].as_ref()?.strongest;
                Some((layer.name.clone(), layer.trace(strongest, *image, *landmark, *row)))
            });
            let pixel = |point: Point| [f64::from(point.x), f64::from(point.y)];
            let sample = &self.seen.images[*image].sample;
            Example {
                id: sample.id.clone(),
                landmark: *landmark,
                original: sample.image.clone(),
                erased: pictures.erased.clone(),
                transplanted: pictures.transplanted.clone(),
                place: pixel(pictures.landmark),
                paste: pixel(pictures.paste),
                traces: traces.collect(),
            }
        };
        self.seen.kept.iter().map(example).collect()
    }

    /// `None` where no image shows the landmark, or where the ceiling is not known.
    fn landmark(&self, layer: &Layer, landmark: usize) -> Result<Option<LandmarkFigures>, EvaluationError> {
        let OfLandmark { images, table } = &self.landmarks[landmark];
        if !self.measures(layer, landmark) {
            return Ok(None);
        }
        let Some(responses) = layer.of_landmark(landmark, images) else { return Ok(None) };
        // Its detectors were told their landmarks.
        let told = layer.name == CEILING;
        let responses = if told { only(&responses, &[landmark]) } else { responses };
        let matching = LandmarkMatching::new(table, &responses.original, &self.halves)?;
        let found = landmark_evidence(table, &responses, &matching)?;
        let residual = self.residual(layer, landmark, &responses, &matching)?;
        let presence = self.presence(layer, landmark, &matching)?;
        let figures = |found, residual: &[Option<Figure>; 2], presence: &Option<Figure>| Figures {
            residual_tracking: residual[0].clone(),
            residual_null: residual[1].clone(),
            presence_auc: presence.clone(),
            ..Figures::of(found)
        };
        let ResidualTracking { tracking, null } = residual;
        let all: Vec<usize> = (0..images.len()).collect();
        let ranked = rank_filters(table, &responses.original, &all)?;
        Ok(Some(LandmarkFigures {
            best: figures(found.best, &[tracking.best, null.best], &presence.best),
            all: figures(found.all, &[tracking.all, null.all], &presence.all),
            strongest: if told { landmark } else { ranked.first().copied().unwrap_or(0) },
            images: images.len(),
        }))
    }
}

impl Measure<'_> {
    /// ΔR² beyond what a position knows, the places of the layer's own detectors among it.
    fn residual(
        &self,
        layer: &Layer,
        landmark: usize,
        responses: &LandmarkResponses,
        matching: &LandmarkMatching,
    ) -> Result<ResidualTracking, EvaluationError> {
        let OfLandmark { images, table } = &self.landmarks[landmark];
        let covariates = self.seen.covariates(images)?;
        let places = layer.places.as_ref().and_then(|name| {
            let layer = self.seen.layers.iter().find(|layer| layer.name == *name)?;
            Some(layer.originals()?.select_images(images))
        });
        let covariates = match places {
            Some(places) => covariates.with_places(places)?,
            None => covariates,
        };
        Ok(residual_tracking(table, &responses.original, &covariates, matching, self.seed)?)
    }

    /// Whether detectors fall silent where the landmark is not visible; nothing where the set does not say whether it
    /// is.
    fn presence(
        &self,
        layer: &Layer,
        landmark: usize,
        matching: &LandmarkMatching,
    ) -> Result<MatchedFigure, EvaluationError> {
        let originals = layer.originals().filter(|_| self.visibility);
        let Some(originals) = originals else { return Ok(MatchedFigure { best: None, all: None }) };
        let told = layer.name == CEILING;
        let originals = if told { originals.select_filters(&[landmark]) } else { originals };
        Ok(presence_auc(&self.seen.presence(landmark)?, &originals, matching)?)
    }
}

/// The responses of some detectors.
fn only(responses: &LandmarkResponses, detectors: &[usize]) -> LandmarkResponses {
    let LandmarkResponses { original, erased, transplanted } = responses;
    let one = |all: &Responses| all.select_filters(detectors);
    LandmarkResponses {
        original: one(original),
        erased: erased
            .as_ref()
            .map(|erased| ErasedResponses { landmark: one(&erased.landmark), control: one(&erased.control) }),
        transplanted: transplanted.as_ref().map(one),
    }
}
