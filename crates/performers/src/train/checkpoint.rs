//! What a checkpoint of a training holds.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use explainer_core::{Checkpoints, NUMERICS_VERSION, checksum};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::batch::checksum_of;
use super::epoch::Run;
use super::{EpochRecord, Examples, TrainConfig, TrainError, Trainable};

const NETWORK: &str = "network.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const STATE: &str = "state.json";

/// What goes into `state.json`.
#[derive(Serialize, Deserialize)]
pub(super) struct State {
    /// What must be the same for a training to go on.
    setting: Value,
    records: Vec<EpochRecord>,
    order: Vec<usize>,
    /// Where the generator of random numbers stands.
    position: u64,
}

impl State {
    pub(super) fn of<N>(run: &Run<N>, setting: &Value) -> Self {
        Self {
            setting: setting.clone(),
            records: run.records.clone(),
            order: run.order.clone(),
            position: run.rng.get_word_pos() as u64,
        }
    }
}

/// What a training depends on: not where it writes.
///
/// # Errors
/// Those of the examples, which are all asked for once.
pub(super) fn setting<N: Trainable>(
    config: &TrainConfig,
    network: &N,
    train: &impl Examples,
    validation: &impl Examples,
) -> Result<Value, TrainError> {
    let mut training = serde_json::json!(config.clone().with_checkpoints(None));
    training.as_object_mut().expect("a struct").remove("stop");
    Ok(serde_json::json!({
        "numerics": NUMERICS_VERSION,
        "training": training,
        "preprocessing": network.preprocessing(),
        "examples": train.len(),
        "checksum of the examples": checksum_of(train, 1)?,
        "checksum of the validation examples": checksum_of(validation, 0)?,
        "parameters": network.num_params(),
        "checksum of the first weights": checksum(network),
    }))
}

fn refused(path: impl Into<PathBuf>, doing: &str) -> impl FnOnce(&dyn Display) -> TrainError {
    let (path, doing) = (path.into(), doing.to_string());
    move |error| TrainError::Checkpoint { path, what: format!("{doing}: {error}") }
}

/// Writes the checkpoint of the last epoch and removes those before it, once it is read as it was written.
pub(super) fn save<N: Trainable>(
    checkpoints: &Checkpoints,
    run: &Run<N>,
    state: &State,
) -> Result<(), TrainError> {
    let writing = || refused(checkpoints.folder(), "writing a checkpoint");
    let json = serde_json::to_vec(state).map_err(|error| writing()(&error))?;
    let write = |place: &Path| {
        // Running statistics are saved as they are once read.
        run.network.valid().into_record().save(place.join(NETWORK)).map_err(|error| writing()(&error))?;
        run.optimizer.save(place.join(OPTIMIZER)).map_err(|error| writing()(&error))?;
        fs::write(place.join(STATE), &json).map_err(|error| writing()(&error))
    };
    let read = |place: &Path| match serde_json::to_vec(&read(place)?) {
        Ok(again) if again == json => Ok(()),
        _ => Err(writing()(&"its state is not read as it was written; the one before it stays")),
    };
    checkpoints.save(state.records.len(), write, read)
}

/// The state in a folder.
fn read(place: &Path) -> Result<State, TrainError> {
    let path = place.join(STATE);
    let reading = || refused(&path, "reading a checkpoint");
    let json = fs::read(&path).map_err(|error| reading()(&error))?;
    serde_json::from_slice(&json).map_err(|error| reading()(&error))
}

/// Goes on from the newest checkpoint, if there is one.
pub(super) fn resume<N: Trainable>(
    checkpoints: &Checkpoints,
    setting: &Value,
    run: Run<N>,
) -> Result<Run<N>, TrainError> {
    let Some((epoch, place)) = checkpoints.newest()? else { return Ok(run) };
    let file = |name: &str| refused(place.join(name), "reading a checkpoint");
    let state = read(&place)?;
    if let Some(what) = contradiction(&state, epoch, setting) {
        return Err(TrainError::Checkpoint { path: place.join(STATE), what });
    }
    let record = ModuleRecord::load(place.join(NETWORK)).map_err(|error| file(NETWORK)(&error))?;
    let network = run.network.try_load_record(record).map_err(|error| file(NETWORK)(&error))?;
    let record = OptimizerRecord::load(place.join(OPTIMIZER)).map_err(|error| file(OPTIMIZER)(&error))?;
    let mut rng = run.rng;
    rng.set_word_pos(state.position.into());
    Ok(Run {
        network: network.train(),
        optimizer: run.optimizer.load_record(record),
        rng,
        order: state.order,
        records: state.records,
    })
}

/// Why a state is not this training's.
fn contradiction(state: &State, epoch: usize, setting: &Value) -> Option<String> {
    if state.records.len() != epoch {
        return Some(format!("records of epochs: expected {epoch}, found {}", state.records.len()));
    }
    let parts = setting.as_object()?.iter();
    let changed = |(name, now): (&String, &Value)| {
        let was = state.setting.get(name).unwrap_or(&Value::Null);
        (was != now)
            .then(|| format!("belongs to another training: {name} was {was}, is {now}; take another folder"))
    };
    let examples = setting["examples"].as_u64();
    let mut order = state.order.clone();
    order.sort_unstable();
    parts.map(changed).find_map(|changed| changed).or_else(|| {
        let whole = order.iter().enumerate().all(|(at, &index)| at == index);
        (!whole || Some(order.len() as u64) != examples)
            .then(|| "the order is not one of all examples".into())
    })
}
