//! What the examples that fit an explainer share: flags, the experiment and plans of many, tables, JSON
//! and the report.

mod args;
mod evaluate;
mod experiment;
mod figures;
mod head_to_head;
mod memory;
pub mod plan;
#[path = "../program/mod.rs"]
pub mod program;
mod settings;
mod table;

pub use args::FitArgs;
pub use experiment::{Experiment, Networks};
pub use program::Failure;
