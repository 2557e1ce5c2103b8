//! What one set of detectors does in all pictures of a measurement.

use burn::tensor::Tensor;
use explainer_metrics::{LandmarkResponses, Peaks, ReceptiveField, Responses};

use crate::EvaluationError;
use crate::tensors::floats;

/// The pictures made of an image and a landmark, in the order in which they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// The landmark is erased.
    Erased,
    /// A place without the landmark is erased.
    Control,
    /// The landmark is moved to that place.
    Transplanted,
}

impl Variant {
    pub(crate) const ALL: [Self; 3] = [Self::Erased, Self::Control, Self::Transplanted];
}

/// A picture: as it was, or intervened upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Picture {
    Original,
    Intervened { landmark: usize, variant: Variant },
}

/// Where a detector's peak is, `[x, y]` in pixels; `None` where it does not fire.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trace {
    /// In the image as it is.
    pub original: Option<[f64; 2]>,
    /// With the landmark erased.
    pub erased: Option<[f64; 2]>,
    /// With the landmark transplanted.
    pub transplanted: Option<[f64; 2]>,
}

/// The strongest units of all detectors of a probe.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) name: String,
    field: ReceptiveField,
    threshold: f64,
    landmarks: usize,
    /// The layer of its detectors' places alone, by its name; of such a layer, itself.
    pub(crate) places: Option<String>,
    /// `[detectors, h, w]`, known from the first maps on.
    shape: Option<[usize; 3]>,
    original: Option<Peaks>,
    /// Landmark by landmark, variant by variant.
    intervened: Vec<Option<Peaks>>,
}

impl Layer {
    pub(crate) fn new(name: &str, field: ReceptiveField, threshold: f64, landmarks: usize) -> Self {
        Self {
            name: name.to_string(),
            field,
            threshold,
            landmarks,
            places: None,
            shape: None,
            original: None,
            intervened: vec![None; landmarks * Variant::ALL.len()],
        }
    }

    /// Detectors; 0 before the first maps.
    pub(crate) fn filters(&self) -> usize {
        self.shape.map_or(0, |[filters, _, _]| filters)
    }

    /// Adds maps `[batch, detectors, h, w]`, of one picture each.
    pub(crate) fn push(&mut self, maps: Tensor<4>, pictures: &[Picture]) -> Result<(), EvaluationError> {
        let [batch, filters, height, width] = maps.dims();
        let [own, h, w] = *self.shape.get_or_insert([filters, height, width]);
        let (expected, found) = ([pictures.len(), own, h, w], [batch, filters, height, width]);
        if expected != found {
            let (probe, [expected, found]) = (self.name.clone(), [expected, found].map(|s| s.to_vec()));
            return Err(EvaluationError::Maps { probe, expected, found });
        }
        let values = floats(maps);
        let one = filters * height * width;
        for (picture, maps) in pictures.iter().zip(values.chunks_exact(one)) {
            let place = match *picture {
                Picture::Original => &mut self.original,
                Picture::Intervened { landmark, variant } => {
                    &mut self.intervened[landmark * Variant::ALL.len() + variant as usize]
                }
            };
            place.get_or_insert_with(|| Peaks::new(filters, [height, width])).push(maps)?;
        }
        Ok(())
    }

    fn responses(&self, peaks: &Peaks) -> Responses {
        Responses::from_peaks(peaks, &self.field).with_threshold(self.threshold)
    }

    /// In all original images.
    pub(crate) fn originals(&self) -> Option<Responses> {
        self.original.as_ref().map(|peaks| self.responses(peaks))
    }

    /// In the pictures of one landmark, the originals those of `images`, in their order. `None` if there is none.
    pub(crate) fn of_landmark(&self, landmark: usize, images: &[usize]) -> Option<LandmarkResponses> {
        assert!(landmark < self.landmarks, "a landmark of the measurement");
        let original = self.originals()?.select_images(images);
        let [erased, control, transplanted] = Variant::ALL.map(|variant| {
            let peaks = self.intervened[landmark * Variant::ALL.len() + variant as usize].as_ref();
            peaks.map(|peaks| self.responses(peaks))
        });
        let mut responses = LandmarkResponses::new(original);
        if let Some((erased, control)) = erased.zip(control) {
            responses = responses.with_erased(erased, control);
        }
        Some(match transplanted {
            Some(transplanted) => responses.with_transplanted(transplanted),
            None => responses,
        })
    }

    /// Where a detector fires in an image as it is, with a landmark erased, and with it transplanted; `row` counts the
    /// images that show the landmark.
    pub(crate) fn trace(&self, detector: usize, image: usize, landmark: usize, row: usize) -> Trace {
        let peak = |peaks: Option<&Peaks>, at: usize| {
            let found = peaks?.get(detector, at);
            let pixel = || [found.column, found.row].map(|unit| self.field.pixel(usize::from(unit)));
            (f64::from(found.strength) > self.threshold).then(pixel)
        };
        let of =
            |variant: Variant| self.intervened[landmark * Variant::ALL.len() + variant as usize].as_ref();
        Trace {
            original: peak(self.original.as_ref(), image),
            erased: peak(of(Variant::Erased), row),
            transplanted: peak(of(Variant::Transplanted), row),
        }
    }

    pub(crate) fn field(&self) -> &ReceptiveField {
        &self.field
    }
}
