//! From a fit to its report.

use std::path::Path;

use burn::config::Config;
use burn::tensor::{Device, Tensor};
use explainer_core::{
    ControlFit, CoreError, Fitted, OcclusionConfig, Performer, PerformerLayer, performer_grad_cam,
};
use explainer_datasets::{Dataset, Faults, Prefetch};
use explainer_evaluation::Evidence;
use serde::Serialize;

use crate::ReportError;
use crate::control::{ControlFigures, ControlPeaks};
use crate::covering::Covering;
use crate::figures::{self, Measure, Row};
use crate::groups::Groups;
use crate::names::PartNames;
use crate::observations::{Observations, Page, Part, Text};
use crate::observe::{Networks, Survey, floats, rows};
use crate::progress::Progress;
use crate::trust::{Grounds, Trust};

/// How much is looked at.
#[derive(Config, Debug)]
pub struct ReportConfig {
    /// Images looked at, at most; evenly spaced if the set has more.
    #[config(default = 600)]
    pub images: usize,
    /// Images of one pass.
    #[config(default = 32)]
    pub batch_size: usize,
    /// Strongest images shown of each filter.
    #[config(default = 6)]
    pub strongest: usize,
    /// Images that get a page of their own.
    #[config(default = 12)]
    pub pages: usize,
    /// Images that are covered piece by piece for the receptive fields. What that costs is this number times
    /// the [copies](OcclusionConfig::copies) of each: so many images through the performer up to the target
    /// layer. 0 leaves the fields out.
    #[config(default = 12)]
    pub occluded: usize,
    /// How they are covered; if `None`, by squares as large as the published ones, but side by side: 49 copies
    /// of each image where the published steps, [`OcclusionConfig::for_input`], make 625.
    pub occluder: Option<OcclusionConfig>,
    /// Seed of the controls.
    #[config(default = 0)]
    pub seed: u64,
    /// Whether standard error is told how long it will take, and has a bar (if it is a terminal).
    #[config(default = true)]
    pub progress: bool,
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// A report of a fitted explainer: [`write`](Self::write) makes one HTML file of it, [`observe`](Self::observe)
/// hands out what is in it, each picture by itself.
pub struct Report<'a, P> {
    fit: Fitted<'a, P>,
    performer: &'a P,
    dataset: &'a dyn Dataset,
    random_performer: Option<&'a P>,
    control_fits: Vec<ControlPeaks>,
    evidence: Option<&'a Evidence>,
    config: ReportConfig,
    faults: Faults,
    names: PartNames,
    text: Text,
}

impl<'a, P: Performer> Report<'a, P> {
    /// A report of `fit` (a [`PartFit`](explainer_core::PartFit) or a [`Fit`](explainer_core::Fit)), which explains `performer`, on the images of `dataset`: those of a category that
    /// have landmarks; all of a category if none has.
    pub fn new(fit: impl Into<Fitted<'a, P>>, performer: &'a P, dataset: &'a dyn Dataset) -> Self {
        let text = Text {
            dataset: dataset.name().to_string(),
            categories: dataset.categories().to_vec(),
            ..Text::default()
        };
        let (config, names, faults) = (ReportConfig::new(), PartNames::default(), Faults::Stop);
        Self {
            fit: fit.into(),
            performer,
            dataset,
            random_performer: None,
            control_fits: Vec::new(),
            evidence: None,
            config,
            faults,
            names,
            text,
        }
    }

    /// How much is looked at.
    #[must_use]
    pub fn with_config(self, config: ReportConfig) -> Self {
        Self { config, ..self }
    }

    /// What to do about images that cannot be read. [`Faults::Stop`] by default; what is left out otherwise is
    /// counted on the page.
    #[must_use]
    pub fn with_faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// The performer with random weights: what is not above it was not learned. Without it those checks are not
    /// made.
    #[must_use]
    pub fn with_random_performer(self, random_performer: &'a P) -> Self {
        Self { random_performer: Some(random_performer), ..self }
    }

    /// What was [seen](Self::control) of control fits. Without them those checks are not made, and the report
    /// says so.
    #[must_use]
    pub fn with_control_fits(self, control_fits: Vec<ControlPeaks>) -> Self {
        Self { control_fits, ..self }
    }

    /// What interventions on the images found. Without it those checks are not made, and the report says so.
    #[must_use]
    pub fn with_evidence(self, evidence: &'a Evidence) -> Self {
        Self { evidence: Some(evidence), ..self }
    }

    /// Names of parts.
    #[must_use]
    pub fn with_names(self, names: PartNames) -> Self {
        Self { names, ..self }
    }

    /// What to call the performer, and its classes in the order of the scores.
    #[must_use]
    pub fn with_performer_name(mut self, name: &str, classes: &[String]) -> Self {
        self.text.performer = name.to_string();
        self.text.classes = classes.to_vec();
        self
    }

    /// What the fit was made from, shown as JSON.
    ///
    /// # Errors
    /// [`ReportError::Settings`] if it cannot be written as JSON.
    pub fn with_settings(mut self, settings: &impl Serialize) -> Result<Self, ReportError> {
        self.text.settings = Some(serde_json::to_string_pretty(settings)?);
        Ok(self)
    }

