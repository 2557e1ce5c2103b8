//! The performer that ships with the examples, on images it has not seen.

use std::path::PathBuf;

use burn::tensor::Device;
use explainer_core::{Performer, Preprocessing};
use explainer_datasets::{Dataset, SyntheticSpecies, SyntheticSpeciesConfig};
use explainer_performers::train::{Examples, Objective, SourceError, validation_error};
use explainer_performers::{Vgg16, Weights};
use serde::Deserialize;

/// Birds and negatives of a seed that no training or validation used.
const SEED: u64 = 77_777_777;
const IMAGES: usize = 100;
/// Three standard deviations of the share of successes in [`IMAGES`] draws, at 95 %.
const MARGIN: f64 = 0.065;

/// The record beside the weights, as far as it is needed here.
#[derive(Deserialize)]
struct Record {
    widths: [usize; 5],
    hidden: [usize; 2],
    preprocessing: Preprocessing,
    accuracy: Accuracy,
    live_top_conv_channels: usize,
}

#[derive(Deserialize)]
struct Accuracy {
    all: f64,
}

/// The class of images without a bird.
const NEGATIVE: usize = 8;

struct Birds(SyntheticSpecies);

impl Examples for Birds {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn example(&self, index: usize, _epoch: usize) -> Result<(Vec<u8>, Option<usize>), SourceError> {
        let sample = self.0.sample(index)?;
        Ok((sample.image.into_raw(), Some(sample.category.unwrap_or(NEGATIVE))))
    }
}

#[test]
fn the_shipped_performer_loads_and_reaches_its_stated_accuracy() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/data");
    let json = std::fs::read(data.join("vgg16_narrow_species.json")).expect("the record beside the weights");
    let record: Record = serde_json::from_slice(&json).expect("a record");

    let weights = Weights::file(data.join("vgg16_narrow_species.safetensors"))
        .with_preprocessing(record.preprocessing.clone());
    let network = Vgg16::load(weights, &Device::flex()).expect("weights that match");
    let sizes = network.sizes();
    assert_eq!((sizes.widths, sizes.hidden, sizes.classes), (record.widths, record.hidden, NEGATIVE + 1));
    assert_eq!(network.preprocessing(), record.preprocessing);

    let config = SyntheticSpeciesConfig::new(IMAGES / 2, IMAGES / 2).with_size(record.preprocessing.size);
    let birds = Birds(SyntheticSpecies::new(config.with_seed(SEED)).expect("a set"));
    let accuracy = 1.0 - validation_error(&network, Objective::Softmax, &birds, 10).expect("images");
    let stated = record.accuracy.all;
    assert!(accuracy >= stated - MARGIN, "{accuracy} on new images, but {stated} is stated");
    assert!(record.live_top_conv_channels as f64 >= 0.95 * record.widths[4] as f64);
}
