//! Ratios over images, averaged over filters and over both ways round.

use serde::Serialize;

use super::{Figure, LandmarkMatching};

/// `Σ a / Σ b` over `terms` of (photograph, a, b); `None` of fewer than two photographs, or where
/// Σ b is 0.
pub(super) fn ratio(terms: impl IntoIterator<Item = (usize, f64, f64)>) -> Option<Figure> {
    let terms: Vec<(usize, f64, f64)> = terms.into_iter().collect();
    let [above, below] = terms.iter().fold([0.0; 2], |[a, b], term| [a + term.1, b + term.2]);
    if below == 0.0 {
        return None;
    }
    let value = above / below;
    clustered(value, terms.into_iter().map(|(photo, a, b)| (photo, (a - value * b) / below)).collect())
}

/// The share of `true` among (photograph, outcome).
pub(super) fn share(outcomes: impl IntoIterator<Item = (usize, bool)>) -> Option<Figure> {
    ratio(outcomes.into_iter().map(|(photo, outcome)| (photo, f64::from(outcome), 1.0)))
}

/// The figure with these influences (photograph, influence) of single images, summed within
/// photographs and multiplied by `√(G / (G − 1))`; `None` of fewer than two photographs.
pub(super) fn clustered(value: f64, mut influences: Vec<(usize, f64)>) -> Option<Figure> {
    influences.sort_by_key(|&(photo, _)| photo);
    let sums = |images: &[(usize, f64)]| (images[0].0, images.iter().map(|(_, influence)| influence).sum());
    let mut sums: Vec<(usize, f64)> = influences.chunk_by(|a, b| a.0 == b.0).map(sums).collect();
    let photos = sums.len() as f64;
    let factor = (photos / (photos - 1.0)).sqrt();
    sums.iter_mut().for_each(|(_, influence)| *influence *= factor);
    (sums.len() > 1).then(|| Figure::new(value, sums))
}

/// A figure of filters that were matched on one half of the photographs and measured on the
/// other, averaged over both ways round. `None`: not measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatchedFigure {
    /// Mean over the [eighth of the filters that match best](LandmarkMatching::best).
    pub best: Option<Figure>,
    /// Mean over all filters.
    pub all: Option<Figure>,
}

/// Averages `of(filter, half)`, a figure measured on a half, over the filters matched on the
/// other half; then over both ways round. What is `None` is left out.
pub(super) fn both_ways(
    matching: &LandmarkMatching,
    filters: usize,
    of: impl Fn(usize, usize) -> Option<Figure>,
) -> MatchedFigure {
    let (mut best, mut all) = (Vec::new(), Vec::new());
    for half in [0, 1] {
        let matched = matching.best(1 - half);
        if matched.is_empty() {
            continue;
        }
        let figures: Vec<Option<Figure>> = (0..filters).map(|filter| of(filter, half)).collect();
        best.extend(Figure::mean(matched.iter().filter_map(|&filter| figures[filter].as_ref())));
        all.extend(Figure::mean(figures.iter().flatten()));
    }
    MatchedFigure { best: Figure::mean(&best), all: Figure::mean(&all) }
}
