//! One pass of all networks over the images of a report.

use std::time::Instant;

use burn::tensor::{Device, Tensor};
use explainer_core::{Contributions, ExplainerNetwork, Performer, decide_alike};
use explainer_datasets::Report as LeftOut;
use explainer_datasets::{Dataset, Prefetch, Sample, Split};
use explainer_metrics::{Landmarks, Peaks, ReceptiveField};
use image::RgbImage;

use crate::ReportError;
use crate::progress::{Progress, about};

/// A layer's peaks in every image, and where its units lie.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The strongest unit of every filter.
    pub peaks: Peaks,
    /// Projects units to pixels.
    pub field: ReceptiveField,
}

impl Layer {
    fn push(
        layer: &mut Option<Self>,
        values: &[f32],
        [filters, height, width]: [usize; 3],
        field: ReceptiveField,
    ) -> Result<(), ReportError> {
        let layer = layer.get_or_insert_with(|| Self { peaks: Peaks::new(filters, [height, width]), field });
        Ok(layer.peaks.push_batch(values)?)
    }

    /// The images in which a filter fired, the strongest first.
    pub fn strongest(&self, filter: usize) -> Vec<usize> {
        let strength = |image: usize| self.peaks.get(filter, image).strength;
        let mut images: Vec<usize> =
            (0..self.peaks.images()).filter(|&image| self.peaks.fired(filter, image)).collect();
        images.sort_by(|&a, &b| strength(b).total_cmp(&strength(a)));
        images
    }

    /// The place of a filter's peak in an image: x and y in pixels.
    pub fn place(&self, filter: usize, image: usize) -> [f64; 2] {
        let peak = self.peaks.get(filter, image);
        [peak.column, peak.row].map(|unit| self.field.pixel(usize::from(unit)))
    }
}

/// One image, and what the networks made of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its number in the set.
    pub index: usize,
    /// Its name in the set.
    pub id: String,
    /// Whether the explainer may have been fitted on it.
    pub split: Split,
    /// The picture.
    pub picture: RgbImage,
    /// The performer's scores.
    pub scores: Vec<f32>,
    /// The score of the class that the performer gives the highest one, by the explainer's features and taken
    /// apart.
    pub contributions: Contributions,
    /// Whether performer and explainer decide for the same class.
    pub agrees: bool,
}

/// What was seen of a set of images.
pub(crate) struct Survey {
    pub(crate) images: Vec<Seen>,
    /// Of each image: none without one is looked at.
    pub(crate) categories: Vec<usize>,
    /// `None` where no image has one.
    pub(crate) landmarks: Option<Landmarks>,
    pub(crate) top_conv: Layer,
    /// conv-interp-1, -2, …
    pub(crate) interpretable: Vec<Layer>,
    pub(crate) unfitted: Option<Layer>,
    /// Of windows whatever is seen through them, where there are any.
    pub(crate) places: Option<Layer>,
    pub(crate) random_performer: Option<Layer>,
    /// Maps of the last interpretable layer, image by image, filter by filter, in 255ths of each map's
    /// largest activation.
    maps: Vec<u8>,
    /// Images that could not be read.
    pub(crate) left_out: LeftOut,
}

/// The networks of a survey.
pub(crate) struct Networks<'a, P> {
    pub(crate) performer: &'a P,
    pub(crate) explainer: &'a dyn ExplainerNetwork<P>,
    pub(crate) start: Option<&'a dyn Fn(Tensor<4>) -> Tensor<4>>,
    pub(crate) random_performer: Option<&'a P>,
}

/// The layers while they are filled.
#[derive(Default)]
struct Filling {
    images: Vec<Seen>,
    categories: Vec<usize>,
    positions: Vec<Vec<Option<[f64; 2]>>>,
    top_conv: Option<Layer>,
    interpretable: Vec<Option<Layer>>,
    unfitted: Option<Layer>,
    places: Option<Layer>,
    random_performer: Option<Layer>,
    maps: Vec<u8>,
}

