//! The images of one step.

use std::num::NonZero;
use std::thread;

use burn::tensor::{Device, Tensor};
use explainer_core::{CoreError, Preprocessing, mirrored, random_crop};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::objective::Labels;
use super::{SourceError, TrainError};

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
    /// new ones each epoch.
    ///
    /// # Errors
    /// Whatever the source runs into.
    fn example(&self, index: usize, epoch: usize) -> Result<(Vec<u8>, Option<usize>), SourceError>;
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
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let share = indices.len().div_ceil(threads).max(1);
        let parts: Vec<Result<Vec<_>, TrainError>> = thread::scope(|scope| {
            let parts = indices.chunks(share).zip(views.chunks(share));
            let running: Vec<_> = parts
                .map(|(indices, views)| scope.spawn(move || indices.iter().zip(views).map(get).collect()))
                .collect();
            let joined = running.into_iter().map(|part| part.join());
            joined.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        let mut batch =
            Self { images: Vec::new(), labels: Labels { indices: indices.to_vec(), classes: Vec::new() } };
        for part in parts {
            for (image, label) in part? {
                batch.images.push(image);
                batch.labels.classes.push(label);
            }
        }
        Ok(batch)
    }

    /// The network's input.
    pub(super) fn images(&self, input: &Preprocessing, device: &Device) -> Result<Tensor<4>, CoreError> {
        let images: Vec<&[u8]> = self.images.iter().map(Vec::as_slice).collect();
        input.batch(&images, device)
    }
}
