//! The control fits of `--trust`.

use std::time::Instant;

use burn::tensor::Device;
use explainer_core::{ControlFit, ControlFits, CoreError, FeatureConfig, Performer};
use explainer_report::ControlPeaks;

use super::experiment::{Data, Outcome};
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
