//! Checkpoints: a folder an epoch, there whole or not at all.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::tensor::Tensor;
use explainer_filter_loss::FilterCategories;
use serde::{Deserialize, Serialize};

use super::config::FitConfig;
use super::loss::InterpretabilityLoss;
use super::record::EpochRecord;
use crate::features::floats;
use crate::file::bad;
use crate::{CoreError, Explainer, Features, MaskLayer};

const EXPLAINER: &str = "explainer.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const STATE: &str = "state.json";
const PREFIX: &str = "epoch-";
/// Folders that are still being written.
const STAGING: &str = ".writing-";

/// What goes into `state.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct State {
    /// What must be the same for a fit to go on.
    pub(crate) setting: serde_json::Value,
    pub(crate) records: Vec<EpochRecord>,
    pub(crate) categories: Vec<FilterCategories>,
}

impl State {
    /// Where the state does not fit its folder's name or the explainer.
    fn contradiction(&self, epoch: usize, explainer: &Explainer) -> Option<String> {
        let pair = |what: &str, expected: usize, found: usize| {
            (expected != found).then(|| format!("{what}: expected {expected}, found {found}"))
        };
        let layers = explainer.interpretable.layers.len();
        let filters = explainer.filters();
        pair("records of epochs", epoch, self.records.len())
            .or_else(|| pair("layers with categories", layers, self.categories.len()))
            .or_else(|| {
                let mut found = self.categories.iter().map(|layer| layer.assigned().len());
                found.find_map(|found| pair("filters with categories", filters, found))
            })
    }
}

/// What the epochs of a fit depend on: not where it writes and what comes after them; how many there are
/// only if the rates fall towards the last one.
pub(crate) fn setting(
    config: &FitConfig,
    loss: &dyn InterpretabilityLoss,
    explainer: &Explainer,
    train: &Features,
) -> serde_json::Value {
    let epochs = if config.decay > 0.0 { config.epochs } else { 0 };
    let config = config.clone().with_epochs(epochs).with_checkpoints(None).with_progress(false);
    let mut config = serde_json::json!(config);
    config.as_object_mut().expect("a struct").remove("refit");
    let masks = explainer.interpretable.layers.iter().map(|layer| layer.mask().map(MaskLayer::setting));
    serde_json::json!({
        "fit": config,
        "loss": loss.description(),
        "parameters": explainer.num_params(),
        "filters": explainer.filters(),
        "pool": explainer.pool,
        "masks": masks.collect::<Vec<_>>(),
        "rows": train.len(),
        "checksum of the features": train.checksum(),
        "checksum of the first weights": checksum(explainer),
    })
}

/// A checksum of all parameters of a module.
fn checksum(module: &impl Module) -> u32 {
    struct Parameters(crc32fast::Hasher);
    impl ModuleVisitor for Parameters {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            self.0.update(bytemuck::cast_slice(&floats(parameter.val())));
        }
    }
    let mut parameters = Parameters(crc32fast::Hasher::new());
    module.visit(&mut parameters);
    parameters.0.finalize()
}

/// Writes the checkpoint of `state`'s last epoch and removes the one before it.
pub(crate) fn save(
    folder: &Path,
    explainer: &Explainer,
    optimizer: &ModuleOptimizer,
    loss: &dyn InterpretabilityLoss,
    state: &State,
) -> Result<(), CoreError> {
    fs::create_dir_all(folder).map_err(CoreError::io(folder, "making the folder of checkpoints"))?;
    sweep(folder)?;
    let staging = tempfile::Builder::new()
        .prefix(STAGING)
        .tempdir_in(folder)
        .map_err(CoreError::io(folder, "making a temporary folder"))?;
    let inside = |name: &str| staging.path().join(name);
    explainer.save(&inside(EXPLAINER))?;
    optimizer.save(inside(OPTIMIZER)).map_err(bad(&inside(OPTIMIZER)))?;
    let json = serde_json::to_vec_pretty(state)
        .map_err(|error| CoreError::Checkpoint { path: folder.join(STATE), what: error.to_string() })?;
    fs::write(inside(STATE), json).map_err(CoreError::io(inside(STATE), "writing"))?;
    loss.save(staging.path())?;
    let listing = || CoreError::io(staging.path(), "listing a checkpoint");
    for entry in fs::read_dir(staging.path()).map_err(listing())? {
        let path = entry.map_err(listing())?.path();
        File::open(&path).and_then(|file| file.sync_all()).map_err(CoreError::io(path, "syncing"))?;
    }
    sync_folder(staging.path())?;
    let epoch = state.records.len();
    let place = folder.join(format!("{PREFIX}{epoch:04}"));
    fs::rename(staging.path(), &place).map_err(CoreError::io(&place, "moving a checkpoint into place"))?;
    sync_folder(folder)?;
    for (older, path) in list(folder)? {
        if older < epoch {
            fs::remove_dir_all(&path).map_err(CoreError::io(&path, "removing an older checkpoint"))?;
        }
    }
    Ok(())
}

