//! The images of one step.

use std::num::NonZero;
use std::thread;

use burn::tensor::{Device, Tensor};
use explainer_core::{CoreError, Preprocessing, mirrored, random_crop};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::objective::Labels;
use super::{Attribute, SourceError, TrainError, attributes};

/// Labelled images. Examples are asked for from several threads.
pub trait Examples: Sync {
    /// The number of examples of an epoch.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The 8-bit RGB pixels and the class of example `index` in epoch `epoch` (from 1; 0 for
    /// validation); `None` for a negative, which is of no class. A source that draws its images may draw
    /// new ones each epoch, the same ones whenever it is asked for that epoch.
    ///
    /// A training that keeps checkpoints also asks for all examples of the first epoch when it starts, to know them
    /// again when it goes on.
    ///
    /// # Errors
    /// Whatever the source runs into.
    fn example(&self, index: usize, epoch: usize) -> Result<(Vec<u8>, Option<usize>), SourceError>;

    /// What else is known of the example: the value of each attribute and its place, `None` where it is not known or cannot be seen.
    /// Asked for only by a training that learns attributes ([`TrainConfig::attributes`](super::TrainConfig::attributes)).
    /// By default there are none.
    ///
    /// # Errors
    /// Whatever the source runs into.
    fn attributes(&self, index: usize, epoch: usize) -> Result<Vec<Option<Attribute>>, SourceError> {
        let _ = (index, epoch);
        Ok(Vec::new())
    }
}

/// What `get` makes of each item, in order, on all cores.
fn on_all_cores<I: Copy + Sync, T: Send>(
    items: Vec<I>,
    get: impl Fn(I) -> Result<T, TrainError> + Copy + Send,
) -> Result<Vec<T>, TrainError> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = items.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let running: Vec<_> = items
            .chunks(share)
            .map(|items| scope.spawn(move || items.iter().copied().map(get).collect::<Result<Vec<_>, _>>()))
            .collect();
        let joined = running.into_iter().map(|part| part.join());
        let parts = joined.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        Ok(parts.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    })
}

/// A checksum of all examples of an epoch: their pixels and classes.
pub(super) fn checksum_of(examples: &impl Examples, epoch: usize) -> Result<u32, TrainError> {
    let sum = |index| {
        let (image, label) =
            examples.example(index, epoch).map_err(|source| TrainError::Example { index, source })?;
        Ok((crc32fast::hash(&image), label))
    };
    let mut all = crc32fast::Hasher::new();
    for (image, label) in on_all_cores((0..examples.len()).collect(), sum)? {
        all.update(&image.to_le_bytes());
        all.update(&label.map_or(u64::MAX, |label| label as u64).to_le_bytes());
    }
    Ok(all.finalize())
}

/// How an image is changed before the network sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View {
    pub(super) mirrored: bool,
    /// The seed of a random crop.
    pub(super) crop: Option<u64>,
}

impl View {
    fn of(self, mut pixels: Vec<u8>, size: usize) -> Vec<u8> {
        if let Some(seed) = self.crop {
            pixels = random_crop(&pixels, size, &mut ChaCha8Rng::seed_from_u64(seed));
        }
        if self.mirrored {
            pixels = mirrored(&pixels, size);
        }
        pixels
    }
}

/// The images and classes of one step.
pub(super) struct Batch {
    images: Vec<Vec<u8>>,
    pub(super) labels: Labels,
}

impl Batch {
    /// Gets the examples, on all cores.
    pub(super) fn draw(
        examples: &impl Examples,
        indices: &[usize],
        views: &[View],
        epoch: usize,
        input: &Preprocessing,
    ) -> Result<Self, TrainError> {
        let get = |(&index, view): (&usize, &View)| {
            let (image, label) =
                examples.example(index, epoch).map_err(|source| TrainError::Example { index, source })?;
            let (expected, found) = (input.bytes(), image.len());
            if expected != found {
                return Err(CoreError::ImageSize { index, expected, found }.into());
            }
            Ok((view.of(image, input.size), label))
        };
        let (images, classes) = on_all_cores(indices.iter().zip(views).collect(), get)?.into_iter().unzip();
        Ok(Self { images, labels: Labels { indices: indices.to_vec(), classes } })
    }

    /// The attributes of examples, checked against their numbers of values.
    pub(super) fn attributes(
        examples: &impl Examples,
        indices: &[usize],
        epoch: usize,
        values: &[usize],
    ) -> Result<Vec<Vec<Option<Attribute>>>, TrainError> {
        let get = |index| {
            let found =
                examples.attributes(index, epoch).map_err(|source| TrainError::Example { index, source })?;
            attributes::check(index, &found, values)?;
            Ok(found)
        };
        on_all_cores(indices.to_vec(), get)
    }

    /// The network's input.
    pub(super) fn images(&self, input: &Preprocessing, device: &Device) -> Result<Tensor<4>, CoreError> {
        let images: Vec<&[u8]> = self.images.iter().map(Vec::as_slice).collect();
        input.batch(&images, device)
    }
}
