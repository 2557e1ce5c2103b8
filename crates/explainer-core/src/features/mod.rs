//! The performer's features of a set of images, computed once.

mod extraction;
mod spill;
mod transplant;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use burn::config::Config;
use burn::tensor::{Device, Tensor, TensorData};
use explainer_metrics::Landmarks;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::BoxError;
use crate::half;
use crate::performer::{Performer, Tapped};
use crate::progress::progress_bar;
use crate::store::{RowStore, RowWriter};
use crate::{CoreError, Decoder};
use extraction::Extraction;
pub(crate) use transplant::Transplant;

/// A decoded image and what is known of it.
#[derive(Clone, Debug)]
pub struct LabelledImage {
    /// 8-bit RGB, interleaved, row by row, of the performer's input size.
    pub pixels: Vec<u8>,
    /// Object category, `None` for an image without one (a negative).
    pub category: Option<usize>,
}

/// How features are computed and where they are kept.
#[derive(Config, Debug)]
pub struct FeatureConfig {
    /// Images of one pass through the performer.
    #[config(default = 32)]
    pub batch_size: usize,
    /// Whether the mirror image of every image, and of every crop, is used too.
    #[config(default = true)]
    pub mirror: bool,
    /// Random crops of every image that are used beside it. Each is a square of three quarters of
    /// the image's area or more, enlarged to the input's size, of somewhat other brightness and
    /// tint: the decoder learns fewer of its images by heart.
    #[config(default = 3)]
    pub crops: usize,
    /// Whether every image has one more row, its last: a random square of it is moved elsewhere, by whole units of the target
    /// layer, and its old place blurred. Detectors of parts learn from it that a part is where its evidence is
    /// ([`PartFitConfig`](crate::PartFitConfig)); nothing else should be fitted to such images.
    #[config(default = false)]
    pub transplant: bool,
    /// Seed of the crops and of the squares.
    #[config(default = 0)]
    pub seed: u64,
    /// Features beyond this many bytes go to a memory-mapped file without a name.
    #[config(default = "4 << 30")]
    pub memory_limit: usize,
    /// Folder of that file. If `None`, the system's temporary folder; or, where that is kept in memory, `/var/tmp`
    /// or the current folder.
    pub directory: Option<PathBuf>,
    /// Whether target features are kept in half precision (IEEE binary16, 11 significant bits, at most 65504):
    /// half of their memory, and of what is read in every epoch. Upper features and scores, which are
    /// reconstructed, are kept as they are.
    #[config(default = false)]
    pub half: bool,
    /// Whether a bar is drawn (on a terminal only).
    #[config(default = true)]
    pub progress: bool,
}

impl FeatureConfig {
    /// For images that are measured and not fitted: each as it is, without other views.
    pub fn plain() -> Self {
        Self::new().with_mirror(false).with_crops(0)
    }

    /// As detectors of parts are fitted: each image as it is, and with a square of it moved.
    pub fn of_parts() -> Self {
        Self::plain().with_transplant(true)
    }

    /// Rows of one image.
    pub fn views(&self) -> usize {
        (1 + self.crops) * (1 + usize::from(self.mirror)) + usize::from(self.transplant)
    }
}

/// Target features, upper features and scores of a set of images.
///
/// The performer is frozen, so that what it makes of an image is the same in every epoch: it is
/// computed once, mirror images too, and read back batch by batch. Clones share the rows.
#[derive(Clone)]
pub struct Features {
    rows: Arc<RowStore>,
    /// The row whose upper features and scores stand beside each row's target features; its own if `None`.
    upper_of: Option<Arc<[usize]>>,
    /// Rows of each image.
    views: usize,
    /// Whether each second row is the mirror image of the one before.
    mirrored: bool,
    /// What was moved in the last row of each image; empty where there are no such rows.
    transplants: Arc<[Option<Transplant>]>,
    shape: FeatureShape,
    /// Whether target features are kept in half precision.
    half: bool,
    /// Whether one of the target features is negative.
    negative_target: bool,
    categories: Vec<Option<usize>>,
    landmarks: Option<Landmarks>,
    device: Device,
    limit: MemoryLimit,
}

/// Up to how many bytes rows stay in memory, and where the others go.
#[derive(Clone, Debug)]
struct MemoryLimit {
    bytes: usize,
    directory: PathBuf,
}

