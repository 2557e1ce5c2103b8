//! Do a filter's strongest patches show one part?

use serde::Serialize;

use super::{Figure, landmark::check_length, terms::share};
use crate::{Landmarks, MetricsError, Responses};

/// Result of [`part_purity`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartPurity {
    /// Mean over the filters that fire; `None` if not measured.
    pub mean: Option<Figure>,
    /// Of each filter; `None` if it never fires.
    pub per_filter: Vec<Option<f64>>,
}

/// Part purity of the filters' strongest patches (PIP-Net: Nauta et al., CVPR 2023, who take the
/// 10 strongest images and patches of 32 of 224 pixels).
///
/// Of each filter, the `strongest` images in which it fires (all of them if there are fewer; of
/// equal ones the earlier first); in each a square of side `patch` pixels centred at its peak.
/// Purity is the share of these patches that contain the landmark which most of them contain
/// (edges included; the first of equal ones):
///
/// `purity_k = max_j |{patches with j}| / |patches|`.
///
/// Left and right ones of a pair are one part in PIP-Net: merge them in `landmarks`. A part that
/// is not annotated in an image is not contained; PIP-Net leaves such images out of that part's
/// share, by which a part that is seen in one image only can be pure.
///
/// The mean over filters has a standard error over photographs, of the patches as chosen.
///
/// # Errors
///
/// [`MetricsError::Length`] if the tables do not fit, [`MetricsError::BadValue`] if `patch` is
/// not positive.
pub fn part_purity(
    responses: &Responses,
    landmarks: &Landmarks,
    photos: &[usize],
    patch: f64,
    strongest: usize,
) -> Result<PartPurity, MetricsError> {
    check_length("images of the landmarks", responses.images(), landmarks.images())?;
    check_length("photographs of the images", responses.images(), photos.len())?;
    if !(patch > 0.0 && patch.is_finite()) {
        let expected = "a positive number of pixels";
        return Err(MetricsError::BadValue { what: "the side of a patch", index: 0, value: patch, expected });
    }
    let mut figures = Vec::new();
    let mut per_filter = Vec::new();
    for filter in 0..responses.filters() {
        let patches = strongest_patches(responses, filter, strongest);
        let inside = |&(image, peak): &(usize, [f64; 2]), landmark: usize| {
            landmarks
                .get(image, landmark)
                .is_some_and(|at| (0..2).all(|axis| (at[axis] - peak[axis]).abs() <= patch / 2.0))
        };
        let count = |landmark: usize| patches.iter().filter(|patch| inside(patch, landmark)).count();
        let counts: Vec<usize> = (0..landmarks.len()).map(count).collect();
        let most = counts.iter().copied().max().unwrap_or_default();
        let part = counts.iter().position(|&count| count == most).unwrap_or_default();
        per_filter.push((!patches.is_empty()).then(|| most as f64 / patches.len() as f64));
        figures.push(
            patches.into_iter().map(|patch| (photos[patch.0], inside(&patch, part))).collect::<Vec<_>>(),
        );
    }
    let figures: Vec<Figure> = figures.into_iter().filter_map(share).collect();
    Ok(PartPurity { mean: Figure::mean(&figures), per_filter })
}

/// The strongest images in which a filter fires, with its peaks.
fn strongest_patches(responses: &Responses, filter: usize, strongest: usize) -> Vec<(usize, [f64; 2])> {
    let mut fired: Vec<(usize, [f64; 2])> =
        (0..responses.images()).filter_map(|image| Some((image, responses.peak(filter, image)?))).collect();
    let strength = |image: usize| responses.strength(filter, image);
    fired.sort_by(|a, b| strength(b.0).total_cmp(&strength(a.0)));
    fired.truncate(strongest);
    fired
}
