//! Checkpoints: a folder an epoch, there whole or not at all.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use explainer_filter_loss::FilterCategories;
use serde::{Deserialize, Serialize};

use super::config::FitConfig;
use super::record::EpochRecord;
use crate::file::bad;
use crate::{CoreError, Explainer};

const EXPLAINER: &str = "explainer.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const STATE: &str = "state.json";
const PREFIX: &str = "epoch-";

/// What goes into `state.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct State {
    /// What must be the same for a fit to go on.
    pub(crate) setting: serde_json::Value,
    pub(crate) records: Vec<EpochRecord>,
    pub(crate) categories: Vec<FilterCategories>,
}

/// What the epochs of a fit depend on: not where it writes and what comes after them; how many there are
/// only if the rates fall towards the last one.
pub(crate) fn setting(config: &FitConfig, explainer: &Explainer, rows: usize) -> serde_json::Value {
    let epochs = if config.decay > 0.0 { config.epochs } else { 0 };
    let config = config.clone().with_epochs(epochs).with_checkpoints(None).with_progress(false);
    let mut config = serde_json::json!(config);
    config.as_object_mut().expect("a struct").remove("refit");
    serde_json::json!({
        "fit": config,
        "parameters": explainer.num_params(),
        "filters": explainer.filters(),
        "layers": explainer.interpretable.layers.len(),
        "rows": rows,
    })
}

/// Writes the checkpoint of `state`'s last epoch and removes the one before it.
pub(crate) fn save(
    folder: &Path,
    explainer: &Explainer,
    optimizer: &ModuleOptimizer,
    state: &State,
) -> Result<(), CoreError> {
    fs::create_dir_all(folder).map_err(CoreError::io(folder, "making the folder of checkpoints"))?;
    let staging = tempfile::Builder::new()
        .prefix(".writing-")
        .tempdir_in(folder)
        .map_err(CoreError::io(folder, "making a temporary folder"))?;
    let inside = |name: &str| staging.path().join(name);
    explainer.save(&inside(EXPLAINER))?;
    optimizer.save(inside(OPTIMIZER)).map_err(bad(&inside(OPTIMIZER)))?;
    let json = serde_json::to_vec_pretty(state)
        .map_err(|error| CoreError::Checkpoint { path: folder.join(STATE), what: error.to_string() })?;
    fs::write(inside(STATE), json).map_err(CoreError::io(inside(STATE), "writing"))?;
    for name in [EXPLAINER, OPTIMIZER, STATE] {
        let path = inside(name);
        File::open(&path).and_then(|file| file.sync_all()).map_err(CoreError::io(path, "syncing"))?;
    }
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

/// A renamed folder lasts only when the folder it is in was synced; elsewhere than on Unix a
/// folder cannot be opened, and the system takes care of it.
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
) -> Result<Option<(Explainer, ModuleOptimizer, State)>, CoreError> {
    let Some((_, place)) = list(folder)?.pop() else { return Ok(None) };
    let refused = |what: String| CoreError::Checkpoint { path: place.join(STATE), what };
    let json = fs::read(place.join(STATE)).map_err(CoreError::io(place.join(STATE), "reading"))?;
    let state: State =
        serde_json::from_slice(&json).map_err(|error| refused(format!("not the state of a fit: {error}")))?;
    if let Some(difference) = difference("", &state.setting, setting) {
        let what = format!("belongs to another fit: {difference}; take another folder or the same settings");
        return Err(refused(what));
    }
    let explainer = explainer.load(&place.join(EXPLAINER))?;
    let record = OptimizerRecord::load(place.join(OPTIMIZER)).map_err(bad(&place.join(OPTIMIZER)))?;
    Ok(Some((explainer.train(), optimizer.load_record(record), state)))
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
