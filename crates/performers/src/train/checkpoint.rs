//! What a checkpoint of a training holds.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use explainer_core::{Checkpoints, checksum};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::epoch::Run;
use super::{EpochRecord, TrainConfig, TrainError, Trainable};

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

/// What a training depends on: not where it writes. Examples are known by their number alone.
pub(super) fn setting<N: Trainable>(config: &TrainConfig, network: &N, examples: usize) -> Value {
    serde_json::json!({
        "training": config.clone().with_checkpoints(None),
        "preprocessing": network.preprocessing(),
        "examples": examples,
        "parameters": network.num_params(),
        "checksum of the first weights": checksum(network),
    })
}

fn refused(path: impl Into<PathBuf>, doing: &str) -> impl FnOnce(&dyn Display) -> TrainError {
    let (path, doing) = (path.into(), doing.to_string());
    move |error| TrainError::Checkpoint { path, what: format!("{doing}: {error}") }
}

/// Writes the checkpoint of the last epoch and removes those before it.
pub(super) fn save<N: Trainable>(folder: &Path, run: &Run<N>, state: &State) -> Result<(), TrainError> {
    Checkpoints::in_folder(folder).save(state.records.len(), |place| {
        let writing = || refused(folder, "writing a checkpoint");
        // Running statistics are saved as they are once read.
        run.network.valid().into_record().save(place.join(NETWORK)).map_err(|error| writing()(&error))?;
        run.optimizer.save(place.join(OPTIMIZER)).map_err(|error| writing()(&error))?;
        let json = serde_json::to_vec(state).map_err(|error| writing()(&error))?;
        fs::write(place.join(STATE), json).map_err(|error| writing()(&error))
    })
}

/// Goes on from the newest checkpoint of `folder`, if it has one.
pub(super) fn resume<N: Trainable>(
    folder: &Path,
    setting: &Value,
    run: Run<N>,
) -> Result<Run<N>, TrainError> {
    let Some((epoch, place)) = Checkpoints::in_folder(folder).newest()? else { return Ok(run) };
    let file = |name: &str| refused(place.join(name), "reading a checkpoint");
    let json = fs::read(place.join(STATE)).map_err(|error| file(STATE)(&error))?;
    let state: State = serde_json::from_slice(&json).map_err(|error| file(STATE)(&error))?;
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
