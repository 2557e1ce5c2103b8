//! Which images are covered for the receptive fields, how, and how long that takes.

use std::fmt;
use std::time::{Duration, Instant};

use explainer_core::{ExplainerNetwork, Occlusion, OcclusionConfig, Performer, occlusion};

use crate::field::AverageField;
use crate::observe::{Layer, Survey};
use crate::progress::Progress;
use crate::{ReportConfig, ReportError};

/// Fields are means over at most so many images.
///
/// Source: the released code of arXiv:1710.00935.
const FIELD_IMAGES: usize = 10;
/// An image is covered at so many places along either axis to see how long that takes.
const TRIED: usize = 3;

/// How the receptive fields were found.
#[derive(Clone, Debug)]
pub struct Covering {
    /// The images that were covered piece by piece, by their place among those looked at.
    pub images: Vec<usize>,
    /// The squares that covered them.
    pub occluder: OcclusionConfig,
    /// Covered copies of each image.
    pub copies: usize,
}

impl Covering {
    /// What `config` asks for, in images of `size` pixels. No image if there is nothing to cover.
    pub(crate) fn plan(config: &ReportConfig, layer: &Layer, size: usize) -> Self {
        let occluder = config.occluder.clone().unwrap_or_else(|| tiles(size, config.batch_size));
        let copies = occluder.copies(size);
        Self { images: most_wanted(layer, config.occluded), occluder, copies }
    }

    /// Covers the images, and says beforehand how long that takes. The receptive field of every filter.
    pub(crate) fn fields<P: Performer>(
        &self,
        network: &dyn ExplainerNetwork<P>,
        performer: &P,
        survey: &Survey,
        progress: bool,
    ) -> Result<Vec<Option<AverageField>>, ReportError> {
        let (layer, size) = (survey.explained(), performer.preprocessing().size);
        let filters = 0..layer.peaks.filters();
        let picture = |image: usize| survey.images[image].picture.as_raw();
        let Some(&first) = self.images.first() else { return Ok(filters.map(|_| None).collect()) };
        let progress = Progress::new("fields", self.images.len(), progress);
        if progress.wanted() {
            let tried = OcclusionConfig { stride: size.div_ceil(TRIED), ..self.occluder.clone() };
            let started = Instant::now();
            occlusion(network, performer, picture(first), &tried)?;
            let each = started.elapsed().div_f64((1 + tried.copies(size)) as f64);
            progress.tell(&self.announced(each));
        }
        let occlude = |&image: &usize| {
            let found = occlusion(network, performer, picture(image), &self.occluder)?;
            progress.advance(1);
            Ok(found)
        };
        let occluded = self.images.iter().map(occlude).collect::<Result<Vec<Occlusion>, ReportError>>()?;
        let sides = [size, self.occluder.side];
        Ok(filters
            .map(|filter| AverageField::of(filter, &occluded, &layer.field, sides, FIELD_IMAGES))
            .collect())
    }

    /// What will be done, and how long it takes if a copy takes `each`.
    fn announced(&self, each: Duration) -> String {
        let all = each.mul_f64((self.images.len() * (1 + self.copies)) as f64);
        format!("receptive fields: {self}; {}", crate::progress::about(all))
    }
}

impl fmt::Display for Covering {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let OcclusionConfig { side, stride, .. } = self.occluder;
        let (images, copies) = (self.images.len(), self.copies);
        let image = if images == 1 { "image" } else { "images" };
        write!(
            f,
            "squares of {side} pixels in steps of {stride}, {copies} covered copies of each of {images} {image}"
        )
    }
}

/// Squares of the published size, side by side.
fn tiles(size: usize, batch_size: usize) -> OcclusionConfig {
    let OcclusionConfig { side, .. } = OcclusionConfig::for_input(size);
    OcclusionConfig::new(side, side).with_batch_size(batch_size)
}

/// The images in which most filters are among their strongest, at most `count`.
fn most_wanted(layer: &Layer, count: usize) -> Vec<usize> {
    let mut wanted = vec![0; layer.peaks.images()];
    for filter in 0..layer.peaks.filters() {
        layer.strongest(filter).into_iter().take(FIELD_IMAGES).for_each(|image| wanted[image] += 1);
    }
    let mut images: Vec<usize> = (0..wanted.len()).collect();
    images.sort_by_key(|&image| std::cmp::Reverse(wanted[image]));
    images.truncate(count);
    images
}

#[cfg(test)]
mod tests {
    use super::*;
    use explainer_metrics::{Peaks, ReceptiveField};

    /// A layer of maps of a single unit: the activations of every filter, image by image.
    fn layer(activations: &[[f32; 3]]) -> Layer {
        let mut peaks = Peaks::new(3, [1, 1]);
        activations.iter().for_each(|values| peaks.push_batch(values).expect("finite maps"));
        Layer { peaks, field: ReceptiveField::pixels() }
    }

    #[test]
    fn images_are_those_in_which_most_filters_are_strongest() {
        // Twelve images in which one of the three fires weakly; in the last three one, all and two of them.
        let weak = |image: usize| [0, 1, 2].map(|filter| if image % 3 == filter { 0.1 } else { 0.0 });
        let mut activations: Vec<[f32; 3]> = (0..12).map(weak).collect();
        activations.extend([[0.0, 0.0, 3.0], [2.0, 2.0, 2.0], [0.0, 4.0, 1.0]]);
        let layer = layer(&activations);
        assert_eq!(most_wanted(&layer, 2), [13, 14]);
        assert_eq!(most_wanted(&layer, 30).len(), 15);
        assert!(most_wanted(&layer, 0).is_empty());
    }

    #[test]
    fn squares_are_the_published_ones_side_by_side() {
        let config = ReportConfig::new().with_batch_size(7).with_occluded(2);
        let plan = |config: &ReportConfig, size| Covering::plan(config, &layer(&[[1.0; 3]; 4]), size);
        let covering = plan(&config, 224);
        let OcclusionConfig { side, stride, batch_size } = covering.occluder;
        assert_eq!((side, stride, batch_size, covering.copies), (33, 33, 7, 49));
        assert_eq!(covering.images, [0, 1]);
        let published = config.with_occluder(Some(OcclusionConfig::for_input(224)));
        assert_eq!(plan(&published, 224).copies, 625);
        // However small the images, there are squares.
        assert_eq!(plan(&ReportConfig::new(), 3).occluder.stride, 1);
    }

    #[test]
    fn what_is_announced_is_what_all_copies_take() {
        let covering = Covering { images: vec![3, 5], occluder: OcclusionConfig::new(9, 5), copies: 49 };
        let text = covering.announced(Duration::from_millis(200));
        let expected = "squares of 9 pixels in steps of 5, 49 covered copies of each of 2 images; about 20 s";
        assert_eq!(text, format!("receptive fields: {expected}"));
    }
}
