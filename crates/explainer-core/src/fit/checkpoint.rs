//! What a checkpoint of a fit holds.

use std::fs;
use std::path::Path;

use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use explainer_filter_loss::{FilterCategories, StarWindow};
use serde::{Deserialize, Serialize};

use super::config::FitConfig;
use super::loss::InterpretabilityLoss;
use super::record::EpochRecord;
use crate::file::bad;
use crate::{Checkpoints, CoreError, Explainer, Features, MaskLayer, NUMERICS_VERSION, checksum};

const EXPLAINER: &str = "explainer.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const STATE: &str = "state.json";

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
    for unread in ["refit", "stop"] {
        config.as_object_mut().expect("a struct").remove(unread);
    }
    let windows = explainer.interpretable.layers.iter().map(|layer| layer.windows().map(StarWindow::config));
    let masks = explainer.interpretable.layers.iter().map(|layer| layer.mask().map(MaskLayer::setting));
    serde_json::json!({
        "numerics": NUMERICS_VERSION,
        "fit": config,
        "loss": loss.description(),
        "parameters": explainer.num_params(),
        "filters": explainer.filters(),
        "pool": explainer.pool,
        "windows": windows.collect::<Vec<_>>(),
        "masks": masks.collect::<Vec<_>>(),
        "mask behind the pool": explainer.pooled_mask.as_ref().map(MaskLayer::setting),
        "share": explainer.share,
        "complement": explainer.complement,
        "rows": train.len(),
        "checksum of the features": train.checksum(),
        "checksum of the first weights": checksum(explainer),
    })
}

/// Writes the checkpoint of `state`'s last epoch and removes the one before it.
pub(crate) fn save(
    checkpoints: &Checkpoints,
    explainer: &Explainer,
    optimizer: &ModuleOptimizer,
    loss: &dyn InterpretabilityLoss,
    state: &State,
) -> Result<(), CoreError> {
    let refused = |what: String| CoreError::Checkpoint { path: checkpoints.folder().join(STATE), what };
    let json = serde_json::to_vec_pretty(state).map_err(|error| refused(error.to_string()))?;
    let write = |place: &Path| {
        let inside = |name: &str| place.join(name);
        explainer.save(&inside(EXPLAINER))?;
        optimizer.save(inside(OPTIMIZER)).map_err(bad(&inside(OPTIMIZER)))?;
        fs::write(inside(STATE), &json).map_err(CoreError::io(inside(STATE), "writing"))?;
        loss.save(place)
    };
    // What a state does not say again, a fit that goes on from it would not find.
    let read = |place: &Path| match serde_json::to_vec_pretty(&read(place)?) {
        Ok(again) if again == json => Ok(()),
        _ => Err(refused("it is not read as it was written; the checkpoint before it stays".to_string())),
    };
    checkpoints.save(state.records.len(), write, read)
}

/// The state in a folder.
fn read(place: &Path) -> Result<State, CoreError> {
    let path = place.join(STATE);
    let json = fs::read(&path).map_err(CoreError::io(&path, "reading"))?;
    let refused = |error| CoreError::Checkpoint { path, what: format!("not the state of a fit: {error}") };
    serde_json::from_slice(&json).map_err(refused)
}

/// The newest checkpoint, if there is one.
///
/// # Errors
/// If it belongs to a fit of other settings, or cannot be read.
pub(crate) fn resume(
    checkpoints: &Checkpoints,
    setting: &serde_json::Value,
    explainer: Explainer,
    optimizer: ModuleOptimizer,
    loss: &mut dyn InterpretabilityLoss,
) -> Result<Option<(Explainer, ModuleOptimizer, State)>, CoreError> {
    let Some((epoch, place)) = checkpoints.newest()? else { return Ok(None) };
    let refused = |what: String| CoreError::Checkpoint { path: place.join(STATE), what };
    let state = read(&place)?;
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
