//! The performer's features of a set of images, computed once.

use std::path::PathBuf;
use std::sync::Arc;

use burn::config::Config;
use burn::tensor::{Device, Tensor, TensorData};
use explainer_metrics::Landmarks;
use indicatif::ProgressBar;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::BoxError;
use crate::half;
use crate::performer::{Performer, Tapped, check_tapped};
use crate::progress::progress_bar;
use crate::store::{RowStore, RowWriter};
use crate::views::{mirrored, random_crop};
use crate::{CoreError, Preprocessing};

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
    /// Seed of the crops.
    #[config(default = 0)]
    pub seed: u64,
    /// Features beyond this many bytes go to a memory-mapped file without a name.
    #[config(default = "4 << 30")]
    pub memory_limit: usize,
    /// Folder of that file; the system's temporary folder if `None`.
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

    /// Rows of one image.
    pub fn views(&self) -> usize {
        (1 + self.crops) * (1 + usize::from(self.mirror))
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
    shape: FeatureShape,
    /// Whether target features are kept in half precision.
    half: bool,
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
        let directory = config.directory.clone().unwrap_or_else(std::env::temp_dir);
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
    /// mirror image, then each crop and its mirror image.
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

    /// Whether the features did not fit into memory and are read from disk.
    pub fn is_mapped(&self) -> bool {
        self.rows.is_mapped()
    }

    /// The device batches are made on.
    pub fn device(&self) -> &Device {
        &self.device
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

/// A pass over images under way.
struct Extraction<'a, P> {
    performer: &'a P,
    config: &'a FeatureConfig,
    device: &'a Device,
    input: Preprocessing,
    crops: ChaCha8Rng,
    pending: Vec<LabelledImage>,
    first_pending: usize,
    rows: Option<(RowWriter, FeatureShape)>,
    categories: Vec<Option<usize>>,
}

impl<'a, P: Performer> Extraction<'a, P> {
    fn new(performer: &'a P, config: &'a FeatureConfig, device: &'a Device) -> Self {
        let input = performer.preprocessing();
        let crops = ChaCha8Rng::seed_from_u64(config.seed);
        let (pending, categories) = (Vec::new(), Vec::new());
        Self { performer, config, device, input, crops, pending, first_pending: 0, rows: None, categories }
    }

    fn push(&mut self, index: usize, image: LabelledImage, bar: &ProgressBar) -> Result<(), CoreError> {
        if image.pixels.len() != self.input.bytes() {
            let (expected, found) = (self.input.bytes(), image.pixels.len());
            return Err(CoreError::ImageSize { index, expected, found });
        }
        let LabelledImage { pixels, category } = image;
        let size = self.input.size;
        let crops: Vec<_> =
            (0..self.config.crops).map(|_| random_crop(&pixels, size, &mut self.crops)).collect();
        for view in std::iter::once(pixels).chain(crops) {
            let mirror = self.config.mirror.then(|| mirrored(&view, size));
            self.pending
                .extend(std::iter::once(view).chain(mirror).map(|pixels| LabelledImage { pixels, category }));
        }
        bar.inc(1);
        if self.pending.len() >= self.config.batch_size { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), CoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pixels: Vec<_> = self.pending.iter().map(|image| &image.pixels[..]).collect();
        let tapped = self.performer.tap(self.input.batch(&pixels, self.device)?);
        let batch = self.pending.len();
        if self.rows.is_none() {
            check_tapped(self.performer, &tapped, batch)?;
            self.rows = Some(self.writer(FeatureShape::of(&tapped)));
        }
        let (writer, shape) = self.rows.as_mut().expect("made above");
        let found = FeatureShape::of(&tapped);
        if found != *shape {
            let (expected, found) = (format!("{shape:?}"), format!("{found:?}"));
            return Err(CoreError::Performer { what: "the shape of its outputs".into(), expected, found });
        }
        let [_, c, h, w] = tapped.target.dims();
        let mut columns = vec![tapped.target.reshape([batch, c * h * w])];
        columns.extend(tapped.upper);
        columns.push(tapped.scores);
        let rows = floats(Tensor::cat(columns, 1));
        let width = rows.len() / batch;
        if let Some(at) = rows.iter().position(|value| !value.is_finite()) {
            let what = format!("a feature of the performer for row {}", self.first_pending + at / width);
            return Err(CoreError::Diverged { what, epoch: 0, step: 0, value: rows[at] });
        }
        if self.config.half {
            let mut packed = Vec::with_capacity(rows.len());
            for (index, row) in rows.chunks_exact(width).enumerate() {
                let (target, above) = row.split_at(shape.target_width());
                let too_large = |value| CoreError::HalfPrecision { row: self.first_pending + index, value };
                half::pack(target, &mut packed).map_err(too_large)?;
                packed.extend_from_slice(above);
            }
            writer.push(&packed)?;
        } else {
            writer.push(&rows)?;
        }
        self.first_pending += batch;
        self.categories.extend(self.pending.drain(..).map(|image| image.category));
        Ok(())
    }

    fn writer(&self, shape: FeatureShape) -> (RowWriter, FeatureShape) {
        let width = shape.target_places(self.config.half) + shape.widths_above().sum::<usize>();
        (MemoryLimit::of(self.config).writer(width), shape)
    }

    fn finish(mut self) -> Result<Features, CoreError> {
        self.flush()?;
        let Some((writer, shape)) = self.rows else {
            return Err(CoreError::TooFew { what: "images", expected: 1, found: 0 });
        };
        let (categories, device) = (self.categories, self.device.clone());
        Ok(Features {
            rows: Arc::new(writer.finish()?),
            upper_of: None,
            views: self.config.views(),
            half: self.config.half,
            shape,
            categories,
            landmarks: None,
            device,
            limit: MemoryLimit::of(self.config),
        })
    }
}

/// The values of a tensor as `f32`, whatever its element type.
pub(crate) fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{SIZE, TinyPerformer, features, images};

    #[test]
    fn rows_are_what_the_performer_makes_of_images_and_their_mirror_images() {
        let (performer, device) = (TinyPerformer::new(1), Device::flex());
        let cached = features(&performer, 5, &FeatureConfig::plain().with_mirror(true).with_batch_size(4));
        assert_eq!((cached.len(), cached.is_mapped()), (10, false));
        for (index, image) in images(5, 1).into_iter().enumerate() {
            let batch = cached.batch(&[2 * index, 2 * index + 1]);
            assert_eq!(batch.categories, [image.category; 2]);
            let upright = performer.preprocessing().batch(&[&image.pixels], &device).unwrap();
            let tapped = performer.tap(Tensor::cat(vec![upright.clone(), upright.flip([3])], 0));
            for (own, expected) in [
                (batch.target.flatten::<2>(1, 3), tapped.target.flatten(1, 3)),
                (batch.upper[0].clone(), tapped.upper[0].clone()),
                (batch.upper[1].clone(), tapped.upper[1].clone()),
                (batch.scores, tapped.scores),
            ] {
                let difference = (own - expected).abs().max().into_scalar::<f32>();
                assert!(difference < 1e-5, "{difference}");
            }
        }
    }

    #[test]
    fn crops_follow_their_image_and_keep_its_category() {
        let (performer, plain) = (TinyPerformer::new(1), FeatureConfig::plain());
        let config = plain.clone().with_crops(2).with_batch_size(4);
        let cached = features(&performer, 5, &config);
        let alone = features(&performer, 5, &plain);
        assert_eq!((config.views(), cached.len(), alone.len()), (3, 15, 5));
        for image in 0..5 {
            let rows = cached.batch(&[3 * image, 3 * image + 1, 3 * image + 2]);
            assert_eq!(rows.categories, [alone.categories()[image]; 3]);
            let own = floats(alone.batch(&[image]).target);
            let target: Vec<Vec<f32>> = floats(rows.target).chunks(own.len()).map(<[f32]>::to_vec).collect();
            let distance =
                |other: &[f32]| own.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(distance(&target[0]) < 1e-5);
            assert!(distance(&target[1]) > 1e-3 && target[1] != target[2]);
        }
        let again = features(&performer, 5, &config);
        assert_eq!(floats(again.batch(&[4]).target), floats(cached.batch(&[4]).target));
        let other = features(&performer, 5, &config.with_seed(1));
        assert_ne!(floats(other.batch(&[4]).target), floats(cached.batch(&[4]).target));
    }

    #[test]
    fn shuffled_upper_features_are_another_images_view_by_view() {
        let performer = TinyPerformer::new(1);
        let own = features(&performer, 7, &FeatureConfig::plain().with_mirror(true));
        let shuffled = own.with_shuffled_upper(3).unwrap();
        let all: Vec<usize> = (0..own.len()).collect();
        let (before, after) = (own.batch(&all), shuffled.batch(&all));
        assert_eq!(floats(after.target), floats(before.target));
        assert_eq!(after.categories, before.categories);
        let rows = |values: Tensor<2>| -> Vec<Vec<f32>> {
            let width = values.dims()[1];
            floats(values).chunks_exact(width).map(<[f32]>::to_vec).collect()
        };
        let (scores, shuffled_scores) = (rows(before.scores), rows(after.scores));
        let (upper, shuffled_upper) = (rows(before.upper[0].clone()), rows(after.upper[0].clone()));
        let mut images = Vec::new();
        for row in all {
            // Upper features and scores stay together.
            let from = scores.iter().position(|other| *other == shuffled_scores[row]).expect("another row's");
            assert_eq!(shuffled_upper[row], upper[from]);
            assert_ne!(from / 2, row / 2, "no image keeps its own");
            assert_eq!(from % 2, row % 2, "mirror images beside mirror images");
            assert_eq!(shuffled.upper(row).next().unwrap(), upper[from]);
            assert_eq!(shuffled.scores(row), scores[from]);
            images.push(from / 2);
        }
        images.sort_unstable();
        assert_eq!(images, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6], "each once");
        assert_ne!(shuffled.checksum(), own.checksum());
        assert_eq!(shuffled.checksum(), own.with_shuffled_upper(3).unwrap().checksum());
        let error = features(&performer, 1, &FeatureConfig::plain()).with_shuffled_upper(0).err();
        assert!(error.unwrap().to_string().contains("expected at least 2, found 1"));
    }

    #[test]
    fn permuted_categories_are_as_many_and_of_whole_images() {
        let own = features(&TinyPerformer::new(1), 9, &FeatureConfig::plain().with_crops(2));
        let permuted = own.with_permuted_categories(1);
        assert_ne!(permuted.categories(), own.categories());
        let sorted = |features: &Features| {
            let mut categories = features.categories().to_vec();
            categories.sort_unstable();
            categories
        };
        assert_eq!(sorted(&permuted), sorted(&own));
        assert!(permuted.categories().chunks(3).all(|views| views.iter().all(|view| *view == views[0])));
        assert_eq!(floats(permuted.batch(&[4]).scores), floats(own.batch(&[4]).scores));
        assert_ne!(permuted.checksum(), own.checksum());
    }

    #[test]
    fn rows_from_disk_are_those_from_memory() {
        let performer = TinyPerformer::new(1);
        let memory = features(&performer, 4, &FeatureConfig::plain().with_mirror(true));
        let disk = features(&performer, 4, &FeatureConfig::plain().with_mirror(true).with_memory_limit(1000));
        assert!(disk.is_mapped() && !memory.is_mapped());
        let rows = [7, 0, 3];
        assert_eq!(floats(disk.batch(&rows).target), floats(memory.batch(&rows).target));
        assert_eq!(floats(disk.batch(&rows).scores), floats(memory.batch(&rows).scores));
    }

    #[test]
    fn target_features_of_half_precision_are_near_and_the_others_alike() {
        let performer = TinyPerformer::new(1);
        let config = FeatureConfig::plain().with_mirror(true);
        let single = features(&performer, 4, &config);
        for limit in [1 << 30, 1000] {
            let half = features(&performer, 4, &config.clone().with_half(true).with_memory_limit(limit));
            assert_eq!(half.is_mapped(), limit == 1000);
            let [single, half] = [&single, &half].map(|features| features.batch(&[7, 0, 3]));
            assert_eq!(floats(half.scores), floats(single.scores));
            assert_eq!(floats(half.upper[1].clone()), floats(single.upper[1].clone()));
            let (single, half) = (floats(single.target), floats(half.target));
            assert_ne!(single, half);
            for (single, half) in single.iter().zip(&half) {
                let tolerance = (single.abs() * 2f32.powi(-11)).max(2f32.powi(-25));
                assert!((single - half).abs() <= tolerance, "{single} became {half}");
            }
        }
    }

    #[test]
    fn target_features_beyond_half_precision_are_refused() {
        let mut performer = TinyPerformer::new(1);
        let weight = performer.convs[0].weight.clone();
        performer.convs[0].weight = weight.map(|weight| weight * 1e6);
        let extract = |config: &FeatureConfig| {
            let images = images(2, 1).into_iter().map(Ok::<_, std::io::Error>);
            Features::extract(&performer, images, config, &Device::flex()).err().map(|e| e.to_string())
        };
        assert_eq!(extract(&FeatureConfig::plain()), None);
        let error = extract(&FeatureConfig::plain().with_half(true)).expect("too large");
        assert!(error.contains("row 0") && error.contains("65504"), "{error}");
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_number() {
        let (performer, config, device) =
            (TinyPerformer::new(1), FeatureConfig::plain().with_mirror(true), Device::flex());
        let good = images(1, 1).remove(0);
        let small = LabelledImage { pixels: vec![0; 3], category: None };
        let extract = |images: Vec<Result<LabelledImage, String>>| {
            let error = Features::extract(&performer, images, &config, &device).err().expect("an error");
            error.to_string()
        };
        assert!(extract(vec![Ok(good.clone()), Ok(small)]).contains("image 1 has 3 bytes"));
        assert!(extract(vec![Ok(good), Err("gone".into())]).contains("image 1 could not be read"));
        assert!(extract(Vec::new()).contains("expected at least 1, found 0"));
    }

    #[test]
    fn a_performer_that_contradicts_itself_is_refused() {
        let device = Device::flex();
        let extract = |performer: &TinyPerformer| {
            let images = images(2, 1).into_iter().map(Ok::<_, std::io::Error>);
            Features::extract(performer, images, &FeatureConfig::plain().with_mirror(true), &device)
                .err()
                .map(|e| e.to_string())
        };
        let claiming = |claims| extract(&TinyPerformer { claims, ..TinyPerformer::new(1) });
        assert_eq!(claiming((SIZE, 1.0)), None);
        let error = claiming((SIZE - 2, 1.0)).expect("another L");
        assert!(error.contains("target features") && error.contains("[4, 5, 8, 8]"), "{error}");
        let error = claiming((SIZE, 1.1)).expect("another head");
        assert!(error.contains("head's scores"), "{error}");
        let mut performer = TinyPerformer::new(1);
        performer.last.weight = performer.last.weight.map(|weight| weight * f32::INFINITY);
        let error = extract(&performer).expect("infinite scores");
        assert!(error.contains("a feature of the performer"), "{error}");
    }
}
