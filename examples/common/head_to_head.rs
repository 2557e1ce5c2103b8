//! The explainer beside dictionaries that are fitted on the same features: PCA, NMF, k-means and a TopK
//! sparse auto-encoder, and the performer's own channels.

use std::time::Instant;

use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use explainer_baselines::{
    ActivationSample, Channels, Dictionary, KMeansConfig, NmfConfig, PcaConfig, TopKSaeConfig,
};
use explainer_core::{Features, Fitted, Performer, UpperTaps};
use explainer_datasets::{Dataset, Prefetch, Sample, Samples};
use explainer_metrics::{
    InstabilityConfig, Landmarks, RelativeError, STRONGEST_IMAGES, Summary, agreement, diversity,
    location_instability, peak_spread, tracking,
};
use serde::Serialize;

use super::Failure;
use super::evaluate::{BATCH, Layer, input, positions};
use super::figures::Figures;
use super::program::say;

/// All of them on the same images.
#[derive(Clone, Debug, Serialize)]
pub struct HeadToHead {
    /// Activation vectors the dictionaries were fitted on.
    pub vectors: usize,
    pub methods: Vec<Method>,
}

/// One row of the table. What does not apply is `None`.
#[derive(Clone, Debug, Serialize)]
pub struct Method {
    pub name: String,
    pub filters: usize,
    pub live: usize,
    /// Share of the images in which a live filter fires, mean.
    pub fires: f64,
    /// Over live filters.
    pub instability: f64,
    pub tracking: Summary,
    /// Over live filters.
    pub peak_spread: f64,
    pub diversity: f64,
    /// Relative errors on the validation images: of the target features, and of the upper features that the
    /// performer's own layers make of them.
    pub target_error: Option<f64>,
    pub upper_error: Option<Vec<f64>>,
    pub agreement: Option<f64>,
    pub seconds_fit: Option<f64>,
    /// Of one image's codes from its target features.
    pub seconds_encode: Option<f64>,
}

/// Who meets whom.
pub struct Contest<'a, P> {
    pub performer: &'a P,
    pub fitted: &'a Fitted<'a, P>,
    pub train: &'a Features,
    pub validation: &'a Features,
    /// Atoms of a dictionary; as many as the explainer has filters, if `None`.
    pub width: Option<usize>,
    pub seed: u64,
}

/// One of them, while its peaks are gathered.
struct Contestant {
    name: String,
    layer: Option<Layer>,
    seconds_encode: Option<f64>,
    source: Source,
}

/// Where a contestant's maps come from.
enum Source {
    TopConv,
    Explainer,
    Dictionary { dictionary: Box<dyn Dictionary>, seconds_fit: Option<f64> },
}

impl Contestant {
    fn new(name: impl Into<String>, source: Source) -> Self {
        let seconds_encode = (!matches!(source, Source::TopConv)).then_some(0.0);
        Self { name: name.into(), layer: None, seconds_encode, source }
    }
}