    /// Looks at a control fit on the images of this report, for its [`with_control_fits`](Self::with_control_fits).
    /// The fit can be dropped then. `performer` is the one it explains: the report's, but for
    /// [`ControlFit::RandomPerformer`].
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub fn control(
        &self,
        control: ControlFit,
        fit: &Fitted<'_, P>,
        performer: &P,
    ) -> Result<ControlPeaks, ReportError> {
        self.check()?;
        let networks = Networks { performer, explainer: fit.network, start: None, random_performer: None };
        let prefetch = Prefetch::new().with_faults(self.faults);
        let layer = networks.peaks(self.dataset, &self.images()?, self.config.batch_size, prefetch)?;
        Ok(ControlPeaks::of(control, layer, fit))
    }

    /// The checks alone, without pictures: what [`Observations::trust`] has.
    ///
    /// # Errors
    /// As [`observe`](Self::observe); and [`ReportError::Control`] if a control fit was seen on other images.
    pub fn trust(&self) -> Result<Trust, ReportError> {
        self.check()?;
        let networks = self.networks();
        let survey = self.survey(&networks)?;
        let measure = self.measure(&survey);
        Ok(self.measured(&survey, &measure)?.1)
    }

    /// Runs the networks over the images and gathers everything that the report shows.
    ///
    /// # Errors
    /// A set without an image of a category, images that cannot be read or are of another size than the
    /// performer's input, maps that are not finite, names that fit no group.
    pub fn observe(&self) -> Result<Observations, ReportError> {
        self.check()?;
        let networks = self.networks();
        let survey = self.survey(&networks)?;
        let measure = self.measure(&survey);
        let groups = self.groups(&survey, &measure);
        let names = self.names.of(&groups)?;
        let covering = Covering::plan(&self.config, survey.explained(), self.performer.preprocessing().size);
        let fields = covering.fields(self.fit.network, self.performer, &survey, self.config.progress)?;
        let device = networks.device();
        let pages = self.pages(&survey, &groups, &device)?;
        let (rows, trust) = self.measured(&survey, &measure)?;
        let images = &survey.images;
        let remainder = images.iter().map(|image| image.contributions.remainder()).fold(0.0, f64::max);
        let filters = measure.filters(survey.explained());
        let parts =
            groups.groups.iter().cloned().zip(names).map(|(group, name)| Part { group, name }).collect();
        Ok(Observations {
            side: self.performer.preprocessing().size,
            landmarks: self.dataset.landmark_names().to_vec(),
            strongest: self.config.strongest,
            share: self.fit.share,
            records: self.fit.records.to_vec(),
            notes: self.fit.notes.to_vec(),
            text: self.text.clone(),
            scattered: groups.scattered,
            survey,
            parts,
            covering,
            fields,
            pages,
            rows,
            trust,
            filters,
            evidence: self.evidence.cloned(),
            remainder,
        })
    }

