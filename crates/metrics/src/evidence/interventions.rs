//! Erasing and transplanting a landmark: does the filter follow?

use serde::Serialize;

use super::{
    Figure, LandmarkImages, LandmarkMatching, LandmarkResponses,
    terms::{both_ways, ratio, share},
};
use crate::MetricsError;

/// The figures of interventions on one landmark. `None`: not measured.
///
/// `s_k(x)` is the strength of filter k in image x, `μ_k(x)` its peak, ℓ the landmark; over the
/// images that have it:
///
/// | figure | definition | a blind place | ideal |
/// |---|---|---|---|
/// | `erase_auc` | share of images with `s_k(control place erased) > s_k(landmark erased)`, ties ½ | 0.5 | 1 |
/// | `hit` | share with `\|μ_k(x) − ℓ\| < 0.1 diagonal` | – | 1 |
/// | `transplant_hit` | share with `\|μ_k(transplanted) − pasted centre\| < 0.1 diagonal` | 0 | 1 |
/// | `stays` | share with `\|μ_k(transplanted) − ℓ\| < 0.1 diagonal` | – | 0 |
/// | `gain` | `Σ ⟨μ_k(transplanted) − μ_k(x), δ⟩ / Σ \|δ\|²`, δ = pasted centre − ℓ | 0 | 1 |
///
/// Where a filter does not fire ([`Responses`](crate::Responses)) there is no hit and it does not
/// stay; where it does not fire in one of the two images its displacement is 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvidenceFigures {
    /// Erase-AUC.
    pub erase_auc: Option<Figure>,
    /// Hit.
    pub hit: Option<Figure>,
    /// Transplant hit.
    pub transplant_hit: Option<Figure>,
    /// Stays.
    pub stays: Option<Figure>,
    /// Displacement gain.
    pub gain: Option<Figure>,
}

/// The figures of one landmark: see [`landmark_evidence`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LandmarkEvidence {
    /// Mean over the eighth of the filters that match best. It is *the* figure of the landmark.
    pub best: EvidenceFigures,
    /// Mean over all filters.
    pub all: EvidenceFigures,
}

/// The figures of one landmark.
///
/// The filters are [matched](LandmarkMatching) to the landmark on one half of the photographs and
/// measured on the other; figures are averaged over the filters, then over both ways round. A
/// half in which a figure cannot be measured (fewer than two photographs) is left out.
///
/// Detectors that are made for one landmark (a supervised one) are given alone, without those
/// made for others: the mean is over at least two filters if there are two.
///
/// # Errors
///
/// [`MetricsError::Length`] if the tables do not fit, [`MetricsError::UnknownPhoto`] if a
/// photograph is in neither half.
pub fn landmark_evidence(
    images: &LandmarkImages,
    responses: &LandmarkResponses,
    matching: &LandmarkMatching,
) -> Result<LandmarkEvidence, MetricsError> {
    responses.check(images)?;
    matching.check(responses.filters())?;
    let halves = matching.halves().images(images.photos())?;
    let measured = LandmarkData { images, responses };
    let measure = |figure: fn(&LandmarkData, usize, &[usize]) -> Option<Figure>| {
        both_ways(matching, responses.filters(), |filter, half| figure(&measured, filter, &halves[half]))
    };
    let erase_auc = measure(|of, filter, among| of.erase_auc(filter, among));
    let hit = measure(|of, filter, among| of.hit(filter, among));
    let transplant_hit = measure(|of, filter, among| of.transplant_hit(filter, among));
    let stays = measure(|of, filter, among| of.stays(filter, among));
    let gain = measure(|of, filter, among| of.gain(filter, among));
    let best = EvidenceFigures {
        erase_auc: erase_auc.best,
        hit: hit.best,
        transplant_hit: transplant_hit.best,
        stays: stays.best,
        gain: gain.best,
    };
    let all = EvidenceFigures {
        erase_auc: erase_auc.all,
        hit: hit.all,
        transplant_hit: transplant_hit.all,
        stays: stays.all,
        gain: gain.all,
    };
    Ok(LandmarkEvidence { best, all })
}