/// Removes what killed runs were writing: one fit at a time has a folder of checkpoints.
fn sweep(folder: &Path) -> Result<(), CoreError> {
    let reading = || CoreError::io(folder, "listing checkpoints");
    for entry in fs::read_dir(folder).map_err(reading())? {
        let entry = entry.map_err(reading())?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(STAGING)) {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(CoreError::io(&path, "removing an unfinished checkpoint"))?;
        }
    }
    Ok(())
}

/// Names in a folder, and a renamed folder, last only when the folder they are in was synced; elsewhere
/// than on Unix a folder cannot be opened, and the system takes care of it.
fn sync_folder(folder: &Path) -> Result<(), CoreError> {
    if cfg!(unix) {
        File::open(folder).and_then(|file| file.sync_all()).map_err(CoreError::io(folder, "syncing"))?;
    }
    Ok(())
}

/// Checkpoints in `folder` by epoch; none if it does not exist.
fn list(folder: &Path) -> Result<Vec<(usize, PathBuf)>, CoreError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let reading = || CoreError::io(folder, "listing checkpoints");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(reading())? {
        let entry = entry.map_err(reading())?;
        let name = entry.file_name();
        let epoch = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|n| n.parse().ok());
        found.extend(epoch.map(|epoch: usize| (epoch, entry.path())));
    }
    found.sort();
    Ok(found)
}

/// The newest checkpoint of `folder`, if it has one.
///
/// # Errors
/// If it belongs to a fit of other settings, or cannot be read.
pub(crate) fn resume(
    folder: &Path,
    setting: &serde_json::Value,
    explainer: Explainer,
    optimizer: ModuleOptimizer,
    loss: &mut dyn InterpretabilityLoss,
) -> Result<Option<(Explainer, ModuleOptimizer, State)>, CoreError> {
    let Some((epoch, place)) = list(folder)?.pop() else { return Ok(None) };
    let refused = |what: String| CoreError::Checkpoint { path: place.join(STATE), what };
    let json = fs::read(place.join(STATE)).map_err(CoreError::io(place.join(STATE), "reading"))?;
    let state: State =
        serde_json::from_slice(&json).map_err(|error| refused(format!("not the state of a fit: {error}")))?;
    if let Some(difference) = difference("", &state.setting, setting) {
        let what = format!("belongs to another fit: {difference}; take another folder or the same settings");
        return Err(refused(what));
    }
    if let Some(what) = state.contradiction(epoch, &explainer) {
        return Err(refused(what));
    }
    let explainer = explainer.load(&place.join(EXPLAINER))?;
    let record = OptimizerRecord::load(place.join(OPTIMIZER)).map_err(bad(&place.join(OPTIMIZER)))?;
    loss.load(&place)?;
    Ok(Some((explainer.train(), optimizer.load_record(record), state)))
}

/// Refuses a fit that asks for fewer epochs than its checkpoint has.
pub(crate) fn within(state: &State, config: &FitConfig) -> Result<(), CoreError> {
    let (found, asked) = (state.records.len(), config.epochs);
    if found <= asked {
        return Ok(());
    }
    let path = config.checkpoints.clone().unwrap_or_default();
    let what = format!("expected at most {asked} epochs, found {found}; take another folder or more epochs");
    Err(CoreError::Checkpoint { path, what })
}

/// The first place where two settings differ.
fn difference(at: &str, saved: &serde_json::Value, wanted: &serde_json::Value) -> Option<String> {
    use serde_json::Value::Object;
    match (saved, wanted) {
        (Object(saved), Object(wanted)) => wanted.iter().find_map(|(key, wanted)| {
            let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            difference(&at, saved.get(key).unwrap_or(&serde_json::Value::Null), wanted)
        }),
        _ if saved == wanted => None,
        _ => Some(format!("{at} was {saved}, is {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_named() {
        let saved = json!({"fit": {"seed": 1, "push": [1]}, "rows": 4});
        assert_eq!(difference("", &saved, &saved), None);
        let wanted = json!({"fit": {"seed": 2, "push": [1]}, "rows": 4});
        assert_eq!(difference("", &saved, &wanted).unwrap(), "fit.seed was 1, is 2");
    }
}
