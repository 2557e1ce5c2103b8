//! The performers of a plan: loaded, or trained within the run and kept.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use explainer_core::{Labels, NUMERICS_VERSION};
use explainer_datasets::{Dataset, Split};
use explainer_performers::train::{Examples, Objective, SourceError, TrainConfig};
use explainer_performers::{Architecture, ConvNet, ConvNetConfig, Head, Weights};

use super::group::{Claim, Group, Run};
use super::plan::{Performer, Training};
use crate::birds::{Birds, SHAPES};
use crate::common::Failure;
use crate::common::decisions::one_against;
use crate::common::program::stopping::{self, Heeding};
use crate::common::program::{files, say};
use crate::description;

/// Seeds of the birds that a performer is trained on start here, one for each epoch; those of the
/// experiments' sets are others.
const TRAINING_SEEDS: u64 = 1 << 40;
/// One of this many images is drawn for validation beside those of an epoch.
const VALIDATION: usize = 5;

/// A performer that is there, or is being made by another process.
pub enum Found<A: Architecture> {
    Here(Box<(ConvNet<A>, Labels)>),
    InTheMaking,
}

/// The images of one side of a split.
struct Side<'a> {
    dataset: &'a dyn Dataset,
    images: Vec<usize>,
    /// The class of negatives, if they have one.
    negative: Option<usize>,
}

impl<'a> Side<'a> {
    fn new(dataset: &'a dyn Dataset, side: Split, negative: Option<usize>) -> Self {
        let images = (0..dataset.len()).filter(|&index| dataset.split(index) == side).collect();
        Self { dataset, images, negative }
    }
}

impl Examples for Side<'_> {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn example(&self, index: usize, _: usize) -> Result<(Vec<u8>, Option<usize>), SourceError> {
        let sample = self.dataset.sample(self.images[index])?;
        Ok((sample.image.into_raw(), sample.category.or(self.negative)))
    }
}

