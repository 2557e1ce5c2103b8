//! The paper's experiments, and others like them, from a plan: networks × categories × variations × seeds.
//!
//! ```sh
//! cargo run --release --example paper -- --plan examples/plans/ablations.toml --out ablations --jobs 2
//! cargo run --release --example paper -- --plan examples/plans/here.toml --out here --jobs 2 \
//!     --data animal-part=animal-part --data performers=performers
//! ```
//!
//! What is finished is not made again: the same command goes on where it was stopped, and a fit belongs to the
//! settings it was made with.

#[allow(dead_code, reason = "what only a performer that ships is trained with")]
mod birds;
#[allow(dead_code, reason = "what an example that makes one fit does with it")]
mod common;
#[path = "common/description.rs"]
mod description;
#[path = "paper/mod.rs"]
mod paper;

use std::process::ExitCode;

use clap::Parser;
use common::program::exit;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    exit(paper::run(paper::Args::parse()))
}