/// The figures of one filter on the given images (indices), with no matching.
///
/// # Errors
///
/// [`MetricsError::Length`] if the tables do not fit.
///
/// # Panics
///
/// If the filter or an index is out of range.
pub fn filter_evidence(
    images: &LandmarkImages,
    responses: &LandmarkResponses,
    filter: usize,
    among: &[usize],
) -> Result<EvidenceFigures, MetricsError> {
    responses.check(images)?;
    let measured = LandmarkData { images, responses };
    Ok(EvidenceFigures {
        erase_auc: measured.erase_auc(filter, among),
        hit: measured.hit(filter, among),
        transplant_hit: measured.transplant_hit(filter, among),
        stays: measured.stays(filter, among),
        gain: measured.gain(filter, among),
    })
}

/// The images that have one landmark (or part), and the responses of a set of detectors to them.
#[derive(Debug, Clone, Copy)]
pub struct LandmarkData<'a> {
    /// The images.
    pub images: &'a LandmarkImages,
    /// The responses.
    pub responses: &'a LandmarkResponses,
}

impl LandmarkData<'_> {
    fn photo(&self, image: usize) -> usize {
        self.images.photos()[image]
    }

    fn erase_auc(&self, filter: usize, among: &[usize]) -> Option<Figure> {
        let erased = self.responses.erased.as_ref()?;
        ratio(among.iter().map(|&image| {
            let control = erased.control.strength(filter, image);
            let landmark = erased.landmark.strength(filter, image);
            (self.photo(image), wins(control, landmark), 1.0)
        }))
    }

    fn hit(&self, filter: usize, among: &[usize]) -> Option<Figure> {
        share(among.iter().map(|&image| {
            let peak = self.responses.original.peak(filter, image);
            (self.photo(image), self.images.hits(peak, self.images.landmarks()[image]))
        }))
    }

    fn transplant_hit(&self, filter: usize, among: &[usize]) -> Option<Figure> {
        self.transplanted_at(self.images.pasted()?, filter, among)
    }

    fn stays(&self, filter: usize, among: &[usize]) -> Option<Figure> {
        self.transplanted_at(self.images.landmarks(), filter, among)
    }

    fn transplanted_at(&self, points: &[[f64; 2]], filter: usize, among: &[usize]) -> Option<Figure> {
        let transplanted = self.responses.transplanted.as_ref()?;
        share(among.iter().map(|&image| {
            (self.photo(image), self.images.hits(transplanted.peak(filter, image), points[image]))
        }))
    }

    fn gain(&self, filter: usize, among: &[usize]) -> Option<Figure> {
        ratio(among.iter().map(|&image| self.gain_terms(filter, image)).collect::<Option<Vec<_>>>()?)
    }

    /// Photograph, ⟨displacement, δ⟩ and |δ|² of an image; `None` where nothing was transplanted.
    pub(super) fn gain_terms(&self, filter: usize, image: usize) -> Option<(usize, f64, f64)> {
        let (pasted, after) = (self.images.pasted()?[image], self.responses.transplanted.as_ref()?);
        let landmark = self.images.landmarks()[image];
        let moved = [0, 1].map(|axis| pasted[axis] - landmark[axis]);
        let peaks = self.responses.original.peak(filter, image).zip(after.peak(filter, image));
        let along = peaks.map_or(0.0, |(before, after)| {
            (0..2).map(|axis| (after[axis] - before[axis]) * moved[axis]).sum()
        });
        Some((self.photo(image), along, moved.iter().map(|d| d * d).sum()))
    }
}

/// 1 if `a` is larger, 0 if `b` is, ½ if neither.
pub(super) fn wins(a: f64, b: f64) -> f64 {
    if a > b {
        1.0
    } else if a < b {
        0.0
    } else {
        0.5
    }
}
