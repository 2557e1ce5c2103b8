//! A figure and its standard error over source photographs.

use serde::{Deserialize, Serialize, Serializer};

/// A figure and its standard error over photographs.
///
/// Serialises as `[value, standard error]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Its standard error: photographs vary, filters and the way they were matched are given.
    pub standard_error: f64,
}

impl From<[f64; 2]> for Estimate {
    fn from([value, standard_error]: [f64; 2]) -> Self {
        Self { value, standard_error }
    }
}

impl From<Estimate> for [f64; 2] {
    fn from(estimate: Estimate) -> Self {
        [estimate.value, estimate.standard_error]
    }
}

impl Estimate {
    /// Whether the value exceeds 0 by more than two standard errors.
    ///
    /// Of a [difference](Figure::difference): whether the one figure exceeds the other.
    pub fn exceeds_zero(&self) -> bool {
        self.value > 2.0 * self.standard_error
    }
}

/// An [`Estimate`] that remembers what each photograph contributed to its error, so that two
/// figures of the same photographs can be compared pair by pair.
///
/// To first order, a figure θ is a sum over source photographs g (the clusters: a photograph with
/// two animals counts once), `θ − E θ ≈ Σ_g u_g`. The *influence* of a photograph on a ratio
/// `θ = Σ_i a_i / Σ_i b_i` over images i is
///
/// `u_g = √(G / (G − 1)) · Σ_{i ∈ g} (a_i − θ b_i) / Σ_i b_i`,
///
/// G the number of photographs; a share or a mean has b = 1. Then
///
/// `standard error = √(Σ_g u_g²)`,
///
/// for a mean over photographs of one image each the usual `sd / √G`. The influence on a mean of
/// figures is the mean of the influences. Fewer than two photographs have no standard error, and
/// then nothing was measured.
///
/// Source: linearisation of the variance of a ratio under cluster sampling (W. G. Cochran,
/// *Sampling Techniques*, 1977, ch. 6 and 9A).
///
/// Serialises as its estimate.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The figure and its standard error.
    pub estimate: Estimate,
    /// Photograph and influence, ascending by photograph.
    influences: Vec<(usize, f64)>,
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.estimate.serialize(serializer)
    }
}

impl Figure {
    /// Of a value and the influences of distinct photographs, ascending.
    pub(super) fn new(value: f64, influences: Vec<(usize, f64)>) -> Self {
        let standard_error = influences.iter().map(|(_, u)| u * u).sum::<f64>().sqrt();
        Self { estimate: Estimate { value, standard_error }, influences }
    }

    /// The figure.
    pub fn value(&self) -> f64 {
        self.estimate.value
    }

    /// Its standard error over photographs.
    pub fn standard_error(&self) -> f64 {
        self.estimate.standard_error
    }

    /// The photographs that were measured and the influence of each, ascending.
    pub fn influences(&self) -> &[(usize, f64)] {
        &self.influences
    }

    /// `self − other` with its paired standard error, `√(Σ_g (u_g − v_g)²)`.
    ///
    /// A photograph that only one of them measured has influence 0 on the other.
    pub fn difference(&self, other: &Self) -> Estimate {
        Self::combine([(1.0, self), (-1.0, other)]).estimate
    }

    /// The mean of several figures, with the standard error of that mean; `None` of none.
    pub fn mean<'a>(figures: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let figures: Vec<&Self> = figures.into_iter().collect();
        let weight = 1.0 / figures.len() as f64;
        (!figures.is_empty()).then(|| Self::combine(figures.into_iter().map(|figure| (weight, figure))))
    }

    /// A weighted sum.
    fn combine<'a>(terms: impl IntoIterator<Item = (f64, &'a Self)>) -> Self {
        let mut sum = std::collections::BTreeMap::new();
        let mut value = 0.0;
        for (weight, figure) in terms {
            value += weight * figure.estimate.value;
            for &(photo, influence) in &figure.influences {
                *sum.entry(photo).or_insert(0.0) += weight * influence;
            }
        }
        Self::new(value, sum.into_iter().collect())
    }
}