impl<P: Performer> Contest<'_, P> {
    /// Fits the dictionaries and measures all on `images` of the dataset, which have landmarks. `figures` are the
    /// explainer's.
    pub fn run(
        &self,
        dataset: &dyn Dataset,
        images: &[usize],
        prefetch: Prefetch,
        figures: &Figures,
        device: &Device,
    ) -> Result<HeadToHead, Failure> {
        let sample = ActivationSample::new().with_seed(self.seed).of(self.train);
        let vectors = sample.dims()[0];
        let mut contestants = self.contestants(sample)?;
        let mut landmarks = Landmarks::new(dataset.landmark_names().to_vec());
        let (seen, _) = prefetch
            .run(dataset, images, |samples| self.gather(samples, &mut contestants, &mut landmarks, device));
        seen?;
        let measured = contestants.into_iter().map(|one| self.measured(one, &landmarks, figures));
        Ok(HeadToHead { vectors, methods: measured.collect::<Result<_, _>>()? })
    }

    fn contestants(&self, sample: Tensor<2>) -> Result<Vec<Contestant>, Failure> {
        let (width, seed) = (self.width.unwrap_or(self.fitted.network.filters()), self.seed);
        let sae = TopKSaeConfig::of_width(width).with_seed(seed);
        let sae_name = format!("TopK sparse auto-encoder, k = {}", sae.active);
        let channels = Box::new(Channels::new(sample.dims()[1]));
        let mut contestants = vec![
            Contestant::new("performer, top conv", Source::TopConv),
            Contestant::new("explainer, conv-interp-2", Source::Explainer),
            Contestant::new(
                "performer, target layer",
                Source::Dictionary { dictionary: channels, seconds_fit: None },
            ),
        ];
        let mut fitted = |name: &str, fit: &dyn Fn() -> Result<Box<dyn Dictionary>, Failure>| {
            let started = Instant::now();
            let dictionary = fit()?;
            let seconds_fit = Some(started.elapsed().as_secs_f64());
            contestants.push(Contestant::new(name, Source::Dictionary { dictionary, seconds_fit }));
            Ok::<_, Failure>(())
        };
        let rows = || sample.clone();
        fitted("PCA", &|| Ok(Box::new(PcaConfig::new(width).fit(rows())?)))?;
        if self.train.has_negative_target() {
            say!("NMF is left out: some target features are negative");
        } else {
            fitted("NMF", &|| Ok(Box::new(NmfConfig::new(width).with_seed(seed).fit(rows())?)))?;
        }
        fitted("k-means", &|| Ok(Box::new(KMeansConfig::new(width).with_seed(seed).fit(rows())?)))?;
        fitted(&sae_name, &|| Ok(Box::new(sae.fit(rows())?)))?;
        Ok(contestants)
    }

    /// Reads the peaks of all from all images.
    fn gather(
        &self,
        samples: &mut Samples<'_>,
        contestants: &mut [Contestant],
        landmarks: &mut Landmarks,
        device: &Device,
    ) -> Result<(), Failure> {
        let (field, top_field) = (self.performer.target_field(), self.performer.top_conv_field());
        loop {
            let batch: Vec<(usize, Sample)> = samples.by_ref().take(BATCH).collect::<Result<_, _>>()?;
            if batch.is_empty() {
                return Ok(());
            }
            let mut pixels = Vec::new();
            for (_, sample) in batch {
                landmarks.push(positions(&sample));
                pixels.push(sample.image.into_raw());
            }
            let tapped = self.performer.tap(input(self.performer.preprocessing(), &pixels, device)?);
            for Contestant { layer, seconds_encode, source, .. } in contestants.iter_mut() {
                let (started, target) = (Instant::now(), tapped.target.clone());
                let (maps, field) = match source {
                    Source::TopConv => (tapped.top_conv.clone(), top_field),
                    Source::Explainer => {
                        let mut maps = self.fitted.network.part_maps(target);
                        (maps.pop().ok_or("the explainer has no interpretable layer")?, field)
                    }
                    Source::Dictionary { dictionary, .. } => {
                        (dictionary.strength(dictionary.encode_maps(target)), field)
                    }
                };
                device.sync()?;
                if let Some(seconds) = seconds_encode {
                    *seconds += started.elapsed().as_secs_f64();
                }
                Layer::push(layer, maps, field)?;
            }
        }
    }

    /// The figures of one.
    fn measured(
        &self,
        contestant: Contestant,
        landmarks: &Landmarks,
        figures: &Figures,
    ) -> Result<Method, Failure> {
        let Contestant { name, layer, seconds_encode, source } = contestant;
        let Layer { peaks, field } = layer.ok_or("no image of the category has a landmark")?;
        let side = self.performer.preprocessing().size;
        let config = InstabilityConfig::new([side, side]);
        let instability = location_instability(&peaks, &field, landmarks, &config);
        let live = peaks.live_filters();
        let fired: usize = live.iter().map(|&filter| peaks.fired_images(filter)).sum();
        let method = Method {
            name,
            filters: peaks.filters(),
            live: instability.live,
            fires: fired as f64 / (live.len() * peaks.images()) as f64,
            instability: instability.live_mean,
            tracking: tracking(&peaks, landmarks, STRONGEST_IMAGES).summary,
            peak_spread: peak_spread(&peaks, &field, config.diagonal).live_mean,
            diversity: diversity(&peaks).mean,
            target_error: None,
            upper_error: None,
            agreement: None,
            seconds_fit: None,
            seconds_encode: seconds_encode.map(|seconds| seconds / peaks.images() as f64),
        };
        match source {
            Source::TopConv => Ok(method),
            Source::Explainer => Ok(Method {
                upper_error: Some(figures.reconstruction.errors()),
                agreement: Some(figures.agreement),
                seconds_fit: Some(figures.seconds.fit),
                ..method
            }),
            Source::Dictionary { dictionary, seconds_fit } => {
                self.reconstructed(Method { seconds_fit, ..method }, &*dictionary)
            }
        }
    }

    /// With what a dictionary loses of the validation images, and what the performer makes of the rest.
    fn reconstructed(&self, method: Method, dictionary: &dyn Dictionary) -> Result<Method, Failure> {
        let mut target_error = RelativeError::default();
        let mut upper_error: Vec<RelativeError> = Vec::new();
        let (mut own_scores, mut scores, mut classes) = (Vec::new(), Vec::new(), 1);
        let rows: Vec<usize> = (0..self.validation.len()).collect();
        for rows in rows.chunks(BATCH) {
            let batch = self.validation.batch(rows);
            let decoded = dictionary.decode_maps(dictionary.encode_maps(batch.target.clone()));
            // Where no target feature is negative, what is decoded so is further from them than 0 is.
            let decoded = if self.validation.has_negative_target() { decoded } else { relu(decoded) };
            target_error.add(&values(decoded.clone()), &values(batch.target));
            let UpperTaps { upper, scores: own, .. } = self.performer.forward_from_target(decoded);
            upper_error.resize(upper.len(), RelativeError::default());
            for (error, (own, theirs)) in upper_error.iter_mut().zip(upper.into_iter().zip(batch.upper)) {
                error.add(&values(own), &values(theirs));
            }
            classes = batch.scores.dims()[1];
            own_scores.extend(values(own));
            scores.extend(values(batch.scores));
        }
        Ok(Method {
            target_error: Some(target_error.value()),
            upper_error: Some(upper_error.iter().map(RelativeError::value).collect()),
            agreement: Some(agreement(&own_scores, &scores, classes)?),
            ..method
        })
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

impl HeadToHead {
    /// Rows of Markdown.
    pub fn table(&self) -> String {
        let headings = [
            "",
            "filters",
            "live",
            "fires in",
            "instability",
            "tracking mean / median",
            "spread",
            "diversity",
            "rel target",
            "rel fc6 / fc7",
            "agreement",
            "fit s",
            "encode ms",
        ];
        let mut lines =
            vec![format!("| {} |", headings.join(" | ")), format!("|{}", "---|".repeat(headings.len()))];
        let number = |value: Option<f64>, digits: usize| match value {
            Some(value) if value.is_finite() => format!("{value:.digits$}"),
            _ => "–".to_string(),
        };
        for method in &self.methods {
            let errors = method.upper_error.iter().flatten().map(|&error| number(Some(error), 4));
            let errors: Vec<String> = errors.collect();
            let cells = [
                method.name.clone(),
                method.filters.to_string(),
                method.live.to_string(),
                number(Some(method.fires), 2),
                number(Some(method.instability), 4),
                format!(
                    "{} / {}",
                    number(Some(method.tracking.mean), 3),
                    number(Some(method.tracking.median), 3)
                ),
                number(Some(method.peak_spread), 3),
                number(Some(method.diversity), 1),
                number(method.target_error, 4),
                if errors.is_empty() { "–".to_string() } else { errors.join(" / ") },
                number(method.agreement, 3),
                number(method.seconds_fit, 1),
                number(method.seconds_encode.map(|seconds| 1e3 * seconds), 2),
            ];
            lines.push(format!("| {} |", cells.join(" | ")));
        }
        lines.join("\n")
    }
}
