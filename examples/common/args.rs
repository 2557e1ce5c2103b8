//! Flags of every example that fits an explainer.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use explainer_core::{ExplainerConfig, FitConfig, LossWeights};
use explainer_datasets::Faults;

use super::Failure;
use super::program::{DeviceArgs, at_least_one, files};
use super::settings::{Setting, changed};

/// Which form of the method is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// This library's: scale-free filter loss in proportion to the reconstruction.
    Default,
    /// The paper's: maps as they are, λ_f falling as 1/epoch, its weights.
    Published,
    /// This library's without the filter loss: the masks alone, as a control.
    MaskOnly,
}

#[derive(Args, Debug)]
pub struct FitArgs {
    /// Seed of the explainer's first weights, of the order of images and of the controls.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Passes over the training images, their crops and the mirror images of both.
    #[arg(long, value_parser = at_least_one)]
    pub epochs: Option<usize>,
    /// Random crops of every training image that are used beside it.
    #[arg(long, default_value_t = 5)]
    pub crops: usize,
    /// Images of one fitting step.
    #[arg(long, value_parser = at_least_one)]
    pub batch_size: Option<usize>,
    /// Form of the method.
    #[arg(long, value_enum, default_value_t = Form::Default)]
    pub form: Form,
    /// Sets one of the library's settings by its name, as `fit.diversity=0.1`, `fit.gradient=Exact`,
    /// `fit.weights.eta=0.1`, `explainer.masks=["None"]`; the JSON file has them all.
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<Setting>,
    /// Leaves out pictures that cannot be read, and says how many and why; otherwise the first stops the run.
    #[arg(long, conflicts_with = "plan")]
    pub skip_damaged: bool,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Writes all figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// After the fit, also fits PCA, NMF, k-means and a TopK sparse auto-encoder on the same features and
    /// prints a table of all; `=K` gives them K atoms instead of as many as the explainer has filters.
    #[arg(long, value_name = "K", num_args = 0..=1, require_equals = true, value_parser = at_least_one)]
    #[arg(conflicts_with = "plan")]
    pub head_to_head: Option<Option<usize>>,
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
    /// Instead of one fit, makes every fit of a plan (TOML: seeds and variations, see examples/plans) on the
    /// same features, and prints a table of them all. Keeps each finished fit's figures as a line of
    /// cells.jsonl in the folder of --out, and does not make it again; `--seed` is that of the features.
    #[arg(long, value_name = "FILE", requires = "out", conflicts_with = "json")]
    pub plan: Option<PathBuf>,
}

impl FitArgs {
    /// What to do about damaged pictures.
    pub fn faults(&self) -> Faults {
        if self.skip_damaged { Faults::Skip } else { Faults::Stop }
    }

    /// Checks that what `--json`, `--out` and the report ask for can be written.
    pub fn check_outputs(&self) -> Result<(), Failure> {
        self.json.as_deref().map_or(Ok(()), files::check)?;
        self.out.as_deref().map_or(Ok(()), files::check_folder)?;
        self.report().as_deref().map_or(Ok(()), files::check)
    }

    /// Where the report goes, if there is to be one.
    pub fn report(&self) -> Option<PathBuf> {
        let wanted = !self.no_report && self.plan.is_none();
        wanted.then(|| self.out.as_deref().unwrap_or(Path::new("")).join("report.html"))
    }

    /// The settings the flags ask for, `further` ones changed; `published` are the paper's weights for the
    /// performer.
    pub fn fit_config(
        &self,
        default_epochs: usize,
        published: LossWeights,
        seed: u64,
        further: &[Setting],
    ) -> Result<FitConfig, Failure> {
        let config = match self.form {
            Form::Default => FitConfig::new(),
            Form::Published => FitConfig::published(published),
            Form::MaskOnly => FitConfig::new().with_push(Vec::new()),
        };
        let batch_size = self.batch_size.unwrap_or(config.batch_size);
        let config = config
            .with_epochs(self.epochs.unwrap_or(default_epochs))
            .with_batch_size(batch_size)
            .with_seed(seed)
            .with_checkpoints(self.out.as_ref().map(|folder| folder.join("checkpoints")));
        changed(changed(config, "fit", &self.set)?, "fit", further)
    }

    /// The explainer that the flags ask for, `further` settings changed.
    pub fn explainer_config(
        &self,
        config: ExplainerConfig,
        seed: u64,
        further: &[Setting],
    ) -> Result<ExplainerConfig, Failure> {
        let config = changed(config.with_seed(seed), "explainer", &self.set)?;
        changed(config, "explainer", further)
    }
}
