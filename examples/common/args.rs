//! Flags of every example that fits an explainer.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use explainer_core::{ExplainerConfig, FeatureConfig, FitConfig, LossWeights, PartFitConfig};
use explainer_datasets::Faults;
use serde::Deserialize;

use super::Failure;
use super::figures::{Method, Settings};
use super::program::{DeviceArgs, at_least_one, files};
use super::settings::{Setting, changed};

/// Which form of the method is fitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// This library's: detectors of parts that follow their evidence, and the performer itself as the decoder.
    #[default]
    Parts,
    /// The paper's, trained: masks, the filter loss with λ_f falling as 1/epoch, its weights.
    Published,
    /// Explainer+cls: the paper's, fitted to classify the images through the performer's head instead of to reconstruct
    /// its features.
    Classification,
}

impl Form {
    /// Whether it is trained, epoch by epoch.
    pub fn is_trained(self) -> bool {
        self != Self::Parts
    }
}

/// Flags of every program that fits.
#[derive(Args, Debug)]
pub struct FitArgs {
    /// Detectors of parts, at most; 16 if not given.
    #[arg(long, value_name = "K", value_parser = at_least_one)]
    pub parts: Option<usize>,
    /// Of a form that is trained: passes over the training images, their crops and the mirror images of both.
    #[arg(long, value_parser = at_least_one)]
    pub epochs: Option<usize>,
    /// Of a form that is trained: random crops of every training image that are used beside it; five if nothing else is
    /// stated.
    #[arg(long)]
    pub crops: Option<usize>,
    /// Keeps the features of the target layer in half precision: half of the memory.
    #[arg(long)]
    pub half: bool,
    /// Of a form that is trained: images of one fitting step.
    #[arg(long, value_parser = at_least_one)]
    pub batch_size: Option<usize>,
    /// Sets one of the library's settings by its name, as `parts.parts=8`; of a form that is trained as
    /// `fit.gradient=Exact`, `fit.weights.eta=0.1`, `explainer.masks=["None"]`. The JSON file has them all.
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<Setting>,
    /// Leaves out pictures that cannot be read, and says how many and why; otherwise the first stops the run.
    #[arg(long)]
    pub skip_damaged: bool,
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Flags of a program that makes one fit.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub fit: FitArgs,
    /// Seed of where detectors start, or of the explainer's first weights and the order of images; and of the controls.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Form of the method.
    #[arg(long, value_enum, default_value_t = Form::Parts)]
    pub form: Form,
    /// Writes all figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// After the fit, also fits PCA, NMF, k-means and a TopK sparse auto-encoder on the same features and
    /// prints a table of all; `=K` gives them K atoms instead of as many as the explainer has filters.
    #[arg(long, value_name = "K", num_args = 0..=1, require_equals = true, value_parser = at_least_one)]
    pub head_to_head: Option<Option<usize>>,
    /// Puts the fit to the test: after it, control fits, each as long as the fit itself (another seed, shuffled features, a
    /// performer with random weights, whose features are computed first; of a form that is trained also permuted
    /// categories), and beside detectors of parts the published form. Their figures and verdicts go into the JSON file and
    /// the report, where they stay open otherwise.
    #[arg(long)]
    pub trust: bool,
    /// Keeps the explainer, the figures, the report and a contact sheet in this folder; of a form that is trained also the
    /// record of fitting and checkpoints: the same command goes on from the last one there.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Leaves out the report, one HTML file of pictures: report.html in the folder of --out, or in the current
    /// one.
    #[arg(long)]
    pub no_report: bool,
    /// Names of parts for the report (TOML; the report says how).
    #[arg(long, value_name = "FILE", conflicts_with = "no_report")]
    pub names: Option<PathBuf>,
}

/// What is taken where no flag says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    pub epochs: usize,
    /// Random crops of every training image.
    pub crops: usize,
    /// The paper's weights for the performer.
    pub published: LossWeights,
}

/// Crops of every training image, where nothing else is stated.
pub const CROPS: usize = 5;

/// One fit of many that share their flags.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub seed: u64,
    pub form: Form,
    /// Settings beyond those of the flags.
    pub set: &'a [Setting],
}

impl FitArgs {
    /// What to do about damaged pictures.
    pub fn faults(&self) -> Faults {
        if self.skip_damaged { Faults::Skip } else { Faults::Stop }
    }

