//! What the examples that fit an explainer share: flags, the experiment, its table, JSON and contact
//! sheet.

mod args;
mod evaluate;
mod experiment;
mod figures;
#[path = "../program/mod.rs"]
pub mod program;
mod settings;
mod sheet;
mod table;

pub use args::FitArgs;
pub use experiment::{Experiment, Networks};
pub use program::Failure;
