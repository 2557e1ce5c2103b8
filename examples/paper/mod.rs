//! What `paper` does.

mod cells;
mod data;
mod group;
mod performers;
mod places;
pub mod plan;
mod published;
pub mod table;

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;

use crate::common::program::failure::told;
use crate::common::program::stopping::{self, Heeding};
use crate::common::program::{at_least_one, files, say};
use crate::common::{Failure, FitArgs};
use cells::Cells;
use group::{Claim, Run};
use places::{Given, Places};
use plan::{Dataset, Plan};

/// How often it is seen whether a process has ended.
const POLL: Duration = Duration::from_millis(50);

/// Makes the experiments of a plan, and a table of them.
#[derive(Parser, Debug)]
#[command(version, about)]
pub struct Args {
    #[command(flatten)]
    pub fit: FitArgs,
    /// The plan (TOML; see examples/plans).
    #[arg(long, value_name = "FILE")]
    pub plan: PathBuf,
    /// Where results are kept: cells.jsonl, a line for each finished fit, which is not made again; performers that
    /// were trained; table.md.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Where a folder is that the plan names; may be given several times.
    #[arg(long, value_name = "NAME=DIR")]
    pub data: Vec<Given>,
    /// Only the experiments, networks or variations of these names; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Processes that fit side by side, each on its share of the cores.
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pub jobs: usize,
    /// GiB of training features that all processes together keep in memory; what is beyond lies in files that are
    /// mapped. A process has the features of one performer at a time.
    #[arg(long, default_value_t = 4.0, value_parser = above_nothing)]
    pub memory: f64,
    /// Fits nothing; prints the table of what is finished.
    #[arg(long)]
    pub table: bool,
    /// Birds of every synthetic set, instead of the plan's number.
    #[arg(long, value_parser = at_least_one)]
    pub birds: Option<usize>,
    /// One of the processes that `--jobs` starts.
    #[arg(long, hide = true)]
    pub worker: bool,
}

fn above_nothing(number: &str) -> Result<f64, String> {
    let number = number.parse().ok().filter(|&number: &f64| number > 0.0 && number.is_finite());
    number.ok_or_else(|| "expected a number above 0".to_string())
}

/// Makes what is not made yet, and prints the table.
pub fn run(mut args: Args) -> Result<(), Failure> {
    let mut plan = Plan::read(&args.plan)?;
    for experiment in &mut plan.experiments {
        if let (Dataset::SyntheticSpecies { birds, .. }, Some(number)) = (&mut experiment.dataset, args.birds)
        {
            *birds = number;
        }
    }
    if args.jobs > 1 {
        let cores = available_parallelism().map_or(1, usize::from);
        args.fit.device.threads.get_or_insert((cores / args.jobs).max(1));
    }
    let run = Run {
        args: &args,
        plan: &plan,
        places: Places::new(&args.data),
        out: &args.out,
        cells: Cells::open(args.out.join("cells.jsonl"))?,
        checksums: RefCell::default(),
    };
    run.check_names()?;
    if args.worker {
        stopping::end_with_parent();
        return work(&run);
    }
    let made = match args.table {
        true => Ok(()),
        false => make(&run),
    };
    let table = table::of(&run)?;
    files::write(&args.out.join("table.md"), |file| Ok(std::io::Write::write_all(file, table.as_bytes())?))?;
    say!("\n{table}");
    made
}

/// Checks what there is to be made, and makes it: here, or in several processes.
fn make(run: &Run<'_>) -> Result<(), Failure> {
    run.check(&run.groups())?;
    files::check_folder(&run.claims())?;
    if run.args.jobs == 1 {
        return work(run);
    }
    let program = std::env::current_exe()?;
    let worker = || {
        let mut command = Command::new(&program);
        command.args(std::env::args_os().skip(1)).arg("--worker");
        command
    };
    side_by_side((0..run.args.jobs).map(|_| worker()))
}

/// Runs commands side by side and waits for all of them. Each has a pipe as its standard input whose other end only this
/// process has: it ends when this one is told to end, or is no more.
pub fn side_by_side(commands: impl Iterator<Item = Command>) -> Result<(), Failure> {
    let flag = stopping::flag();
    let _heeding = Heeding::new();
    let mut children = Vec::new();
    let mut failures = Vec::new();
    for mut command in commands {
        match command.stdin(Stdio::piped()).spawn() {
            Ok(child) => children.push(child),
            Err(error) => failures.push(format!("a process could not be started: {error}")),
        }
    }
    while !children.is_empty() {
        children.retain_mut(|child: &mut Child| {
            if flag.is_raised() {
                drop(child.stdin.take());
            }
            match child.try_wait() {
                Ok(None) => return true,
                Ok(Some(status)) if status.success() => {}
                Ok(Some(status)) => failures.push(format!("a process ended with {status}")),
                Err(error) => failures.push(error.to_string()),
            }
            false
        });
        std::thread::sleep(POLL);
    }
    if flag.is_raised() {
        return Err(stopping::Stopped.into());
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ").into()) }
}

/// Makes groups nobody else is at, then helps with the others. A group that fails does not stop the others.
fn work(run: &Run<'_>) -> Result<(), Failure> {
    let device = run.args.fit.device.open()?;
    let groups = run.groups();
    let mut failed: Vec<usize> = Vec::new();
    for claim in [Claim::Try, Claim::Wait] {
        for (index, group) in groups.iter().enumerate() {
            if failed.contains(&index) {
                continue;
            }
            if let Err(error) = run.make(group, claim, &device) {
                if stopping::is_stop(&error) {
                    return Err(error);
                }
                eprintln!("{}: {}", group.name(), told(error.as_ref()));
                failed.push(index);
            }
        }
    }
    match failed.len() {
        0 => Ok(()),
        count => {
            Err(format!("{count} of {} performers could not be explained; see above", groups.len()).into())
        }
    }
}