    /// The views of training images that a form reads, random ones from `seed`.
    pub fn views(&self, form: Form, defaults: &Defaults, seed: u64) -> FeatureConfig {
        let views = match form.is_trained() {
            false => FeatureConfig::of_parts(),
            true => FeatureConfig::new().with_crops(self.crops.unwrap_or(defaults.crops)),
        };
        views.with_seed(seed).with_half(self.half)
    }

    /// The settings of one fit on such views, its explainer of the sizes of `explainer`; what it is to classify
    /// only the [experiment](super::Experiment::settings) knows.
    pub fn settings(
        &self,
        explainer: ExplainerConfig,
        defaults: &Defaults,
        views: &FeatureConfig,
        wanted: &Wanted<'_>,
    ) -> Result<Settings, Failure> {
        let set: Vec<Setting> = self.set_of(wanted)?;
        let seed = wanted.seed;
        let method = match wanted.form.is_trained() {
            false => {
                let parts = PartFitConfig::new().with_seed(seed);
                let parts = self.parts.map_or(parts.clone(), |count| parts.with_parts(count));
                Method::Parts { parts: changed(parts, "parts", &set)? }
            }
            true => {
                let fit = FitConfig::published(defaults.published);
                let batch_size = self.batch_size.unwrap_or(fit.batch_size);
                let epochs = self.epochs.unwrap_or(defaults.epochs);
                let fit = fit.with_epochs(epochs).with_batch_size(batch_size).with_seed(seed);
                let explainer = explainer.published().with_seed(seed);
                Method::Trained {
                    explainer: Box::new(changed(explainer, "explainer", &set)?),
                    fit: Box::new(changed(fit, "fit", &set)?),
                }
            }
        };
        let FeatureConfig { crops, seed: crops_seed, half, progress, .. } = *views;
        Ok(Settings { seed, crops, crops_seed, half, progress, method })
    }

    /// What is set for a form: by the flags, as far as it has such settings, and then by the fit that is wanted, which must
    /// not ask for others.
    fn set_of(&self, wanted: &Wanted<'_>) -> Result<Vec<Setting>, Failure> {
        let trained = wanted.form.is_trained();
        if let Some(setting) = wanted.set.iter().find(|setting| setting.is_of_trained() != trained) {
            return Err(only(&format!("--set {setting}"), !trained));
        }
        let own = self.set.iter().filter(|setting| setting.is_of_trained() == trained);
        Ok(own.chain(wanted.set).cloned().collect())
    }

    /// Refuses flags that a form has no use for.
    fn check(&self, form: Form) -> Result<(), Failure> {
        let flags = [
            ("--epochs".to_string(), self.epochs.is_some(), true),
            ("--crops".to_string(), self.crops.is_some(), true),
            ("--batch-size".to_string(), self.batch_size.is_some(), true),
            ("--parts".to_string(), self.parts.is_some(), false),
        ];
        let set = self.set.iter().map(|setting| (format!("--set {setting}"), true, setting.is_of_trained()));
        let mut given = flags.into_iter().chain(set).filter(|&(_, given, _)| given);
        match given.find(|&(_, _, of_trained)| of_trained != form.is_trained()) {
            Some((flag, _, of_trained)) => Err(only(&flag, of_trained)),
            None => Ok(()),
        }
    }
}

/// What is wrong with a flag that is of another form.
fn only(flag: &str, of_trained: bool) -> Failure {
    let form = match of_trained {
        true => "a form that is trained, as --form published",
        false => "--form parts",
    };
    format!("{flag}: expected together with {form}, which alone has a use for it").into()
}

impl RunArgs {
    /// The fit that is asked for.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted { seed: self.seed, form: self.form, set: &[] }
    }

    /// Checks that the form has a use for all flags, and that what `--json`, `--out` and the report ask for can be written.
    pub fn check(&self) -> Result<(), Failure> {
        self.fit.check(self.form)?;
        self.json.as_deref().map_or(Ok(()), files::check)?;
        self.out.as_deref().map_or(Ok(()), files::check_folder)?;
        self.report().as_deref().map_or(Ok(()), files::check)
    }

    /// Where the report goes, if there is to be one.
    pub fn report(&self) -> Option<PathBuf> {
        (!self.no_report).then(|| self.out.as_deref().unwrap_or(Path::new("")).join("report.html"))
    }
}