impl MemoryLimit {
    fn of(config: &FeatureConfig) -> Self {
        let directory = config.directory.clone().unwrap_or_else(spill::folder);
        Self { bytes: config.memory_limit, directory }
    }

    fn writer(&self, width: usize) -> RowWriter {
        RowWriter::new(width, self.bytes, &self.directory)
    }
}

/// Sizes of a performer's outputs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FeatureShape {
    pub(crate) target: [usize; 3],
    pub(crate) top_conv: [usize; 3],
    pub(crate) upper: Vec<usize>,
    pub(crate) classes: usize,
}

impl FeatureShape {
    pub(crate) fn of(tapped: &Tapped) -> Self {
        let [_, c, h, w] = tapped.target.dims();
        let [_, d, top_h, top_w] = tapped.top_conv.dims();
        Self {
            target: [c, h, w],
            top_conv: [d, top_h, top_w],
            upper: tapped.upper.iter().map(|upper| upper.dims()[1]).collect(),
            classes: tapped.scores.dims()[1],
        }
    }

    /// Target features of a row.
    fn target_width(&self) -> usize {
        self.target.iter().product()
    }

    /// Places of a row that they take.
    fn target_places(&self, half: bool) -> usize {
        let width = self.target_width();
        if half { half::places(width) } else { width }
    }

    /// Widths of what stands beside them: upper features, scores.
    fn widths_above(&self) -> impl Iterator<Item = usize> {
        self.upper.iter().copied().chain([self.classes])
    }
}

/// One batch of [`Features`].
#[derive(Clone, Debug)]
pub struct FeatureBatch {
    /// `[batch, C, L, L]`.
    pub target: Tensor<4>,
    /// Reconstruction targets, each `[batch, width]`.
    pub upper: Vec<Tensor<2>>,
    /// The performer's scores, `[batch, classes]`.
    pub scores: Tensor<2>,
    /// Object category of each image.
    pub categories: Vec<Option<usize>>,
}

impl Features {
    /// Runs the performer over `images`, and over the other views of them that the configuration
    /// asks for. Image `i` has the rows from `i · views` on ([`FeatureConfig::views`]): the image, its
    /// mirror image, then each crop and its mirror image, then the image with a square moved.
    ///
    /// # Errors
    /// An image that cannot be read or has another size, a performer whose outputs contradict one
    /// another, features that are not finite, or a cache that cannot be written.
    pub fn extract<P, I, E>(
        performer: &P,
        images: I,
        config: &FeatureConfig,
        device: &Device,
    ) -> Result<Self, CoreError>
    where
        P: Performer,
        I: IntoIterator<Item = Result<LabelledImage, E>>,
        E: Into<BoxError>,
    {
        assert!(config.batch_size > 0, "FeatureConfig::batch_size must be at least 1");
        let images = images.into_iter();
        let (least, most) = images.size_hint();
        let bar = progress_bar(most.unwrap_or(least) as u64, "features", config.progress);
        let mut extraction = Extraction::new(performer, config, device);
        for (index, image) in images.enumerate() {
            let image = image.map_err(|error| CoreError::Image { index, source: error.into() })?;
            extraction.push(index, image, &bar)?;
        }
        let features = extraction.finish()?;
        bar.finish_and_clear();
        Ok(features)
    }

    /// With the landmarks of each row, in the order of the rows. Nothing is fitted to them: as validation
    /// features, these then tell how stable the parts are ([`Validation::instability`](crate::Validation)).
    ///
    /// # Panics
    /// If there are not as many images in `landmarks` as rows.
    #[must_use]
    pub fn with_landmarks(self, landmarks: Landmarks) -> Self {
        let (rows, images) = (self.len(), landmarks.images());
        assert_eq!(rows, images, "features of {rows} rows, landmarks of {images} images");
        Self { landmarks: Some(landmarks), ..self }
    }

    /// The landmarks of each row, if they are known.
    pub fn landmarks(&self) -> Option<&Landmarks> {
        self.landmarks.as_ref()
    }

    /// Number of rows: views of images.
    pub fn len(&self) -> usize {
        self.categories.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty()
    }

    /// Object category of each row.
    pub fn categories(&self) -> &[Option<usize>] {
        &self.categories
    }

    /// Rows of each image: [`FeatureConfig::views`] of what they were extracted with.
    pub fn views(&self) -> usize {
        self.views
    }