impl Run<'_> {
    /// The performer of a group. One that must be trained first is trained by one process at a time; the others
    /// wait for it only if they `wait`.
    pub fn performer<A: Architecture>(
        &self,
        group: &Group<'_>,
        wait: Claim,
        device: &Device,
    ) -> Result<Found<A>, Failure> {
        let found = match &group.experiment.performer {
            Performer::Weights(_) => self.loaded(group, device)?,
            Performer::Train(training) => {
                let path = self.trained_file(group)?;
                let lock = File::create(path.with_extension("lock"))?;
                match wait {
                    Claim::Wait => lock.lock()?,
                    Claim::Try => match lock.try_lock() {
                        Ok(()) => {}
                        Err(fs::TryLockError::WouldBlock) => return Ok(Found::InTheMaking),
                        Err(fs::TryLockError::Error(error)) => return Err(error.into()),
                    },
                }
                let checkpoints = path.with_extension("checkpoints");
                if !path.exists() {
                    self.train::<A>(group, training, &path, &checkpoints, device)?;
                }
                // Also those of a run that was killed when it was done.
                if checkpoints.exists() {
                    fs::remove_dir_all(checkpoints)?;
                }
                let labels = self.trained_labels(group);
                (ConvNet::load(Weights::file(path), device)?, labels)
            }
        };
        Ok(Found::Here(Box::new(found)))
    }

    fn loaded<A: Architecture>(
        &self,
        group: &Group<'_>,
        device: &Device,
    ) -> Result<(ConvNet<A>, Labels), Failure> {
        let path = self.weights(group)?.ok_or("the performer has no file")?;
        let (performer, classes) = description::load::<A>(&path, device)?;
        let negatives = group.experiment.dataset.has_negatives();
        if performer.sizes().classes == 1 {
            return match group.categories {
                [_] => Ok((performer, one_against(1, 0))),
                several => Err(format!("{}: one score for {several:?}", path.display()).into()),
            };
        }
        let categories = group.categories.iter().map(|name| classes.index(name));
        let labels = Labels {
            categories: categories.collect::<Result<_, _>>()?,
            negative: negatives.then(|| classes.index("negative")).transpose()?,
        };
        Ok((performer, labels))
    }

    /// A single category has one score; several have one each, and one of negatives, if there are any.
    fn trained_labels(&self, group: &Group<'_>) -> Labels {
        match group.categories.len() {
            1 => one_against(1, 0),
            count => Labels {
                categories: (0..count).collect(),
                negative: group.experiment.dataset.has_negatives().then_some(count),
            },
        }
    }

    /// Where a performer is kept that is made here.
    fn trained_file(&self, group: &Group<'_>) -> Result<PathBuf, Failure> {
        let folder = self.out.join("performers");
        files::check_folder(&folder)?;
        let made_from = serde_json::json!([
            NUMERICS_VERSION,
            self.checksum(group)?,
            group.experiment.dataset,
            group.experiment.performer,
            group.network,
            group.categories
        ]);
        let sum = crc32fast::hash(made_from.to_string().as_bytes());
        Ok(folder.join(format!("{}-{}-{sum:08x}.safetensors", group.network, group.categories.join("+"))))
    }

    fn train<A: Architecture>(
        &self,
        group: &Group<'_>,
        training: &Training,
        path: &Path,
        checkpoints: &Path,
        device: &Device,
    ) -> Result<(), Failure> {
        say!("{}: training a performer", group.name());
        let labels = self.trained_labels(group);
        let single = group.categories.len() == 1;
        let classes = if single { 1 } else { labels.categories.iter().chain(&labels.negative).count() };
        let network = match &training.from {
            Some(place) => {
                let file = self.places.find(&group.named(place), &group.name())?;
                let head = Head::replace(classes).with_seed(training.seed);
                ConvNet::<A>::load(Weights::file(file).with_head(head), device)?
            }
            None => ConvNetConfig::<A>::new()
                .with_widths(A::WIDTHS.map(|width| (width / training.narrow).max(1)))
                .with_hidden([training.hidden; 2])
                .with_classes(classes)
                .with_input(training.size.unwrap_or(A::INPUT))
                .with_seed(training.seed)
                .init(device),
        };
        let config = match &training.from {
            Some(_) => TrainConfig::fine_tuning(training.epochs),
            None => TrainConfig::new(training.epochs),
        };
        let config = config
            .with_batch_size(training.batch)
            .with_learning_rate(training.rate)
            .with_objective(if single { Objective::Logistic } else { Objective::Softmax })
            .with_checkpoints(Some(checkpoints.to_path_buf()))
            .with_stop(Some(stopping::flag()))
            .with_seed(training.seed);
        let _heeding = Heeding::new();
        let size = network.sizes().input;
        let negative = labels.negative.filter(|_| !single);
        let set = &group.experiment.dataset;
        let of = |images: usize| set.scenes(images / 2, images - images / 2, size);
        let (network, _) = match of(training.images).zip(of(training.images.div_ceil(VALIDATION).max(2))) {
            Some((train, validation)) => {
                // Epochs are counted from 1; set 0 is for validation, and is not trained on.
                let seeds = (0..=training.epochs as u64).map(|epoch| TRAINING_SEEDS + epoch);
                let validation = Birds::new(&validation, std::iter::once(TRAINING_SEEDS), negative)?;
                let config = config.with_attributes(SHAPES.to_vec());
                config.fit(network, &Birds::new(&train, seeds, negative)?, &validation)?
            }
            None => {
                let faults = self.args.fit.faults();
                let set = set.open(group.categories, size, faults, &self.places, &group.name())?;
                let side = |side| Side::new(&*set, side, negative);
                config.fit(network, &side(Split::Train), &side(Split::Validation))?
            }
        };
        // Whole or not at all, under the name that others wait for.
        let folder = tempfile::tempdir()?;
        let saved = folder.path().join("weights.safetensors");
        network.save(&saved, DType::F32)?;
        files::write(path, |file| Ok(std::io::Write::write_all(file, &fs::read(saved)?)?))
    }
}
