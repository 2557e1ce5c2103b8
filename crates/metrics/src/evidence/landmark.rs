//! The images that have one landmark, and what detectors say of them after each intervention.

use crate::{MetricsError, Responses};

/// Closer than this to a point, as a share of the diagonal, a peak hits it.
pub const HIT_RADIUS: f64 = 0.1;

/// The images that have one landmark, all of one size.
///
/// Units: `[x, y]` in 0-based pixels of the network's input.
#[derive(Debug, Clone, PartialEq)]
pub struct LandmarkImages {
    landmarks: Vec<[f64; 2]>,
    pasted: Option<Vec<[f64; 2]>>,
    photos: Vec<usize>,
    diagonal: f64,
}

impl LandmarkImages {
    /// Where the landmark is in each image, the source photograph of each image, and the length
    /// of the images' diagonal in pixels.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Length`] if there are not as many photographs as landmarks,
    /// [`MetricsError::BadValue`] if a coordinate is not finite or the diagonal not positive.
    pub fn new(landmarks: Vec<[f64; 2]>, photos: Vec<usize>, diagonal: f64) -> Result<Self, MetricsError> {
        check_length("photographs of the landmark's images", landmarks.len(), photos.len())?;
        check_points("the landmark", &landmarks)?;
        if !(diagonal.is_finite() && diagonal > 0.0) {
            let expected = "a positive number of pixels";
            return Err(MetricsError::BadValue { what: "the diagonal", index: 0, value: diagonal, expected });
        }
        Ok(Self { landmarks, pasted: None, photos, diagonal })
    }

    /// Adds the centre to which the landmark's square was pasted (or its part moved) in each image.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_pasted(mut self, pasted: Vec<[f64; 2]>) -> Result<Self, MetricsError> {
        check_length("centres of the pasted squares", self.images(), pasted.len())?;
        check_points("the pasted centre", &pasted)?;
        self.pasted = Some(pasted);
        Ok(self)
    }

    /// The landmark in each image.
    pub fn landmarks(&self) -> &[[f64; 2]] {
        &self.landmarks
    }

    /// The centre of the pasted square in each image, if one was pasted.
    pub fn pasted(&self) -> Option<&[[f64; 2]]> {
        self.pasted.as_deref()
    }

    /// The source photograph of each image.
    pub fn photos(&self) -> &[usize] {
        &self.photos
    }

    /// Length of the diagonal in pixels.
    pub fn diagonal(&self) -> f64 {
        self.diagonal
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.landmarks.len()
    }

    /// Whether `peak` is within [`HIT_RADIUS`] of `point`; a filter that does not fire hits nothing.
    pub(super) fn hits(&self, peak: Option<[f64; 2]>, point: [f64; 2]) -> bool {
        peak.is_some_and(|peak| distance(peak, point) < HIT_RADIUS * self.diagonal)
    }

    /// That there is a response to each image.
    pub(super) fn check(&self, what: &'static str, responses: &Responses) -> Result<(), MetricsError> {
        check_length(what, self.images(), responses.images())
    }
}

/// What a set of detectors says of the [images with a landmark](LandmarkImages), before and after
/// each intervention. What was not tried is absent, and its figures are then not measured.
#[derive(Debug, Clone, PartialEq)]
pub struct LandmarkResponses {
    /// To the images as they are.
    pub original: Responses,
    /// With the landmark erased, and with the control place erased.
    pub erased: Option<ErasedResponses>,
    /// With the landmark erased and its square pasted elsewhere.
    pub transplanted: Option<Responses>,
}

/// Responses to the images with something erased.
#[derive(Debug, Clone, PartialEq)]
pub struct ErasedResponses {
    /// The landmark.
    pub landmark: Responses,
    /// The control place.
    pub control: Responses,
}

impl LandmarkResponses {
    /// Of the unchanged images only.
    pub fn new(original: Responses) -> Self {
        Self { original, erased: None, transplanted: None }
    }

    /// Adds the responses to the images with the landmark erased, and with the control place
    /// erased.
    ///
    /// On rendered images: without the part; and unchanged, or without something that is no part.
    #[must_use]
    pub fn with_erased(self, landmark: Responses, control: Responses) -> Self {
        Self { erased: Some(ErasedResponses { landmark, control }), ..self }
    }

    /// Adds the responses to the images with the landmark transplanted. On rendered images: with
    /// the part moved.
    #[must_use]
    pub fn with_transplanted(self, transplanted: Responses) -> Self {
        Self { transplanted: Some(transplanted), ..self }
    }

    /// Number of filters.
    pub fn filters(&self) -> usize {
        self.original.filters()
    }

    /// That all of these are responses of the same number of filters to those images.
    pub(super) fn check(&self, images: &LandmarkImages) -> Result<(), MetricsError> {
        let erased = self.erased.as_ref();
        let all = [
            ("responses to the original images", Some(&self.original)),
            ("responses to the images with the landmark erased", erased.map(|erased| &erased.landmark)),
            ("responses to the images with the control place erased", erased.map(|erased| &erased.control)),
            ("responses to the images with the landmark transplanted", self.transplanted.as_ref()),
        ];
        for (what, responses) in all.into_iter().filter_map(|(what, given)| Some((what, given?))) {
            images.check(what, responses)?;
            check_length("filters of the responses", self.filters(), responses.filters())?;
        }
        Ok(())
    }
}

/// Euclidean distance in pixels.
pub(super) fn distance([ax, ay]: [f64; 2], [bx, by]: [f64; 2]) -> f64 {
    (ax - bx).hypot(ay - by)
}

pub(super) fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), MetricsError> {
    if found == expected { Ok(()) } else { Err(MetricsError::Length { what, expected, found }) }
}

pub(super) fn check_points(what: &'static str, points: &[[f64; 2]]) -> Result<(), MetricsError> {
    let fault = |point: &[f64; 2]| point.iter().copied().find(|value| !value.is_finite());
    let found = points.iter().enumerate().find_map(|(index, point)| Some((index, fault(point)?)));
    match found {
        None => Ok(()),
        Some((index, value)) => {
            Err(MetricsError::BadValue { what, index, value, expected: "finite coordinates" })
        }
    }
}