    /// Whether each second row is of the mirror image of the one before: [`FeatureConfig::mirror`] of what they were
    /// extracted with.
    pub fn mirrored(&self) -> bool {
        self.mirrored
    }

    /// The same features with the upper features and scores of another image beside each image's target
    /// features, view by view. No image keeps its own: the images form one cycle, drawn with equal chances
    /// among all cycles (Sattolo's algorithm). The rows are shared with these features.
    ///
    /// A control: nothing in the target features tells what now stands beside them, so that whatever is
    /// reconstructed of it is reconstructed without them.
    ///
    /// # Errors
    /// [`CoreError::TooFew`] if there are fewer than two images.
    pub fn with_shuffled_upper(&self, seed: u64) -> Result<Self, CoreError> {
        let images = self.len() / self.views;
        if images < 2 {
            return Err(CoreError::TooFew { what: "images to shuffle", expected: 2, found: images });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut other: Vec<usize> = (0..images).collect();
        for last in (1..images).rev() {
            other.swap(last, rng.random_range(0..last));
        }
        let row = |row: usize| self.upper_row(other[row / self.views] * self.views + row % self.views);
        Ok(Self { upper_of: Some((0..self.len()).map(row).collect()), ..self.clone() })
    }

    /// The same images with the vectors of their units shuffled: each unit of each row has the target features of some unit of
    /// some row, every vector once. The upper features and scores stay where they are, and nothing is known to have been
    /// moved.
    ///
    /// A control: all that a unit shows is still there, and nothing of where, and with what, it is seen.
    ///
    /// # Errors
    /// A cache that cannot be written.
    pub fn with_shuffled_units(&self, seed: u64) -> Result<Self, CoreError> {
        let [channels, height, width] = self.shape.target;
        let units = height * width;
        let mut order: Vec<usize> = (0..self.len() * units).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let above: usize = self.shape.widths_above().sum();
        let mut writer = self.writer(channels * units + above);
        for (row, from) in order.chunks_exact(units).enumerate() {
            let mut shuffled = vec![0f32; channels * units];
            for (unit, from) in from.iter().enumerate() {
                let kept = self.target(from / units);
                for channel in 0..channels {
                    shuffled[channel * units + unit] = kept[channel * units + from % units];
                }
            }
            shuffled.extend_from_slice(self.above(row));
            writer.push(&shuffled)?;
        }
        let rows = Arc::new(writer.finish()?);
        Ok(Self { rows, upper_of: None, half: false, transplants: Arc::new([]), ..self.clone() })
    }

    /// The same features with the categories of the images in a random order; the views of an image keep one
    /// category. There are as many images of each as before. The rows are shared with these features.
    ///
    /// A control: what a fit makes of such categories owes nothing to which images show what.
    #[must_use]
    pub fn with_permuted_categories(&self, seed: u64) -> Self {
        let mut of_image: Vec<_> = self.categories.iter().step_by(self.views).copied().collect();
        of_image.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let categories = of_image.into_iter().flat_map(|category| [category].repeat(self.views)).collect();
        Self { categories, ..self.clone() }
    }

    /// Whether a target feature is negative: the target layer is linear (the output of an inverted-residual
    /// block), or has an activation that goes below 0. They are kept, read and reconstructed as they are.
    pub fn has_negative_target(&self) -> bool {
        self.negative_target
    }

    /// Whether the features did not fit into memory and are read from disk.
    pub fn is_mapped(&self) -> bool {
        self.rows.is_mapped()
    }

    /// The device batches are made on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What was moved in the last row of an image, if there is such a row.
    pub(crate) fn transplant(&self, image: usize) -> Option<Transplant> {
        self.transplants.get(image).copied().flatten()
    }

    pub(crate) fn shape(&self) -> &FeatureShape {
        &self.shape
    }

    /// The row that has a row's upper features and scores.
    fn upper_row(&self, row: usize) -> usize {
        self.upper_of.as_ref().map_or(row, |of| of[row])
    }

    /// The target features of a row as they are kept.
    fn kept(&self, row: usize) -> &[f32] {
        &self.rows.row(row)[..self.shape.target_places(self.half)]
    }

    /// Appends the target features of a row.
    fn append_target(&self, row: usize, target: &mut Vec<f32>) {
        let kept = self.kept(row);
        if self.half {
            half::unpack(kept, self.shape.target_width(), target);
        } else {
            target.extend_from_slice(kept);
        }
    }

    /// The target features of a row.
    fn target(&self, row: usize) -> Cow<'_, [f32]> {
        if !self.half {
            return Cow::Borrowed(self.kept(row));
        }
        let mut target = Vec::with_capacity(self.shape.target_width());
        self.append_target(row, &mut target);
        Cow::Owned(target)
    }

