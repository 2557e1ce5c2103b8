//! Residual tracking: what a peak knows of a landmark that a position does not.

use serde::Serialize;

use super::{
    LandmarkImages, LandmarkMatching, MatchedFigure,
    landmark::check_length,
    split::folds,
    terms::{both_ways, ratio},
};
use crate::{
    MetricsError, Responses,
    landmarks::order_within,
    least_squares::{LeastSquares, columns_of},
    regression::dot,
};

/// Number of folds of [`residual_tracking`].
const FOLDS: usize = 5;

/// B: what a position knows of each image, without looking for the part.
///
/// That is the filter's place alone, the root of the object, the side that it faces (which enters
/// as an indicator) and the extent of its box; or as much of it as there is.
#[derive(Debug, Clone, PartialEq)]
pub struct Covariates {
    /// Of each image, with an indicator of each side but the first.
    rows: Vec<Vec<f64>>,
    sides: Vec<usize>,
    places: Option<Responses>,
}

impl Covariates {
    /// Of each image, the same numbers in the same order (root, extent of the box, …; there may
    /// be none), and the side that the object faces, any number for each side.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Length`] if there are not as many sides as rows or rows differ in length,
    /// [`MetricsError::BadValue`] if a number is not finite.
    pub fn new(mut rows: Vec<Vec<f64>>, sides: Vec<usize>) -> Result<Self, MetricsError> {
        check_length("sides of the images", rows.len(), sides.len())?;
        for (index, row) in rows.iter().enumerate() {
            check_length("covariates of an image", rows[0].len(), row.len())?;
            if let Some(&value) = row.iter().find(|value| !value.is_finite()) {
                let expected = "a finite number";
                return Err(MetricsError::BadValue { what: "a covariate", index, value, expected });
            }
        }
        let mut distinct = sides.clone();
        distinct.sort_unstable();
        distinct.dedup();
        for (row, &side) in rows.iter_mut().zip(&sides) {
            row.extend(distinct.iter().skip(1).map(|&other| f64::from(side == other)));
        }
        Ok(Self { rows, sides, places: None })
    }

    /// Adds the place of each filter alone: its peak where nothing but the object's root and side
    /// is known. Peaks count whether the places fire or not.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Length`] if there are not as many responses as images.
    pub fn with_places(self, places: Responses) -> Result<Self, MetricsError> {
        check_length("places of the images", self.rows.len(), places.images())?;
        Ok(Self { places: Some(places), ..self })
    }

    /// The rows of B for the given images, with the places of a filter.
    fn rows(&self, filter: usize, images: &[usize]) -> Vec<Vec<f64>> {
        let of = |&image: &usize| {
            let place = self.places.as_ref().map(|places| places.get(filter, image).peak);
            self.rows[image].iter().copied().chain(place.into_iter().flatten()).collect()
        };
        images.iter().map(of).collect()
    }
}

/// Result of [`residual_tracking`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResidualTracking {
    /// ΔR².
    pub tracking: MatchedFigure,
    /// ΔR² of the same peaks permuted among the images of one side.
    pub null: MatchedFigure,
}

/// Residual tracking: does the peak say more of the landmark than a position does?
///
/// With B the [covariates](Covariates) and an intercept, five folds by source photograph, and all
/// regressions fitted by least squares on the other four folds:
///
/// 1. landmark and peak are regressed on B, which leaves `e_ℓ` and `e_μ` (2 axes each);
/// 2. `e_ℓ` is regressed on `e_μ` with a 2×2 matrix M and no intercept;
/// 3. on the images held out, `ΔR² = 1 − Σ |e_ℓ − M e_μ|² / Σ |e_ℓ|²`:
///    the share of what B leaves unexplained that the peak explains (a partial R²).
///
/// It is 1 for a peak that is an affine map of the landmark, about 0 or slightly below (what is
/// held out punishes fitted noise) for one that adds nothing, and exactly 0 for a *blind place*,
/// a peak that is an affine function of B: what rounding leaves of it counts as nothing (below
/// 1e-12 of the peak's sum of squares about its mean). Where a filter does not fire it says
/// nothing: `e_μ = 0`, and its peak is fitted on the images in which it fires. With fewer of
/// those in four folds than twice the coefficients (of B and of a row of M), it says nothing in
/// the fifth.
///
/// The sums run over the images of the half on which the filters were *not* matched; the
/// regressions of an image's fold see all other folds. *Not measured* where four folds have fewer
/// images than twice the coefficients.
///
/// **Null**: the same with the peaks permuted among images of one side; an image's peaks stay
/// together.
///
/// Source: this project's measure: [`tracking`](crate::tracking()) without what a place on the object explains.
///
/// # Errors
///
/// [`MetricsError::Length`] if the tables do not fit, [`MetricsError::UnknownPhoto`] if a
/// photograph is in neither half.
pub fn residual_tracking(
    images: &LandmarkImages,
    original: &Responses,
    covariates: &Covariates,
    matching: &LandmarkMatching,
    seed: u64,
) -> Result<ResidualTracking, MetricsError> {
    images.check("responses to the original images", original)?;
    check_length("rows of the covariates", images.images(), covariates.rows.len())?;
    if let Some(places) = &covariates.places {
        check_length("filters of the places", original.filters(), places.filters())?;
    }
    matching.check(original.filters())?;
    let halves = matching.halves().images(images.photos())?;
    let permuted = original.select_images(&order_within(&covariates.sides, seed));
    let splits = splits(images.photos(), seed);
    let errors: Vec<[Option<Errors>; 2]> = (0..original.filters())
        .map(|filter| held_out(images, [original, &permuted], covariates, filter, &splits))
        .collect();
    let measure = |which: usize| {
        both_ways(matching, original.filters(), |filter, half| {
            let errors = errors[filter][which].as_ref()?;
            ratio(halves[half].iter().map(|&image| {
                let [without, with] = errors[image];
                (images.photos()[image], without - with, without)
            }))
        })
    };
    Ok(ResidualTracking { tracking: measure(0), null: measure(1) })
}