impl<P: Performer> Networks<'_, P> {
    pub(crate) fn device(&self) -> Device {
        self.explainer.device()
    }

    /// Runs all networks over some images of a set, `batch_size` at a time, and says after the first ones how
    /// long all will take.
    pub(crate) fn survey(
        &self,
        dataset: &dyn Dataset,
        images: &[usize],
        batch_size: usize,
        prefetch: Prefetch,
        progress: &Progress,
    ) -> Result<Survey, ReportError> {
        let mut filling = Filling::default();
        let started = Instant::now();
        let (looked, left_out) = prefetch.run(dataset, images, |samples| {
            loop {
                let batch = samples.by_ref().take(batch_size).collect::<Result<Vec<_>, _>>()?;
                if batch.is_empty() {
                    return Ok::<_, ReportError>(());
                }
                let (count, first) = (batch.len(), filling.images.is_empty());
                self.look(dataset, batch, &mut filling)?;
                if first {
                    let all = started.elapsed().mul_f64(images.len() as f64 / count as f64);
                    progress.tell(&format!("looking at {} images: {}", images.len(), about(all)));
                }
                progress.advance(count);
            }
        });
        looked?;
        let nothing = || nothing(dataset);
        Ok(Survey {
            landmarks: landmarks(dataset, filling.positions),
            images: filling.images,
            categories: filling.categories,
            top_conv: filling.top_conv.ok_or_else(nothing)?,
            interpretable: filling.interpretable.into_iter().flatten().collect(),
            unfitted: filling.unfitted,
            places: filling.places,
            random_performer: filling.random_performer,
            maps: filling.maps,
            left_out,
        })
    }

    /// Where the filters of the explainer's last interpretable layer fire in some images of a set, and nothing
    /// else.
    pub(crate) fn peaks(
        &self,
        dataset: &dyn Dataset,
        images: &[usize],
        batch_size: usize,
        prefetch: Prefetch,
    ) -> Result<Layer, ReportError> {
        let mut layer = None;
        let (looked, _) = prefetch.run(dataset, images, |samples| {
            loop {
                let batch = samples.by_ref().take(batch_size).collect::<Result<Vec<_>, _>>()?;
                if batch.is_empty() {
                    return Ok::<_, ReportError>(());
                }
                let pixels: Vec<&[u8]> = batch.iter().map(|(_, sample)| &sample.image.as_raw()[..]).collect();
                let input = self.performer.preprocessing().batch(&pixels, &self.device())?;
                let target = self.performer.target_features(input);
                let maps = self.explainer.part_maps(target).pop();
                push(&mut layer, maps, self.performer.target_field())?;
            }
        });
        looked?;
        layer.ok_or_else(|| nothing(dataset))
    }

    fn look(
        &self,
        dataset: &dyn Dataset,
        samples: Vec<(usize, Sample)>,
        filling: &mut Filling,
    ) -> Result<(), ReportError> {
        let pixels: Vec<&[u8]> = samples.iter().map(|(_, sample)| &sample.image.as_raw()[..]).collect();
        let input = self.performer.preprocessing().batch(&pixels, &self.device())?;
        let (field, top_field) = (self.performer.target_field(), self.performer.top_conv_field());
        let tapped = self.performer.tap(input.clone());
        let interpretable = self.explainer.part_maps(tapped.target.clone());
        if let Some(start) = self.start {
            push(&mut filling.unfitted, Some(start(tapped.target.clone())), field)?;
        }
        if let Some(maps) = self.explainer.places(tapped.target.clone()) {
            push(&mut filling.places, Some(maps), field)?;
        }
        if let Some(random) = self.random_performer {
            push(&mut filling.random_performer, Some(random.tap(input).top_conv), top_field)?;
        }
        push(&mut filling.top_conv, Some(tapped.top_conv), top_field)?;
        filling.interpretable.resize_with(interpretable.len(), || None);
        for (layer, maps) in filling.interpretable.iter_mut().zip(&interpretable) {
            push(layer, Some(maps.clone()), field)?;
        }
        if let Some(maps) = interpretable.last() {
            filling.maps.extend(quantised(maps));
        }
        let scores = rows(tapped.scores);
        let classes: Vec<usize> = scores.iter().map(|scores| best(scores)).collect();
        let contributions = self.explainer.contributions(self.performer, tapped.target.clone(), &classes)?;
        let explained = rows(self.explainer.scores(self.performer, tapped.target));
        for (at, (index, sample)) in samples.into_iter().enumerate() {
            let positions = sample.landmarks.iter();
            filling.positions.push(positions.map(|p| p.map(|p| [f64::from(p.x), f64::from(p.y)])).collect());
            filling.categories.push(dataset.category(index).unwrap_or_default());
            filling.images.push(Seen {
                index,
                id: sample.id,
                split: dataset.split(index),
                picture: sample.image,
                scores: scores[at].clone(),
                contributions: contributions[at].clone(),
                agrees: decide_alike(&explained[at], &scores[at]),
            });
        }
        Ok(())
    }
}

impl Survey {
    /// The layer whose filters are the parts.
    pub(crate) fn explained(&self) -> &Layer {
        self.interpretable.last().expect("an explainer has an interpretable layer")
    }

    /// The map of a filter in an image, over its largest activation.
    pub(crate) fn map(&self, filter: usize, image: usize) -> Vec<f64> {
        let peaks = &self.explained().peaks;
        let units: usize = peaks.grid().iter().product();
        let start = (image * peaks.filters() + filter) * units;
        self.maps[start..][..units].iter().map(|&value| f64::from(value) / 255.0).collect()
    }
}

fn nothing(dataset: &dyn Dataset) -> ReportError {
    ReportError::NoImages { dataset: dataset.name().to_string(), found: dataset.len() }
}

fn push(
    layer: &mut Option<Layer>,
    maps: Option<Tensor<4>>,
    field: ReceptiveField,
) -> Result<(), ReportError> {
    let Some(maps) = maps else { return Ok(()) };
    let [_, filters, height, width] = maps.dims();
    Layer::push(layer, &floats(maps), [filters, height, width], field)
}

/// The landmarks, if at least one is known.
fn landmarks(dataset: &dyn Dataset, positions: Vec<Vec<Option<[f64; 2]>>>) -> Option<Landmarks> {
    if positions.iter().flatten().all(Option::is_none) {
        return None;
    }
    let mut landmarks = Landmarks::new(dataset.landmark_names().to_vec());
    positions.into_iter().for_each(|positions| landmarks.push(positions));
    Some(landmarks)
}

/// Maps in 255ths of each one's largest value.
fn quantised(maps: &Tensor<4>) -> Vec<u8> {
    let [_, _, height, width] = maps.dims();
    let values = floats(maps.clone());
    values
        .chunks_exact(height * width)
        .flat_map(|map| {
            let most = map.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
            map.iter().map(move |value| (255.0 * value.max(0.0) / most).round() as u8)
        })
        .collect()
}

pub(crate) fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

pub(crate) fn rows(tensor: Tensor<2>) -> Vec<Vec<f32>> {
    let width = tensor.dims()[1];
    floats(tensor).chunks_exact(width).map(<[f32]>::to_vec).collect()
}

/// Position of the largest value, the first of equals.
pub(crate) fn best<T: PartialOrd>(values: &[T]) -> usize {
    (0..values.len()).fold(0, |best, at| if values[at] > values[best] { at } else { best })
}
