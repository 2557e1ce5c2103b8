//! Synthetic species to train a performer on, other birds in each epoch.

use explainer_datasets::{
    Change, Dataset, DatasetError, Point, Rendered, Sample, SyntheticSpecies, SyntheticSpeciesConfig,
};
use explainer_performers::train::{Attribute, Examples, SourceError};

/// Parts with a shape to learn, and shapes of each.
pub const SHAPES: [usize; 5] = [2; 5];

/// A set of birds for each epoch, the first for validation. The classes are the species.
pub struct Birds {
    sets: Vec<SyntheticSpecies>,
    /// Epochs, from the first, without a background.
    clear: usize,
    /// The class of negatives, if they have one.
    negative: Option<usize>,
}

impl Birds {
    /// A set of each of the seeds.
    pub fn new(
        config: &SyntheticSpeciesConfig,
        seeds: impl Iterator<Item = u64>,
        negative: Option<usize>,
    ) -> Result<Self, DatasetError> {
        let sets = seeds.map(|seed| SyntheticSpecies::new(config.clone().with_seed(seed)));
        Ok(Self { sets: sets.collect::<Result<_, _>>()?, clear: 0, negative })
    }

    /// With so many first epochs whose birds stand before one colour.
    pub fn with_clear_epochs(self, clear: usize) -> Self {
        Self { clear, ..self }
    }

    /// The set of an epoch.
    fn set(&self, epoch: usize) -> &SyntheticSpecies {
        &self.sets[epoch % self.sets.len()]
    }

    fn sample(&self, index: usize, epoch: usize) -> Result<Sample, DatasetError> {
        match (1..=self.clear).contains(&epoch) {
            true => self.set(epoch).changed(index, &[Change::WithoutBackground]),
            false => self.set(epoch).sample(index),
        }
    }
}

impl Examples for Birds {
    fn len(&self) -> usize {
        self.sets[0].len()
    }

    fn example(&self, index: usize, epoch: usize) -> Result<(Vec<u8>, Option<usize>), SourceError> {
        let sample = self.sample(index, epoch)?;
        Ok((sample.image.into_raw(), sample.category.or(self.negative)))
    }

    /// The shape of each part that is seen.
    fn attributes(&self, index: usize, epoch: usize) -> Result<Vec<Option<Attribute>>, SourceError> {
        let (set, sample) = (self.set(epoch), self.sample(index, epoch)?);
        let shape = |(part, landmark): (usize, &Option<Point>)| {
            let (species, point) = sample.category.zip(*landmark)?;
            let place = [f64::from(point.x), f64::from(point.y)];
            Some(Attribute { value: set.shape(species, part), place })
        };
        Ok(sample.landmarks.iter().enumerate().map(shape).collect())
    }
}
