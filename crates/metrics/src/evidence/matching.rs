//! Which filters stand for a landmark?

use super::{
    landmark::{LandmarkImages, check_length, distance},
    split::Halves,
};
use crate::{MetricsError, Responses};

/// The filters, best first, by how well they match the landmark on these images (indices).
///
/// **The criterion by which a filter is matched to a landmark**: the larger share of hits, images
/// in which the filter fires and `|μ_k(x) − ℓ| < 0.1 diagonal`, comes first; of equal ones the
/// smaller mean distance `|μ_k(x) − ℓ|`, where a filter that does not fire counts as a diagonal
/// away; then the lower index. The images are unchanged ones: what a filter does after an
/// intervention is not looked at.
///
/// # Errors
///
/// [`MetricsError::Length`] if there are not as many responses as images.
///
/// # Panics
///
/// If an index is out of range.
pub fn rank_filters(
    images: &LandmarkImages,
    original: &Responses,
    among: &[usize],
) -> Result<Vec<usize>, MetricsError> {
    let mut ranked: Vec<(usize, Criterion)> =
        Criterion::of_filters(images, original, among)?.into_iter().enumerate().collect();
    ranked.sort_by(|(_, a), (_, b)| a.compare(b));
    Ok(ranked.into_iter().map(|(filter, _)| filter).collect())
}

/// How well a filter matches a landmark: see [`rank_filters`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Criterion {
    /// Share of the images that are hits.
    pub hits: f64,
    /// Mean distance in pixels.
    pub distance: f64,
}

impl Criterion {
    /// Of each filter on the images `among`.
    pub fn of_filters(
        images: &LandmarkImages,
        original: &Responses,
        among: &[usize],
    ) -> Result<Vec<Self>, MetricsError> {
        images.check("responses to the original images", original)?;
        let count = among.len() as f64;
        let of = |filter: usize| {
            let (mut hits, mut sum) = (0u32, 0.0);
            for &image in among {
                let (peak, landmark) = (original.peak(filter, image), images.landmarks()[image]);
                hits += u32::from(images.hits(peak, landmark));
                sum += peak.map_or(images.diagonal(), |peak| distance(peak, landmark));
            }
            Self { hits: f64::from(hits) / count, distance: sum / count }
        };
        Ok((0..original.filters()).map(of).collect())
    }

    /// `Less` if `self` matches better.
    pub fn compare(&self, other: &Self) -> std::cmp::Ordering {
        other.hits.total_cmp(&self.hits).then(self.distance.total_cmp(&other.distance))
    }
}

/// The filters matched to one landmark, on either half of the photographs.
#[derive(Debug, Clone, PartialEq)]
pub struct LandmarkMatching {
    /// The filters as ranked on each half, best first; none where the half has no image.
    ranked: [Vec<usize>; 2],
    halves: Halves,
}

impl LandmarkMatching {
    /// Ranks the filters on each half by [`rank_filters`].
    ///
    /// # Errors
    ///
    /// [`MetricsError::Length`] if there are not as many responses as images,
    /// [`MetricsError::UnknownPhoto`] if a photograph is in neither half.
    pub fn new(images: &LandmarkImages, original: &Responses, halves: &Halves) -> Result<Self, MetricsError> {
        let [first, second] = halves.images(images.photos())?;
        let rank = |among: &[usize]| {
            if among.is_empty() { Ok(Vec::new()) } else { rank_filters(images, original, among) }
        };
        Ok(Self { ranked: [rank(&first)?, rank(&second)?], halves: halves.clone() })
    }

    /// The filters as ranked on half 0 or 1, best first; empty where the half has no image.
    ///
    /// # Panics
    ///
    /// If `half` is neither.
    pub fn ranked(&self, half: usize) -> &[usize] {
        &self.ranked[half]
    }

    /// The eighth of the filters that match best on half 0 or 1: `max(2, ⌊filters / 8⌋)` of them,
    /// or the only one.
    ///
    /// # Panics
    ///
    /// If `half` is neither.
    pub fn best(&self, half: usize) -> &[usize] {
        let filters = self.ranked[half].len();
        &self.ranked[half][..(filters / 8).max(2).min(filters)]
    }

    /// That it is a matching of this number of filters.
    pub(super) fn check(&self, filters: usize) -> Result<(), MetricsError> {
        let other = self.ranked.iter().map(Vec::len).find(|&ranked| ranked != 0 && ranked != filters);
        other.map_or(Ok(()), |ranked| check_length("filters of the matching", filters, ranked))
    }

    /// The halves of the photographs.
    pub fn halves(&self) -> &Halves {
        &self.halves
    }
}
