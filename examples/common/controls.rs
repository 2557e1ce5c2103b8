//! The control fits of `--trust`.

use std::time::Instant;

use burn::tensor::Device;
use explainer_core::{
    ControlFit, ControlFits, CoreError, ExplainerConfig, FeatureConfig, Features, FitConfig, Fitted,
    PartFitConfig, Performer,
};
use explainer_evaluation::verdict::followed;
use explainer_evaluation::{Account, Accounts, Evidence, Probes, names, of_network};
use explainer_report::ControlPeaks;

use super::args::Form;
use super::experiment::{Data, Explained, Networks, Outcome};
use super::figures::{Method, Settings};
use super::program::say;
use super::program::stopping::Heeding;
use super::{Experiment, Failure, RunArgs};

/// The controls of one outcome. Its settings are those of the fit, with its folder of checkpoints.
pub struct Controls<'a, P> {
    pub experiment: &'a Experiment<'a, P>,
    pub args: &'a RunArgs,
    pub settings: &'a Settings,
    pub device: &'a Device,
}

impl<P: Performer> Controls<'_, P> {
    /// Makes all of them, one after the other: adds what interventions find of them to the outcome's evidence, and keeps
    /// what a report needs of each. `data` are the features of the fit; they make room for those of the performer with
    /// random weights.
    pub fn run(&self, outcome: &mut Outcome, data: Data) -> Result<Vec<ControlPeaks>, Failure> {
        let Networks { performer, random, .. } = self.experiment.networks;
        if !self.args.form.is_trained() {
            self.published(outcome)?;
        }
        let mut seen = Vec::new();
        for control in ControlFit::ALL.into_iter().filter(|control| *control != ControlFit::RandomPerformer) {
            seen.extend(self.control(control, outcome, performer, &data)?);
        }
        drop(data);
        let views = self.experiment.views(self.args, self.args.form);
        let data = self.experiment.data_of(random, &views, self.device)?;
        seen.extend(self.control(ControlFit::RandomPerformer, outcome, random, &data)?);
        Ok(seen)
    }

    /// One control fit; `None` where the form has no such control.
    fn control(
        &self,
        control: ControlFit,
        outcome: &mut Outcome,
        performer: &P,
        data: &Data,
    ) -> Result<Option<ControlPeaks>, Failure> {
        let started = Instant::now();
        let made = match &self.settings.method {
            Method::Parts { parts } => self.parts(control, parts, performer, data),
            Method::Trained { explainer, fit } => {
                self.trained(control, &ControlFits::of(explainer, fit), performer, data)
            }
        };
        let explained = match made {
            Ok(Made::Fit(explained)) => explained,
            Ok(Made::Idle(why)) => {
                say!("control fit {}: left out, {why}", control.name());
                let why = format!("this control fit could tell nothing: {why}");
                return Ok(Some(ControlPeaks::missing(control, why)));
            }
            Ok(Made::No) => return Ok(None),
            // A control fit that diverges is a result; any other error is one.
            Err(error) if is_divergence(&error) => {
                say!("control fit {}: {error}", control.name());
                return Ok(Some(ControlPeaks::missing(control, format!("this control fit failed: {error}"))));
            }
            Err(error) => return Err(error),
        };
        let fitted = explained.fitted::<P>();
        // A trained form is asked for its reconstruction of shuffled features, and not for their parts.
        let evidence = match control {
            ControlFit::RandomPerformer => Some(self.measured(&fitted, performer)?),
            ControlFit::ShuffledFeatures if fitted.exact => Some(self.measured(&fitted, performer)?),
            _ => None,
        };
        if let Some(own) = &evidence {
            let layers: &[(&str, &str)] = match control {
                ControlFit::RandomPerformer => &[
                    (names::TOP_CONV, names::RANDOM_PERFORMER),
                    (names::CEILING, names::RANDOM_CEILING),
                    (names::EXPLAINED, names::RANDOM_PARTS),
                ],
                _ => &[(names::EXPLAINED, names::SHUFFLED_PARTS)],
            };
            layers.iter().for_each(|(layer, name)| put(outcome, own, layer, name));
        }
        let seen = self.experiment.report_of(outcome)?.control(control, &fitted, performer)?;
        let seen = match &evidence {
            Some(own) => seen.with_followed(followed(own, names::EXPLAINED)),
            None => seen,
        };
        say!("control fit {}: {:.1} s", control.name(), started.elapsed().as_secs_f64());
        Ok(Some(seen))
    }

    /// A control of detectors of parts. They read of categories only which images show an object at all, so that permuted
    /// ones are no control.
    fn parts(
        &self,
        control: ControlFit,
        config: &PartFitConfig,
        performer: &P,
        data: &Data,
    ) -> Result<Made, Failure> {
        let fit = |config: &PartFitConfig, train: &Features| {
            let fit = config.fit(performer, train, Some(&data.validation))?;
            Ok(Made::Fit(Explained::Parts(Box::new(fit))))
        };
        match control {
            ControlFit::SecondSeed => {
                fit(&config.clone().with_seed(config.seed.wrapping_add(1)), &data.train)
            }
            ControlFit::ShuffledFeatures => fit(config, &data.train.with_shuffled_units(config.seed)?),
            ControlFit::RandomPerformer => fit(config, &data.train),
            _ => Ok(Made::No),
        }
    }

    fn trained(
        &self,
        control: ControlFit,
        fits: &ControlFits,
        performer: &P,
        data: &Data,
    ) -> Result<Made, Failure> {
        if let Some(why) = fits.idle(control, &data.train) {
            return Ok(Made::Idle(why));
        }
        let heeding = Heeding::new();
        let fit = fits.run(control, performer, &data.train, Some(&data.validation))?;
        drop(heeding);
        Ok(Made::Fit(Explained::Trained(Box::new(fit))))
    }

    /// What interventions find of a control.
    fn measured(&self, fitted: &Fitted<'_, P>, performer: &P) -> Result<Evidence, Failure> {
        let probes = Probes::new().with(names::EXPLAINED, of_network(fitted.network, performer));
        self.experiment.evidence(performer, &probes, self.settings, self.device)
    }

    /// The published form beside detectors of parts, on images and their mirror images.
    fn published(&self, outcome: &mut Outcome) -> Result<(), Failure> {
        let experiment = self.experiment;
        let performer = &experiment.networks.performer;
        let started = Instant::now();
        let views = experiment.views(self.args, Form::Published);
        let data = experiment.data(&FeatureConfig { crops: 0, ..views }, self.device)?;
        let fit = FitConfig::published(experiment.defaults.published)
            .with_epochs(experiment.defaults.epochs)
            .with_seed(self.settings.seed)
            .with_progress(self.settings.progress);
        let start = ExplainerConfig::for_performer(performer).published().with_seed(self.settings.seed);
        let heeding = Heeding::new();
        let fit =
            fit.fit(start.init_from(performer, self.device), performer, &data.train, Some(&data.validation));
        drop(heeding);
        match fit.map_err(Failure::from) {
            Ok(fit) => {
                let found = self.measured(&Fitted::from(&fit), performer)?;
                let accounts =
                    Accounts::new().with(names::EXPLAINED, Account::of_network(&fit.explainer, performer));
                let found = experiment.with_deletion(found, &accounts, self.settings, self.device)?;
                put(outcome, &found, names::EXPLAINED, names::PUBLISHED);
                say!("published form: {:.1} s", started.elapsed().as_secs_f64());
                Ok(())
            }
            Err(error) if is_divergence(&error) => {
                say!("published form: {error}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// Puts a layer of another measurement among the outcome's.
fn put(outcome: &mut Outcome, found: &Evidence, layer: &str, name: &str) {
    if let Some(layer) = found.layer(layer) {
        let evidence = &mut outcome.figures.evidence;
        *evidence = evidence.clone().with(name, layer.clone());
    }
}

/// What came of a control.
enum Made {
    Fit(Explained),
    /// It could tell nothing, and why.
    Idle(&'static str),
    /// The form has no such control.
    No,
}

fn is_divergence(error: &Failure) -> bool {
    let found = error.downcast_ref::<CoreError>();
    matches!(found, Some(CoreError::Diverged { .. } | CoreError::Singular { .. }))
}