    /// [`observe`](Self::observe), and the HTML file of it, which appears whole or not at all.
    ///
    /// # Errors
    /// As `observe`, and if the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        self.observe()?.write(path)
    }

    fn check(&self) -> Result<(), ReportError> {
        let ReportConfig { images, batch_size, strongest, .. } = self.config;
        let settings = [("images", images), ("batch_size", batch_size), ("strongest", strongest)];
        let occluder = self.config.occluder.iter().flat_map(|occluder| {
            let OcclusionConfig { side, stride, batch_size } = *occluder;
            [("occluder.side", side), ("occluder.stride", stride), ("occluder.batch_size", batch_size)]
        });
        match settings.into_iter().chain(occluder).find(|&(_, value)| value == 0) {
            None => Ok(()),
            Some((setting, found)) => Err(ReportError::Config { setting, expected: "1 or more", found }),
        }
    }

    /// The images that are looked at.
    fn images(&self) -> Result<Vec<usize>, ReportError> {
        let of_category = |index: &usize| self.dataset.category(*index).is_some();
        let positive: Vec<usize> = (0..self.dataset.len()).filter(of_category).collect();
        let landmarks = |index: &usize| self.dataset.has_landmarks(*index);
        let annotated: Vec<usize> = positive.iter().copied().filter(landmarks).collect();
        let images = if annotated.is_empty() { positive } else { annotated };
        if images.is_empty() {
            let (dataset, found) = (self.dataset.name().to_string(), self.dataset.len());
            return Err(ReportError::NoImages { dataset, found });
        }
        Ok(spaced(images.len(), self.config.images).into_iter().map(|at| images[at]).collect())
    }

    fn networks(&self) -> Networks<'_, P> {
        Networks {
            performer: self.performer,
            explainer: self.fit.network,
            start: Some(&*self.fit.start),
            random_performer: self.random_performer,
        }
    }

    fn survey(&self, networks: &Networks<'_, P>) -> Result<Survey, ReportError> {
        let prefetch = Prefetch::new().with_faults(self.faults);
        let images = self.images()?;
        let progress = Progress::new("images", images.len(), self.config.progress);
        networks.survey(self.dataset, &images, self.config.batch_size, prefetch, &progress)
    }

    fn measure<'b>(&self, survey: &'b Survey) -> Measure<'b> {
        let (side, seed) = (self.performer.preprocessing().size, self.config.seed);
        Measure { landmarks: survey.landmarks.as_ref(), categories: &survey.categories, side, seed }
    }

    fn groups(&self, survey: &Survey, measure: &Measure<'_>) -> Groups {
        let explained = survey.explained();
        Groups::of(&explained.peaks, &explained.field, survey.landmarks.as_ref(), measure.diagonal())
    }

    /// The rows of the table, and the checks that the fit is put to.
    fn measured(&self, survey: &Survey, measure: &Measure<'_>) -> Result<(Vec<Row>, Trust), ReportError> {
        let controls = self.control_fits.iter().map(|control| control.figures(survey.explained(), measure));
        let control_fits = controls.collect::<Result<Vec<ControlFigures>, _>>()?;
        let mut rows = table(survey, measure);
        let fits = control_fits.iter().filter_map(|control| control.figures.as_ref());
        rows.extend(fits.map(|figures| figures.row.clone()));
        let Fitted { records, validation, without_looking, .. } = &self.fit;
        // What was fitted to classify reconstructs nothing.
        let classifies = records.last().is_some_and(|record| record.classification.is_some());
        let images = &survey.images;
        let agreed = images.iter().filter(|image| image.agrees).count() as f64 / images.len() as f64;
        let grounds = Grounds {
            evidence: self.evidence,
            agreement: validation.as_ref().map_or(agreed, |validation| validation.agreement),
            validation: validation.as_ref().filter(|_| !classifies),
            without_looking: *without_looking,
            control_fits: &control_fits,
            exact: self.fit.exact,
        };
        let checks = grounds.checks();
        Ok((rows, Trust::new(images.len(), checks, control_fits)))
    }

    /// What goes on the pages of some images, evenly spaced.
    fn pages(&self, survey: &Survey, groups: &Groups, device: &Device) -> Result<Vec<Page>, ReportError> {
        let page = |image: usize| {
            let seen = &survey.images[image];
            let input = self.performer.preprocessing().batch(&[seen.picture.as_raw()], device)?;
            let target = self.performer.target_features(input.clone());
            let classes = [seen.contributions.class];
            let parts = self.fit.network.part_heat(self.performer, target.clone(), &classes)?;
            let channels = match performer_grad_cam(self.performer, input, PerformerLayer::TopConv, &classes)
            {
                Ok(cam) => Some(relative(cam)),
                // Layers that its blueprint does not tell of.
                Err(CoreError::Performer { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            let silenced = self.without(target, groups, classes[0]);
            Ok(Page { image, parts: relative(parts), channels, silenced })
        };
        spaced(survey.images.len(), self.config.pages).into_iter().map(page).collect()
    }

    /// The score of `class` without the filters of each group, and without the scattered ones.
    fn without(&self, target: Tensor<4>, groups: &Groups, class: usize) -> Vec<f64> {
        let mut silenced: Vec<Vec<usize>> = groups.groups.iter().map(|group| group.filters.clone()).collect();
        silenced.push(groups.scattered.clone());
        let scores = self.fit.network.scores_without(self.performer, target.squeeze_dim(0), &silenced);
        rows(scores).into_iter().map(|scores| f64::from(scores[class])).collect()
    }
}

/// The rows of the table.
fn table(survey: &Survey, measure: &Measure) -> Vec<Row> {
    let name = |layer: usize| format!("explainer, conv-interp-{}", layer + 1);
    let mut rows = vec![measure.row(figures::TOP_CONV, &survey.top_conv, false)];
    for (index, layer) in survey.interpretable.iter().enumerate() {
        rows.push(measure.row(&name(index), layer, false));
    }
    let controls = [
        (figures::UNFITTED, &survey.unfitted),
        (figures::PLACES, &survey.places),
        (figures::RANDOM_PERFORMER, &survey.random_performer),
    ];
    for (name, layer) in controls {
        rows.extend(layer.as_ref().map(|layer| measure.row(name, layer, true)));
    }
    rows.extend(measure.controls(survey.explained(), &survey.top_conv));
    rows
}

/// `[1, L, L]` over its largest value.
fn relative(cam: Tensor<3>) -> Vec<f64> {
    let values = floats(cam);
    let most = values.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    values.into_iter().map(|value| f64::from(value / most)).collect()
}

/// At most `wanted` of the indices below `count`, evenly spaced.
pub(crate) fn spaced(count: usize, wanted: usize) -> Vec<usize> {
    let wanted = wanted.min(count);
    (0..wanted).map(|at| at * count / wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_evenly_spaced() {
        assert_eq!(spaced(10, 4), [0, 2, 5, 7]);
        assert_eq!(spaced(3, 8), [0, 1, 2]);
        assert!(spaced(0, 4).is_empty() && spaced(4, 0).is_empty());
    }
}