/// Of each image, `|e_ℓ|²` and `|e_ℓ − M e_μ|²`, held out.
type Errors = Vec<[f64; 2]>;

/// Images to fit on and images to measure, for each fold that has any.
fn splits(photos: &[usize], seed: u64) -> Vec<[Vec<usize>; 2]> {
    let folds = folds(photos, FOLDS, seed);
    let of = |fold: usize| {
        let (measured, fitted) = (0..photos.len()).partition(|&image| folds[image] == fold);
        [fitted, measured]
    };
    (0..FOLDS).map(of).filter(|[_, measured]: &[Vec<usize>; 2]| !measured.is_empty()).collect()
}

/// The errors of a filter, for each of several tables of peaks.
fn held_out<const N: usize>(
    images: &LandmarkImages,
    tables: [&Responses; N],
    covariates: &Covariates,
    filter: usize,
    splits: &[[Vec<usize>; 2]],
) -> [Option<Errors>; N] {
    let mut errors = tables.map(|_| Some(vec![[0.0; 2]; images.images()]));
    for [fitted, measured] in splits {
        let rows = [fitted, measured].map(|images| covariates.rows(filter, images));
        let columns = columns_of(&rows[0]);
        // An intercept, the columns and a row of M.
        let enough = 2 * (1 + columns.len() + 2);
        if fitted.len() < enough {
            return tables.map(|_| None);
        }
        let basis = LeastSquares::with_intercept(columns);
        let split = Split { basis, rows, images: [fitted, measured], enough };
        let landmark = |image: usize| Some(images.landmarks()[image]);
        let [inside, outside] = split.residuals(landmark);
        for (table, errors) in tables.iter().zip(errors.iter_mut().flatten()) {
            let peaks = split.residuals(|image| table.peak(filter, image));
            let reference = spread(fitted, |image| table.peak(filter, image));
            let [px, py] = axes(&peaks[0]);
            let regression = LeastSquares::through_origin(vec![px, py], vec![reference; 2]);
            let matrix = axes(&inside).map(|axis| regression.fit(&axis));
            for ((&image, of_landmark), of_peak) in measured.iter().zip(&outside).zip(&peaks[1]) {
                let rest = [0, 1].map(|axis| of_landmark[axis] - matrix[axis].at(of_peak));
                errors[image] = [dot(of_landmark, of_landmark), dot(&rest, &rest)];
            }
        }
    }
    errors
}

/// One fold: the images to fit on and those to measure.
struct Split<'a> {
    /// B on the images to fit on.
    basis: LeastSquares,
    /// The rows of B on both.
    rows: [Vec<Vec<f64>>; 2],
    images: [&'a [usize]; 2],
    /// Number of images that are enough to fit.
    enough: usize,
}

impl Split<'_> {
    /// What B leaves of a point, on the images to fit on and on those to measure; 0 where there
    /// is no point.
    fn residuals(&self, point: impl Fn(usize) -> Option<[f64; 2]>) -> [Vec<[f64; 2]>; 2] {
        let [fitted, _] = self.images;
        let (rows, points): (Vec<&[f64]>, Vec<[f64; 2]>) = fitted
            .iter()
            .zip(&self.rows[0])
            .filter_map(|(&image, row)| Some((row.as_slice(), point(image)?)))
            .unzip();
        if points.len() < self.enough {
            return self.images.map(|images| vec![[0.0; 2]; images.len()]);
        }
        let fit = |basis: &LeastSquares| axes(&points).map(|axis| basis.fit(&axis));
        let lines = if points.len() == fitted.len() {
            fit(&self.basis)
        } else {
            fit(&LeastSquares::with_intercept(columns_of(&rows)))
        };
        let left = |(&image, row): (&usize, &Vec<f64>)| {
            point(image).map_or([0.0; 2], |at| [0, 1].map(|axis| at[axis] - lines[axis].at(row)))
        };
        [0, 1].map(|part| self.images[part].iter().zip(&self.rows[part]).map(left).collect())
    }
}

/// The larger sum of squares of an axis about its mean, over the images that have a point.
fn spread(images: &[usize], point: impl Fn(usize) -> Option<[f64; 2]>) -> f64 {
    let points: Vec<[f64; 2]> = images.iter().filter_map(|&image| point(image)).collect();
    let about_mean = |axis: Vec<f64>| {
        let mean = axis.iter().sum::<f64>() / axis.len() as f64;
        axis.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
    };
    axes(&points).map(about_mean).into_iter().fold(0.0, f64::max)
}

fn axes(points: &[[f64; 2]]) -> [Vec<f64>; 2] {
    [0, 1].map(|axis| points.iter().map(|point| point[axis]).collect())
}