    /// Upper features and scores of a row.
    fn above(&self, row: usize) -> &[f32] {
        &self.rows.row(self.upper_row(row))[self.shape.target_places(self.half)..]
    }

    /// The upper features of a row, lowest layer first.
    pub(crate) fn upper(&self, row: usize) -> impl Iterator<Item = &[f32]> {
        let mut rest = self.above(row);
        self.shape.upper.iter().map(move |&width| {
            let (upper, further) = rest.split_at(width);
            rest = further;
            upper
        })
    }

    /// The scores of a row.
    pub(crate) fn scores(&self, row: usize) -> &[f32] {
        let above = self.above(row);
        &above[above.len() - self.shape.classes..]
    }

    /// A checksum of all rows and their categories: what a fit is fitted on.
    pub(crate) fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        for (row, category) in self.categories.iter().enumerate() {
            for columns in [self.kept(row), self.above(row)] {
                hasher.update(bytemuck::cast_slice(columns));
            }
            hasher.update(&category.map_or(u64::MAX, |category| category as u64).to_le_bytes());
        }
        hasher.finalize()
    }

    /// For rows of `width` values that are kept where these features are.
    pub(crate) fn writer(&self, width: usize) -> RowWriter {
        self.limit.writer(width)
    }

    /// [`batch`](Self::batch) with what a decoder is to reconstruct in the place of the upper features: these, or the
    /// target features that stand in their row.
    pub(crate) fn batch_for(&self, decoder: &Decoder, indices: &[usize]) -> FeatureBatch {
        let batch = self.batch(indices);
        if decoder.maps.is_none() {
            return batch;
        }
        let target = match &self.upper_of {
            None => batch.target.clone(),
            Some(of) => self.batch(&indices.iter().map(|&index| of[index]).collect::<Vec<_>>()).target,
        };
        FeatureBatch { upper: vec![target.flatten(1, 3)], ..batch }
    }

    /// What a decoder is to reconstruct of a row.
    pub(crate) fn wanted(&self, decoder: &Decoder, row: usize) -> Vec<Vec<f32>> {
        if decoder.maps.is_none() {
            return self.upper(row).map(<[f32]>::to_vec).collect();
        }
        let mut target = Vec::with_capacity(self.shape.target_width());
        self.append_target(self.upper_row(row), &mut target);
        vec![target]
    }

    /// Widths of what a decoder reconstructs.
    pub(crate) fn wanted_widths(&self, decoder: &Decoder) -> Vec<usize> {
        match decoder.maps {
            None => self.shape.upper.clone(),
            Some(_) => vec![self.shape.target_width()],
        }
    }

    /// The rows named by `indices`, as tensors.
    ///
    /// # Panics
    /// If `indices` is empty or one is not below [`len`](Self::len).
    pub fn batch(&self, indices: &[usize]) -> FeatureBatch {
        let mut target = Vec::with_capacity(indices.len() * self.shape.target_width());
        let mut above: Vec<Vec<f32>> = self.shape.widths_above().map(|_| Vec::new()).collect();
        for &index in indices {
            self.append_target(index, &mut target);
            let mut rest = self.above(index);
            for (column, width) in above.iter_mut().zip(self.shape.widths_above()) {
                let (head, tail) = rest.split_at(width);
                column.extend_from_slice(head);
                rest = tail;
            }
        }
        let matrix = |values: Vec<f32>| -> Tensor<2> {
            let width = values.len() / indices.len();
            Tensor::from_data(TensorData::new(values, [indices.len(), width]), &self.device)
        };
        let scores = matrix(above.pop().expect("the scores are the last column"));
        let [c, h, w] = self.shape.target;
        FeatureBatch {
            target: matrix(target).reshape([indices.len(), c, h, w]),
            upper: above.into_iter().map(matrix).collect(),
            scores,
            categories: indices.iter().map(|&index| self.categories[index]).collect(),
        }
    }
}

/// The values of a tensor as `f32`, whatever its element type.
pub(crate) fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[cfg(test)]
mod tests;
