//! Explains an AlexNet or an EfficientNet-Lite on a category of the ILSVRC Animal-Part set: real images, and a
//! performer that was trained elsewhere.
//!
//! ```sh
//! cargo run --release --example animal_part -- --data animal-part \
//!     --performer alexnet_animalpart.pth --category n02129604
//! cargo run --release --example animal_part -- --data animal-part \
//!     --network efficientnet-lite0 --performer efficientnet-lite0-57934424.pth --layer 10
//! ```

mod common;
#[path = "common/description.rs"]
mod description;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use burn::tensor::Device;
use clap::{Parser, ValueEnum};
use common::args::{CROPS, Defaults};
use common::decisions::one_against;
use common::program::exit;
use common::{Experiment, Failure, Networks, RunArgs};
use explainer_core::{Labels, LossWeights, Performer};
use explainer_datasets::{AnimalPart, AnimalPartConfig, SplitRule};
use explainer_performers::{AlexNetLayers, EfficientNetLite, EfficientNetLiteSizes, TargetLayer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EPOCHS: usize = 3;

/// A network that can be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Network {
    /// torchvision's, with fc6 and fc7.
    Alexnet,
    EfficientnetLite0,
    EfficientnetLite1,
    EfficientnetLite2,
}

impl Network {
    /// The sizes of an EfficientNet-Lite.
    fn lite(self) -> Option<EfficientNetLiteSizes> {
        match self {
            Self::Alexnet => None,
            Self::EfficientnetLite0 => Some(EfficientNetLiteSizes::LITE0),
            Self::EfficientnetLite1 => Some(EfficientNetLiteSizes::LITE1),
            Self::EfficientnetLite2 => Some(EfficientNetLiteSizes::LITE2),
        }
    }
}

/// A layer by its name or number.
#[derive(Clone, Copy, Debug)]
enum Layer {
    Stem,
    Number(usize),
}

impl FromStr for Layer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("stem", _) => Ok(Self::Stem),
            (_, Ok(number)) => Ok(Self::Number(number)),
            _ => Err("expected the number of a layer, counted from 0, or `stem`".to_string()),
        }
    }
}

/// Fits an explainer to an AlexNet or an EfficientNet-Lite on one animal and prints what it found.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Folder of the set: <wnid>_obj, truth and neg.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The network.
    #[arg(long, value_enum, default_value_t = Network::Alexnet)]
    network: Network,
    /// The layer to explain. Of an EfficientNet-Lite: a block, counted from 0, or `stem`; else its last block. Of an
    /// AlexNet: a row of torchvision's `features`; else the ReLU below conv5, row 9.
    #[arg(long)]
    layer: Option<Layer>,
    /// Weights of the network: .pth or .safetensors, an AlexNet's in torchvision's layout, an EfficientNet-Lite's in
    /// that of the package efficientnet-lite-pytorch. A file of the same name ending in .json may list its classes,
    /// {"classes": ["n01443537", …, "negative"]}, and state the "mean" and "std" of its channels and its
    /// "input", [3, 224, 224]. An AlexNet's classes must be listed there; errors are measured where the animal and
    /// "negative" are among them.
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
    match args.network.lite() {
        None => alexnet(args, &device),
        Some(sizes) => efficientnet_lite(args, sizes, &device),
    }
}

fn alexnet(args: &Args, device: &Device) -> Result<(), Failure> {
    let (performer, classes) = description::load::<AlexNetLayers>(&args.performer, device)?;
    let labels = one_against(classes.index(&args.category)?, classes.index("negative")?);
    let performer = match args.layer {
        None => performer,
        Some(Layer::Number(row)) => performer.with_target(row)?,
        Some(Layer::Stem) => return Err("--layer stem: an AlexNet's layers are numbered, from 0".into()),
    };
    let random = performer.randomized(args.run.seed);
    explain(args, Networks { performer, random, name: "AlexNet".to_string() }, Some(labels), device)
}

fn efficientnet_lite(args: &Args, sizes: EfficientNetLiteSizes, device: &Device) -> Result<(), Failure> {
    let load = |weights| EfficientNetLite::load(sizes, weights, device);
    let known = |network: &EfficientNetLite| (network.sizes().classes, network.class_names().to_vec());
    let usual = (sizes.input, EfficientNetLite::preprocessing_of as fn(usize) -> _);
    let (performer, classes) = description::load_as(&args.performer, usual, load, known)?;
    let labels = classes.and_then(|classes| {
        Some(one_against(classes.index(&args.category).ok()?, classes.index("negative").ok()?))
    });
    let performer = match args.layer {
        None => performer,
        Some(Layer::Stem) => performer.with_target(TargetLayer::Stem)?,
        Some(Layer::Number(block)) => performer.with_target(TargetLayer::Block(block))?,
    };
    let name = match performer.target() {
        TargetLayer::Stem => format!("{}, stem", sizes.name()),
        TargetLayer::Block(block) => format!("{}, block {block}", sizes.name()),
    };
    let random = performer.randomized(args.run.seed);
    explain(args, Networks { performer, random, name }, labels, device)
}

fn explain<P: Performer>(
    args: &Args,
    networks: Networks<P>,
    labels: Option<Labels>,
    device: &Device,
) -> Result<(), Failure> {
    let split = if args.split_by_photo { SplitRule::ByPhoto } else { SplitRule::Authors };
    let side = networks.performer.preprocessing().size as u32;
    let config = AnimalPartConfig::new().with_image_size(side).with_split(split);
    let dataset = AnimalPart::open(&args.data, &[&args.category], &config)?;
    println!("Real images; split {}.", if args.split_by_photo { "by photograph" } else { "of the authors" });
    Experiment {
        dataset: &dataset,
        networks: &networks,
        labels,
        args: &args.run.fit,
        defaults: Defaults { epochs: EPOCHS, crops: CROPS, published: LossWeights::PUBLISHED },
    }
    .run(&args.run, device)
}
