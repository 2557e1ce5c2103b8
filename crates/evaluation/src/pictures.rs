//! The pictures of an image and a landmark: painted over in a photograph, drawn again where the set can.

use std::f64::consts::TAU;

use explainer_datasets::{Change, DatasetError, Intervened, Point, Rendered, Sample};
use explainer_metrics::HIT_RADIUS;
use image::RgbImage;
use rayon::prelude::*;

/// What becomes of an image when the evidence of one landmark is changed.
#[derive(Clone, Debug)]
pub(crate) struct Pictures {
    /// Without the landmark.
    pub(crate) erased: RgbImage,
    /// Without something else.
    pub(crate) control: RgbImage,
    /// With the landmark elsewhere.
    pub(crate) transplanted: RgbImage,
    /// Where it was.
    pub(crate) landmark: Point,
    /// Where it is then.
    pub(crate) paste: Point,
}

impl From<Intervened> for Pictures {
    fn from(made: Intervened) -> Self {
        let Intervened { erased, control, transplanted, landmark, paste, .. } = made;
        Self { erased, control, transplanted, landmark, paste }
    }
}

/// Where the pictures come from.
pub(crate) enum Source<'a> {
    /// A landmark's square is painted over and pasted.
    Photographs,
    /// The image is drawn again.
    Renderer(Renderer<'a>),
}

impl Source<'_> {
    /// The pictures of all landmarks of a sample; `None` where it does not show one.
    pub(crate) fn pictures(
        &self,
        index: usize,
        sample: &Sample,
    ) -> Result<Vec<Option<Pictures>>, DatasetError> {
        match self {
            Self::Photographs => {
                let made = sample.interventions()?;
                Ok(made.into_iter().map(|made| made.map(Pictures::from)).collect())
            }
            Self::Renderer(renderer) => {
                let of = |part: usize| renderer.pictures(index, sample, part);
                (0..sample.landmarks.len()).into_par_iter().map(of).collect()
            }
        }
    }
}

/// Directions in which a part may be moved.
const DIRECTIONS: usize = 16;
/// A part is moved by so many units of the target map, or further: see [`Renderer::new`].
const UNITS: f64 = 2.5;

/// Draws images again.
///
/// - *Erased*: without the part.
/// - *Control*: without an object of the background; of an image without any, without another part that it shows; and if
///   there is none of these either, as it is. A detector of the object as a whole is weaker without any of its parts, and
///   passes this control: crosstalk and selectivity tell it from one of the part.
/// - *Transplanted*: the part is drawn elsewhere, at one distance in all images, in the first of sixteen directions in
///   which it stays within the image and is seen. Where there is none, in that in which least of it leaves the image.
///
/// Which object, and from which direction on, depends on the index and the part alone.
pub(crate) struct Renderer<'a> {
    set: &'a dyn Rendered,
    /// How far parts are moved, in pixels.
    distance: f64,
}

impl<'a> Renderer<'a> {
    /// For maps with this many pixels between their units, of images of `side` pixels. Parts are moved by two and a half
    /// units, and by twice the radius of a hit at least: then no place hits both the old and the new one.
    pub(crate) fn new(set: &'a dyn Rendered, stride: f64, side: usize) -> Self {
        let diagonal = (side as f64).hypot(side as f64);
        Self { set, distance: (UNITS * stride).max(2.0 * HIT_RADIUS * diagonal) }
    }

    fn pictures(&self, index: usize, sample: &Sample, part: usize) -> Result<Option<Pictures>, DatasetError> {
        let Some(landmark) = sample.landmarks[part] else { return Ok(None) };
        let (transplanted, by) = self.moved(index, sample, part, landmark)?;
        Ok(Some(Pictures {
            erased: self.set.changed(index, &[Change::Without { part }])?.image,
            control: self.control(index, sample, part)?,
            transplanted,
            landmark,
            paste: Point { x: landmark.x + by[0], y: landmark.y + by[1] },
        }))
    }

    fn control(&self, index: usize, sample: &Sample, part: usize) -> Result<RgbImage, DatasetError> {
        let objects = self.set.objects(index);
        let shown = |&other: &usize| other != part && sample.landmarks[other].is_some();
        let others: Vec<usize> = (0..sample.landmarks.len()).filter(shown).collect();
        let change = match others.as_slice() {
            _ if objects > 0 => Change::WithoutObject { object: (index + part) % objects },
            [] => return Ok(sample.image.clone()),
            others => Change::Without { part: others[index % others.len()] },
        };
        Ok(self.set.changed(index, &[change])?.image)
    }

    /// The image with the part moved, and by how much.
    fn moved(
        &self,
        index: usize,
        sample: &Sample,
        part: usize,
        landmark: Point,
    ) -> Result<(RgbImage, [f32; 2]), DatasetError> {
        let mut first = None;
        for by in self.steps(index, sample, part, landmark) {
            let moved = self.set.changed(index, &[Change::Moved { part, by }])?;
            if moved.landmarks.get(part).copied().flatten().is_some() {
                return Ok((moved.image, by));
            }
            first.get_or_insert((moved.image, by));
        }
        Ok(first.unwrap_or_else(|| (sample.image.clone(), [0.0; 2])))
    }

    /// All steps, first those that keep the part within the image.
    fn steps(&self, index: usize, sample: &Sample, part: usize, landmark: Point) -> Vec<[f32; 2]> {
        let Point { x, y } = landmark;
        // First and last column and row of the part.
        let [low, high] = sample.mask(part).map_or([[x, y]; 2], |mask| {
            let [left, top, right, bottom] = mask.bounds().map(|edge| edge as f32);
            [[left, top], [right - 1.0, bottom - 1.0]]
        });
        let size = [sample.image.width(), sample.image.height()].map(|side| side as f32);
        let beyond = |by: &[f32; 2]| -> f32 {
            let axis =
                |at: usize| (-(low[at] + by[at])).max(0.0) + (high[at] + by[at] - (size[at] - 1.0)).max(0.0);
            axis(0) + axis(1)
        };
        let step = |turn: usize| {
            // Five sixteenths of a circle from one to the next: neighbours are not tried one after the other.
            let direction = (7 * index + 3 * part + 5 * turn) % DIRECTIONS;
            let angle = TAU * direction as f64 / DIRECTIONS as f64;
            [angle.cos(), angle.sin()].map(|along| (self.distance * along) as f32)
        };
        let mut steps: Vec<[f32; 2]> = (0..DIRECTIONS).map(step).collect();
        steps.sort_by(|a, b| beyond(a).total_cmp(&beyond(b)));
        steps
    }
}
