//! Synthetic birds to train a performer on, other ones in each epoch.

use explainer_datasets::{Dataset, DatasetError, SyntheticBirds, SyntheticBirdsConfig};
use explainer_performers::train::{Examples, SourceError};
use image::{Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A set of birds for each epoch, the first for validation. Birds are class 0.
pub struct Birds {
    sets: Vec<SyntheticBirds>,
    /// Side of the square that is painted over, in pixels.
    cutout: usize,
    /// The class of negatives, if they have one.
    negative: Option<usize>,
}

impl Birds {
    /// A set of each of the seeds.
    pub fn new(
        config: &SyntheticBirdsConfig,
        seeds: impl Iterator<Item = u64>,
        negative: Option<usize>,
    ) -> Result<Self, DatasetError> {
        let sets = seeds.map(|seed| SyntheticBirds::new(config.clone().with_seed(seed)));
        Ok(Self { sets: sets.collect::<Result<_, _>>()?, cutout: 0, negative })
    }

    /// With a square of so many pixels painted over, somewhere in every image.
    pub fn with_cutout(self, cutout: usize) -> Self {
        Self { cutout, ..self }
    }
}

impl Examples for Birds {
    fn len(&self) -> usize {
        self.sets[0].len()
    }

    fn example(&self, index: usize, epoch: usize) -> Result<(Vec<u8>, Option<usize>), SourceError> {
        let mut sample = self.sets[epoch % self.sets.len()].sample(index)?;
        if self.cutout > 0 {
            paint_over(&mut sample.image, self.cutout, (epoch * self.len() + index) as u64);
        }
        Ok((sample.image.into_raw(), sample.category.or(self.negative)))
    }
}

/// Paints one colour over a random square, as far as it lies within the image.
fn paint_over(image: &mut RgbImage, side: usize, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let colour = Rgb([0, 1, 2].map(|_| rng.random::<u8>()));
    let (width, height) = image.dimensions();
    let half = side as i64 / 2;
    let [x, y] = [width, height].map(|length| rng.random_range(0..i64::from(length)) - half);
    for (column, row, pixel) in image.enumerate_pixels_mut() {
        if (x..x + side as i64).contains(&i64::from(column)) && (y..y + side as i64).contains(&i64::from(row))
        {
            *pixel = colour;
        }
    }
}
