//! Explains an AlexNet on a category of the ILSVRC Animal-Part set: real images, and a performer
//! that was trained elsewhere.
//!
//! ```sh
//! cargo run --release --example animal_part -- --data animal-part \
//!     --performer alexnet_animalpart.pth --category n02129604
//! ```

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use common::{Experiment, Failure, FitArgs, Networks};
use explainer_core::Performer;
use explainer_datasets::{AnimalPart, AnimalPartConfig, SplitRule};
use explainer_performers::{AlexNet, Weights};
use serde::Deserialize;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EPOCHS: usize = 12;

/// Fits an explainer to an AlexNet on one animal and prints what it found.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Args {
    #[command(flatten)]
    fit: FitArgs,
    /// Folder of the set: <wnid>_obj, truth and neg.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Weights of an AlexNet in torchvision's layout, .pth or .safetensors. A file of the same name
    /// ending in .json lists its classes: {"classes": ["n01443537", …, "negative"]}.
    #[arg(long, value_name = "FILE")]
    performer: PathBuf,
    /// The animal, by its WordNet number.
    #[arg(long, value_name = "WNID", default_value = "n02129604")]
    category: String,
    /// Keeps all crops of one photograph on the same side of the split; the authors' split does not.
    #[arg(long)]
    split_by_photo: bool,
}

/// The part of the performer's description that is needed.
#[derive(Deserialize)]
struct Description {
    classes: Vec<String>,
}

impl Description {
    fn read(weights: &Path) -> Result<Self, Failure> {
        let file = weights.with_extension("json");
        let json = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(serde_json::from_slice(&json).map_err(|error| format!("{}: {error}", file.display()))?)
    }

    fn class(&self, name: &str) -> Result<usize, Failure> {
        let position = self.classes.iter().position(|class| class == name);
        Ok(position.ok_or_else(|| format!("the performer has no class {name}; it has {:?}", self.classes))?)
    }
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let description = Description::read(&args.performer)?;
    let (class, negative_class) = (description.class(&args.category)?, description.class("negative")?);
    let device = args.fit.open_device()?;
    let performer = AlexNet::load(Weights::file(&args.performer), &device)?;
    let random = performer.randomized(args.fit.seed);
    let split = if args.split_by_photo { SplitRule::ByPhoto } else { SplitRule::Authors };
    let config =
        AnimalPartConfig::new().with_image_size(performer.preprocessing().size as u32).with_split(split);
    let dataset = AnimalPart::open(&args.data, &[&args.category], &config)?;
    println!("Real images; split {}.", if args.split_by_photo { "by photograph" } else { "of the authors" });
    Experiment {
        dataset: &dataset,
        networks: Networks { performer, random, name: "AlexNet".to_string() },
        classes: vec![class],
        negative_class,
        args: &args.fit,
        default_epochs: EPOCHS,
    }
    .run(&device)
}
