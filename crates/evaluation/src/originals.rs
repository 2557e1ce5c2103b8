//! The images as they are: what is kept of them for what follows.

use std::collections::HashMap;

use burn::tensor::{Int, Tensor};
use explainer_core::{Performer, Tapped};
use explainer_datasets::Sample;

use crate::EvaluationError;
use crate::ceiling::{CeilingFit, FOLDS};
use crate::layer::{Layer, Picture};
use crate::pass::Pass;
use crate::side::difference;
use crate::tensors::floats;

/// An image of the measurement.
#[derive(Debug)]
pub(crate) struct Original {
    /// In the set.
    pub(crate) index: usize,
    pub(crate) sample: Sample,
    /// Its source photograph, numbered from 0 among those of the measurement.
    pub(crate) photo: usize,
    /// Width and height of the object's box in the photograph.
    pub(crate) extent: Option<[f32; 2]>,
    /// `[x, y]` of each landmark.
    pub(crate) points: Vec<Option<[f64; 2]>>,
    /// Where a probe found the object, `[x, y]` in pixels.
    pub(crate) root: Option<[f64; 2]>,
    /// Which way a probe says it faces.
    pub(crate) facing: Option<usize>,
}

impl Original {
    /// The part of the photos it is scored with.
    pub(crate) fn fold(&self) -> usize {
        self.photo % FOLDS
    }
}

/// What is gathered of the original images.
pub(crate) struct Originals {
    pub(crate) images: Vec<Original>,
    /// Target features, batch by batch.
    pub(crate) targets: Vec<Tensor<4>>,
    pub(crate) ceiling: CeilingFit,
    /// How each image's target features differ from their mirror image.
    pub(crate) differences: Vec<Vec<f32>>,
    /// The number of each source photograph.
    photos: HashMap<usize, usize>,
}

impl Originals {
    pub(crate) fn new<P: Performer>(pass: &Pass<'_, P>) -> Self {
        let landmarks = pass.dataset.landmark_names().len();
        Self {
            images: Vec::new(),
            targets: Vec::new(),
            ceiling: CeilingFit::new(pass.performer.target_field(), pass.side(), landmarks),
            differences: Vec::new(),
            photos: HashMap::new(),
        }
    }

    /// Adds a batch.
    pub(crate) fn push<P: Performer>(
        &mut self,
        pass: &Pass<'_, P>,
        batch: Vec<(usize, Sample)>,
        tapped: &Tapped,
        position: Positions,
    ) {
        let first = self.images.len();
        let Positions { roots, facing } = position;
        for (at, (index, sample)) in batch.into_iter().enumerate() {
            let next = self.photos.len();
            let photo = *self.photos.entry(pass.dataset.source(index)).or_insert(next);
            let point = |point: &Option<explainer_datasets::Point>| {
                point.map(|point| [f64::from(point.x), f64::from(point.y)])
            };
            self.images.push(Original {
                index,
                points: sample.landmarks.iter().map(point).collect(),
                extent: pass.dataset.box_extent(index),
                root: roots.get(at).copied(),
                facing: facing.get(at).copied(),
                sample,
                photo,
            });
        }
        let added = &self.images[first..];
        let points: Vec<_> = added.iter().map(|image| image.points.clone()).collect();
        let folds: Vec<usize> = added.iter().map(Original::fold).collect();
        self.ceiling.push(tapped.target.clone(), &points, &folds);
        let [_, channels, height, width] = tapped.target.dims();
        let values = floats(crate::ceiling::directions(tapped.target.clone()));
        let maps = values.chunks_exact(channels * height * width);
        self.differences.extend(maps.map(|maps| difference(maps, [height, width])));
        self.targets.push(tapped.target.clone());
    }
}

/// Where the objects of a batch are found and which way they face; empty where nothing says so.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    pub(crate) roots: Vec<[f64; 2]>,
    pub(crate) facing: Vec<usize>,
}

impl Positions {
    /// Takes what a probe's reading says, unless there is something already.
    pub(crate) fn take(
        &mut self,
        layer: &Layer,
        width: usize,
        roots: Option<Tensor<2, Int>>,
        facing: Option<Tensor<2, Int>>,
    ) {
        let numbers = |tensor: Tensor<2, Int>| tensor.into_data().iter::<i64>().collect::<Vec<_>>();
        if let Some(roots) = roots.filter(|_| self.roots.is_empty()) {
            let pixel = |unit: i64| {
                let unit = usize::try_from(unit).unwrap_or(0);
                [layer.field().pixel(unit % width), layer.field().pixel(unit / width)]
            };
            self.roots = numbers(roots).into_iter().map(pixel).collect();
        }
        if let Some(facing) = facing.filter(|_| self.facing.is_empty()) {
            self.facing = numbers(facing).into_iter().map(|side| usize::from(side != 0)).collect();
        }
    }
}

/// Pictures of a batch of originals.
pub(crate) fn as_they_are(count: usize) -> Vec<Picture> {
    vec![Picture::Original; count]
}

/// As an error where a set has no such images.
pub(crate) fn nothing<P: Performer>(pass: &Pass<'_, P>) -> EvaluationError {
    EvaluationError::NoImages { dataset: pass.dataset.name().to_string(), found: pass.dataset.len() }
}
