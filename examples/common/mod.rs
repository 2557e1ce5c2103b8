//! What the examples that fit an explainer share: flags, the experiment, tables, JSON and the report.

pub mod args;
mod controls;
pub mod decisions;
mod evaluate;
pub mod experiment;
pub mod figures;
mod head_to_head;
mod memory;
#[path = "../program/mod.rs"]
pub mod program;
pub mod settings;
mod table;

pub use args::{FitArgs, RunArgs};
pub use experiment::{Experiment, Networks};
pub use program::Failure;
