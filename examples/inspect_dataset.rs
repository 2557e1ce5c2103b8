//! Tells what a set holds, and draws some of it with boxes and landmarks, so that one sees whether it was read
//! right.
//!
//! ```text
//! cargo run --release --example inspect_dataset -- --kind cub --data CUB_200_2011
//! cargo run --release --example inspect_dataset -- --kind folder --data birds --annotations birds.csv
//! ```

mod inspect;
#[expect(dead_code, unused_imports, reason = "no device is asked for, and no JSON written")]
mod program;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    program::exit(inspect::run(&inspect::Args::parse()))
}
