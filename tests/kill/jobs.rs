//! What the programs do.

use std::path::Path;
use std::process::{self, Command, ExitCode};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use burn::tensor::{DType, Device};
use explainer_core::LossWeights;
use explainer_datasets::{SyntheticSpecies, SyntheticSpeciesConfig};
use explainer_performers::train::TrainConfig;
use explainer_performers::{Vgg16, Vgg16Config};

use crate::birds::Birds;
use crate::common::args::{CROPS, Defaults};
use crate::common::decisions::species_labels;
use crate::common::program::stopping::{self, Heeding};
use crate::common::program::{exit, files, say};
use crate::common::{Experiment, Failure, Networks};
use crate::paper::side_by_side;
use crate::plans;

/// Names the job in the environment of a program.
pub const JOB: &str = "EXPLAINER_JOB";
/// Names the folder that it writes into.
pub const FOLDER: &str = "EXPLAINER_FOLDER";
/// What [`Job::Explain`] says first.
pub const FIRST: &str = "a small fit";
/// Processes that [`Job::Parent`] starts.
pub const WORKERS: usize = 2;
/// Side of the images in pixels.
const SIZE: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// A fit with its refit, figures and report.
    Explain,
    /// The training of a performer.
    Train,
    /// A plan, its performer among it.
    Plan,
    /// Starts workers and waits for them.
    Parent,
    /// One of them: waits to be told to end.
    Worker,
}

impl Job {
    /// Those that end by themselves and leave results.
    pub const ALL: [Self; 3] = [Self::Explain, Self::Train, Self::Plan];

    pub fn name(self) -> &'static str {
        match self {
            Self::Explain => "explain",
            Self::Train => "train",
            Self::Plan => "plan",
            Self::Parent => "parent",
            Self::Worker => "worker",
        }
    }

    fn run(self, folder: &Path) -> Result<(), Failure> {
        match self {
            Self::Explain => explain(folder),
            Self::Train => train(folder),
            Self::Plan => plan(folder),
            Self::Parent => parent(folder),
            Self::Worker => worker(folder),
        }
    }
}

/// Does what the environment says, and ends the process as an example would.
pub fn run() {
    let (Ok(name), Some(folder)) = (env::var(JOB), env::var_os(FOLDER)) else { return };
    let all = Job::ALL.into_iter().chain([Job::Parent, Job::Worker]);
    let job = all.into_iter().find(|job| job.name() == name).expect("a job");
    let code = exit(job.run(Path::new(&folder)));
    let interrupted = code == ExitCode::from(stopping::INTERRUPTED);
    process::exit(match code {
        ExitCode::SUCCESS => 0,
        _ if interrupted => stopping::INTERRUPTED.into(),
        _ => 1,
    });
}

/// A performer that knows nothing, which is no matter here.
fn tiny(device: &Device) -> Vgg16 {
    let sizes = Vgg16Config::new().with_widths([4, 4, 4, 4, 8]).with_hidden([8, 8]);
    sizes.with_classes(9).with_input(SIZE).with_seed(1).init(device)
}

fn scenes(birds: usize) -> SyntheticSpeciesConfig {
    SyntheticSpeciesConfig::new(birds, birds).with_size(SIZE)
}

fn explain(folder: &Path) -> Result<(), Failure> {
    say!("{FIRST}");
    let folder = folder.to_str().ok_or("no UTF-8")?;
    let args = crate::flags([
        "--form",
        "published",
        "--epochs",
        "4",
        "--crops",
        "0",
        "--threads",
        "1",
        "--out",
        folder,
    ])?;
    let device = args.fit.device.open()?;
    let performer = tiny(&device);
    let random = performer.randomized(args.seed);
    Experiment {
        dataset: &SyntheticSpecies::new(scenes(16))?,
        networks: &Networks { performer, random, name: "tiny VGG-16".to_string() },
        labels: Some(species_labels()),
        args: &args.fit,
        defaults: Defaults { epochs: 2, crops: CROPS, published: LossWeights::PUBLISHED_VGG16 },
    }
    .run(&args, &device)
}

fn train(folder: &Path) -> Result<(), Failure> {
    let _heeding = Heeding::new();
    let [train, validation] = [0..7, 7..8].map(|seeds| Birds::new(&scenes(16), seeds, Some(1)));
    let (network, records) = TrainConfig::new(6)
        .with_batch_size(8)
        .with_dropout(0.2)
        .with_crops(0.5)
        .with_checkpoints(Some(folder.join("checkpoints")))
        .with_stop(Some(stopping::flag()))
        .fit(tiny(&Device::default()), &train?, &validation?)?;
    network.save(folder.join("network.safetensors"), DType::F32)?;
    files::write_json(&folder.join("records.json"), &records)
}

fn plan(folder: &Path) -> Result<(), Failure> {
    let plan = folder.join("plan.toml");
    let text = format!("seeds = [3, 4]\n{}{}", plans::BIRDS, plans::NO_LOSS);
    files::write(&plan, |file| Ok(std::io::Write::write_all(file, text.as_bytes())?))?;
    plans::run(&plan, &folder.join("out"), &["--threads", "1"])
}

fn parent(folder: &Path) -> Result<(), Failure> {
    let worker = || {
        let mut command = Command::new(env::current_exe().expect("this test"));
        command.args(["--exact", "kill::program", "--nocapture"]);
        command.env(JOB, Job::Worker.name()).env(FOLDER, folder);
        command
    };
    side_by_side((0..WORKERS).map(|_| worker()))
}

fn worker(folder: &Path) -> Result<(), Failure> {
    let flag = stopping::flag();
    let _heeding = Heeding::new();
    stopping::end_with_parent();
    let sign = folder.join(process::id().to_string());
    fs::write(&sign, "at work")?;
    let started = Instant::now();
    while !flag.is_raised() && started.elapsed() < Duration::from_secs(120) {
        thread::sleep(Duration::from_millis(5));
    }
    fs::remove_file(sign)?;
    Err(stopping::Stopped.into())
}
