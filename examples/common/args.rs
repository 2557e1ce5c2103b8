//! Flags of every example that fits an explainer.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use explainer_core::{ExplainerConfig, FeatureConfig, FitConfig, LossWeights};
use explainer_datasets::Faults;
use serde::Deserialize;

use super::Failure;
use super::figures::Settings;
use super::program::{DeviceArgs, at_least_one, files};
use super::settings::{Setting, changed};

/// Which form of the method is fitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// This library's: scale-free filter loss in proportion to the reconstruction.
    #[default]
    Default,
    /// The paper's: maps as they are, λ_f falling as 1/epoch, its weights.
    Published,
    /// This library's without the filter loss: the masks alone, as a control.
    MaskOnly,
    /// Explainer+cls: this library's, fitted to classify the images through the performer's head instead of to
    /// reconstruct its features.
    Classification,
}

/// Flags of every program that fits.
#[derive(Args, Debug)]
pub struct FitArgs {
    /// Passes over the training images, their crops and the mirror images of both.
    #[arg(long, value_parser = at_least_one)]
    pub epochs: Option<usize>,
    /// Random crops of every training image that are used beside it; five if nothing else is stated.
    #[arg(long)]
    pub crops: Option<usize>,
    /// Keeps the features of the target layer in half precision: half of the memory.
    #[arg(long)]
    pub half: bool,
    /// Images of one fitting step.
    #[arg(long, value_parser = at_least_one)]
    pub batch_size: Option<usize>,
    /// Sets one of the library's settings by its name, as `fit.diversity=0.1`, `fit.gradient=Exact`,
    /// `fit.weights.eta=0.1`, `explainer.masks=["None"]`; the JSON file has them all.
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
    /// Seed of the explainer's first weights, of the order of images and of the controls.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Form of the method.
    #[arg(long, value_enum, default_value_t = Form::Default)]
    pub form: Form,
    /// Writes all figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// After the fit, also fits PCA, NMF, k-means and a TopK sparse auto-encoder on the same features and
    /// prints a table of all; `=K` gives them K atoms instead of as many as the explainer has filters.
    #[arg(long, value_name = "K", num_args = 0..=1, require_equals = true, value_parser = at_least_one)]
    pub head_to_head: Option<Option<usize>>,
    /// Puts the fit to the test: after it, four control fits, each as long as the fit itself (another seed,
    /// shuffled features, permuted categories, a performer with random weights, whose features are computed
    /// first). Their figures and verdicts go into the JSON file and the report, where they stay open otherwise.
    #[arg(long)]
    pub trust: bool,
    /// Keeps checkpoints, the record of fitting, the explainer, the report and a contact sheet in this
    /// folder. The same command goes on from the last checkpoint there.
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

    /// The views of training images, the crops from `seed`.
    pub fn views(&self, defaults: &Defaults, seed: u64) -> FeatureConfig {
        let crops = self.crops.unwrap_or(defaults.crops);
        FeatureConfig::new().with_crops(crops).with_seed(seed).with_half(self.half)
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
        let fit = match wanted.form {
            Form::Default | Form::Classification => FitConfig::new(),
            Form::Published => FitConfig::published(defaults.published),
            Form::MaskOnly => FitConfig::new().with_push(Vec::new()),
        };
        let explainer = if wanted.form == Form::Published { explainer.published() } else { explainer };
        let batch_size = self.batch_size.unwrap_or(fit.batch_size);
        let epochs = self.epochs.unwrap_or(defaults.epochs);
        let fit = fit.with_epochs(epochs).with_batch_size(batch_size).with_seed(wanted.seed);
        let explainer = changed(explainer.with_seed(wanted.seed), "explainer", &self.set)?;
        Ok(Settings {
            crops: views.crops,
            crops_seed: views.seed,
            half: views.half,
            explainer: changed(explainer, "explainer", wanted.set)?,
            fit: changed(changed(fit, "fit", &self.set)?, "fit", wanted.set)?,
        })
    }
}

impl RunArgs {
    /// The fit that is asked for.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted { seed: self.seed, form: self.form, set: &[] }
    }

    /// Checks that what `--json`, `--out` and the report ask for can be written.
    pub fn check_outputs(&self) -> Result<(), Failure> {
        self.json.as_deref().map_or(Ok(()), files::check)?;
        self.out.as_deref().map_or(Ok(()), files::check_folder)?;
        self.report().as_deref().map_or(Ok(()), files::check)
    }

    /// Where the report goes, if there is to be one.
    pub fn report(&self) -> Option<PathBuf> {
        (!self.no_report).then(|| self.out.as_deref().unwrap_or(Path::new("")).join("report.html"))
    }
}
