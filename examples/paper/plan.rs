//! Plans: experiments × networks × categories × variations × seeds, in TOML.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use explainer_datasets::{Dataset as _, SyntheticSpecies, SyntheticSpeciesConfig};
use serde::{Deserialize, Serialize};

use super::places::Place;
use super::published::Table;
use crate::common::Failure;
use crate::common::args::{CROPS, Form};
use crate::common::settings::Setting;

/// Largest plan.
const MAX_BYTES: u64 = 16 << 20;

/// A file of experiments and variations. Every variation of every experiment is fitted with each seed, the plan's or
/// those of the experiment's own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    seeds: Vec<u64>,
    #[serde(rename = "experiment")]
    pub experiments: Vec<Experiment>,
    #[serde(rename = "variation")]
    pub variations: Vec<Variation>,
}

/// Performers on one dataset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    pub name: String,
    pub dataset: Dataset,
    /// Lists of categories: one performer for each list, of a single category or of several. The figures of a
    /// row are means over the lists.
    #[serde(default = "all_species")]
    pub categories: Vec<Vec<String>>,
    pub networks: Vec<Network>,
    pub performer: Performer,
    /// Passes of a fit.
    pub epochs: usize,
    /// Random crops of every training image.
    #[serde(default = "crops")]
    pub crops: usize,
    /// Which of the paper's tables stands beside.
    pub beside: Option<Table>,
    /// In place of the plan's.
    seeds: Option<Vec<u64>>,
}

fn all_species() -> Vec<Vec<String>> {
    vec![species()]
}

/// The categories of the synthetic species.
pub fn species() -> Vec<String> {
    let set = SyntheticSpecies::new(SyntheticSpeciesConfig::new(1, 0));
    set.map(|set| set.categories().to_vec()).unwrap_or_default()
}

fn crops() -> usize {
    CROPS
}

/// A dataset and what makes it different from another.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Dataset {
    /// Species of birds drawn by a program; one negative for three birds.
    SyntheticSpecies { birds: usize, seed: u64 },
    /// ILSVRC Animal-Part.
    AnimalPart {
        root: Place,
        #[serde(default)]
        split: explainer_datasets::SplitRule,
        #[serde(default = "Negatives::own")]
        negatives: Negatives,
    },
    /// CUB-200-2011, all species as one category.
    Cub { root: Place, negatives: Negatives },
    /// Pascal-Part with VOC's pictures.
    PascalPart { root: Place, negatives: Negatives },
    /// One folder for each category.
    Folder {
        root: Place,
        /// Boxes and landmarks, as .csv or .json.
        annotations: Place,
        negatives: Negatives,
    },
}

/// Images without a category.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Negatives {
    None,
    /// The set's own.
    Own,
    /// The set's other categories.
    Others,
    /// A folder of pictures.
    Folder(Place),
}

impl Negatives {
    fn own() -> Self {
        Self::Own
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        !matches!(self, Self::None)
    }
}

/// The networks whose experiments the paper has, and torchvision's AlexNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Network {
    /// torchvision's, without groups and response normalisation.
    #[serde(rename = "alexnet")]
    AlexNet,
    /// Caffe's, the paper's.
    #[serde(rename = "caffe-alexnet")]
    CaffeAlexNet,
    #[serde(rename = "vgg-m")]
    VggM,
    #[serde(rename = "vgg-s")]
    VggS,
    #[serde(rename = "vgg-16")]
    Vgg16,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Where a performer comes from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Performer {
    /// A file, in which `{network}` and `{categories}` (joined by `+`) stand for those of the experiment.
    Weights(Place),
    /// Made within the run, and kept in its folder.
    Train(Training),
}

/// How a performer is made: one logistic score for a single category, softmax over several.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Weights to start from, with a new head, as `weights` names a file; random ones if not given.
    pub from: Option<Place>,
    /// What the published network's widths are divided by, of a network with random weights.
    #[serde(default = "one")]
    pub narrow: usize,
    /// Outputs of fc6 and fc7, of a network with random weights.
    #[serde(default = "published_hidden")]
    pub hidden: usize,
    /// Height and width of the images, of a network with random weights.
    pub size: Option<usize>,
    /// Birds and negatives of an epoch, half of each and drawn anew; of other sets all training images are used.
    #[serde(default = "images")]
    pub images: usize,
    pub epochs: usize,
    #[serde(default = "batch")]
    pub batch: usize,
    /// The highest learning rate.
    #[serde(default = "rate")]
    pub rate: f64,
    #[serde(default)]
    pub seed: u64,
}

fn one() -> usize {
    1
}

fn published_hidden() -> usize {
    4096
}

fn images() -> usize {
    2000
}

fn batch() -> usize {
    16
}

fn rate() -> f64 {
    1e-3
}

/// A way to fit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variation {
    pub name: String,
    #[serde(default)]
    pub form: Form,
    /// What differs from the form's settings, as `--set` takes it.
    #[serde(default)]
    pub set: Vec<Setting>,
}

impl Variation {
    /// Whether this is explainer+cls.
    pub fn classifies(&self) -> bool {
        self.form == Form::Classification
    }
}

impl Plan {
    /// Reads a plan.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let at = |what: &dyn fmt::Display| format!("{}: {what}", path.display());
        let bytes = explainer_files::read(path, MAX_BYTES).map_err(|error| at(&error))?;
        let text = String::from_utf8(bytes).map_err(|error| at(&error))?;
        let plan: Self = toml::from_str(&text).map_err(|error| at(&error))?;
        plan.check().map_err(|what| at(&what))?;
        Ok(plan)
    }

    /// The seeds of an experiment.
    pub fn seeds<'a>(&'a self, experiment: &'a Experiment) -> &'a [u64] {
        experiment.seeds.as_ref().unwrap_or(&self.seeds)
    }

    fn check(&self) -> Result<(), String> {
        for seeds in
            [&self.seeds].into_iter().chain(self.experiments.iter().filter_map(|own| own.seeds.as_ref()))
        {
            if seeds.is_empty() {
                return Err("expected a seed at least".to_string());
            }
            let mut seen = BTreeSet::new();
            for seed in seeds {
                if !seen.insert(seed) {
                    return Err(format!("seed {seed} stands twice"));
                }
            }
        }
        let names = self.experiments.iter().map(|experiment| ("experiment", &experiment.name));
        let names = names.chain(self.variations.iter().map(|variation| ("variation", &variation.name)));
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name) {
                return Err(format!("{} {:?} stands twice", name.0, name.1));
            }
        }
        for Experiment { name, categories, networks, performer, .. } in &self.experiments {
            let lists = !categories.is_empty() && categories.iter().all(|list| !list.is_empty());
            if !lists || networks.is_empty() {
                return Err(format!("{name}: expected a network and a list of categories at least"));
            }
            if let Performer::Train(Training { narrow, batch, epochs, images, size, from, .. }) = performer {
                if [narrow, batch, epochs].contains(&&0) || *images < 2 {
                    return Err(format!("{name}: expected a training of something"));
                }
                if from.is_none() && size.is_none() {
                    return Err(format!("{name}: a network with random weights needs a size"));
                }
            }
        }
        Ok(())
    }
}
