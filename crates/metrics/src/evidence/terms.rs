//! Ratios over images, averaged over filters and over both ways round.

use super::{Figure, LandmarkMatching};
use crate::MetricsError;

/// `Σ a / Σ b` over `terms` of (photograph, a, b); `None` of fewer than two photographs, or where
/// Σ b is 0.
pub(super) fn ratio(terms: impl IntoIterator<Item = (usize, f64, f64)>) -> Option<Figure> {
    let mut terms: Vec<(usize, f64, f64)> = terms.into_iter().collect();
    terms.sort_by_key(|&(photo, ..)| photo);
    let [above, below] = terms.iter().fold([0.0; 2], |[a, b], term| [a + term.1, b + term.2]);
    let value = above / below;
    let influence = |(_, a, b): &(usize, f64, f64)| (a - value * b) / below;
    let photos = terms.chunk_by(|a, b| a.0 == b.0);
    let influences = photos.map(|images| (images[0].0, images.iter().map(influence).sum())).collect();
    (below != 0.0).then(|| corrected(value, influences)).flatten()
}

/// The share of `true` among (photograph, outcome).
pub(super) fn share(outcomes: impl IntoIterator<Item = (usize, bool)>) -> Option<Figure> {
    ratio(outcomes.into_iter().map(|(photo, outcome)| (photo, f64::from(outcome), 1.0)))
}

/// The figure with these sums of influences, one for each photograph, before the factor
/// `√(G / (G − 1))`; `None` of fewer than two photographs.
pub(super) fn corrected(value: f64, mut influences: Vec<(usize, f64)>) -> Option<Figure> {
    let photos = influences.len() as f64;
    let factor = (photos / (photos - 1.0)).sqrt();
    influences.iter_mut().for_each(|(_, influence)| *influence *= factor);
    (influences.len() > 1).then(|| Figure::new(value, influences))
}

/// Matched on one half and measured on the other, both ways round.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BothWays {
    /// Mean over the filters that match best.
    pub best: Option<Figure>,
    /// Mean over all filters.
    pub all: Option<Figure>,
}

/// Averages `of(filter, images)` over the filters matched on one half, with the images of the
/// other; then over both ways round. What is `None` is left out; `photos` are of each image.
pub(super) fn both_ways(
    matching: &LandmarkMatching,
    photos: &[usize],
    filters: usize,
    of: impl Fn(usize, &[usize]) -> Option<Figure>,
) -> Result<BothWays, MetricsError> {
    let halves = matching.halves().images(photos)?;
    let (mut best, mut all) = (Vec::new(), Vec::new());
    for (half, images) in halves.iter().enumerate() {
        let figures: Vec<Option<Figure>> = (0..filters).map(|filter| of(filter, images)).collect();
        let matched = matching.best(1 - half);
        best.extend(Figure::mean(matched.iter().filter_map(|&filter| figures[filter].as_ref())));
        if !matched.is_empty() {
            all.extend(Figure::mean(figures.iter().flatten()));
        }
    }
    Ok(BothWays { best: Figure::mean(&best), all: Figure::mean(&all) })
}
