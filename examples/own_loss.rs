//! An interpretability loss of one's own in place of the filter loss: maps that are compact.
//!
//! ```sh
//! cargo run --release --example own_loss
//! ```

#[expect(dead_code, unused_imports, reason = "no device is asked for, and no file written")]
mod program;

use std::process::ExitCode;

use burn::tensor::{Bool, Device, Int, Tensor};
use explainer_core::{
    ExplainerConfig, FeatureConfig, Features, FitConfig, InterpretabilityLoss, LabelledImage, Preprocessing,
};
use explainer_datasets::{Dataset, DatasetError, SyntheticSpecies, SyntheticSpeciesConfig};
use explainer_performers::{Vgg16, Weights};
use program::{Failure, exit, say};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/vgg16_narrow_species.safetensors");
const SIZE: usize = 128;

/// The mean square distance of a map's mass from its centre of mass, in squared sides of the map.
struct Compactness;

impl Compactness {
    /// Of each filter, over the batch; maps are not negative.
    fn value(maps: Tensor<4>) -> Tensor<1> {
        let [batch, filters, height, width] = maps.dims();
        let at = |units| Tensor::<1, Int>::arange(0..units as i64, &maps.device()).float();
        let rows = at(height).div_scalar(height as f64).reshape([1, 1, height, 1]);
        let columns = at(width).div_scalar(width as f64).reshape([1, 1, 1, width]);
        let mass = maps.clone().sum_dims(&[2, 3]);
        let silent = mass.clone().equal_scalar(0.0).float();
        let density = maps / (mass + silent);
        let variance = |place: Tensor<4>| {
            let mean = (density.clone() * place.clone()).sum_dims(&[2, 3]);
            (density.clone() * place.powi_scalar(2)).sum_dims(&[2, 3]) - mean.powi_scalar(2)
        };
        (variance(rows) + variance(columns)).reshape([batch, filters]).mean_dim(0).reshape([filters])
    }
}

impl InterpretabilityLoss for Compactness {
    fn description(&self) -> String {
        "compactness".to_string()
    }

    fn value_and_gradient(
        &mut self,
        _: usize,
        maps: Tensor<4>,
        _: Tensor<2, Bool>,
    ) -> (Tensor<1>, Tensor<4>) {
        let maps = Tensor::from_inner(maps).require_grad();
        let value = Self::value(maps.clone());
        let gradients = value.clone().sum().backward();
        let gradient = maps.grad(&gradients).expect("the value depends on the maps");
        (value.inner(), gradient)
    }
}

fn main() -> ExitCode {
    exit(run())
}

fn run() -> Result<(), Failure> {
    let device = Device::default();
    let weights = Weights::file(WEIGHTS).with_preprocessing(Preprocessing::imagenet(SIZE));
    let performer = Vgg16::load(weights, &device)?;
    let birds = SyntheticSpecies::new(SyntheticSpeciesConfig::new(90, 30).with_size(SIZE))?;
    let images = (0..birds.len()).map(|index| {
        let sample = birds.sample(index)?;
        Ok::<_, DatasetError>(LabelledImage { category: sample.category, pixels: sample.image.into_raw() })
    });
    let features = Features::extract(&performer, images, &FeatureConfig::plain(), &device)?;
    let explainer = ExplainerConfig::for_performer(&performer).init_from(&performer, &device);
    let fit = FitConfig::new().fit_with(&mut Compactness, explainer, &performer, &features, None)?;
    for record in &fit.records {
        let [first, second] = record.filter_loss[..] else { continue };
        say!("epoch {}: conv-interp-1 {first:.4}, conv-interp-2 {second:.4}", record.epoch);
    }
    say!("share p = {:.3}", fit.share());
    Ok(())
}
