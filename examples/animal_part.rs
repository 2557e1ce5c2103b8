//! Explains an AlexNet on a category of the ILSVRC Animal-Part set: real images, and a performer
//! that was trained elsewhere.
//!
//! ```sh
//! cargo run --release --example animal_part -- --data animal-part \
//!     --performer alexnet_animalpart.pth --category n02129604
//! ```

mod common;
#[path = "common/description.rs"]
mod description;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use common::args::{CROPS, Defaults};
use common::decisions::one_against;
use common::program::exit;
use common::{Experiment, Failure, Networks, RunArgs};
use explainer_core::{LossWeights, Performer};
use explainer_datasets::{AnimalPart, AnimalPartConfig, SplitRule};
use explainer_performers::AlexNetLayers;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EPOCHS: usize = 3;

/// Fits an explainer to an AlexNet on one animal and prints what it found.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Folder of the set: <wnid>_obj, truth and neg.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Weights of an AlexNet in torchvision's layout, .pth or .safetensors. A file of the same name
    /// ending in .json lists its classes, {"classes": ["n01443537", …, "negative"]}, and may state its "input",
    /// [3, 224, 224], the "mean" and "std" of red, green and blue (with "range": [0, 255] if they are of such pixels)
    /// and "order": "bgr"; else they are ImageNet's. Any other key is an error unless it begins with "_".
    #[arg(long, value_name = "FILE")]
    performer: PathBuf,
    /// The animal, by its WordNet number.
    #[arg(long, value_name = "WNID", default_value = "n02129604")]
    category: String,
    /// Keeps all crops of one photograph on the same side of the split; the authors' split does not.
    #[arg(long)]
    split_by_photo: bool,
}

fn main() -> ExitCode {
    exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let device = args.run.fit.device.open()?;
    let (performer, classes) = description::load::<AlexNetLayers>(&args.performer, &device)?;
    let [class, negative_class] = [classes.index(&args.category)?, classes.index("negative")?];
    let random = performer.randomized(args.run.seed);
    let split = if args.split_by_photo { SplitRule::ByPhoto } else { SplitRule::Authors };
    let config = AnimalPartConfig::new()
        .with_image_size(performer.preprocessing().size as u32)
        .with_split(split)
        .with_faults(args.run.fit.faults());
    let dataset = AnimalPart::open(&args.data, &[&args.category], &config)?;
    if !dataset.report().is_empty() {
        println!("annotations: {}", dataset.report());
    }
    println!("Real images; split {}.", if args.split_by_photo { "by photograph" } else { "of the authors" });
    Experiment {
        dataset: &dataset,
        networks: &Networks { performer, random, name: "AlexNet".to_string() },
        labels: one_against(class, negative_class),
        args: &args.run.fit,
        defaults: Defaults { epochs: EPOCHS, crops: CROPS, published: LossWeights::PUBLISHED },
    }
    .run(&args.run, &device)
}
