//! The control fits of `--trust`.

use std::time::Instant;

use burn::tensor::Device;
use explainer_core::{
    ControlFit, ControlFits, CoreError, ExplainerConfig, FeatureConfig, FitConfig, Performer,
};
use explainer_evaluation::{Account, Accounts, Evidence, Probes, names, of_explainer};
use explainer_report::ControlPeaks;

use super::args::Form;
use super::experiment::{Data, Networks, Outcome};
use super::figures::Settings;
use super::program::say;
use super::program::stopping::Heeding;
use super::{Experiment, Failure};

/// Makes all control fits of an outcome, one after the other, and keeps what a report needs of each. `settings` are
/// those of the fit, with its folder of checkpoints; `data` its features in `views`, which make room for those of
/// the performer with random weights.
pub fn run<P: Performer>(
    experiment: &Experiment<'_, P>,
    outcome: &Outcome,
    settings: &Settings,
    data: Data,
    views: &FeatureConfig,
    device: &Device,
) -> Result<Vec<ControlPeaks>, Failure> {
    let fits = ControlFits::of(&settings.explainer, &settings.fit);
    let report = experiment.report_of(outcome)?;
    let made = |control: ControlFit, performer: &P, data: &Data| {
        if let Some(why) = fits.idle(control, &data.train) {
            say!("control fit {}: left out, {why}", control.name());
            return Ok(ControlPeaks::missing(control, format!("this control fit could tell nothing: {why}")));
        }
        let started = Instant::now();
        let heeding = Heeding::new();
        let fit = fits.run(control, performer, &data.train, Some(&data.validation))?;
        drop(heeding);
        let seen = report.control(control, &fit, performer)?;
        say!("control fit {}: {:.1} s", control.name(), started.elapsed().as_secs_f64());
        Ok(seen)
    };
    let networks = experiment.networks;
    let on_its_features = |control: &ControlFit| *control != ControlFit::RandomPerformer;
    let mut seen = Vec::new();
    for control in ControlFit::ALL.into_iter().filter(on_its_features) {
        seen.push(or_why(control, made(control, &networks.performer, &data))?);
    }
    drop(data);
    let control = ControlFit::RandomPerformer;
    let data = experiment.data_of(&networks.random, views, device);
    seen.push(or_why(control, data.and_then(|data| made(control, &networks.random, &data)))?);
    Ok(seen)
}

/// Adds the controls of the evidence that take a fit or a performer of their own: the published form of the explainer,
/// and the performer with random weights with the ceiling of its target layer.
pub fn evidence<P: Performer>(
    experiment: &Experiment<'_, P>,
    mut evidence: Evidence,
    settings: &Settings,
    data: &Data,
    form: Form,
    device: &Device,
) -> Result<Evidence, Failure> {
    let Networks { performer, random, .. } = experiment.networks;
    if form == Form::Published {
        evidence = renamed(evidence.clone(), &evidence, names::EXPLAINED, names::PUBLISHED);
    } else {
        let started = Instant::now();
        let FitConfig { epochs, batch_size, seed, progress, .. } = settings.fit;
        let fit = FitConfig::published(experiment.defaults.published)
            .with_epochs(epochs)
            .with_batch_size(batch_size)
            .with_seed(seed)
            .with_progress(progress);
        let start = ExplainerConfig::for_performer(performer).published().with_seed(seed);
        match fit.fit(start.init_from(performer, device), performer, &data.train, Some(&data.validation)) {
            Ok(fit) => {
                let probe = of_explainer(&fit.explainer, performer);
                let probes = Probes::new().with(names::PUBLISHED, probe);
                let found = experiment.evidence(performer, &probes, &settings.fit, device)?;
                let account = Account::of_network(&fit.explainer, performer);
                let accounts = Accounts::new().with(names::PUBLISHED, account);
                let found = experiment.with_deletion(found, &accounts, &settings.fit, device)?;
                evidence = renamed(evidence, &found, names::PUBLISHED, names::PUBLISHED);
                say!("published form: {:.1} s", started.elapsed().as_secs_f64());
            }
            Err(found @ (CoreError::Diverged { .. } | CoreError::Singular { .. })) => {
                say!("published form: {found}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    let found = experiment.evidence(random, &Probes::new(), &settings.fit, device)?;
    evidence = renamed(evidence, &found, names::TOP_CONV, names::RANDOM_PERFORMER);
    Ok(renamed(evidence, &found, names::CEILING, names::RANDOM_CEILING))
}

/// With a layer of another measurement.
fn renamed(evidence: Evidence, found: &Evidence, layer: &str, name: &str) -> Evidence {
    match found.layer(layer) {
        Some(layer) => evidence.with(name, layer.clone()),
        None => evidence,
    }
}

/// A control fit that diverges is a result; any other error is one.
fn or_why(control: ControlFit, made: Result<ControlPeaks, Failure>) -> Result<ControlPeaks, Failure> {
    let error = match made {
        Ok(seen) => return Ok(seen),
        Err(error) => error,
    };
    match error.downcast_ref::<CoreError>() {
        Some(found @ (CoreError::Diverged { .. } | CoreError::Singular { .. })) => {
            say!("control fit {}: {found}", control.name());
            Ok(ControlPeaks::missing(control, format!("this control fit failed: {found}")))
        }
        _ => Err(error),
    }
}
