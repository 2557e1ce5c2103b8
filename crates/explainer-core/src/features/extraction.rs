//! Images on their way through the performer.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use indicatif::ProgressBar;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{FeatureConfig, FeatureShape, Features, LabelledImage, MemoryLimit, Transplant, floats};
use crate::half;
use crate::performer::{Performer, check_tapped};
use crate::store::RowWriter;
use crate::views::{mirrored, random_crop};
use crate::{CoreError, Preprocessing};

/// A pass over images under way.
pub(super) struct Extraction<'a, P> {
    performer: &'a P,
    config: &'a FeatureConfig,
    device: &'a Device,
    input: Preprocessing,
    crops: ChaCha8Rng,
    /// Of the squares that are moved: a stream of its own, so that crops are the same with and without them.
    squares: ChaCha8Rng,
    transplants: Vec<Option<Transplant>>,
    pending: Vec<LabelledImage>,
    first_pending: usize,
    rows: Option<(RowWriter, FeatureShape)>,
    negative_target: bool,
    categories: Vec<Option<usize>>,
}

impl<'a, P: Performer> Extraction<'a, P> {
    pub(super) fn new(performer: &'a P, config: &'a FeatureConfig, device: &'a Device) -> Self {
        let input = performer.preprocessing();
        let crops = ChaCha8Rng::seed_from_u64(config.seed);
        let mut squares = crops.clone();
        squares.set_stream(1);
        Self {
            performer,
            config,
            device,
            input,
            crops,
            squares,
            transplants: Vec::new(),
            pending: Vec::new(),
            first_pending: 0,
            rows: None,
            negative_target: false,
            categories: Vec::new(),
        }
    }

    pub(super) fn push(
        &mut self,
        index: usize,
        image: LabelledImage,
        bar: &ProgressBar,
    ) -> Result<(), CoreError> {
        if image.pixels.len() != self.input.bytes() {
            let (expected, found) = (self.input.bytes(), image.pixels.len());
            return Err(CoreError::ImageSize { index, expected, found });
        }
        let LabelledImage { pixels, category } = image;
        let size = self.input.size;
        let crops: Vec<_> =
            (0..self.config.crops).map(|_| random_crop(&pixels, size, &mut self.crops)).collect();
        let transplanted = self.config.transplant.then(|| self.transplanted(&pixels));
        let mut view = |pixels| self.pending.push(LabelledImage { pixels, category });
        for plain in std::iter::once(pixels).chain(crops) {
            let mirror = self.config.mirror.then(|| mirrored(&plain, size));
            std::iter::once(plain).chain(mirror).for_each(&mut view);
        }
        transplanted.into_iter().for_each(view);
        bar.inc(1);
        if self.pending.len() >= self.config.batch_size { self.flush() } else { Ok(()) }
    }

    /// An image with a square moved, or as it is where there is no room for that.
    fn transplanted(&mut self, pixels: &[u8]) -> Vec<u8> {
        let (size, stride) = (self.input.size, self.performer.target_field().stride);
        let transplant = Transplant::draw(size, stride, &mut self.squares);
        self.transplants.push(transplant);
        transplant.map_or_else(|| pixels.to_vec(), |square| square.apply(pixels, size, stride))
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
        let below_zero = |row: &[f32]| row[..shape.target_width()].iter().any(|&value| value < 0.0);
        self.negative_target = self.negative_target || rows.chunks_exact(width).any(below_zero);
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

    pub(super) fn finish(mut self) -> Result<Features, CoreError> {
        self.flush()?;
        let Some((writer, shape)) = self.rows else {
            return Err(CoreError::TooFew { what: "images", expected: 1, found: 0 });
        };
        let (categories, device) = (self.categories, self.device.clone());
        Ok(Features {
            rows: Arc::new(writer.finish()?),
            upper_of: None,
            views: self.config.views(),
            mirrored: self.config.mirror && !self.config.transplant,
            transplants: self.transplants.into(),
            half: self.config.half,
            negative_target: self.negative_target,
            shape,
            categories,
            landmarks: None,
            device,
            limit: MemoryLimit::of(self.config),
        })
    }
}
