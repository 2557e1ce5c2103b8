//! What the examples share: flags, the experiment, its table, JSON and contact sheet.

mod args;
mod evaluate;
mod experiment;
mod figures;
mod sheet;
mod table;

pub use args::FitArgs;
pub use experiment::{Experiment, Networks};

/// The examples' error: printed with its causes.
pub type Failure = Box<dyn std::error::Error>;
