//! The work of `peer.py`, in this library: writes what a fit starts from, fits, and prints times and losses as
//! JSON; or computes features, or a convolution forwards and backwards. `compare.py` runs the two in turn; `growth.py`
//! runs this one at many sizes.

#[path = "../made_up/mod.rs"]
mod made_up;
#[path = "../../examples/common/memory.rs"]
mod memory;

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::{Device, Distribution, Tensor};
use clap::{Parser, ValueEnum};
use explainer_core::{Explainer, Features, FitConfig, Performer, Refit, conv_step};
use explainer_performers::{AlexNetConfig, Vgg16Config};
use made_up::{ROWS, Sizes, Small, alexnet, narrow, setting, vgg16};
use memory::peak_rss_mib;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Clone, Copy, ValueEnum)]
enum Network {
    Narrow,
    Alexnet,
    Vgg16,
}

/// Steps of a fit on one batch of made-up features.
#[derive(Parser)]
struct Args {
    #[arg(long, value_enum, default_value = "narrow")]
    network: Network,
    /// Filters, in place of the network's; and so on.
    #[arg(long)]
    channels: Option<usize>,
    #[arg(long)]
    length: Option<usize>,
    /// Outputs of each of the two fully connected layers.
    #[arg(long)]
    upper: Option<usize>,
    #[arg(long, default_value_t = ROWS)]
    batch: usize,
    /// Batches of an epoch, each of other images.
    #[arg(long, default_value_t = 1)]
    batches: usize,
    #[arg(long, default_value_t = 3)]
    steps: usize,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// A performer's forward pass, in place of fitting steps.
    #[arg(long)]
    forward: bool,
    /// A conv-layer of the network's explainer forwards and backwards, in place of fitting steps.
    #[arg(long, conflicts_with = "forward")]
    conv: bool,
    /// Folder for what the fit starts from.
    #[arg(long)]
    start: Option<PathBuf>,
    /// Cargo's.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    rayon::ThreadPoolBuilder::new().num_threads(args.threads).build_global()?;
    let device = Device::default();
    let gemm = gemm(&device);
    if args.forward || args.conv {
        let seconds = if args.conv { conv(&args, &device) } else { forward(&args, &device) };
        println!("{}", json!({ "seconds": seconds, "gemm": gemm, "peak_rss_mib": peak_rss_mib() }));
        return Ok(());
    }
    let performer = Small::new(sizes(&args), &device);
    let (explainer, features) = setting(&performer, args.batch * args.batches, &device);
    let config = FitConfig::new()
        .with_epochs(args.steps)
        .with_batch_size(args.batch)
        .with_decay(0.0)
        .with_refit(Refit::None)
        .with_progress(false);
    if let Some(folder) = &args.start {
        write_start(folder, &config.prepared(explainer.clone(), &performer, &features), &features)?;
    }
    let fit = config.fit(explainer, &performer, &features, None)?;
    let step = |seconds: f64| seconds / args.batches as f64;
    let seconds: Vec<f64> = fit.records.iter().map(|record| step(record.seconds)).collect();
    let losses: Vec<_> = fit
        .records
        .iter()
        .map(|record| json!({ "reconstruction": record.reconstruction, "share": record.share, "filter": record.filter_loss }))
        .collect();
    println!(
        "{}",
        json!({ "seconds": seconds, "losses": losses, "gemm": gemm, "peak_rss_mib": peak_rss_mib() })
    );
    Ok(())
}

fn sizes(args: &Args) -> Sizes {
    let network = match args.network {
        Network::Narrow => narrow(),
        Network::Alexnet => alexnet(),
        Network::Vgg16 => vgg16(),
    };
    Sizes {
        channels: args.channels.map_or(network.channels, |channels| [channels; 2]),
        length: args.length.unwrap_or(network.length),
        upper: args.upper.map_or(network.upper, |upper| [upper; 2]),
        ..network
    }
}

/// Seconds of each pass of a batch through the network, all of whose features are read.
fn forward(args: &Args, device: &Device) -> Vec<f64> {
    match args.network {
        Network::Narrow => {
            let config = Vgg16Config::new().with_widths([8, 16, 32, 64, 64]).with_hidden([128; 2]);
            passes(&config.with_classes(2).with_input(128).init(device), args, device)
        }
        Network::Alexnet => passes(&AlexNetConfig::new().init(device), args, device),
        Network::Vgg16 => passes(&Vgg16Config::new().init(device), args, device),
    }
}

fn passes(performer: &impl Performer, args: &Args, device: &Device) -> Vec<f64> {
    let side = performer.preprocessing().size;
    let images = Tensor::random([args.batch, 3, side, side], Distribution::Default, device);
    let pass = |_| {
        let started = Instant::now();
        let tapped = performer.tap(images.clone());
        device.sync().expect("the device is there");
        drop(tapped);
        started.elapsed().as_secs_f64()
    };
    (0..args.steps).map(pass).collect()
}

/// Seconds of each pass through a conv-layer and back, to its weight and its input.
fn conv(args: &Args, device: &Device) -> Vec<f64> {
    let Sizes { channels: [inputs, outputs], length, .. } = sizes(args);
    let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
    let conv = Conv2dConfig::new([inputs, outputs], [3, 3]).with_padding(padding).init(device);
    let drawn = |channels| {
        Tensor::random([args.batch, channels, length, length], Distribution::Normal(0.0, 1.0), device)
    };
    let (maps, gradient) = (drawn(inputs), drawn(outputs));
    let pass = |_| {
        let started = Instant::now();
        let results = conv_step(&conv, maps.clone(), gradient.clone());
        device.sync().expect("the device is there");
        drop(results);
        started.elapsed().as_secs_f64()
    };
    (0..args.steps).map(pass).collect()
}

/// GFLOP/s of the best of some products of square matrices.
fn gemm(device: &Device) -> f64 {
    const SIDE: usize = 2048;
    let [a, b] = [(); 2].map(|()| Tensor::<2>::random([SIDE, SIDE], Distribution::Default, device));
    let time = |_| {
        let started = Instant::now();
        let product = a.clone().matmul(b.clone());
        let _first: f32 = product.slice([0..1, 0..1]).into_scalar();
        started.elapsed().as_secs_f64()
    };
    let best = (0..5).map(time).fold(f64::INFINITY, f64::min);
    2e-9 * (SIDE as f64).powi(3) / best
}

/// The explainer's tensors, and the features as rows of little-endian `f32`.
fn write_start(
    folder: &Path,
    explainer: &Explainer,
    features: &Features,
) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    let mut store = SafetensorsStore::from_file(folder.join("explainer.safetensors")).overwrite(true);
    explainer.save_into(&mut store)?;
    let all: Vec<usize> = (0..features.len()).collect();
    let batch = features.batch(&all);
    let rows = std::iter::once(batch.target.flatten::<2>(1, 3)).chain(batch.upper);
    for (index, rows) in rows.enumerate() {
        let bytes: Vec<u8> = rows.into_data().iter::<f32>().flat_map(f32::to_le_bytes).collect();
        std::fs::write(folder.join(format!("features-{index}.f32")), bytes)?;
    }
    Ok(())
}
