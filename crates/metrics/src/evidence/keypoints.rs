//! Keypoint regression: can landmarks be read off the peaks?

use serde::Serialize;

use super::{
    Figure, Halves,
    landmark::{check_length, distance},
    terms::ratio,
};
use crate::{
    Landmarks, MetricsError, Responses,
    least_squares::{LeastSquares, columns_of},
};

/// Result of [`keypoint_regression`]. `None`: not measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeypointError {
    /// Mean over all keypoints of all images.
    pub mean: Option<Figure>,
    /// Mean of each landmark.
    pub per_landmark: Vec<Option<Figure>>,
}

/// Normalised mean error (NME) of a linear regression of each landmark from the peaks of all
/// filters, smaller is better (Huang and Li, CVPR 2020; PDiscoNet, van der Klis et al., ICCV 2023).
///
/// In coordinates of the object's box (0 to 1 along either side), peaks and landmark are
/// standardised by mean and standard deviation on the images fitted; the landmark is regressed on
/// the peaks of all filters (two columns each, no intercept) by least squares, and predicted where
/// it was not fitted. The error is the mean Euclidean distance in units of the box. A filter that
/// does not fire has the value 0, its mean. Fitted on one half of the photographs and measured on
/// the other, both ways round, averaged. As published except for the halves and for the peaks,
/// which are centroids of attention maps there.
///
/// A box is `[x, y, width, height]` in pixels; in a crop, `[0, 0, width, height]` of the crop.
///
/// A landmark is *not measured* on a half if the other one has fewer images with it than twice
/// the number of columns: give few filters ([`Responses::select_filters`]). Columns that depend
/// on others are left out.
///
/// # Errors
///
/// [`MetricsError::Length`] if the tables do not fit, [`MetricsError::BadValue`] if a box is not
/// finite or has no area, [`MetricsError::UnknownPhoto`] if a photograph is in neither half.
pub fn keypoint_regression(
    responses: &Responses,
    landmarks: &Landmarks,
    boxes: &[[f64; 4]],
    photos: &[usize],
    halves: &Halves,
) -> Result<KeypointError, MetricsError> {
    let images = responses.images();
    check_length("images of the landmarks", images, landmarks.images())?;
    check_length("boxes of the images", images, boxes.len())?;
    check_length("photographs of the images", images, photos.len())?;
    for (index, [x, y, width, height]) in boxes.iter().enumerate() {
        let value = width.min(*height);
        if !(x.is_finite() && y.is_finite() && width.is_finite() && height.is_finite() && value > 0.0) {
            let expected = "finite corners and positive sides";
            return Err(MetricsError::BadValue {
                what: "the smaller side of the box",
                index,
                value,
                expected,
            });
        }
    }
    let halves = halves.images(photos)?;
    let table = Table { responses, landmarks, boxes };
    // Of each landmark and half, the image and its error.
    let errors: Vec<[Vec<(usize, f64)>; 2]> = (0..landmarks.len())
        .map(|landmark| [0, 1].map(|half| table.errors(landmark, &halves[1 - half], &halves[half])))
        .collect();
    let mean_of = |landmarks: &[[Vec<(usize, f64)>; 2]]| {
        let of_half = |half: usize| {
            let errors = landmarks.iter().flat_map(move |errors| &errors[half]);
            ratio(errors.map(|&(image, error)| (photos[image], error, 1.0)))
        };
        Figure::mean([0, 1].map(of_half).iter().flatten())
    };
    let per_landmark = errors.iter().map(|errors| mean_of(std::slice::from_ref(errors))).collect();
    Ok(KeypointError { mean: mean_of(&errors), per_landmark })
}

struct Table<'a> {
    responses: &'a Responses,
    landmarks: &'a Landmarks,
    boxes: &'a [[f64; 4]],
}

impl Table<'_> {
    /// The errors of a landmark on the images `measured`, fitted on others; none if those are few.
    fn errors(&self, landmark: usize, fitted: &[usize], measured: &[usize]) -> Vec<(usize, f64)> {
        let with = |images: &[usize]| -> Vec<(usize, [f64; 2])> {
            let of = |&image: &usize| {
                let point = self.landmarks.get(image, landmark)?;
                Some((image, self.in_box(image, point)))
            };
            images.iter().filter_map(of).collect()
        };
        let (fitted, measured) = (with(fitted), with(measured));
        if fitted.len() < 4 * self.responses.filters() {
            return Vec::new();
        }
        let columns: Vec<Column> = (0..2 * self.responses.filters())
            .map(|at| Column::new(fitted.iter().map(|&(image, _)| self.value(at, image))))
            .collect();
        let row = |image: usize| -> Vec<f64> {
            let values = columns.iter().enumerate();
            values.map(|(at, column)| column.standard(self.value(at, image))).collect()
        };
        let rows: Vec<Vec<f64>> = fitted.iter().map(|&(image, _)| row(image)).collect();
        let standard = columns_of(&rows);
        let references = standard.iter().map(|column| column.iter().map(|v| v * v).sum()).collect();
        let regression = LeastSquares::through_origin(standard, references);
        let targets = [0, 1].map(|axis| Column::new(fitted.iter().map(|(_, point)| Some(point[axis]))));
        let lines = [0, 1].map(|axis| {
            let target: Vec<f64> =
                fitted.iter().map(|(_, point)| targets[axis].standard(Some(point[axis]))).collect();
            regression.fit(&target)
        });
        let error = |(image, point): (usize, [f64; 2])| {
            let predicted = [0, 1].map(|axis| targets[axis].restore(lines[axis].at(&row(image))));
            (image, distance(predicted, point))
        };
        measured.into_iter().map(error).collect()
    }

    /// Column `at`: an axis of a filter's peak, in the box; `None` where it does not fire.
    fn value(&self, at: usize, image: usize) -> Option<f64> {
        let peak = self.responses.peak(at / 2, image)?;
        Some(self.in_box(image, peak)[at % 2])
    }

    fn in_box(&self, image: usize, point: [f64; 2]) -> [f64; 2] {
        let [x, y, width, height] = self.boxes[image];
        [(point[0] - x) / width, (point[1] - y) / height]
    }
}

/// Mean and standard deviation of what is there of a column.
struct Column {
    mean: f64,
    deviation: f64,
}

impl Column {
    fn new(values: impl Iterator<Item = Option<f64>>) -> Self {
        let values: Vec<f64> = values.flatten().collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let moves = values.iter().any(|value| *value != values[0]);
        Self { mean, deviation: if moves { variance.sqrt() } else { 0.0 } }
    }

    /// 0 where the value is missing or the column does not move.
    fn standard(&self, value: Option<f64>) -> f64 {
        value.filter(|_| self.deviation > 0.0).map_or(0.0, |value| (value - self.mean) / self.deviation)
    }

    fn restore(&self, standard: f64) -> f64 {
        self.mean + self.deviation * standard
    }
}
